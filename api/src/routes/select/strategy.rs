//! Strategies by name, with what each needs.

use crate::admit::{Refusal, refuse};
use crate::types::SelectRequest;

/// How candidates are chosen among.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Strategy {
    AlphaCode { scores: Option<Vec<f64>> },
    CodeT { weights: Vec<u64> },
    MbrExec,
    Hybrid { scores: Vec<f64>, top_n: usize },
}

/// Checks that a strategy has what it needs and nothing it does not look at.
pub(super) fn strategy(request: &SelectRequest) -> Result<Strategy, Refusal> {
    let name = request.strategy.as_str();
    let on_inputs = match name {
        "alphacode" | "mbr_exec" => true,
        "codet" | "hybrid" => false,
        _ => {
            let message = "must be one of alphacode, codet, mbr_exec, hybrid";
            return Err(refuse("unknown_strategy", "strategy", message));
        }
    };
    let given = [
        ("inputs", !request.inputs.is_empty(), Some(on_inputs)),
        ("tests", !request.tests.is_empty(), Some(!on_inputs)),
        (
            "test_weights",
            request.test_weights.is_some(),
            (name != "codet").then_some(false),
        ),
        ("top_n", request.top_n.is_some(), Some(name == "hybrid")),
    ];
    for (field, there, wanted) in given {
        match wanted {
            Some(true) if !there => {
                return Err(refuse("missing_field", field, format!("{name} needs it")));
            }
            Some(false) if there => {
                let message = format!("{name} does not look at it");
                return Err(refuse("invalid_field", field, message));
            }
            Some(_) | None => {}
        }
    }
    let scores = scores(request)?;
    match (name, scores) {
        ("alphacode", scores) => Ok(Strategy::AlphaCode { scores }),
        ("hybrid", None) => {
            let message = "hybrid needs the score of every candidate";
            Err(refuse("missing_field", "candidates[0].score", message))
        }
        ("hybrid", Some(scores)) => {
            if let Some(at) = scores.iter().position(|s| !(0.0..=1.0).contains(s)) {
                let field = format!("candidates[{at}].score");
                let message = "hybrid takes a probability, from 0 to 1";
                return Err(refuse("invalid_field", field, message));
            }
            let top_n = request.top_n.unwrap_or_default();
            if top_n == 0 {
                return Err(refuse("invalid_field", "top_n", "must be at least 1"));
            }
            Ok(Strategy::Hybrid { scores, top_n })
        }
        (_, Some(_)) => {
            let message = format!("{name} does not look at scores");
            Err(refuse("invalid_field", "candidates[0].score", message))
        }
        ("codet", None) => weights(request).map(|weights| Strategy::CodeT { weights }),
        (_, None) => Ok(Strategy::MbrExec),
    }
}

/// The scores, when there are any: then all have one.
fn scores(request: &SelectRequest) -> Result<Option<Vec<f64>>, Refusal> {
    let given: Vec<Option<f64>> = request.candidates.iter().map(|c| c.score).collect();
    if given.iter().all(Option::is_none) {
        return Ok(None);
    }
    if let Some(at) = given.iter().position(|s| s.is_none_or(|s| !s.is_finite())) {
        let field = format!("candidates[{at}].score");
        let message = "other candidates have a score; give every one a finite one";
        return Err(refuse("missing_field", field, message));
    }
    Ok(Some(given.into_iter().flatten().collect()))
}

fn weights(request: &SelectRequest) -> Result<Vec<u64>, Refusal> {
    let count = request.tests.len();
    let weights = request
        .test_weights
        .clone()
        .unwrap_or_else(|| vec![1; count]);
    if weights.len() != count || weights.iter().any(|w| !(1..=1_000_000).contains(w)) {
        let message = format!("must be {count} whole numbers from 1 to a million, one a test");
        return Err(refuse("invalid_field", "test_weights", message));
    }
    Ok(weights)
}
