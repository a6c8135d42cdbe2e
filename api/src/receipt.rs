//! Receipts: a signed statement that this server judged this submission so.
//!
//! Reports of tool results come back to whoever trains a model through many
//! hands, the model's among them. A receipt lets them tell a verdict that was
//! given from one that was edited, invented, or given to somebody else's
//! question before. It binds digests of the submission, the tests, the grading,
//! the policy, the runtime and the outcome to the verdict, the time and a
//! challenge of the caller's; docs/receipts.md has the exact bytes.
//!
//! Deliberately absent: secrecy. A digest of short code or tests can be guessed,
//! and a receipt is for those who may see both.

mod canonical;
mod digests;
mod key;
mod verify;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admit::{Refusal, refuse};
use crate::types::{JudgementBody, JudgementRequest};

#[cfg(test)]
mod tests;

pub use key::{KeyError, PublicKey, Signer};
pub use verify::{Expected, Problem, verify};

pub(crate) use canonical::canonical;
pub(crate) use digests::Digests;

/// The version that this server writes and [`verify`] reads.
pub const VERSION: &str = "assize-receipt-1";

/// Longest nonce, in bytes.
const MAX_NONCE: usize = 256;

/// A signed verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`VERSION`].
    pub version: String,
    /// Id of the judgement; no two have the same.
    pub id: String,
    /// Which key signed, see `GET /v1/receipts/key`.
    pub key_id: String,
    /// When, in milliseconds since 1970 by the server's clock.
    pub time_ms: u64,
    /// Digest of language, backend, files and entry as they were asked for.
    pub code: String,
    /// Digest of the tests.
    pub tests: String,
    /// Digest of checker, reward, limits and what else decides, as asked for.
    pub grading: String,
    /// Digest of the profile and of the limits that were in force.
    pub policy: String,
    /// Digest of what ran it: language, version, its own digest, backend.
    pub runtime: String,
    /// Digest of the verdict of every test, in order.
    pub outcome: String,
    /// The verdict.
    pub verdict: String,
    /// The reward as JSON text, null where there is none. A text, because not
    /// every reader prints a number back as it was.
    pub reward: Option<String>,
    /// Whether tests and candidate were in different cells.
    pub integrity: String,
    /// The request's challenge.
    pub nonce: Option<String>,
    /// Ed25519 over [`Receipt::signed_bytes`], in base64.
    pub signature: String,
}

impl Receipt {
    /// The bytes that are signed: the version, then every field in this order
    /// with its length, so that no two receipts have the same bytes.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let time = self.time_ms.to_string();
        let fields: [(&str, Option<&str>); 13] = [
            ("id", Some(&self.id)),
            ("key_id", Some(&self.key_id)),
            ("time_ms", Some(&time)),
            ("code", Some(&self.code)),
            ("tests", Some(&self.tests)),
            ("grading", Some(&self.grading)),
            ("policy", Some(&self.policy)),
            ("runtime", Some(&self.runtime)),
            ("outcome", Some(&self.outcome)),
            ("verdict", Some(&self.verdict)),
            ("reward", self.reward.as_deref()),
            ("integrity", Some(&self.integrity)),
            ("nonce", self.nonce.as_deref()),
        ];
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.version.as_bytes());
        bytes.push(b'\n');
        for (name, value) in fields {
            let line = match value {
                Some(value) => format!("{name}:{}:{value}\n", value.len()),
                None => format!("{name}:-\n"),
            };
            bytes.extend_from_slice(line.as_bytes());
        }
        bytes
    }
}

/// Refuses what a receipt cannot carry.
pub(crate) fn check(request: &JudgementRequest) -> Result<(), Refusal> {
    let Some(nonce) = &request.nonce else {
        return Ok(());
    };
    if !request.receipt {
        let message = "only a receipt carries a nonce; ask for one with \"receipt\": true";
        return Err(refuse("invalid_field", "nonce", message));
    }
    if nonce.is_empty() || nonce.len() > MAX_NONCE {
        let message = format!("must have from 1 to {MAX_NONCE} bytes");
        return Err(refuse("invalid_field", "nonce", message));
    }
    Ok(())
}

/// A receipt for what was answered.
pub(crate) fn issue(signer: &Signer, digests: Digests, body: &JudgementBody) -> Receipt {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let time_ms = now.unwrap_or(Duration::ZERO).as_millis();
    let mut receipt = Receipt {
        version: VERSION.to_owned(),
        id: body.id.clone(),
        key_id: signer.public().id().to_owned(),
        time_ms: u64::try_from(time_ms).unwrap_or(u64::MAX),
        code: digests.request.code,
        tests: digests.request.tests,
        grading: digests.request.grading,
        policy: digests.policy,
        runtime: digests::runtime(body),
        outcome: digests::outcome(body),
        verdict: body.verdict.to_owned(),
        reward: body.reward.map(digests::number),
        integrity: digests::word(&body.integrity),
        nonce: digests.nonce,
        signature: String::new(),
    };
    receipt.signature = signer.sign(&receipt.signed_bytes());
    receipt
}
