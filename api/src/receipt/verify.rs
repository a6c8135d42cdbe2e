//! Telling genuine receipts from edited, invented, replayed and borrowed ones.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::digests::{OfRequest, outcome_of, runtime_of};
use super::{PublicKey, Receipt, VERSION};
use crate::types::JudgementRequest;

/// What is known about a receipt before it is read.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The server's key.
    pub key: &'a PublicKey,
    /// The challenge that was sent, if one was.
    pub nonce: Option<&'a str>,
    /// The request that was sent, if it is at hand.
    pub request: Option<&'a JudgementRequest>,
    /// The answer that came with it, if it is at hand.
    pub answer: Option<&'a Value>,
    /// Ids of receipts that were taken before.
    pub seen: &'a BTreeSet<String>,
}

/// Why a receipt is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "problem")]
pub enum Problem {
    /// It is of another version.
    #[error("its version is {version:?}, not {VERSION:?}")]
    Version {
        /// The one it names.
        version: String,
    },
    /// Another key claims to have signed it: it was invented, or comes from
    /// another server.
    #[error("it is signed by {key_id:?}, not by the key given")]
    Invented {
        /// The key it names.
        key_id: String,
    },
    /// The signature does not fit the contents: it was edited, or invented under
    /// this key's name.
    #[error("the signature does not fit: it was edited or invented")]
    Edited,
    /// It answers another challenge, or none.
    #[error("it does not carry the nonce that was sent")]
    Nonce,
    /// It was taken before.
    #[error("it was seen before")]
    Replayed,
    /// It is for another submission.
    #[error("its {part} is not that of the request")]
    Request {
        /// `code`, `tests`, `grading`.
        part: &'static str,
    },
    /// The answer around it says something else.
    #[error("its {part} is not that of the answer it came with")]
    Answer {
        /// The part.
        part: &'static str,
    },
}

/// All that is wrong with a receipt; nothing, when it is genuine and fits.
#[must_use]
pub fn verify(receipt: &Receipt, expected: &Expected<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if receipt.version != VERSION {
        let version = receipt.version.clone();
        problems.push(Problem::Version { version });
    }
    if receipt.key_id != expected.key.id() {
        let key_id = receipt.key_id.clone();
        problems.push(Problem::Invented { key_id });
    }
    if !expected
        .key
        .signed(&receipt.signed_bytes(), &receipt.signature)
    {
        problems.push(Problem::Edited);
    }
    if expected.seen.contains(&receipt.id) {
        problems.push(Problem::Replayed);
    }
    let nonce = receipt.nonce.as_deref();
    if expected.nonce.is_some() && nonce != expected.nonce {
        problems.push(Problem::Nonce);
    }
    if let Some(request) = expected.request {
        let digests = OfRequest::of(request);
        let parts = [
            ("code", receipt.code == digests.code),
            ("tests", receipt.tests == digests.tests),
            ("grading", receipt.grading == digests.grading),
        ];
        let wrong = parts.into_iter().filter(|(_, same)| !same);
        problems.extend(wrong.map(|(part, _)| Problem::Request { part }));
        // A request that was sent with a challenge is not answered without it.
        if expected.nonce.is_none() && nonce != request.nonce.as_deref() {
            problems.push(Problem::Nonce);
        }
    }
    if let Some(answer) = expected.answer {
        let wrong = against(receipt, answer);
        problems.extend(wrong.map(|part| Problem::Answer { part }));
    }
    problems
}

/// The parts in which an answer and its receipt differ.
fn against(receipt: &Receipt, answer: &Value) -> impl Iterator<Item = &'static str> + use<> {
    let tests = answer["tests"].as_array().cloned().unwrap_or_default();
    let built = answer["compile"].is_null() || answer["compile"]["succeeded"] == json!(true);
    let outcome = outcome_of(&tests, &answer["passed"], &answer["total"], built);
    let runtime = runtime_of(&answer["runtime"], &answer["backend"]);
    let reward = answer["reward"].as_f64().map(super::digests::number);
    let parts = [
        ("id", answer["id"] == json!(receipt.id)),
        ("verdict", answer["verdict"] == json!(receipt.verdict)),
        ("reward", reward == receipt.reward),
        ("integrity", answer["integrity"] == json!(receipt.integrity)),
        ("outcome", outcome == receipt.outcome),
        ("runtime", runtime == receipt.runtime),
    ];
    parts.into_iter().filter(|(_, same)| !same).map(|(p, _)| p)
}
