//! RRTF: ranks of answers by what their tests said, and the ranking loss.
//!
//! Shen et al. 2023 (PanGu-Coder2), after RRHF (Yuan et al. 2023): did not
//! compile < crashed < passed some < passed all; the loss is `Σ_{r_i < r_j}
//! max(0, p_i − p_j)` with `p` the length-normalised log-probability of an
//! answer, so that a worse answer must not be likelier than a better one.

use serde::{Deserialize, Serialize};

use crate::metrics::{Undefined, undefined};
use crate::verdict::Verdict;

/// What an answer came to, from worst to best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It did not compile.
    Compile,
    /// It crashed, reached a limit or did what is forbidden.
    Runtime,
    /// It ran, and a test failed.
    Partial,
    /// Every test passed.
    All,
}

impl Level {
    /// The level of a verdict; none when it says nothing about the program.
    #[must_use]
    pub fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::CompileError => Some(Self::Compile),
            Verdict::RunTimeError
            | Verdict::TimeLimitExceeded
            | Verdict::MemoryLimitExceeded
            | Verdict::OutputLimitExceeded
            | Verdict::SecurityViolation => Some(Self::Runtime),
            Verdict::WrongAnswer => Some(Self::Partial),
            Verdict::Accepted => Some(Self::All),
            Verdict::JudgeError | Verdict::Flaky => None,
        }
    }

    /// The level of a case from its tests' verdicts: the worst; none when one
    /// says nothing, or there are none.
    #[must_use]
    pub fn worst(tests: impl IntoIterator<Item = Verdict>) -> Option<Self> {
        let levels: Option<Vec<Self>> = tests.into_iter().map(Self::of).collect();
        levels?.into_iter().min()
    }

    /// Its rank, 0 to 3.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Compile => 0,
            Self::Runtime => 1,
            Self::Partial => 2,
            Self::All => 3,
        }
    }
}

/// Places of the answers that have a level, from best to worst; equal levels
/// keep their order.
#[must_use]
pub fn order(levels: &[Option<Level>]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..levels.len()).filter(|p| levels[*p].is_some()).collect();
    places.sort_by_key(|p| std::cmp::Reverse(levels[*p]));
    places
}

/// The ranking loss of a group. `log_probs` are length-normalised: the sum of an
/// answer's token log-probabilities over their number. Answers without a level
/// take no part. 0 without two answers of different levels.
///
/// # Errors
/// When there are not as many log-probabilities as levels, or one is not finite
/// or above 0.
pub fn ranking_loss(levels: &[Option<Level>], log_probs: &[f64]) -> Result<f64, Undefined> {
    if levels.len() != log_probs.len() {
        let reason = format!("{} for {} answers", log_probs.len(), levels.len());
        return Err(undefined("log_probs", reason));
    }
    if let Some(at) = log_probs.iter().position(|p| !p.is_finite() || *p > 0.0) {
        let reason = "must be finite and at most 0";
        return Err(undefined(format!("log_probs[{at}]"), reason));
    }
    let known: Vec<(Level, f64)> = levels
        .iter()
        .zip(log_probs)
        .filter_map(|(level, p)| Some(((*level)?, *p)))
        .collect();
    let mut loss = 0.0;
    for (worse, p) in &known {
        for (better, q) in &known {
            if worse < better {
                loss += (p - q).max(0.0);
            }
        }
    }
    Ok(loss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::*;

    #[test]
    fn eight_answers_have_their_ranks_and_ties_keep_their_order() {
        let verdicts = [
            WrongAnswer,
            Accepted,
            CompileError,
            TimeLimitExceeded,
            Accepted,
            RunTimeError,
            WrongAnswer,
            CompileError,
        ];
        let levels = verdicts.map(Level::of);
        let ranks = levels.map(|l| l.unwrap().rank());
        assert_eq!(ranks, [2, 3, 0, 1, 3, 1, 2, 0]);
        assert_eq!(order(&levels), [1, 4, 0, 6, 3, 5, 2, 7]);
    }

    #[test]
    fn what_says_nothing_has_no_rank() {
        assert_eq!((Level::of(JudgeError), Level::of(Flaky)), (None, None));
        let levels = [Level::of(JudgeError), Level::of(Accepted)];
        assert_eq!(order(&levels), [1]);
        assert_eq!(Level::worst([Accepted, JudgeError]), None);
        assert_eq!(Level::worst([]), None);
        let worst = Level::worst([Accepted, WrongAnswer, MemoryLimitExceeded]);
        assert_eq!(worst, Some(Level::Runtime));
    }

    #[test]
    fn the_loss_is_what_worse_answers_are_likelier_by() {
        let levels = [CompileError, RunTimeError, WrongAnswer, Accepted].map(Level::of);
        // compile over all: 0.5; runtime over partial: 1, over all: 1.5;
        // partial over all: 0.5.
        let loss = ranking_loss(&levels, &[-2.0, -1.0, -2.0, -2.5]).unwrap();
        assert!((loss - 3.5).abs() < 1e-12);
        assert_eq!(ranking_loss(&levels, &[-4.0, -3.0, -2.0, -1.0]), Ok(0.0));
        let alike = [Level::of(Accepted), Level::of(Accepted), None];
        assert_eq!(ranking_loss(&alike, &[-1.0, -9.0, -0.1]), Ok(0.0));
    }

    #[test]
    fn log_probabilities_are_finite_and_not_positive() {
        let levels = [Level::of(Accepted)];
        for wrong in [f64::NAN, f64::NEG_INFINITY, 0.1] {
            assert!(ranking_loss(&levels, &[wrong]).is_err());
        }
        assert!(ranking_loss(&levels, &[]).is_err());
    }
}
