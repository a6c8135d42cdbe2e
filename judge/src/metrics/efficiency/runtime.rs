//! Mercury's Beyond, PIE and ECCO: run times against those of references.

use serde::{Deserialize, Serialize};

use super::super::{Undefined, amount, divisor, mean, undefined};

/// Mercury's Beyond of one sample: where its run time lies between the slowest
/// (0) and the fastest (1) of the references, all of which passed. A sample
/// that failed, given as none, is as slow as can be: 0.
///
/// `(max R − clip(r, min R, max R)) / (max R − min R)`. Mercury's own code clips
/// `max R − r` to a second before it divides and can exceed 1; this is the
/// formula of its readme. Where every reference took the same time there is
/// nothing between: a sample no slower is 1, a slower one 0.
///
/// # Errors
/// Without references, or when a time is not finite or negative.
pub fn beyond(sample: Option<f64>, references: &[f64]) -> Result<f64, Undefined> {
    if references.is_empty() {
        return Err(undefined("references", "there are none"));
    }
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for (index, time) in references.iter().enumerate() {
        let time = amount(&format!("references[{index}]"), *time)?;
        least = least.min(time);
        most = most.max(time);
    }
    let Some(time) = sample else {
        return Ok(0.0);
    };
    let time = amount("sample", time)?;
    if most > least {
        Ok((most - time.clamp(least, most)) / (most - least))
    } else {
        Ok(f64::from(u8::from(time <= most)))
    }
}

/// Mercury's Beyond over tasks, each `(samples, references)`: the mean over a
/// task's samples, then over tasks.
///
/// # Errors
/// As [`beyond`], and without tasks or samples.
pub fn mean_beyond(tasks: &[(Vec<Option<f64>>, Vec<f64>)]) -> Result<f64, Undefined> {
    let mut each = Vec::with_capacity(tasks.len());
    for (index, (samples, references)) in tasks.iter().enumerate() {
        let place = |e: Undefined| undefined(format!("tasks[{index}].{}", e.field), e.reason);
        let scores: Result<Vec<f64>, Undefined> =
            samples.iter().map(|s| beyond(*s, references)).collect();
        each.push(mean("samples", &scores.map_err(place)?).map_err(place)?);
    }
    mean("tasks", &each)
}

/// The speedups that PIE reports shares of.
pub const THRESHOLDS: [f64; 10] = [1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0];

/// A program to be made faster, and what was made of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PieTask {
    /// Run time of the program as it was.
    pub source: f64,
    /// Run times of the answers, in order; none for one that failed a test.
    pub answers: Vec<Option<f64>>,
}

/// PIE at best of `n`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pie {
    /// Mean over tasks of `max(1, source / fastest correct answer)`, which is 1
    /// where none is correct.
    pub speedup: f64,
    /// Share of tasks sped up by at least a tenth: %Opt as a share of 1.
    pub optimised: f64,
    /// Share of tasks with a correct answer.
    pub correct: f64,
    /// Share of tasks for each of [`THRESHOLDS`].
    pub at_least: Vec<(f64, f64)>,
}

/// PIE's figures with the best of the first `n` answers of each task
/// (`gem5_eval.py`).
///
/// # Errors
/// Without tasks, when a task has fewer than `n` answers or `n` is 0, and when a
/// time is not finite or is 0.
pub fn pie(tasks: &[PieTask], n: usize) -> Result<Pie, Undefined> {
    if n == 0 {
        return Err(undefined("n", "must be at least 1"));
    }
    let mut speedups = Vec::with_capacity(tasks.len());
    let mut correct = Vec::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        let field = |name: &str| format!("tasks[{index}].{name}");
        let source = divisor(&field("source"), task.source)?;
        let answers = task.answers.get(..n);
        let answers =
            answers.ok_or_else(|| undefined(field("answers"), format!("fewer than {n}")))?;
        let mut fastest: Option<f64> = None;
        for (place, time) in answers.iter().enumerate() {
            if let Some(time) = time {
                let time = divisor(&field(&format!("answers[{place}]")), *time)?;
                fastest = Some(fastest.map_or(time, |f| f.min(time)));
            }
        }
        speedups.push(fastest.map_or(1.0, |f| (source / f).max(1.0)));
        correct.push(f64::from(u8::from(fastest.is_some())));
    }
    let share = |threshold: f64| {
        let reached = speedups.iter().filter(|s| **s >= threshold).count();
        reached as f64 / speedups.len() as f64
    };
    Ok(Pie {
        speedup: mean("tasks", &speedups)?,
        optimised: share(THRESHOLDS[0]),
        correct: mean("tasks", &correct)?,
        at_least: THRESHOLDS.map(|t| (t, share(t))).to_vec(),
    })
}

