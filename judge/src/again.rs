//! Trying a test again, where that can change the truth: near a limit, under
//! host pressure, or because it was asked for.
//!
//! A wrong answer is never tried again by ourselves: it was computed, and luck
//! has no second chance. Tries that disagree about acceptance are `flaky`,
//! which is no reward at all; that they failed in different ways is not
//! disagreement, or a program could mask its failures by varying them.

use assize_executor::{End, Fault, Limit};

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
        0 => u32::from(doubtful(trials, &result, pressure)),
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

/// Whether another try might say otherwise. `pressure` is the share of time in
/// which something waited for a processor of this host.
fn doubtful(trials: &Trials<'_>, result: &TestResult, pressure: fn() -> f64) -> bool {
    let Some(outcome) = &result.outcome else {
        return false;
    };
    let submission = &trials.case.submission;
    let limits = submission.runtime.manifest.limits.apply(submission.limits);
    let near = |used: f64, limit_ms: u64| used * 1e3 >= NEAR * limit_ms as f64;
    match &outcome.end {
        End::Limit(Limit::Wall) => pressure() >= PRESSED_WALL,
        End::Limit(Limit::Cpu) => pressure() >= PRESSED_CPU,
        End::Exited(_) => {
            let usage = &outcome.usage;
            result.verdict == Verdict::Accepted
                && (near(usage.cpu.as_secs_f64(), limits.cpu_ms)
                    || near(usage.wall.as_secs_f64(), limits.wall_ms))
        }
        End::Limit(Limit::Memory | Limit::Output)
        | End::Signaled(_)
        | End::Trapped(_)
        | End::Violation => false,
    }
}

/// From the kernel's pressure stall information; without it, from how many
/// processes there are to run for each processor.
fn pressure() -> f64 {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let average = |text: &str| -> Option<f64> {
        let some = text.lines().find(|l| l.starts_with("some "))?;
        let field = some
            .split_whitespace()
            .find_map(|f| f.strip_prefix("avg10="))?;
        Some(field.parse::<f64>().ok()? / 100.0)
    };
    if let Some(share) = average(&read("/proc/pressure/cpu")) {
        return share;
    }
    let load = read("/proc/loadavg");
    let load: f64 = load
        .split(' ')
        .next()
        .and_then(|l| l.parse().ok())
        .unwrap_or(0.0);
    let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    ((load - cores) / cores).clamp(0.0, 1.0)
}
