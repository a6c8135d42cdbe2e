//! What a receipt's digests are of.

use assize_judge::case::Submission;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::canonical::canonical;
use crate::types::{JudgementBody, JudgementRequest};

/// `sha256:` and hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// Of the canonical JSON of a value. What was once read as JSON can be written
/// as JSON, so the text of an error is a digest of nothing.
fn digest(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).ok();
    let text = text.and_then(|text| canonical(&text));
    sha256(text.unwrap_or_else(|| "not JSON".to_owned()).as_bytes())
}

/// Digests of a request. They can be computed again from the request alone,
/// without a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfRequest {
    pub(crate) code: String,
    pub(crate) tests: String,
    pub(crate) grading: String,
}

impl OfRequest {
    pub(crate) fn of(request: &JudgementRequest) -> Self {
        #[derive(Serialize)]
        struct Code<'a, L, F, B> {
            language: &'a str,
            backend: B,
            code: &'a L,
            files: &'a F,
            entry: &'a L,
        }
        let code = Code {
            language: &request.language,
            backend: request.backend,
            code: &request.code,
            files: &request.files,
            entry: &request.entry,
        };
        // All that is left, so that a field added to requests is covered from
        // its first day.
        let rest = JudgementRequest {
            language: String::new(),
            code: None,
            files: None,
            entry: None,
            backend: assize_runtimes::BackendChoice::default(),
            tests: Vec::new(),
            group: None,
            nonce: None,
            receipt: false,
            ..request.clone()
        };
        Self {
            code: digest(&code),
            tests: digest(&request.tests),
            grading: digest(&rest),
        }
    }
}

/// Digests of what was asked for and of what was granted.
#[derive(Debug, Clone)]
pub(crate) struct Digests {
    pub(super) request: OfRequest,
    pub(super) policy: String,
    pub(super) nonce: Option<String>,
}

impl Digests {
    pub(crate) fn of(request: &JudgementRequest, submission: &Submission) -> Self {
        Self {
            request: OfRequest::of(request),
            policy: policy(submission),
            nonce: request.nonce.clone(),
        }
    }
}

/// The profile with all that it decides, and the limits of each run.
fn policy(submission: &Submission) -> String {
    let profile = &submission.policy;
    digest(&json!({
        "profile": profile.name,
        "files": profile.files,
        "calls": profile.calls,
        "filter": sha256(&profile.filter),
        "limits": submission.limits,
    }))
}

/// Of an answer: `{"language", "version", "digest", "backend"}`.
pub(super) fn runtime(body: &JudgementBody) -> String {
    runtime_of(&json!(body.runtime), &json!(body.backend))
}

/// Of an answer: `{"tests": [{"id", "verdict"}], "passed", "total", "built"}`.
pub(super) fn outcome(body: &JudgementBody) -> String {
    let tests: Vec<Value> = body
        .tests
        .iter()
        .map(|t| json!({"id": t.id, "verdict": t.verdict}))
        .collect();
    let built = body.compile.as_ref().is_none_or(|c| c.succeeded);
    outcome_of(&tests, &json!(body.passed), &json!(body.total), built)
}

/// The same of an answer as it was received.
pub(super) fn runtime_of(runtime: &Value, backend: &Value) -> String {
    digest(&json!({
        "language": runtime["language"],
        "version": runtime["version"],
        "digest": runtime["digest"],
        "backend": backend,
    }))
}

pub(super) fn outcome_of(tests: &[Value], passed: &Value, total: &Value, built: bool) -> String {
    let tests: Vec<Value> = tests
        .iter()
        .map(|t| json!({"id": t["id"], "verdict": t["verdict"]}))
        .collect();
    digest(&json!({"tests": tests, "passed": passed, "total": total, "built": built}))
}

/// A number as JSON text.
pub(super) fn number(number: f64) -> String {
    json!(number).to_string()
}

/// A word of the contract, such as `isolated`.
pub(super) fn word(value: &impl Serialize) -> String {
    let value = json!(value);
    value.as_str().unwrap_or_default().to_owned()
}
