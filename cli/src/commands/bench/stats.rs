//! Numbers out of blocks of measurements.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::process::{Spent, children};
use super::program::Measure;

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
        let kept = children();
        let before = Spent::before();
        let samples = measure()?;
        let used = before.since(&kept);
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
    /// CPU time, the mean: the contender, all below it, and who asked. Children
    /// that have ended are counted by the kernel in ticks of ten milliseconds,
    /// which even out over blocks and not within one.
    pub(super) cpu_us: f64,
}

impl Summary {
    pub(super) fn of(blocks: &[Block]) -> Self {
        let each = sorted(blocks.iter().flat_map(|b| b.each.iter().copied()));
        Self {
            p10_us: percentile(&each, 0.1),
            p50_us: percentile(&each, 0.5),
            p99_us: percentile(&each, 0.99),
            cpu_us: mean_cpu(&blocks.iter().collect::<Vec<_>>()),
        }
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Wall time that nine of ten runs take at least: the quiet machine.
    P10,
    /// Median wall time.
    P50,
    /// Mean CPU time.
    Cpu,
}

/// A ratio with its 95 % interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ratio {
    pub(super) ratio: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Draws of the bootstrap.
const DRAWS: usize = 2000;

/// The interval is a bootstrap over pairs of blocks: the two of a pair were
/// measured one after the other and share what the machine was doing.
pub(super) fn ratio(ours: &[Block], bare: &[Block], what: Of) -> Ratio {
    let value = |blocks: &[Block], picked: &[usize]| {
        let picked: Vec<&Block> = picked.iter().filter_map(|at| blocks.get(*at)).collect();
        let each = || sorted(picked.iter().flat_map(|b| b.each.iter().copied()));
        match what {
            Of::P10 => percentile(&each(), 0.1),
            Of::P50 => percentile(&each(), 0.5),
            Of::Cpu => mean_cpu(&picked),
        }
    };
    let all: Vec<usize> = (0..ours.len().min(bare.len())).collect();
    let of = |picked: &[usize]| value(ours, picked) / value(bare, picked);
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
        ratio: of(&all),
        low: percentile(&drawn, 0.025),
        high: percentile(&drawn, 0.975),
    }
}

fn mean_cpu(blocks: &[&Block]) -> f64 {
    blocks.iter().map(|b| b.cpu).sum::<f64>() / blocks.len().max(1) as f64
}

pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

pub(super) fn percentile(sorted: &[f64], p: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1)) as f64 * p;
    sorted.get(at.round() as usize).copied().unwrap_or(f64::NAN)
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
        for what in [Of::P10, Of::P50, Of::Cpu] {
            let ratio = ratio(&blocks, &blocks, what);
            assert!((ratio.ratio - 1.0).abs() < 1e-9);
            assert!(ratio.low <= 1.0 && ratio.high >= 1.0);
        }
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
}
