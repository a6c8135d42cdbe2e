//! The WASI backend as its users meet it: `auto`, deterministic runs, modules
//! of one's own, and whether it says what the native backend says.
//!
//! Guests must be built: `make test` does and names them in the environment.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod auto;
mod deterministic;
mod differential;
mod modules;
mod workers;

use std::sync::{Arc, OnceLock};

use assize_api::types::{FileSpec, JudgementRequest, RunRequest, TestSpec};
use assize_judge::case::{Judgement, RunResult};
use assize_judge::engine::Engine;
use assize_runtimes::BackendChoice;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::runtime::Runtime;

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

pub(crate) fn run(request: &RunRequest) -> RunResult {
    let (runtime, engine) = engine();
    let run = assize_api::admit_run(engine, request).expect("a sound request");
    runtime.block_on(engine.run(&run)).expect("no fault")
}

pub(crate) fn judge(request: &JudgementRequest) -> Judgement {
    let (runtime, engine) = engine();
    let case = assize_api::admit_judgement(engine, request).expect("a sound request");
    runtime.block_on(engine.judge(&case)).expect("no fault")
}

pub(crate) fn python(backend: BackendChoice, code: &str) -> RunRequest {
    RunRequest {
        language: "python".into(),
        code: Some(code.into()),
        backend,
        ..RunRequest::default()
    }
}

/// A case of program tests, as (input, expected output).
pub(crate) fn program(code: &str, tests: &[(&str, &str)]) -> JudgementRequest {
    let test = |(stdin, stdout): &(&str, &str)| TestSpec {
        stdin: Some((*stdin).into()),
        stdout: Some((*stdout).into()),
        ..TestSpec::default()
    };
    JudgementRequest {
        language: "python".into(),
        code: Some(code.into()),
        tests: tests.iter().map(test).collect(),
        ..JudgementRequest::default()
    }
}

/// A run of a module in the text format, or of any bytes.
pub(crate) fn module(wasm: &[u8]) -> RunRequest {
    let spec = FileSpec {
        base64: Some(STANDARD.encode(wasm)),
        ..FileSpec::default()
    };
    RunRequest {
        language: "wasm".into(),
        files: Some([("main.wasm".to_owned(), spec)].into()),
        ..RunRequest::default()
    }
}

pub(crate) fn wat(text: &str) -> RunRequest {
    module(&wat::parse_str(text).expect("text format"))
}

pub(crate) fn out(result: &RunResult) -> String {
    let outcome = result.outcome.as_ref().expect("it ran");
    String::from_utf8_lossy(&outcome.stdout.data).into_owned()
}
