//! EffiBench: execution time, peak memory, and memory over time.

use serde::{Deserialize, Serialize};

use super::super::{Undefined, amount, divisor, undefined};

/// One reading of a running program.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// When, in seconds.
    pub at_s: f64,
    /// Memory in use, in MB.
    pub mb: f64,
}

/// What one program used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// ET: from the first reading to the last, in seconds.
    pub et_s: f64,
    /// MU: most memory, in MB.
    pub mu_mb: f64,
    /// TMU: memory integrated over time by trapezoids, in MB·s.
    pub tmu_mb_s: f64,
}

/// ET, MU and TMU from readings in order of time (EffiBench,
/// `report_overhead.py`).
///
/// # Errors
/// Without readings, or when one is not finite, negative or before the last.
pub fn used(samples: &[Sample]) -> Result<Used, Undefined> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Err(undefined("samples", "there are none"));
    };
    let mut total = Used {
        et_s: last.at_s - first.at_s,
        mu_mb: 0.0,
        tmu_mb_s: 0.0,
    };
    for (index, sample) in samples.iter().enumerate() {
        amount(&format!("samples[{index}].mb"), sample.mb)?;
        amount(&format!("samples[{index}].at_s"), sample.at_s)?;
        total.mu_mb = total.mu_mb.max(sample.mb);
    }
    for (index, pair) in samples.windows(2).enumerate() {
        let [a, b] = pair else { continue };
        if b.at_s < a.at_s {
            let field = format!("samples[{}].at_s", index + 1);
            return Err(undefined(field, "is before the one before it"));
        }
        total.tmu_mb_s += (a.mb + b.mb) / 2.0 * (b.at_s - a.at_s);
    }
    Ok(total)
}

/// A task: what the program used and what the canonical solution used.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffiTask {
    /// Of the program, which is correct.
    pub program: Used,
    /// Of the canonical solution.
    pub canonical: Used,
}

/// Totals over the tasks that were solved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EffiBench {
    /// Mean ET, in seconds.
    pub et_s: f64,
    /// Mean MU, in MB.
    pub mu_mb: f64,
    /// Mean TMU, in MB·s.
    pub tmu_mb_s: f64,
    /// NET: the sum of ET over that of the canonical solutions.
    pub net: f64,
    /// NMU: likewise.
    pub nmu: f64,
    /// NTMU: likewise.
    pub ntmu: f64,
    /// Solved tasks over all tasks.
    pub solved: f64,
}

/// EffiBench over the tasks that were solved, out of `all`. Its normalised
/// figures are ratios of sums, as its code computes them (`report_overhead.py`),
/// not means of ratios.
///
/// # Errors
/// Without a solved task, with more of them than tasks, or when an amount is
/// not finite or the canonical solutions used nothing.
pub fn effibench(solved: &[EffiTask], all: usize) -> Result<EffiBench, Undefined> {
    if solved.is_empty() {
        return Err(undefined("tasks", "none was solved"));
    }
    if all < solved.len() {
        return Err(undefined("all", "there are fewer than were solved"));
    }
    let sum = |name: &str, pick: fn(&Used) -> f64| -> Result<(f64, f64), Undefined> {
        let (mut program, mut canonical) = (0.0, 0.0);
        for (index, task) in solved.iter().enumerate() {
            let field = |side: &str| format!("tasks[{index}].{side}.{name}");
            program += amount(&field("program"), pick(&task.program))?;
            canonical += amount(&field("canonical"), pick(&task.canonical))?;
        }
        divisor(&format!("tasks.canonical.{name}"), canonical)?;
        Ok((program, canonical))
    };
    let (et, canonical_et) = sum("et_s", |u| u.et_s)?;
    let (mu, canonical_mu) = sum("mu_mb", |u| u.mu_mb)?;
    let (tmu, canonical_tmu) = sum("tmu_mb_s", |u| u.tmu_mb_s)?;
    let count = solved.len() as f64;
    Ok(EffiBench {
        et_s: et / count,
        mu_mb: mu / count,
        tmu_mb_s: tmu / count,
        net: et / canonical_et,
        nmu: mu / canonical_mu,
        ntmu: tmu / canonical_tmu,
        solved: count / all as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: f64, mb: f64) -> Sample {
        Sample { at_s, mb }
    }

    #[test]
    fn memory_over_time_is_a_sum_of_trapezoids() {
        let got = used(&[sample(1.0, 10.0), sample(2.0, 30.0), sample(4.0, 20.0)]).unwrap();
        // (10 + 30)/2 · 1 + (30 + 20)/2 · 2
        assert_eq!((got.et_s, got.mu_mb, got.tmu_mb_s), (3.0, 30.0, 70.0));
        let one = used(&[sample(5.0, 8.0)]).unwrap();
        assert_eq!((one.et_s, one.mu_mb, one.tmu_mb_s), (0.0, 8.0, 0.0));
    }

    #[test]
    fn readings_that_are_none_are_refused() {
        let refused = |samples: &[Sample]| used(samples).unwrap_err().field;
        assert_eq!(refused(&[]), "samples");
        assert_eq!(
            refused(&[sample(2.0, 1.0), sample(1.0, 1.0)]),
            "samples[1].at_s"
        );
        assert_eq!(refused(&[sample(0.0, f64::NAN)]), "samples[0].mb");
        assert_eq!(refused(&[sample(f64::INFINITY, 1.0)]), "samples[0].at_s");
    }

    fn task(program: f64, canonical: f64) -> EffiTask {
        let of = |x: f64| Used {
            et_s: x,
            mu_mb: 2.0 * x,
            tmu_mb_s: 3.0 * x,
        };
        EffiTask {
            program: of(program),
            canonical: of(canonical),
        }
    }

    #[test]
    fn normalised_figures_are_ratios_of_sums() {
        let got = effibench(&[task(10.0, 1.0), task(1.0, 10.0)], 4).unwrap();
        // The mean of the ratios would be 5.05.
        assert_eq!((got.net, got.nmu, got.ntmu), (1.0, 1.0, 1.0));
        assert_eq!((got.et_s, got.mu_mb, got.tmu_mb_s), (5.5, 11.0, 16.5));
        assert!((got.solved - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_ratio_over_nothing_is_refused() {
        assert!(effibench(&[], 3).is_err());
        assert!(effibench(&[task(1.0, 1.0)], 0).is_err());
        let refused = effibench(&[task(1.0, 0.0)], 1).unwrap_err();
        assert_eq!(refused.field, "tasks.canonical.et_s");
        assert!(effibench(&[task(f64::NAN, 1.0)], 1).is_err());
    }
}