/// One test of one program.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Whether it passed.
    pub passed: bool,
    /// Run time, in any unit that is the same for all.
    pub time: f64,
    /// Memory, likewise.
    pub memory: f64,
}

/// A program to be edited and its edited versions, over the same tests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EccoProgram {
    /// The program as it was.
    pub input: Vec<Run>,
    /// What was made of it.
    pub outputs: Vec<Vec<Run>>,
}

/// What ECCO says of one program.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ecco {
    /// Which output is the best: the one that passes most tests, of those the
    /// one with the least time over all tests; the first of equals.
    pub best: usize,
    /// Share of tests it passes.
    pub pass_rate: f64,
    /// `Σ time of the input / Σ time of the best`, over the tests the best
    /// passes; none when the input fails one or the best passes none.
    pub speedup: Option<f64>,
    /// Likewise of memory.
    pub memory_reduction: Option<f64>,
}

/// ECCO's history-based editing (`edit_eval.py`).
///
/// # Errors
/// Without tests or outputs, when the outputs have other tests than the input,
/// and when an amount is not finite or the best used nothing.
pub fn ecco(program: &EccoProgram) -> Result<Ecco, Undefined> {
    let EccoProgram { input, outputs } = program;
    if input.is_empty() {
        return Err(undefined("input", "there are no tests"));
    }
    let mut ranked = Vec::with_capacity(outputs.len());
    for (index, output) in outputs.iter().enumerate() {
        if output.len() != input.len() {
            let reason = format!("{} tests, the input has {}", output.len(), input.len());
            return Err(undefined(format!("outputs[{index}]"), reason));
        }
        let mut time = 0.0;
        for (test, run) in output.iter().enumerate() {
            time += amount(&format!("outputs[{index}][{test}].time"), run.time)?;
            amount(&format!("outputs[{index}][{test}].memory"), run.memory)?;
        }
        let passed = output.iter().filter(|r| r.passed).count();
        ranked.push((passed, time));
    }
    let mut best: Option<usize> = None;
    for (index, (passed, time)) in ranked.iter().enumerate() {
        let better = best.is_none_or(|b| {
            let (most, least) = ranked[b];
            *passed > most || (*passed == most && *time < least)
        });
        if better {
            best = Some(index);
        }
    }
    let best = best.ok_or_else(|| undefined("outputs", "there are none"))?;
    let passed = ranked[best].0;
    let comparable = passed > 0 && input.iter().all(|r| r.passed);
    let ratio = |name: &str, pick: fn(&Run) -> f64| -> Result<Option<f64>, Undefined> {
        if !comparable {
            return Ok(None);
        }
        let (mut before, mut after) = (0.0, 0.0);
        for (a, b) in input.iter().zip(&outputs[best]).filter(|(_, b)| b.passed) {
            before += amount(&format!("input.{name}"), pick(a))?;
            after += pick(b);
        }
        let after = divisor(&format!("outputs[{best}].{name}"), after)?;
        Ok(Some(before / after))
    };
    Ok(Ecco {
        best,
        pass_rate: passed as f64 / input.len() as f64,
        speedup: ratio("time", |r| r.time)?,
        memory_reduction: ratio("memory", |r| r.memory)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn beyond_is_the_place_between_slowest_and_fastest() {
        let r = [1.0, 2.0, 5.0];
        assert_eq!(beyond(Some(1.0), &r), Ok(1.0));
        assert_eq!(beyond(Some(5.0), &r), Ok(0.0));
        assert_eq!(beyond(Some(2.0), &r), Ok(0.75));
        assert_eq!(beyond(Some(0.1), &r), Ok(1.0));
        assert_eq!(beyond(Some(99.0), &r), Ok(0.0));
        assert_eq!(beyond(None, &r), Ok(0.0));
    }

    #[test]
    fn references_that_are_all_alike_do_not_divide_by_zero() {
        assert_eq!(beyond(Some(2.0), &[2.0, 2.0]), Ok(1.0));
        assert_eq!(beyond(Some(1.0), &[2.0]), Ok(1.0));
        assert_eq!(beyond(Some(2.1), &[2.0]), Ok(0.0));
        assert_eq!(beyond(None, &[2.0]), Ok(0.0));
        assert!(beyond(Some(1.0), &[]).is_err());
        assert!(beyond(Some(f64::NAN), &[1.0]).is_err());
        assert!(beyond(Some(1.0), &[1.0, f64::INFINITY]).is_err());
    }

    #[test]
    fn beyond_over_tasks_is_a_mean_of_means() {
        let got = mean_beyond(&[
            (vec![Some(1.0), None], vec![1.0, 3.0]),
            (vec![Some(2.0)], vec![1.0, 3.0]),
        ]);
        assert_eq!(got, Ok(0.5));
        let refused = mean_beyond(&[(vec![], vec![1.0])]).unwrap_err();
        assert_eq!(refused.field, "tasks[0].samples");
        assert!(mean_beyond(&[]).is_err());
    }

    fn task(source: f64, answers: &[Option<f64>]) -> PieTask {
        let answers = answers.to_vec();
        PieTask { source, answers }
    }

    #[test]
    fn pie_takes_the_best_and_never_less_than_one() {
        let tasks = [
            task(10.0, &[None, Some(5.0), Some(4.0)]),
            task(10.0, &[Some(20.0), Some(9.5), None]),
            task(10.0, &[None, None, None]),
            task(11.0, &[Some(10.0), None, None]),
        ];
        let one = pie(&tasks, 1).unwrap();
        assert!((one.speedup - (1.0 + 1.0 + 1.0 + 1.1) / 4.0).abs() < 1e-12);
        assert_eq!((one.correct, one.optimised), (0.5, 0.25));
        let three = pie(&tasks, 3).unwrap();
        assert!((three.speedup - (2.5 + 10.0 / 9.5 + 1.0 + 1.1) / 4.0).abs() < 1e-12);
        assert_eq!((three.correct, three.optimised), (0.75, 0.5));
        let at = |t: f64| three.at_least.iter().find(|(x, _)| *x == t).unwrap().1;
        assert_eq!((at(1.25), at(2.5), at(3.0)), (0.25, 0.25, 0.0));
        assert!(pie(&tasks, 4).is_err() && pie(&tasks, 0).is_err() && pie(&[], 1).is_err());
        assert!(pie(&[task(0.0, &[Some(1.0)])], 1).is_err());
        assert!(pie(&[task(1.0, &[Some(0.0)])], 1).is_err());
    }

    fn runs(all: &[(bool, f64, f64)]) -> Vec<Run> {
        let run = |&(passed, time, memory)| Run {
            passed,
            time,
            memory,
        };
        all.iter().map(run).collect()
    }

    #[test]
    fn ecco_compares_over_the_tests_that_the_best_passes() {
        let input = runs(&[(true, 4.0, 10.0), (true, 6.0, 10.0), (true, 8.0, 10.0)]);
        let outputs = vec![
            runs(&[(true, 1.0, 1.0), (false, 1.0, 1.0), (false, 1.0, 1.0)]),
            runs(&[(true, 2.0, 5.0), (true, 3.0, 5.0), (false, 9.0, 5.0)]),
            runs(&[(true, 1.0, 5.0), (true, 2.0, 3.0), (false, 2.0, 5.0)]),
        ];
        let got = ecco(&EccoProgram { input, outputs }).unwrap();
        assert_eq!(got.best, 2);
        assert!((got.pass_rate - 2.0 / 3.0).abs() < 1e-12);
        assert!((got.speedup.unwrap() - 10.0 / 3.0).abs() < 1e-12);
        assert!((got.memory_reduction.unwrap() - 2.5).abs() < 1e-12);
    }

    #[test]
    fn ecco_compares_nothing_with_an_input_that_fails() {
        let failing = runs(&[(true, 4.0, 1.0), (false, 4.0, 1.0)]);
        let fine = runs(&[(true, 2.0, 1.0), (true, 2.0, 1.0)]);
        let none = runs(&[(false, 2.0, 1.0), (false, 2.0, 1.0)]);
        let of = |input: &Vec<Run>, output: &Vec<Run>| {
            let outputs = vec![output.clone()];
            let input = input.clone();
            ecco(&EccoProgram { input, outputs })
        };
        assert_eq!(of(&failing, &fine).unwrap().speedup, None);
        assert_eq!(of(&fine, &none).unwrap().speedup, None);
        assert_eq!(of(&fine, &fine).unwrap().speedup, Some(1.0));
        assert!(of(&fine, &runs(&[(true, 1.0, 1.0)])).is_err());
        assert!(of(&vec![], &vec![]).is_err());
        assert!(of(&fine, &runs(&[(true, 0.0, 1.0), (true, 0.0, 1.0)])).is_err());
    }

    proptest! {
        #[test]
        fn beyond_is_a_share_and_falls_with_time(
            refs in prop::collection::vec(0.0f64..100.0, 1..9), a in 0.0f64..100.0, b in 0.0f64..100.0,
        ) {
            let (fast, slow) = (a.min(b), a.max(b));
            let (x, y) = (beyond(Some(fast), &refs).unwrap(), beyond(Some(slow), &refs).unwrap());
            prop_assert!((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) && y <= x);
        }
    }
}
