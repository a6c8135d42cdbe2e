//! Verdicts nobody can forge: HumanEval as it is, and candidates that lie.
//!
//! Every test runs on both backends. Both must be there: `make test` builds
//! the guests and fetches the problems and names them in the environment.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod channel;
mod forgers;
mod hacks;
mod humaneval;
mod javascript;
mod javascript_liars;
mod javascript_objects;
mod shared;
mod shared_liars;

use std::sync::{Arc, OnceLock};

use assize_api::types::{JudgementRequest, TestSpec};
use assize_judge::case::Judgement;
use assize_judge::engine::Engine;
use assize_judge::verdict::Verdict;
use assize_runtimes::BackendChoice;
use tokio::runtime::Runtime;

/// Both backends.
pub(crate) const BACKENDS: [BackendChoice; 2] = [BackendChoice::Native, BackendChoice::Wasi];

/// One engine for all tests of this binary, and the runtime it lives on.
pub(crate) fn engine() -> &'static (Runtime, Arc<Engine>) {
    static ENGINE: OnceLock<(Runtime, Arc<Engine>)> = OnceLock::new();
    ENGINE.get_or_init(|| {
        assert!(
            std::env::var_os("ASSIZE_GUESTS").is_some(),
            "ASSIZE_GUESTS names no built guests; run `make test`"
        );
        let runtime = Runtime::new().expect("a runtime");
        let engine = runtime.block_on(assize_tests::server::engine(4));
        (runtime, engine)
    })
}

/// Whether the candidate alone is to blame. What a liar is caught at may
/// differ: its lies meet another engine, and no descriptors.
fn charged(verdict: Verdict) -> bool {
    ![Verdict::Accepted, Verdict::JudgeError].contains(&verdict)
}

/// Judges a request; one in JavaScript that names no backend on both, which
/// must come to the same verdicts.
pub(crate) fn judge(request: &JudgementRequest) -> Judgement {
    let judged = judge_once(request);
    if request.language == "javascript" && request.backend == BackendChoice::Auto {
        let there = judge_once(&JudgementRequest {
            backend: BackendChoice::Wasi,
            ..request.clone()
        });
        let code = request.code.as_deref().unwrap_or_default();
        let tests = judged.tests.iter().zip(&there.tests).enumerate();
        for (i, (native, wasi)) in tests {
            let names = |all: &[assize_judge::case::Subtest]| {
                let each = all.iter().map(|t| (t.name.clone(), t.verdict));
                each.collect::<Vec<_>>()
            };
            let same =
                native.verdict == wasi.verdict && names(&native.subtests) == names(&wasi.subtests);
            assert!(
                same || charged(native.verdict) && charged(wasi.verdict),
                "on wasi: {:?}, {}; natively: {:?}, {}\ntest {:?} of\n{code}",
                wasi.verdict,
                wasi.detail,
                native.verdict,
                native.detail,
                request.tests.get(i)
            );
        }
    }
    judged
}

fn judge_once(request: &JudgementRequest) -> Judgement {
    let (runtime, engine) = engine();
    let case = assize_api::admit_judgement(engine, request).expect("a sound request");
    runtime.block_on(engine.judge(&case)).expect("no fault")
}

/// A Python case with one script test.
pub(crate) fn script(backend: BackendChoice, code: &str, script: &str) -> JudgementRequest {
    JudgementRequest {
        language: "python".into(),
        code: Some(code.to_owned()),
        backend,
        tests: vec![TestSpec {
            script: Some(script.to_owned()),
            ..TestSpec::default()
        }],
        ..JudgementRequest::default()
    }
}
