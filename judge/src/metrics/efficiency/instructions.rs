//! COFFE and EvalPerf: CPU instruction counts instead of times, because they
//! hardly move with the load of a host.

use serde::{Deserialize, Serialize};

use super::super::{Undefined, amount, divisor, mean, undefined};

/// A task of COFFE.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoffeTask {
    /// Instructions of the best known solution, summed over the stressful tests.
    pub reference: f64,
    /// Instructions of the answer, likewise; none when it is wrong or missing.
    pub answer: Option<f64>,
}

/// COFFE's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Coffe {
    /// efficient@1: share of tasks whose answer needs strictly fewer
    /// instructions than the best known solution.
    pub efficient_at_1: f64,
    /// Σ reference over Σ answer, over correct answers; none without any.
    pub speedup: Option<f64>,
}

/// COFFE (`evaluator.py`).
///
/// # Errors
/// Without tasks, or when a count is not finite, negative, or 0 for a reference.
pub fn coffe(tasks: &[CoffeTask]) -> Result<Coffe, Undefined> {
    let mut efficient = Vec::with_capacity(tasks.len());
    let (mut references, mut answers, mut correct) = (0.0, 0.0, false);
    for (index, task) in tasks.iter().enumerate() {
        let reference = divisor(&format!("tasks[{index}].reference"), task.reference)?;
        let mut fewer = false;
        if let Some(answer) = task.answer {
            let answer = divisor(&format!("tasks[{index}].answer"), answer)?;
            fewer = reference > answer;
            references += reference;
            answers += answer;
            correct = true;
        }
        efficient.push(f64::from(u8::from(fewer)));
    }
    Ok(Coffe {
        efficient_at_1: mean("tasks", &efficient)?,
        speedup: correct.then(|| references / answers),
    })
}

/// A reference solution of EvalPerf.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its instructions.
    pub instructions: f64,
    /// The share of solutions it outperforms, as the data set ships it.
    pub score: f64,
}

/// EvalPerf's scores of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dps {
    /// The score of the fastest reference that the sample is no slower than; 0
    /// when it is slower than all.
    pub dps: f64,
    /// 100 · the place of that reference, counted from the slowest, over their
    /// number.
    pub dps_norm: f64,
    /// That reference's index.
    pub reference: Option<usize>,
}

/// EvalPerf's differential performance score (`evalperf.py`). References are in
/// order from slow to fast; a sample that timed out is given as none.
///
/// # Errors
/// Without references, when their scores fall, or when a number is not finite.
pub fn dps(sample: Option<f64>, references: &[Reference]) -> Result<Dps, Undefined> {
    if references.is_empty() {
        return Err(undefined("references", "there are none"));
    }
    let mut last = f64::NEG_INFINITY;
    for (index, reference) in references.iter().enumerate() {
        let field = |name: &str| format!("references[{index}].{name}");
        amount(&field("instructions"), reference.instructions)?;
        // Counts may be out of order, being measured; scores are data.
        if amount(&field("score"), reference.score)? < last {
            let reason = "references are in order from slow to fast";
            return Err(undefined(field("score"), reason));
        }
        last = reference.score;
    }
    let sample = sample.map(|s| amount("sample", s)).transpose()?;
    let matched = sample.and_then(|count| {
        references
            .iter()
            .rposition(|reference| count <= reference.instructions)
    });
    Ok(match matched {
        Some(j) => Dps {
            dps: references[j].score,
            dps_norm: 100.0 * (j + 1) as f64 / references.len() as f64,
            reference: Some(j),
        },
        None => Dps {
            dps: 0.0,
            dps_norm: 0.0,
            reference: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efficient_is_strictly_fewer_instructions() {
        let task = |reference: f64, answer: Option<f64>| CoffeTask { reference, answer };
        let got = coffe(&[
            task(100.0, Some(50.0)),
            task(100.0, Some(100.0)),
            task(100.0, None),
            task(100.0, Some(250.0)),
        ])
        .unwrap();
        assert_eq!(got.efficient_at_1, 0.25);
        assert_eq!(got.speedup, Some(0.75));
        let wrong = coffe(&[task(100.0, None)]).unwrap();
        assert_eq!((wrong.efficient_at_1, wrong.speedup), (0.0, None));
        assert!(coffe(&[]).is_err());
        assert!(coffe(&[task(0.0, None)]).is_err());
        assert!(coffe(&[task(1.0, Some(f64::NAN))]).is_err());
    }

    #[test]
    fn a_sample_is_scored_by_the_fastest_reference_it_matches() {
        let references = [(1000.0, 10.0), (500.0, 40.0), (200.0, 70.0), (100.0, 95.0)].map(
            |(instructions, score)| Reference {
                instructions,
                score,
            },
        );
        let of = |sample: Option<f64>| {
            let d = dps(sample, &references).unwrap();
            (d.dps, d.dps_norm, d.reference)
        };
        assert_eq!(of(Some(50.0)), (95.0, 100.0, Some(3)));
        assert_eq!(of(Some(100.0)), (95.0, 100.0, Some(3)));
        assert_eq!(of(Some(101.0)), (70.0, 75.0, Some(2)));
        assert_eq!(of(Some(900.0)), (10.0, 25.0, Some(0)));
        assert_eq!(of(Some(1001.0)), (0.0, 0.0, None));
        assert_eq!(of(None), (0.0, 0.0, None));
    }

    #[test]
    fn references_out_of_order_are_refused() {
        let reference = |instructions, score| Reference {
            instructions,
            score,
        };
        assert!(dps(Some(1.0), &[]).is_err());
        let fall = [reference(9.0, 50.0), reference(5.0, 20.0)];
        assert_eq!(dps(None, &fall).unwrap_err().field, "references[1].score");
        assert!(dps(Some(f64::INFINITY), &[reference(1.0, 1.0)]).is_err());
    }
}
