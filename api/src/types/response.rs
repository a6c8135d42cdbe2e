//! Responses.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// What a run did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunBody {
    /// Id of this run.
    pub id: String,
    /// How it ended.
    pub status: RunStatus,
    /// Exit status, when it exited.
    pub exit_code: Option<i32>,
    /// Signal that ended it, when one did.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: StreamBody,
    /// Standard error.
    pub stderr: StreamBody,
    /// Collected files.
    pub files: BTreeMap<String, FileBody>,
    /// What it used.
    pub usage: UsageBody,
    /// What its compiler said.
    pub compile: Option<CompileBody>,
    /// Where it ran.
    pub backend: &'static str,
    /// Protections in force.
    pub enforced: Vec<String>,
    /// Limits that nothing held it to; never any unless the server was started
    /// with best effort.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What it tried and was refused.
    pub violations: Vec<ViolationBody>,
    /// What ran it.
    pub runtime: RuntimeBody,
    /// Time in the queue, in milliseconds; counts against no limit.
    pub queued_ms: f64,
    /// Times it was started.
    pub attempts: u32,
    /// More about the status, such as which time limit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<&'static str, String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// By itself, well or not.
    Finished,
    /// Out of CPU or wall time.
    TimeLimitExceeded,
    /// Out of memory.
    MemoryLimitExceeded,
    /// It wrote too much.
    OutputLimitExceeded,
    /// It did what its policy forbids.
    SecurityViolation,
    /// There is no program to run.
    CompileError,
}

/// A bounded stream. Bytes that are not UTF-8 come as base64.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct StreamBody {
    /// The text, or null when it is not UTF-8.
    pub text: Option<String>,
    /// The bytes, when they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Whether more was written than is kept.
    pub truncated: bool,
    /// Bytes written in all.
    pub bytes: u64,
}

/// A collected file, or why there is none.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FileBody {
    /// The text, or null when it is not UTF-8 or not there.
    pub text: Option<String>,
    /// The bytes, when they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// `missing`, `irregular` or `too_large`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct UsageBody {
    /// CPU time of everything in the cell, in milliseconds.
    pub cpu_ms: f64,
    /// Wall time, in milliseconds.
    pub wall_ms: f64,
    /// Most memory at once, in bytes.
    pub memory_peak_bytes: u64,
    /// Most processes at once, where the kernel knows.
    pub processes_peak: Option<u64>,
    /// Instructions, where counted.
    pub instructions: Option<u64>,
}

/// What a compiler said.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CompileBody {
    /// Whether there is a program.
    pub succeeded: bool,
    /// Whether this was said before of the same program, and nothing was
    /// compiled now: `usage` is what it took then.
    pub cached: bool,
    /// Why not, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its standard output.
    pub stdout: StreamBody,
    /// Its diagnostics.
    pub stderr: StreamBody,
    /// What it used.
    pub usage: UsageBody,
}

/// Something refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ViolationBody {
    /// What kind.
    pub kind: &'static str,
    /// What exactly.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// What ran a program.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RuntimeBody {
    /// Its language.
    pub language: String,
    /// Its version.
    pub version: String,
    /// Digest of its program.
    pub digest: String,
}

/// What a case came to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JudgementBody {
    /// Id of this judgement.
    pub id: String,
    /// The verdict.
    pub verdict: &'static str,
    /// Its short code.
    pub code: &'static str,
    /// Tests that passed.
    pub passed: usize,
    /// Tests there are.
    pub total: usize,
    /// Tests that ran.
    pub tests: Vec<TestBody>,
    /// The reward; null where we do not know.
    pub reward: Option<f64>,
    /// Its channels, for scheme `vector`: `compile`, `tests`, `passed`, `cost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub rewards: Option<assize_judge::reward::Channels>,
    /// `isolated`: tests and candidate were in different cells.
    #[schema(value_type = String)]
    pub integrity: assize_judge::case::Integrity,
    /// Of a submission that is a test suite: what it is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub suite: Option<assize_judge::case::Suite>,
    /// What a model may be told, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub feedback: Option<assize_judge::feedback::Feedback>,
    /// What its compiler said.
    pub compile: Option<CompileBody>,
    /// Sum over the tests.
    pub usage: UsageBody,
    /// Where it ran.
    pub backend: &'static str,
    /// What ran it.
    pub runtime: RuntimeBody,
    /// Time in the queue, in milliseconds.
    pub queued_ms: f64,
    /// The request's group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Signed, when the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<crate::receipt::Receipt>,
}

/// What a test came to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TestBody {
    /// Its name.
    pub id: String,
    /// Its verdict.
    pub verdict: &'static str,
    /// Why, in one line; empty when it passed.
    pub detail: String,
    /// The score that the checker or interactor gave, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What the run used.
    pub usage: UsageBody,
    /// How far the test was from the candidate.
    #[schema(value_type = String)]
    pub integrity: assize_judge::case::Integrity,
    /// Of a test script that is a suite (unittest, pytest, `describe`): its
    /// tests by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subtests: Vec<SubtestBody>,
    /// How often it was tried, where more than once.
    #[serde(skip_serializing_if = "once")]
    pub attempts: u32,
    /// Standard output of the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<StreamBody>,
    /// Standard error of the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<StreamBody>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn once(attempts: &u32) -> bool {
    *attempts == 1
}

/// One test function of a test script.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SubtestBody {
    /// Its name.
    pub name: String,
    /// Its verdict.
    pub verdict: &'static str,
    /// Why, in one line; empty when it passed.
    pub detail: String,
}

/// One answer of a batch.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Of a run.
    Run(Box<RunBody>),
    /// Of a judgement.
    Judgement(Box<JudgementBody>),
    /// Of neither.
    Error(ErrorBody),
}

/// Every error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable code. Begins with `fault.` when the failure is ours.
    pub code: String,
    /// For people: what, and what to do.
    pub message: String,
    /// To find it in the logs.
    pub request_id: String,
    /// `field`: the request's field at fault; more by code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<&'static str, String>,
}
