//! What the end of a validator means.

use assize_executor::{CollectError, End, Outcome};

use super::{Convention, MESSAGE, SCORE, Validator};
use crate::engine::not_accepted;

/// Most characters of a message that are shown.
const SHOWN: usize = 400;

/// What a validator said of one test.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// Its decision.
    pub decision: Decision,
    /// Its message, bounded and escaped: it may repeat what a candidate said.
    pub message: String,
    /// The score it gave.
    pub score: Option<f64>,
}

/// A validator's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The output is right.
    Accept,
    /// It is wrong.
    Reject,
    /// The validator failed, which says nothing about the candidate.
    Failed,
}

impl Ruling {
    fn failed(message: String) -> Self {
        Self {
            decision: Decision::Failed,
            message,
            score: None,
        }
    }
}

/// Reads a validator's end.
pub(super) fn ruling(validator: &Validator, outcome: &Outcome) -> Ruling {
    let status = match &outcome.end {
        End::Exited(status) => *status,
        // What the candidate printed may be what took it so long; but that is
        // for the author to know, and nobody's wrong answer.
        End::Limit(_) => {
            let why = not_accepted(outcome);
            return Ruling::failed(format!(
                "the validator reached its own limits on this test: {why}"
            ));
        }
        End::Signaled(_) | End::Trapped(_) | End::Violation => {
            return Ruling::failed(format!(
                "the validator failed: {}{}",
                not_accepted(outcome),
                said(outcome)
            ));
        }
    };
    match validator.convention {
        Convention::Kattis => kattis(status, outcome),
        Convention::Testlib => testlib(status, validator.full_points, outcome),
    }
}

fn kattis(status: i32, outcome: &Outcome) -> Ruling {
    let message = match outcome.files.get(MESSAGE) {
        Some(Ok(text)) => clip(text),
        Some(Err(CollectError::TooLarge)) => "its message is too long to be shown".to_owned(),
        Some(Err(CollectError::Missing | CollectError::Irregular)) | None => String::new(),
    };
    let decision = match status {
        42 => Decision::Accept,
        43 => Decision::Reject,
        other => {
            return Ruling::failed(format!(
                "the validator ended with status {other}, neither 42 nor 43{}",
                said(outcome)
            ));
        }
    };
    let score = match outcome.files.get(SCORE) {
        None | Some(Err(CollectError::Missing)) => None,
        Some(Ok(text)) => match number(text) {
            Some(score) => Some(score),
            None => {
                let text = clip(text);
                return Ruling::failed(format!("score.txt is no number: {text:?}"));
            }
        },
        Some(Err(CollectError::TooLarge | CollectError::Irregular)) => {
            return Ruling::failed("score.txt is no number".to_owned());
        }
    };
    Ruling {
        decision,
        message,
        score,
    }
}

/// Exit statuses of testlib.h: `_ok`, `_wa`, `_pe`, `_fail`, `_dirt`,
/// `_points`, `_unexpected_eof`.
fn testlib(status: i32, full: Option<f64>, outcome: &Outcome) -> Ruling {
    let message = clip(&outcome.stderr.data);
    let decision = match status {
        0 => Decision::Accept,
        1 | 2 | 4 | 8 => Decision::Reject,
        3 => return Ruling::failed(format!("the validator says that it failed: {message}")),
        7 => return points(full, message, &outcome.stderr.data),
        other => {
            return Ruling::failed(format!(
                "the validator ended with status {other}, which means nothing: {message}"
            ));
        }
    };
    Ruling {
        decision,
        message,
        score: None,
    }
}

/// `points 0.5 message`, as testlib.h writes it on standard error.
fn points(full: Option<f64>, message: String, said: &[u8]) -> Ruling {
    let text = String::from_utf8_lossy(said);
    let mut words = text.split_whitespace().skip_while(|w| *w == "points");
    let given = words.next().and_then(|w| number(w.as_bytes()));
    match (given, full) {
        (None, _) => Ruling::failed(format!(
            "the validator gave points but no number: {message}"
        )),
        (Some(_), None) => Ruling::failed(
            "the validator gave points, and nothing says how many there are to get: \
             set full_points"
                .to_owned(),
        ),
        (Some(score), Some(full)) => Ruling {
            decision: if score >= full {
                Decision::Accept
            } else {
                Decision::Reject
            },
            message,
            score: Some(score),
        },
    }
}

fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

/// What a failed validator left on standard error, for its author.
fn said(outcome: &Outcome) -> String {
    // A traceback says last what went wrong.
    let all = &outcome.stderr.data;
    let text = clip(&all[all.len().saturating_sub(SHOWN)..]);
    if text.is_empty() {
        text
    } else {
        format!(": {text}")
    }
}

/// The beginning of a text that may be hostile, fit to be shown.
pub(crate) fn clip(text: &[u8]) -> String {
    let start = &text[..text.len().min(SHOWN * 4)];
    let text = String::from_utf8_lossy(start);
    let trimmed = text.trim();
    let shown = trimmed.chars().take(SHOWN).flat_map(char::escape_debug);
    shown.collect()
}
