//! How outputs are compared.

use std::sync::Arc;

use assize_judge::case::Comparison;
use assize_judge::checker::{Checker, Kattis, Tolerance};

use assize_judge::rows::RowOrder;

use super::validator::{Author, validator};
use super::{Refusal, refuse};
use crate::types::CheckerSpec;

/// The rule or the program that compares.
pub(super) fn comparison(author: &Author<'_>, spec: &CheckerSpec) -> Result<Comparison, Refusal> {
    match (&spec.program, spec.kind == "program") {
        (Some(program), true) => {
            let checker = validator(author, program, "checker.program")?;
            Ok(Comparison::Program(Arc::new(checker)))
        }
        (None, true) => Err(refuse("missing_field", "checker.program", "is missing")),
        (Some(_), false) => {
            let message = "only a checker of kind \"program\" has one";
            Err(refuse("invalid_field", "checker.program", message))
        }
        (None, false) if spec.kind == "sqlite" => rows(spec).map(Comparison::Rows),
        (None, false) => rule(spec).map(Comparison::Pure),
    }
}

fn rows(spec: &CheckerSpec) -> Result<RowOrder, Refusal> {
    if spec.abs.is_some() || spec.rel.is_some() || spec.integers.is_some() {
        let message = "rows are compared without tolerance";
        return Err(refuse("invalid_field", "checker", message));
    }
    match spec.order.as_deref() {
        None => Ok(RowOrder::default()),
        Some("set") => Ok(RowOrder::Set),
        Some("multiset") => Ok(RowOrder::Multiset),
        Some("ordered") => Ok(RowOrder::Ordered),
        Some(_) => {
            let message = "must be one of set, multiset, ordered";
            Err(refuse("invalid_field", "checker.order", message))
        }
    }
}

fn rule(spec: &CheckerSpec) -> Result<Checker, Refusal> {
    if spec.order.is_some() {
        let message = "only the sqlite checker has an order";
        return Err(refuse("invalid_field", "checker.order", message));
    }
    if spec.kind != "kattis" && !spec.flags.is_empty() {
        let message = "only the kattis checker has flags";
        return Err(refuse("invalid_field", "checker.flags", message));
    }
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
        "kattis" => Kattis::from_flags(&spec.flags)
            .map(Checker::Kattis)
            .map_err(|e| refuse("invalid_field", "checker.flags", e)),
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
            let message = "must be one of tokens, exact, lines, unordered, json, float, \
                           kattis, program, sqlite";
            Err(refuse("unknown_checker", "checker.kind", message))
        }
    }
}
