//! How good a set of tests is, by what it says about programs known to be right
//! or wrong.

use serde::Serialize;

use super::{Undefined, undefined};

/// What a suite said about one program whose worth is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Whether the program is right.
    pub right: bool,
    /// Whether the suite accepted it; none when that is not known.
    pub accepted: Option<bool>,
}

/// Quality of a suite (HardTests, CodeContests+). Each is none where there is
/// nothing to divide by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// Accepted right programs over right programs: recall.
    pub tpr: Option<f64>,
    /// Rejected wrong programs over wrong programs.
    pub tnr: Option<f64>,
    /// Right accepted programs over accepted programs.
    pub precision: Option<f64>,
    /// Programs of which it is not known what the suite says.
    pub unknown: usize,
}

/// Quality of a suite.
///
/// # Errors
/// When nothing is known of any program.
pub fn quality(trials: &[Trial]) -> Result<Quality, Undefined> {
    let count = |right: bool, accepted: bool| {
        let same = |t: &&Trial| t.right == right && t.accepted == Some(accepted);
        trials.iter().filter(same).count()
    };
    let (hit, missed) = (count(true, true), count(true, false));
    let (fooled, caught) = (count(false, true), count(false, false));
    let known = hit + missed + fooled + caught;
    if known == 0 {
        return Err(undefined("trials", "nothing is known of any program"));
    }
    let share = |part: usize, rest: usize| {
        let whole = part + rest;
        (whole > 0).then(|| part as f64 / whole as f64)
    };
    Ok(Quality {
        tpr: share(hit, missed),
        tnr: share(caught, fooled),
        precision: share(hit, fooled),
        unknown: trials.len() - known,
    })
}

/// What a submitted suite is worth when it is the submission.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mutation {
    /// Whether it accepts every right program; a suite that does not says
    /// nothing by rejecting others, and its score is 0.
    pub valid: bool,
    /// Wrong programs it rejected over wrong programs.
    pub score: f64,
    /// Wrong programs it rejected.
    pub killed: usize,
    /// Wrong programs tried.
    pub mutants: usize,
}

/// The score of a suite that is itself the submission: it must accept every
/// right program and reject the wrong ones.
///
/// # Errors
/// Without a right or without a wrong program, and when it is not known what
/// the suite says of one of them.
pub fn mutation(trials: &[Trial]) -> Result<Mutation, Undefined> {
    let known = |right: bool| -> Option<Vec<bool>> {
        let mine = trials.iter().filter(|t| t.right == right);
        mine.map(|t| t.accepted).collect()
    };
    let (Some(right), Some(wrong)) = (known(true), known(false)) else {
        return Err(undefined("trials", "one has no conclusive verdict"));
    };
    if right.is_empty() || wrong.is_empty() {
        let reason = "there must be a right and a wrong program";
        return Err(undefined("trials", reason));
    }
    let valid = right.iter().all(|a| *a);
    let killed = wrong.iter().filter(|a| !**a).count();
    let score = if valid {
        killed as f64 / wrong.len() as f64
    } else {
        0.0
    };
    Ok(Mutation {
        valid,
        score,
        killed,
        mutants: wrong.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(right: &[Option<bool>], wrong: &[Option<bool>]) -> Vec<Trial> {
        let make = |right: bool| {
            move |accepted: &Option<bool>| Trial {
                right,
                accepted: *accepted,
            }
        };
        let right = right.iter().map(make(true));
        right.chain(wrong.iter().map(make(false))).collect()
    }

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[test]
    fn rates_are_over_what_is_known() {
        let got = quality(&trials(&[YES, YES, YES, NO, None], &[NO, NO, YES])).unwrap();
        assert_eq!(got.tpr, Some(0.75));
        assert!((got.tnr.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((got.precision, got.unknown), (Some(0.75), 1));
    }

    #[test]
    fn nothing_to_divide_by_is_no_rate() {
        let got = quality(&trials(&[NO], &[])).unwrap();
        assert_eq!((got.tpr, got.tnr, got.precision), (Some(0.0), None, None));
        assert!(quality(&trials(&[None], &[None])).is_err());
        assert!(quality(&[]).is_err());
    }

    #[test]
    fn a_suite_earns_by_the_mutants_it_kills() {
        let score = |right: &[Option<bool>], wrong: &[Option<bool>]| {
            let m = mutation(&trials(right, wrong)).unwrap();
            (m.valid, m.score)
        };
        assert_eq!(score(&[YES], &[NO, NO, YES, NO, NO]), (true, 0.8));
        assert_eq!(score(&[YES], &[YES; 5]), (true, 0.0));
        assert_eq!(score(&[YES, NO], &[NO; 5]), (false, 0.0));
        assert!(mutation(&trials(&[YES], &[None])).is_err());
        assert!(mutation(&trials(&[], &[NO])).is_err());
        assert!(mutation(&trials(&[YES], &[])).is_err());
    }
}
