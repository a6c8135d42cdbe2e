//! Reward schemes by name.
//!
//! A scheme maps the tests of a case to one number, or to nothing: a case with
//! a fault or a flaky test has no reward, because a 0 would teach a model that
//! its program was wrong. The raw vector of verdicts is always in the result,
//! so every scheme here can also be computed from it by the caller.

mod advantage;
mod params;

pub use advantage::{Advantage, UnknownAdvantage};
pub use params::ParamError;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::verdict::Verdict;
use params::Params;

/// One test as rewards see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// What it came to.
    pub verdict: Verdict,
    /// How long its input is, in bytes.
    pub input_bytes: u64,
    /// Whether its run was refused something, see `violations`.
    pub violated: bool,
}

/// How verdicts become a reward. `passed` is the share of tests that passed;
/// tests that did not run did not pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Scheme {
    /// 1 when every test ran and passed, else 0.
    #[default]
    Binary,
    /// `passed`.
    Fraction,
    /// `passed` to a power (Skywork-OR1 offers 4).
    FractionPower {
        /// The exponent.
        power: f64,
    },
    /// Four levels by the worst that happened (CodeRL): −1, −0.6, −0.3, 1.
    Levels(Levels),
    /// As levels, but failed tests earn `floor + (1 − floor) · passed` (RLTF's
    /// adaptive feedback: −0.3 + 1.3 · passed).
    Adaptive(Levels),
    /// 1 when the `k` tests with the longest input all passed, else 0
    /// (DeepCoder: 15).
    LongestK {
        /// How many tests count.
        k: usize,
    },
    /// The weight of the tests that passed over that of all.
    Weighted {
        /// One weight per test.
        weights: Vec<f64>,
    },
    /// Points of each subtask whose tests all passed, over all points (IOI:
    /// a subtask is worth its worst test).
    SubtaskMin {
        /// Test numbers of each subtask.
        subtasks: Vec<Vec<usize>>,
        /// Points of each subtask.
        points: Vec<f64>,
    },
    /// `code · passed + format · format_score` (DiffuCoder: 2.0 and 0.5).
    CodeAndFormat {
        /// Weight of the share of tests passed.
        code: f64,
        /// Weight of the format.
        format: f64,
        /// How well the answer kept its format, 0 to 1, which its caller knows.
        format_score: f64,
    },
    /// As binary, with every channel beside it: see [`Channels`].
    Vector,
}

/// What each level earns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// It did not compile.
    pub compile: f64,
    /// It crashed or reached a limit.
    pub runtime: f64,
    /// It ran, and a test failed.
    pub failed: f64,
    /// Every test passed.
    pub passed: f64,
}

const CODE_RL: Levels = Levels {
    compile: -1.0,
    runtime: -0.6,
    failed: -0.3,
    passed: 1.0,
};

/// Rewards side by side, for callers who combine them themselves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Channels {
    /// 1 when it compiled, or needs no compiler.
    pub compile: f64,
    /// 1 for each test that passed, in order, 0 for each other.
    pub tests: Vec<f64>,
    /// The share of tests that passed.
    pub passed: f64,
    /// A cost, to be held under a bound rather than traded for reward (Safe
    /// RLHF): the share of tests in whose run something was refused.
    pub cost: f64,
}

/// A scheme that was asked for and cannot be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SchemeError {
    /// No scheme has this name.
    #[error("reward.scheme: unknown scheme {0:?}, known are {known}", known = NAMES.join(", "))]
    UnknownScheme(String),
    /// A parameter is not what the scheme takes.
    #[error(transparent)]
    Param(#[from] ParamError),
}

/// Every scheme's name.
pub const NAMES: [&str; 10] = [
    "binary",
    "fraction",
    "fraction_power",
    "levels",
    "adaptive",
    "longest_k",
    "weighted",
    "subtask_min",
    "code_and_format",
    "vector",
];

impl Scheme {
    /// The scheme called `name` with `params`, as they stand in a request for
    /// a case of `tests` tests.
    ///
    /// # Errors
    /// When the scheme or a parameter is unknown or out of range, naming the
    /// field.
    pub fn parse(
        name: &str,
        params: &Map<String, Value>,
        tests: usize,
    ) -> Result<Self, SchemeError> {
        let mut params = Params::new(name, params);
        let scheme = match name {
            "binary" => Self::Binary,
            "fraction" => Self::Fraction,
            "fraction_power" => Self::FractionPower {
                power: params.number("power", 4.0, 0.001..=1000.0)?,
            },
            "levels" => Self::Levels(params.levels(CODE_RL, true)?),
            "adaptive" => Self::Adaptive(params.levels(CODE_RL, false)?),
            "longest_k" => Self::LongestK {
                k: params.count("k", 15)?,
            },
            "weighted" => Self::Weighted {
                weights: params.weights("weights", tests)?,
            },
            "subtask_min" => {
                let subtasks = params.subtasks(tests)?;
                let points = params.points(subtasks.len())?;
                Self::SubtaskMin { subtasks, points }
            }
            "code_and_format" => Self::CodeAndFormat {
                code: params.number("code", 2.0, -1e6..=1e6)?,
                format: params.number("format", 0.5, -1e6..=1e6)?,
                format_score: params.needed("format_score", 0.0..=1.0)?,
            },
            "vector" => Self::Vector,
            _ => return Err(SchemeError::UnknownScheme(name.chars().take(100).collect())),
        };
        params.nothing_left()?;
        Ok(scheme)
    }

