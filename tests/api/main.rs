//! The HTTP contract, over real sockets against a real server with real cells.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod batches;
mod bench;
mod busy;
mod compile;
mod cpp;
mod pairs;
mod queued;
mod receipts;
mod refusals;
mod runs;
mod selection;
mod shutdown;

use std::sync::OnceLock;
use std::time::Duration;

use assize_tests::server::Server;
use serde_json::{Value, json};

/// One server for all tests of this binary.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(2, 64, Duration::from_secs(10)))
}

/// A run that prints its input.
pub(crate) fn echo() -> Value {
    json!({"language": "bash", "code": "cat", "stdin": "hello\n"})
}

/// A judgement of `code` against one call of `add`.
pub(crate) fn add(code: &str) -> Value {
    json!({
        "language": "python",
        "code": code,
        "tests": [{"call": {"function": "add", "args": [19, 23]}, "returns": 42}],
    })
}
