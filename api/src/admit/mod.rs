//! From a request to a checked case. Every refusal names its field; nothing
//! past this point can fail for a reason that is the caller's.

mod alone;
mod checker;
mod run;
mod submission;
mod test;
mod validator;

use std::collections::BTreeSet;
use std::sync::Arc;

use assize_judge::case::{Case, Comparison, Run, Submission, Test, TestKind};
use assize_judge::engine::Engine;
use assize_judge::reward::Scheme;

use crate::rights::Rights;
use crate::types::{CheckerSpec, JudgementRequest, RunRequest, TestSpec};

use checker::comparison;
use run::{arguments, collect};
use submission::{Common, submission};
pub(crate) use test::Decider;
use test::test;
use validator::{Author, native_only, validator};

/// Most tests of one case.
const MAX_TESTS: usize = 10_000;
/// Most reruns of each test.
const MAX_RERUNS: u32 = 10;

/// A request that is refused: the caller's to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Refusal {
    /// Of what kind.
    pub kind: RefusalKind,
    /// Stable code.
    pub code: &'static str,
    /// The field at fault.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// It makes no sense, here or elsewhere.
    Invalid,
    /// It makes sense, but not on this host.
    Unenforceable,
    /// It makes sense, but not with this key.
    Forbidden,
}

pub(crate) fn refuse(
    code: &'static str,
    field: impl Into<String>,
    message: impl Into<String>,
) -> Refusal {
    Refusal {
        kind: RefusalKind::Invalid,
        code,
        field: field.into(),
        message: message.into(),
    }
}

fn unenforceable(field: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal {
        kind: RefusalKind::Unenforceable,
        code: "unenforceable_limit",
        field: field.into(),
        message: message.into(),
    }
}

/// Checks a run, for a caller who may ask for all that profiles grant.
pub fn admit_run(engine: &Engine, request: &RunRequest) -> Result<Run, Refusal> {
    run_for(&Rights::all(), engine, request)
}

/// Checks a judgement, likewise.
pub fn admit_judgement(engine: &Engine, request: &JudgementRequest) -> Result<Case, Refusal> {
    judgement_for(&Rights::all(), engine, request)
}

/// Checks a run of this caller.
pub(crate) fn run_for(
    rights: &Rights,
    engine: &Engine,
    request: &RunRequest,
) -> Result<Run, Refusal> {
    let submission = submission(
        engine,
        rights,
        &Common {
            language: &request.language,
            code: request.code.as_ref(),
            files: request.files.as_ref(),
            entry: request.entry.as_ref(),
            backend: request.backend,
            deterministic: request.deterministic,
            policy: request.policy.as_ref(),
            limits: &request.limits,
        },
    )?;
    if !submission.runtime.runs() {
        let message = "nothing of this language runs; it is for judgements only";
        return Err(refuse("unknown_language", "language", message));
    }
    let (args, env) = arguments(request)?;
    let collect = collect(&request.collect)?;
    Ok(Run {
        submission,
        stdin: request.stdin.clone().into_bytes(),
        args,
        env,
        collect,
    })
}

/// Checks a judgement of this caller.
pub(crate) fn judgement_for(
    rights: &Rights,
    engine: &Engine,
    request: &JudgementRequest,
) -> Result<Case, Refusal> {
    let submission = submission(
        engine,
        rights,
        &Common {
            language: &request.language,
            code: request.code.as_ref(),
            files: request.files.as_ref(),
            entry: request.entry.as_ref(),
            backend: request.backend,
            deterministic: request.deterministic,
            policy: request.policy.as_ref(),
            limits: &request.limits,
        },
    )?;
    if request.tests.is_empty() {
        let message = "there are no tests; a case without tests would accept anything";
        return Err(refuse("empty_tests", "tests", message));
    }
    if request.tests.len() > MAX_TESTS {
        let message = format!("{} tests, at most {MAX_TESTS}", request.tests.len());
        return Err(refuse("too_many_tests", "tests", message));
    }
    let apart = match request.require_integrity.as_deref() {
        None | Some("shared") => false,
        Some("isolated") => true,
        Some(_) => {
            let message = "must be \"isolated\" or \"shared\"";
            return Err(refuse("invalid_field", "require_integrity", message));
        }
    };
    crate::receipt::check(request)?;
    let author = Author {
        engine,
        rights,
        policy: request.policy.as_ref(),
    };
    let checker = comparison(&author, &request.checker)?;
    let interactor = match &request.interactor {
        None => None,
        Some(program) => {
            native_only(&submission.runtime)?;
            if request.checker.kind != CheckerSpec::default().kind {
                let message = "an interactive problem's interactor decides; leave the checker out";
                return Err(refuse("invalid_field", "checker", message));
            }
            Some(Arc::new(validator(&author, program, "interactor")?))
        }
    };
    let decider = match (&interactor, &checker) {
        (Some(_), _) => Decider::Interactor,
        (None, Comparison::Program(_)) => Decider::Checker,
        (None, Comparison::Pure(_)) => Decider::Rule,
        (None, Comparison::Rows(_)) => Decider::Rows,
    };
    let tests = tests(&request.tests, &submission, apart, decider)?;
    let rewarded = rewarded(&tests)?;
    let reruns = request.reruns.unwrap_or(0);
    if reruns > MAX_RERUNS {
        let message = format!("{reruns}, at most {MAX_RERUNS}");
        return Err(refuse("invalid_field", "reruns", message));
    }
    let reward = Scheme::parse(&request.reward.scheme, &request.reward.params, rewarded)
        .map_err(|e| refuse("unknown_reward", "reward", e.to_string()))?;
    Ok(Case {
        submission,
        tests,
        checker,
        interactor,
        stop_on_first_failure: request.stop_on_first_failure,
        reward,
        reruns,
    })
}

/// Checks the tests of a case, whose names must differ.
pub(crate) fn tests(
    specs: &[TestSpec],
    submission: &Submission,
    apart: bool,
    decider: Decider,
) -> Result<Vec<Test>, Refusal> {
    let mut ids = BTreeSet::new();
    let mut tests = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let test = test(index, spec, submission, apart, decider)?;
        if !ids.insert(test.id.clone()) {
            let field = format!("tests[{index}].id");
            return Err(refuse(
                "duplicate_id",
                field,
                format!("{:?} is taken twice", test.id),
            ));
        }
        tests.push(test);
    }
    Ok(tests)
}

/// Tests that make the reward: of a suite, those with wrong programs.
fn rewarded(tests: &[Test]) -> Result<usize, Refusal> {
    let of = |sound: bool| {
        let is = |t: &&Test| matches!(&t.kind, TestKind::Subject { sound: s, .. } if *s == sound);
        tests.iter().filter(is).count()
    };
    match (of(true), of(false)) {
        (0, 0) => Ok(tests.len()),
        (sound, wrong) if sound + wrong < tests.len() => {
            let message = "a suite is tested by subjects alone";
            Err(refuse("invalid_field", "tests", message))
        }
        (0, _) | (_, 0) => {
            let message = "a suite needs a subject to pass and one to fail";
            Err(refuse("invalid_field", "tests", message))
        }
        (_, wrong) => Ok(wrong),
    }
}
