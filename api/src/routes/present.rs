//! From what the judge says to what stands on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use assize_executor::{Backend, CollectError, End, Limit, Outcome, Stream, Usage};
use assize_judge::case::{Judgement, RunResult, Subtest, TestResult, millis};
use assize_runtimes::{CompileReport, Runtime};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::types::{
    CompileBody, FileBody, JudgementBody, RunBody, RunStatus, RuntimeBody, StreamBody, SubtestBody,
    TestBody, UsageBody, ViolationBody,
};

/// Most bytes of a test's streams that a judgement carries.
const EXCERPT: usize = 4096;

/// A run.
#[must_use]
pub fn run(id: String, result: &RunResult, queued: Duration) -> RunBody {
    let runtime = &*result.runtime;
    let mut body = RunBody {
        id,
        status: RunStatus::CompileError,
        exit_code: None,
        signal: None,
        stdout: StreamBody {
            text: Some(String::new()),
            ..StreamBody::default()
        },
        stderr: StreamBody {
            text: Some(String::new()),
            ..StreamBody::default()
        },
        files: BTreeMap::new(),
        usage: UsageBody::default(),
        compile: result.compile.as_ref().map(compile),
        backend: backend(runtime.backend),
        enforced: Vec::new(),
        missing: Vec::new(),
        violations: Vec::new(),
        runtime: self::runtime(runtime),
        queued_ms: millis(queued),
        attempts: 1,
        details: BTreeMap::new(),
    };
    let Some(outcome) = &result.outcome else {
        return body;
    };
    body.status = status(&outcome.end);
    match &outcome.end {
        End::Exited(code) => body.exit_code = Some(*code),
        End::Signaled(signal) => body.signal = Some(*signal),
        End::Trapped(trap) => {
            body.details.insert("trap", trap.clone());
        }
        End::Limit(limit) => {
            let name = match limit {
                Limit::Cpu => "cpu_ms",
                Limit::Wall => "wall_ms",
                Limit::Memory => "memory_bytes",
                Limit::Output => "stdout_bytes",
            };
            body.details.insert("limit", name.to_owned());
        }
        End::Violation => {}
    }
    body.stdout = stream(&outcome.stdout);
    body.stderr = stream(&outcome.stderr);
    body.files = outcome
        .files
        .iter()
        .map(|(path, f)| (path.clone(), file(f)))
        .collect();
    body.usage = usage(&outcome.usage);
    body.enforced = outcome.enforced.to_vec();
    body.missing = outcome.missing.to_vec();
    body.violations = outcome
        .violations
        .iter()
        .map(|v| ViolationBody {
            kind: v.kind,
            name: v.name.clone(),
            count: v.count,
        })
        .collect();
    body.attempts = outcome.attempts;
    body
}

/// A judgement.
#[must_use]
pub fn judgement(
    id: String,
    judged: &Judgement,
    queued: Duration,
    group: Option<String>,
) -> JudgementBody {
    JudgementBody {
        id,
        verdict: judged.verdict.name(),
        code: judged.verdict.code(),
        passed: judged.passed,
        total: judged.total,
        tests: judged.tests.iter().map(test).collect(),
        reward: judged.reward,
        rewards: judged.channels.clone(),
        integrity: judged.integrity,
        suite: judged.suite,
        feedback: None,
        compile: judged.compile.as_ref().map(compile),
        usage: usage(&judged.usage),
        backend: backend(judged.backend),
        runtime: runtime(&judged.runtime),
        queued_ms: millis(queued),
        group,
        receipt: None,
    }
}

fn test(result: &TestResult) -> TestBody {
    let excerpt = |pick: fn(&Outcome) -> &Stream| {
        let whole = pick(result.outcome.as_ref()?);
        let kept = whole.data.len().min(EXCERPT);
        let cut = Stream {
            data: whole.data[..kept].to_vec(),
            total: whole.total,
        };
        (whole.total > 0).then(|| stream(&cut))
    };
    TestBody {
        id: result.id.clone(),
        verdict: result.verdict.name(),
        detail: result.detail.clone(),
        score: result.score,
        usage: usage(&result.usage),
        integrity: result.integrity,
        attempts: result.attempts,
        subtests: result.subtests.iter().map(subtest).collect(),
        stdout: excerpt(|o| &o.stdout),
        stderr: excerpt(|o| &o.stderr),
    }
}

fn subtest(subtest: &Subtest) -> SubtestBody {
    SubtestBody {
        name: subtest.name.clone(),
        verdict: subtest.verdict.name(),
        detail: subtest.detail.clone(),
    }
}

/// Short name of how a run ended.
#[must_use]
pub fn status(end: &End) -> RunStatus {
    match end {
        End::Exited(_) | End::Signaled(_) | End::Trapped(_) => RunStatus::Finished,
        End::Limit(Limit::Cpu | Limit::Wall) => RunStatus::TimeLimitExceeded,
        End::Limit(Limit::Memory) => RunStatus::MemoryLimitExceeded,
        End::Limit(Limit::Output) => RunStatus::OutputLimitExceeded,
        End::Violation => RunStatus::SecurityViolation,
    }
}

/// Name of a backend.
#[must_use]
pub fn backend(backend: Backend) -> &'static str {
    match backend {
        Backend::Native => "native",
        Backend::Wasi => "wasi",
    }
}

fn runtime(runtime: &Runtime) -> RuntimeBody {
    RuntimeBody {
        language: runtime.manifest.language.clone(),
        version: runtime.version.clone(),
        digest: runtime.digest.clone(),
    }
}

pub(super) fn compile(report: &CompileReport) -> CompileBody {
    CompileBody {
        succeeded: report.succeeded,
        cached: report.cached,
        reason: (!report.succeeded).then(|| report.reason()),
        stdout: stream(&report.outcome.stdout),
        stderr: stream(&report.outcome.stderr),
        usage: usage(&report.outcome.usage),
    }
}

pub(super) fn usage(usage: &Usage) -> UsageBody {
    UsageBody {
        cpu_ms: millis(usage.cpu),
        wall_ms: millis(usage.wall),
        memory_peak_bytes: usage.memory_peak,
        processes_peak: usage.processes_peak,
        instructions: usage.instructions,
    }
}

/// Bytes as text where they are text, else as base64: never replaced. A
/// character cut in two by truncation does not make a text binary.
pub(super) fn stream(stream: &Stream) -> StreamBody {
    let (truncated, bytes) = (stream.truncated(), stream.total);
    let whole = match std::str::from_utf8(&stream.data) {
        Ok(text) => Some(text),
        Err(e) if truncated && e.error_len().is_none() => {
            std::str::from_utf8(&stream.data[..e.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match whole {
        Some(text) => StreamBody {
            text: Some(text.to_owned()),
            base64: None,
            truncated,
            bytes,
        },
        None => {
            let base64 = Some(STANDARD.encode(&stream.data));
            StreamBody {
                text: None,
                base64,
                truncated,
                bytes,
            }
        }
    }
}

fn file(file: &Result<Vec<u8>, CollectError>) -> FileBody {
    let absent = |error| FileBody {
        text: None,
        base64: None,
        error: Some(error),
    };
    match file {
        Ok(data) => match std::str::from_utf8(data) {
            Ok(text) => FileBody {
                text: Some(text.to_owned()),
                base64: None,
                error: None,
            },
            Err(_) => FileBody {
                text: None,
                base64: Some(STANDARD.encode(data)),
                error: None,
            },
        },
        Err(CollectError::Missing) => absent("missing"),
        Err(CollectError::Irregular) => absent("irregular"),
        Err(CollectError::TooLarge) => absent("too_large"),
    }
}
