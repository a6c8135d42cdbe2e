//! The hybrid verifier of R2E-Gym, which DeepSWE uses: tests and a model's
//! judgement, each where the other is weak.
//!
//! Jain et al. 2025. Execution-based: `EB = TS` (generated tests passed) for
//! candidates that pass as many regression tests as any, else 0.
//! Execution-free: `EF = P(YES) / (P(YES) + P(NO))`. The candidate with the
//! highest `EF + EB` among the `n` with the highest EF is picked.

use super::high_first;
use crate::metrics::{Undefined, undefined};

/// What is known of one candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// RS: regression tests it passes.
    pub regression: f64,
    /// TS: generated tests it passes.
    pub tests: f64,
    /// EF: the model's judgement, 0 to 1.
    pub judged: f64,
}

/// A candidate's scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its place.
    pub candidate: usize,
    /// EB.
    pub execution: f64,
    /// EF.
    pub judged: f64,
    /// `EF + EB`; none when it is not among the top `n` by EF.
    pub score: Option<f64>,
}

/// `P(YES) / (P(YES) + P(NO))`; none when neither has any probability.
#[must_use]
pub fn execution_free(yes: f64, no: f64) -> Option<f64> {
    let sound = |p: f64| (0.0..=1.0).contains(&p);
    (sound(yes) && sound(no) && yes + no > 0.0).then(|| yes / (yes + no))
}

/// Candidates from best to worst, those outside the top `n` last; ties by place.
///
/// # Errors
/// When `n` is 0, and when a number is not finite or a judgement not from 0 to 1.
pub fn hybrid(candidates: &[Candidate], n: usize) -> Result<Vec<Ranked>, Undefined> {
    if n == 0 {
        return Err(undefined("top_n", "must be at least 1"));
    }
    for (index, c) in candidates.iter().enumerate() {
        if !(0.0..=1.0).contains(&c.judged) {
            let reason = "must be a number from 0 to 1";
            return Err(undefined(format!("scores[{index}]"), reason));
        }
        if !c.regression.is_finite() || !c.tests.is_finite() {
            let reason = "counts of tests must be finite";
            return Err(undefined(format!("candidates[{index}]"), reason));
        }
    }
    let most = candidates
        .iter()
        .map(|c| c.regression)
        .fold(f64::NEG_INFINITY, f64::max);
    let mut by_judgement: Vec<usize> = (0..candidates.len()).collect();
    by_judgement
        .sort_by(|a, b| high_first((candidates[*a].judged, *a), (candidates[*b].judged, *b)));
    let mut ranked: Vec<Ranked> = by_judgement
        .into_iter()
        .enumerate()
        .map(|(position, candidate)| {
            let c = candidates[candidate];
            let execution = if c.regression >= most { c.tests } else { 0.0 };
            Ranked {
                candidate,
                execution,
                judged: c.judged,
                score: (position < n).then_some(execution + c.judged),
            }
        })
        .collect();
    let key = |r: &Ranked| (r.score.unwrap_or(f64::NEG_INFINITY), r.candidate);
    ranked.sort_by(|a, b| high_first(key(a), key(b)));
    Ok(ranked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(all: &[(f64, f64, f64)]) -> Vec<Candidate> {
        let one = |&(regression, tests, judged)| Candidate {
            regression,
            tests,
            judged,
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn the_golden_candidate_is_picked() {
        let all = candidates(&[
            (5.0, 3.0, 0.40), // good tests, judged outside the top 3
            (5.0, 2.0, 0.70), // the pick: 2.70
            (4.0, 9.0, 0.90), // breaks a regression test: 0.90
            (5.0, 1.0, 0.95), // 1.95
        ]);
        let got = hybrid(&all, 3).unwrap();
        let order: Vec<usize> = got.iter().map(|r| r.candidate).collect();
        assert_eq!(order, [1, 3, 2, 0]);
        assert_eq!(got[2].execution, 0.0);
        assert_eq!(got[3].score, None);
        // With everybody in the top, tests decide first.
        assert_eq!(hybrid(&all, 4).unwrap()[0].candidate, 0);
        assert_eq!(hybrid(&all, 1).unwrap()[0].candidate, 3);
    }

    #[test]
    fn ties_go_by_place_at_the_edge_of_the_top_too() {
        let all = candidates(&[(1.0, 1.0, 0.5), (1.0, 1.0, 0.5), (1.0, 9.0, 0.5)]);
        let order: Vec<usize> = hybrid(&all, 2)
            .unwrap()
            .iter()
            .map(|r| r.candidate)
            .collect();
        assert_eq!(order, [0, 1, 2]);
        assert!(hybrid(&[], 1).unwrap().is_empty());
    }

    #[test]
    fn judgements_are_probabilities() {
        assert_eq!(execution_free(0.6, 0.2), Some(0.6 / 0.8));
        assert_eq!(execution_free(0.0, 0.0), None);
        assert_eq!(execution_free(f64::NAN, 0.1), None);
        assert!(hybrid(&candidates(&[(1.0, 1.0, 1.5)]), 1).is_err());
        assert!(hybrid(&candidates(&[(1.0, 1.0, f64::NAN)]), 1).is_err());
        assert!(hybrid(&candidates(&[(1.0, 1.0, 0.5)]), 0).is_err());
    }
}
