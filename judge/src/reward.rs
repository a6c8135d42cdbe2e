//! Reward schemes by name.
//!
//! A scheme maps the vector of test verdicts to one number, or to nothing: a
//! case with a fault or a flaky test has no reward, because a 0 would teach a
//! model that its program was wrong.

use crate::verdict::Verdict;
use serde_json::{Map, Value};

/// How verdicts become a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// 1 when every test ran and passed, else 0.
    #[default]
    Binary,
    /// The share of tests that passed. Tests that did not run did not pass.
    Fraction,
}

/// A scheme that was asked for and does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// No scheme has this name.
    #[error("reward.scheme: unknown scheme {0:?}, known are binary and fraction")]
    UnknownScheme(String),
    /// The scheme has no such parameter.
    #[error("reward.params.{param}: scheme {scheme} has no such parameter")]
    UnknownParam {
        /// The scheme's name.
        scheme: &'static str,
        /// The parameter's name.
        param: String,
    },
}

impl Scheme {
    /// The scheme called `name` with `params`, as they stand in a request.
    ///
    /// # Errors
    /// When the scheme or a parameter is unknown, naming the field.
    pub fn parse(name: &str, params: &Map<String, Value>) -> Result<Self, SchemeError> {
        let scheme = match name {
            "binary" => Self::Binary,
            "fraction" => Self::Fraction,
            _ => return Err(SchemeError::UnknownScheme(name.chars().take(100).collect())),
        };
        // Neither scheme takes a parameter yet; one that does reads its own
        // out of the map first.
        match params.keys().next() {
            None => Ok(scheme),
            Some(param) => Err(SchemeError::UnknownParam {
                scheme: scheme.name(),
                param: param.chars().take(100).collect(),
            }),
        }
    }

    /// The name in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Fraction => "fraction",
        }
    }

    /// The reward for the verdicts of the tests that ran, out of `total`.
    ///
    /// `None` when any of them says nothing about the program, and when there
    /// are no tests. Fewer verdicts than `total` (stopped at the first failure)
    /// can never make a case better.
    #[must_use]
    pub fn reward(self, ran: &[Verdict], total: usize) -> Option<f64> {
        let total = total.max(ran.len());
        if total == 0 || !ran.iter().all(|verdict| verdict.is_conclusive()) {
            return None;
        }
        let passed = ran
            .iter()
            .filter(|&&verdict| verdict == Verdict::Accepted)
            .count();
        Some(match self {
            Self::Binary => f64::from(u8::from(passed == total)),
            Self::Fraction => passed as f64 / total as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(name: &str, params: Value) -> Result<Scheme, String> {
        let Value::Object(params) = params else {
            panic!("params are an object")
        };
        Scheme::parse(name, &params).map_err(|error| error.to_string())
    }

    #[test]
    fn schemes_are_found_by_name() {
        for scheme in [Scheme::Binary, Scheme::Fraction] {
            assert_eq!(parse(scheme.name(), json!({})), Ok(scheme));
        }
    }

    #[test]
    fn unknown_schemes_and_params_are_refused_by_field() {
        assert!(
            parse("lenient", json!({}))
                .unwrap_err()
                .starts_with("reward.scheme: ")
        );
        assert!(
            parse("binary", json!({"power": 4}))
                .unwrap_err()
                .starts_with("reward.params.power: ")
        );
    }

    #[test]
    fn binary_asks_for_every_test() {
        assert_eq!(Scheme::Binary.reward(&[Accepted, Accepted], 2), Some(1.0));
        assert_eq!(Scheme::Binary.reward(&[Accepted, Accepted], 3), Some(0.0));
        assert_eq!(
            Scheme::Binary.reward(&[Accepted, WrongAnswer], 2),
            Some(0.0)
        );
    }

    #[test]
    fn fraction_counts_tests_that_did_not_run_as_not_passed() {
        assert_eq!(
            Scheme::Fraction.reward(&[Accepted, RunTimeError], 4),
            Some(0.25)
        );
    }

    #[test]
    fn an_empty_case_has_no_reward() {
        assert_eq!(Scheme::Binary.reward(&[], 0), None);
        assert_eq!(Scheme::Binary.reward(&[], 1), Some(0.0));
    }

    proptest! {
        #[test]
        fn one_fault_or_flaky_test_removes_the_reward(
            picks in prop::collection::vec(0usize..8, 0..10), at in 0usize..10, fault in any::<bool>(),
        ) {
            let mut ran: Vec<_> = picks.iter().map(|&i| Verdict::ALL[i]).collect();
            ran.insert(at.min(ran.len()), if fault { JudgeError } else { Flaky });
            for scheme in [Scheme::Binary, Scheme::Fraction] {
                prop_assert_eq!(scheme.reward(&ran, ran.len()), None);
            }
        }

        #[test]
        fn rewards_stay_between_zero_and_one(picks in prop::collection::vec(0usize..8, 1..10), more in 0usize..5) {
            let ran: Vec<_> = picks.iter().map(|&i| Verdict::ALL[i]).collect();
            for scheme in [Scheme::Binary, Scheme::Fraction] {
                let reward = scheme.reward(&ran, ran.len() + more).unwrap();
                prop_assert!((0.0..=1.0).contains(&reward));
            }
        }
    }
}
