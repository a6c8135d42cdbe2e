//! Problems whose judging takes more than a comparison: checkers, interactors
//! and whole problem packages, over real cells.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod again;
mod checkers;
mod compile;
mod defects;
mod interactive;
mod invariance;
mod java;
mod packages;
mod precompiled;
mod sql;
mod suites;

use std::sync::{Arc, OnceLock};

use assize_judge::case::Judgement;
use assize_judge::engine::Engine;
use serde_json::Value;
use tokio::runtime::Runtime;

/// One engine for all tests of this binary, and the runtime it lives on.
pub(crate) fn engine() -> &'static (Runtime, Arc<Engine>) {
    static ENGINE: OnceLock<(Runtime, Arc<Engine>)> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let runtime = Runtime::new().expect("a runtime");
        let engine = runtime.block_on(assize_tests::server::engine(4));
        (runtime, engine)
    })
}

/// Judges a request.
pub(crate) fn judge(request: &Value) -> Judgement {
    judge_text(&request.to_string())
}

/// Judges a request as it is sent: numbers keep all their digits.
pub(crate) fn judge_text(request: &str) -> Judgement {
    let (runtime, engine) = engine();
    let request = serde_json::from_str(request).expect("known fields");
    let case = assize_api::admit_judgement(engine, &request).expect("a sound request");
    runtime.block_on(engine.judge(&case)).expect("no fault")
}

/// The feedback on a request, as it stands on the wire.
pub(crate) fn feedback(request: &Value) -> Value {
    let (runtime, engine) = engine();
    let request = serde_json::from_value(request.clone()).expect("known fields");
    let case = assize_api::admit_judgement(engine, &request).expect("a sound request");
    let judged = runtime.block_on(engine.judge(&case)).expect("no fault");
    serde_json::to_value(assize_judge::feedback::of(&case, &judged)).expect("JSON")
}

/// The field at which a request is refused.
pub(crate) fn refused(request: &Value) -> String {
    let (_, engine) = engine();
    let request = serde_json::from_value(request.clone()).expect("known fields");
    match assize_api::admit_judgement(engine, &request) {
        Ok(_) => panic!("it was not refused"),
        Err(refusal) => refusal.field,
    }
}

/// Verdict, detail and score of the only test.
pub(crate) fn only(judged: &Judgement) -> (&'static str, &str, Option<f64>) {
    let [test] = judged.tests.as_slice() else {
        panic!("{} tests", judged.tests.len());
    };
    (test.verdict.name(), &test.detail, test.score)
}
