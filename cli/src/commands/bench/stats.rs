//! Numbers out of blocks of measurements.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::contender::Measure;

/// How long so many runs took together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) wall: Duration,
    pub(super) runs: usize,
}

/// What was measured in one go.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Microseconds a run.
    each: Vec<f64>,
    /// CPU time of this program and everything below it, in microseconds a run.
    cpu: f64,
}

impl Block {
    pub(super) fn of(measure: &mut Measure) -> Result<Self> {
        let before = cpu();
        let samples = measure()?;
        let used = cpu().saturating_sub(before);
        let runs: usize = samples.iter().map(|s| s.runs).sum();
        let micro = |time: Duration| time.as_secs_f64() * 1e6;
        Ok(Self {
            each: samples
                .iter()
                .map(|s| micro(s.wall) / s.runs as f64)
                .collect(),
            cpu: micro(used) / runs.max(1) as f64,
        })
    }
}

/// Percentiles, in microseconds a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Summary {
    pub(super) p10_us: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// CPU time: server, cells, workers and the client that asked.
    pub(super) cpu_us: f64,
}

impl Summary {
    pub(super) fn of(blocks: &[Block]) -> Self {
        let each = sorted(blocks.iter().flat_map(|b| b.each.iter().copied()));
        let cpu = sorted(blocks.iter().map(|b| b.cpu));
        Self {
            p10_us: percentile(&each, 0.1),
            p50_us: percentile(&each, 0.5),
            p99_us: percentile(&each, 0.99),
            cpu_us: percentile(&cpu, 0.5),
        }
    }
}

/// Ratio of two p10, with a 95 % interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ratio {
    pub(super) p10: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Draws of the bootstrap.
const DRAWS: usize = 2000;

/// The interval is a bootstrap over pairs of blocks: the two of a pair were
/// measured one after the other and share what the machine was doing.
pub(super) fn ratio(ours: &[Block], bare: &[Block]) -> Ratio {
    let p10 = |blocks: &[Block], picked: &[usize]| {
        let each = picked.iter().filter_map(|at| blocks.get(*at));
        percentile(&sorted(each.flat_map(|b| b.each.iter().copied())), 0.1)
    };
    let all: Vec<usize> = (0..ours.len().min(bare.len())).collect();
    let of = |picked: &[usize]| p10(ours, picked) / p10(bare, picked);
    // A generator of its own: the same measurements have the same interval.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap_or(0) % all.len().max(1)
    };
    let drawn = sorted((0..DRAWS).map(|_| {
        let picked: Vec<usize> = all.iter().map(|_| draw()).collect();
        of(&picked)
    }));
    Ratio {
        p10: of(&all),
        low: percentile(&drawn, 0.025),
        high: percentile(&drawn, 0.975),
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn percentile(sorted: &[f64], p: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1)) as f64 * p;
    sorted.get(at.round() as usize).copied().unwrap_or(f64::NAN)
}

/// CPU time of this process and all below it, ended ones included.
fn cpu() -> Duration {
    let mut below: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut ended = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<u32>().ok())
        else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name may hold spaces and brackets; the fields begin behind it.
        let Some((_, fields)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok());
        if let Some(parent) = number(1).and_then(|p| u32::try_from(p).ok()) {
            below.entry(parent).or_default().push(pid);
        }
        // cutime and cstime, in ticks of ten milliseconds.
        ended.insert(pid, number(13).unwrap_or(0) + number(14).unwrap_or(0));
    }
    let mut total = Duration::ZERO;
    let mut todo = vec![std::process::id()];
    while let Some(pid) = todo.pop() {
        total += Duration::from_millis(10 * ended.get(&pid).copied().unwrap_or(0));
        total += running(pid);
        todo.extend(below.remove(&pid).unwrap_or_default());
    }
    total
}

/// CPU time of a live process's threads, to the nanosecond.
fn running(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let nanoseconds = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(each: &[f64]) -> Block {
        Block {
            each: each.to_vec(),
            cpu: 1.0,
        }
    }

    #[test]
    fn a_ratio_of_equals_is_one_and_its_interval_holds_it() {
        let blocks: Vec<Block> = (1..30)
            .map(|i| block(&[100.0 + f64::from(i), 120.0]))
            .collect();
        let ratio = ratio(&blocks, &blocks);
        assert!((ratio.p10 - 1.0).abs() < 1e-9);
        assert!(ratio.low <= 1.0 && ratio.high >= 1.0);
    }

    #[test]
    fn percentiles_are_taken_of_all_runs() {
        let blocks = [block(&[5.0, 1.0, 3.0]), block(&[2.0, 4.0])];
        let summary = Summary::of(&blocks);
        assert_eq!(
            (summary.p10_us, summary.p50_us, summary.p99_us),
            (1.0, 3.0, 5.0)
        );
    }

    #[test]
    fn our_own_work_is_counted() {
        let before = cpu();
        let mut x = 1_u64;
        for i in 0..30_000_000_u64 {
            x = x.wrapping_mul(i | 1).rotate_left(7);
        }
        assert!(std::hint::black_box(x) != 0 && cpu() > before);
    }
}