    /// The reward for the tests that ran, out of `total`.
    ///
    /// `None` when any of them says nothing about the program, and when there
    /// are no tests. Fewer than `total` (stopped at the first failure) can
    /// never make a case better: what did not run did not pass.
    #[must_use]
    pub fn reward(&self, ran: &[Trial], total: usize) -> Option<f64> {
        let total = total.max(ran.len());
        if total == 0 || !ran.iter().all(|trial| trial.verdict.is_conclusive()) {
            return None;
        }
        let share = ran.iter().filter(|t| passed(t)).count() as f64 / total as f64;
        let all = ran.len() == total && ran.iter().all(passed);
        let won = |yes: bool| f64::from(u8::from(yes));
        Some(match self {
            Self::Binary | Self::Vector => won(all),
            Self::Fraction => share,
            Self::FractionPower { power } => share.powf(*power),
            Self::Levels(levels) => match worst(ran, all) {
                Worst::Compile => levels.compile,
                Worst::Runtime => levels.runtime,
                Worst::Failed => levels.failed,
                Worst::Nothing => levels.passed,
            },
            Self::Adaptive(levels) => match worst(ran, all) {
                Worst::Compile => levels.compile,
                Worst::Runtime => levels.runtime,
                Worst::Failed => levels.failed + (levels.passed - levels.failed) * share,
                Worst::Nothing => levels.passed,
            },
            Self::LongestK { k } => won(ran.len() == total && longest(ran, *k).all(passed)),
            Self::Weighted { weights } => {
                let earned = ran.iter().zip(weights).filter(|(t, _)| passed(t));
                earned.map(|(_, w)| w).sum::<f64>() / weights.iter().sum::<f64>()
            }
            Self::SubtaskMin { subtasks, points } => {
                let whole =
                    |tests: &&Vec<usize>| tests.iter().all(|&n| ran.get(n).is_some_and(passed));
                let earned = subtasks
                    .iter()
                    .zip(points)
                    .filter(|(tests, _)| whole(tests));
                earned.map(|(_, p)| p).sum::<f64>() / points.iter().sum::<f64>()
            }
            Self::CodeAndFormat {
                code,
                format,
                format_score,
            } => code * share + format * format_score,
        })
    }

    /// The channels, for [`Scheme::Vector`] and where there is a reward.
    #[must_use]
    pub fn channels(&self, ran: &[Trial], total: usize) -> Option<Channels> {
        if *self != Self::Vector {
            return None;
        }
        self.reward(ran, total)?;
        let total = total.max(ran.len());
        let compiled = !ran.iter().any(|t| t.verdict == Verdict::CompileError);
        let mut tests: Vec<f64> = ran.iter().map(|t| f64::from(u8::from(passed(t)))).collect();
        tests.resize(total, 0.0);
        let guilty = |t: &&Trial| t.violated || t.verdict == Verdict::SecurityViolation;
        Some(Channels {
            compile: f64::from(u8::from(compiled)),
            passed: tests.iter().sum::<f64>() / total as f64,
            tests,
            cost: ran.iter().filter(guilty).count() as f64 / total as f64,
        })
    }
}

fn passed(trial: &Trial) -> bool {
    trial.verdict == Verdict::Accepted
}

/// The tests with the longest inputs; of equals the first.
fn longest(ran: &[Trial], k: usize) -> impl Iterator<Item = &Trial> {
    let mut sorted: Vec<&Trial> = ran.iter().collect();
    sorted.sort_by_key(|t| std::cmp::Reverse(t.input_bytes));
    sorted.into_iter().take(k)
}

enum Worst {
    Compile,
    Runtime,
    Failed,
    Nothing,
}

/// The worst class of all tests, as CodeRL takes it: a crash anywhere outranks
/// wrong answers.
fn worst(ran: &[Trial], all: bool) -> Worst {
    let any = |class: fn(Verdict) -> bool| ran.iter().any(|t| class(t.verdict));
    if any(|v| v == Verdict::CompileError) {
        Worst::Compile
    } else if any(|v| v != Verdict::WrongAnswer && v != Verdict::Accepted) {
        Worst::Runtime
    } else if all {
        Worst::Nothing
    } else {
        Worst::Failed
    }
}

#[cfg(test)]
mod order;
#[cfg(test)]
mod tests;
