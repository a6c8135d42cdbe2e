//! Metrics over samples, tests and runs: pure functions, each with the source
//! of its formula and the cases in which it is undefined.
//!
//! Undefined is said, never guessed: an empty list, a ratio over nothing and a
//! number that is not finite are refused by name. What a judge could not try
//! (`judge_error`, `flaky`) is passed in as `None` and never counts as a
//! failure; where a metric has no place for it, it is refused.
//!
//! [`Document`] is the form in which a caller asks for one of them.

mod counting;
mod document;
pub mod efficiency;
pub mod suites;
pub mod tiers;

pub use counting::{avg_at_k, mean_pass_at_k, n_at_k, pass_at_k, pass_hat_k};
pub use document::Document;

/// A metric that has no value for what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Undefined {
    /// The part at fault, as a document names it.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

pub(crate) fn undefined(field: impl Into<String>, reason: impl Into<String>) -> Undefined {
    Undefined {
        field: field.into(),
        reason: reason.into(),
    }
}

/// The mean of some numbers.
pub(crate) fn mean(field: &str, numbers: &[f64]) -> Result<f64, Undefined> {
    if numbers.is_empty() {
        return Err(undefined(field, "there is nothing to take the mean of"));
    }
    if numbers.iter().any(|n| !n.is_finite()) {
        return Err(undefined(field, "every number must be finite"));
    }
    Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// A measured amount: finite and not negative.
pub(crate) fn amount(field: &str, value: f64) -> Result<f64, Undefined> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(undefined(field, "must be finite and not negative"))
    }
}

/// A measured amount that something is divided by.
pub(crate) fn divisor(field: &str, value: f64) -> Result<f64, Undefined> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(undefined(field, "must be finite and more than 0"))
    }
}
