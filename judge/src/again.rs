//! Trying a test again, where that can change the truth: near a limit, under
//! host pressure, or because it was asked for.
//!
//! A wrong answer is never tried again by ourselves: it was computed, and luck
//! has no second chance. Tries that disagree about acceptance are `flaky`,
//! which is no reward at all; that they failed in different ways is not
//! disagreement, or a program could mask its failures by varying them.

use std::time::Duration;

use assize_executor::{End, Fault, Limit, Outcome, Usage};
use assize_policies::Limits;

use crate::case::{TestResult, add};
use crate::engine::Turn;
use crate::trials::Trials;
use crate::verdict::Verdict;

/// Share of a limit from which on a test that passed is tried again.
const NEAR: f64 = 0.9;
/// Share of time in which something waited for a processor, from which on a
/// time limit reached is looked at again: for the wall clock, and for CPU time,
/// which grows when caches and cores are shared.
const PRESSED_WALL: f64 = 0.2;
const PRESSED_CPU: f64 = 0.5;

/// Tries a test as often as its case or its result asks for.
pub(crate) async fn steady(
    trials: &Trials<'_>,
    test: &crate::case::Test,
    turn: Turn<'_>,
) -> Result<TestResult, Fault> {
    let mut result = trials.test(test).await?;
    let asked = trials.case.reruns;
    let more = match asked {
        0 => u32::from(unsure(trials, &result)),
        asked => asked,
    };
    let mut passed = u32::from(result.verdict == Verdict::Accepted);
    for _ in 0..more {
        if !result.verdict.is_conclusive() {
            break;
        }
        turn().await;
        let next = trials.test(test).await?;
        // A fault of the second try says nothing about the first.
        if !next.verdict.is_conclusive() {
            continue;
        }
        result.attempts += 1;
        passed += u32::from(next.verdict == Verdict::Accepted);
        add(&mut result.usage, &next.usage);
        if passed > 0 && passed < result.attempts {
            result.detail = format!(
                "tries disagree: {}, then {}{}",
                result.verdict,
                next.verdict,
                if next.detail.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", next.detail)
                },
            );
            result.verdict = Verdict::Flaky;
        }
    }
    Ok(result)
}

fn unsure(trials: &Trials<'_>, result: &TestResult) -> bool {
    let submission = &*trials.submission;
    let limits = submission.runtime.manifest.limits.apply(submission.limits);
    let accepted = result.verdict == Verdict::Accepted;
    let of = |o: &Outcome| doubtful(accepted, &o.end, &o.usage, &limits, pressure);
    result.outcome.as_ref().is_some_and(of)
}

/// Whether another try might say otherwise. `pressure` is the share of time in
/// which something waited for a processor of this host, looked up only where
/// it matters.
fn doubtful(
    accepted: bool,
    end: &End,
    usage: &Usage,
    limits: &Limits,
    pressure: impl Fn() -> f64,
) -> bool {
    let near = |used: Duration, limit_ms: u64| used.as_secs_f64() * 1e3 >= NEAR * limit_ms as f64;
    match end {
        End::Limit(Limit::Wall) => pressure() >= PRESSED_WALL,
        End::Limit(Limit::Cpu) => pressure() >= PRESSED_CPU,
        End::Exited(_) => {
            accepted && (near(usage.cpu, limits.cpu_ms) || near(usage.wall, limits.wall_ms))
        }
        End::Limit(Limit::Memory | Limit::Output)
        | End::Signaled(_)
        | End::Trapped(_)
        | End::Violation => false,
    }
}

/// How pressed this host is for processors, from 0 to 1.
fn pressure() -> f64 {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    share(&read("/proc/pressure/cpu"), &read("/proc/loadavg"), cores)
}

/// From the kernel's pressure stall information; without it, from how many
/// processes there are to run for each processor.
fn share(stalls: &str, load: &str, cores: f64) -> f64 {
    let some = stalls.lines().find(|l| l.starts_with("some "));
    let average = some.and_then(|l| l.split_whitespace().find_map(|f| f.strip_prefix("avg10=")));
    if let Some(percent) = average.and_then(|a| a.parse::<f64>().ok()) {
        return percent / 100.0;
    }
    let load = load.split(' ').next().and_then(|l| l.parse().ok());
    ((load.unwrap_or(0.0) - cores) / cores).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubted(accepted: bool, end: End, cpu_ms: u64, pressure: f64) -> bool {
        let limits = Limits {
            cpu_ms: 1000,
            wall_ms: 3000,
            memory_bytes: 1 << 28,
            processes: 1,
            stdout_bytes: 1,
            stderr_bytes: 1,
            disk_bytes: 1,
            files: 1,
        };
        let usage = Usage {
            cpu: Duration::from_millis(cpu_ms),
            wall: Duration::from_millis(cpu_ms),
            ..Usage::default()
        };
        doubtful(accepted, &end, &usage, &limits, || pressure)
    }

    #[test]
    fn a_time_limit_is_doubted_under_pressure_only() {
        assert!(!doubted(false, End::Limit(Limit::Wall), 100, 0.19));
        assert!(doubted(false, End::Limit(Limit::Wall), 100, 0.2));
        assert!(!doubted(false, End::Limit(Limit::Cpu), 1000, 0.49));
        assert!(doubted(false, End::Limit(Limit::Cpu), 1000, 0.5));
    }

    #[test]
    fn a_pass_is_doubted_near_its_limit_and_a_wrong_answer_never() {
        assert!(!doubted(true, End::Exited(0), 899, 1.0));
        assert!(doubted(true, End::Exited(0), 900, 0.0));
        assert!(!doubted(false, End::Exited(0), 999, 1.0));
        for end in [
            End::Limit(Limit::Memory),
            End::Limit(Limit::Output),
            End::Signaled(9),
            End::Violation,
        ] {
            assert!(!doubted(false, end, 999, 1.0));
        }
    }

    #[test]
    fn pressure_is_what_the_kernel_says_or_what_the_load_implies() {
        let stalls = "some avg10=25.50 avg60=1.00 avg300=0.00 total=5\nfull avg10=0.00\n";
        assert_eq!(share(stalls, "9.0 1 1", 2.0), 0.255);
        assert_eq!(share("", "3.00 2.0 1.0 5/116 1\n", 2.0), 0.5);
        assert_eq!(share("", "0.10 0 0", 2.0), 0.0);
        assert_eq!(share("", "", 2.0), 0.0);
    }
}
