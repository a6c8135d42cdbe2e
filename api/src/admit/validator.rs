//! Programs of the problem's author: checkers and interactors.

use std::sync::Arc;

use assize_executor::Backend;
use assize_judge::engine::Engine;
use assize_judge::validator::{Convention, DIRECTORY, Validator};
use assize_policies::{Limits, LimitsRequest};
use assize_runtimes::{BackendChoice, Runtime};

use super::submission::{Common, submission};
use super::{Refusal, refuse, unenforceable};
use crate::rights::Rights;
use crate::types::ProgramSpec;

/// Most arguments, and most bytes of them together.
const MAX_ARGS: (usize, usize) = (256, 64 << 10);

/// On whose behalf a program of the author's is checked.
pub(super) struct Author<'a> {
    pub(super) engine: &'a Engine,
    pub(super) rights: &'a Rights,
    pub(super) policy: Option<&'a String>,
}

/// Checks a program of the author's; `at` names its field.
pub(super) fn validator(
    author: &Author<'_>,
    spec: &ProgramSpec,
    at: &str,
) -> Result<Validator, Refusal> {
    let within = |refusal: Refusal| Refusal {
        field: format!("{at}.{}", refusal.field),
        ..refusal
    };
    let convention = match spec.convention.as_deref() {
        None | Some("kattis") => Convention::Kattis,
        Some("testlib") => Convention::Testlib,
        Some(_) => {
            let message = "must be \"kattis\" or \"testlib\"";
            return Err(within(refuse("invalid_field", "convention", message)));
        }
    };
    let size: usize = spec.args.iter().map(String::len).sum();
    if spec.args.len() > MAX_ARGS.0 || size > MAX_ARGS.1 {
        let message = format!("at most {} of {} bytes together", MAX_ARGS.0, MAX_ARGS.1);
        return Err(within(refuse("arguments_too_large", "args", message)));
    }
    if spec.args.iter().any(|a| a.contains('\0')) {
        return Err(within(refuse(
            "invalid_field",
            "args",
            "contains a NUL byte",
        )));
    }
    if convention == Convention::Kattis && spec.full_points.is_some() {
        let message = "only testlib programs give points";
        return Err(within(refuse("invalid_field", "full_points", message)));
    }
    let limits = generous(author, &spec.limits).map_err(within)?;
    let common = Common {
        language: &spec.language,
        code: spec.code.as_ref(),
        files: spec.files.as_ref(),
        entry: spec.entry.as_ref(),
        backend: BackendChoice::Native,
        deterministic: false,
        policy: author.policy,
        limits: &limits,
    };
    let submission = submission(author.engine, author.rights, &common).map_err(within)?;
    let ours = |path: &str| path.split('/').next() == Some(DIRECTORY);
    if submission.program.files.iter().any(|f| ours(&f.path)) {
        let message = format!("the directory {DIRECTORY} is the judge's own");
        return Err(within(refuse("invalid_files", "files", message)));
    }
    Ok(Validator {
        submission: Arc::new(submission),
        convention,
        args: spec.args.clone(),
        full_points: spec.full_points,
    })
}

/// An author's program looks at all that a candidate prints, so what it does
/// not ask for is more than a candidate gets, within what the caller may have.
fn generous(author: &Author<'_>, asked: &LimitsRequest) -> Result<LimitsRequest, Refusal> {
    let policy = author
        .rights
        .choose(author.engine.profiles(), author.policy.map(String::as_str))?;
    let most = author.rights.ceiling(policy);
    let Limits {
        cpu_ms,
        wall_ms,
        memory_bytes,
        ..
    } = policy.limits;
    Ok(LimitsRequest {
        cpu_ms: asked.cpu_ms.or(Some(cpu_ms.max(10_000).min(most.cpu_ms))),
        wall_ms: asked
            .wall_ms
            .or(Some(wall_ms.max(30_000).min(most.wall_ms))),
        memory_bytes: asked
            .memory_bytes
            .or(Some(memory_bytes.max(1 << 30).min(most.memory_bytes))),
        ..*asked
    })
}

/// Interactive problems need standard streams that somebody else holds, which
/// only native cells have.
pub(super) fn native_only(runtime: &Runtime) -> Result<(), Refusal> {
    match runtime.backend {
        Backend::Native => Ok(()),
        Backend::Wasi => {
            let message = "interactive problems run on the native backend only; \
                           use \"native\" or \"auto\"";
            Err(unenforceable("backend", message))
        }
    }
}
