//! How outputs are compared.

use assize_judge::checker::{Checker, Tolerance};

use super::{Refusal, refuse};
use crate::types::CheckerSpec;

pub(super) fn checker(spec: &CheckerSpec) -> Result<Checker, Refusal> {
    let tolerant = [
        ("checker.abs", spec.abs.is_some()),
        ("checker.rel", spec.rel.is_some()),
        ("checker.integers", spec.integers.is_some()),
    ];
    if let (true, Some((field, _))) = (spec.kind != "float", tolerant.iter().find(|t| t.1)) {
        return Err(refuse(
            "invalid_field",
            *field,
            "only the float checker has a tolerance",
        ));
    }
    match spec.kind.as_str() {
        "tokens" => Ok(Checker::Tokens),
        "exact" => Ok(Checker::Exact),
        "lines" => Ok(Checker::Lines),
        "unordered" => Ok(Checker::Unordered),
        "json" => Ok(Checker::Json),
        "float" => {
            let (abs, rel) = (spec.abs.unwrap_or(1e-6), spec.rel.unwrap_or(1e-6));
            let tolerance = Tolerance::new(abs, rel);
            let tolerance = match spec.integers.unwrap_or(false) {
                true => tolerance.map(Tolerance::with_integers),
                false => tolerance,
            };
            tolerance.map(Checker::Float).ok_or_else(|| {
                refuse(
                    "invalid_field",
                    "checker.abs",
                    "tolerances are finite and not negative",
                )
            })
        }
        _ => {
            let message = "must be one of tokens, exact, lines, unordered, json, float";
            Err(refuse("unknown_checker", "checker.kind", message))
        }
    }
}
