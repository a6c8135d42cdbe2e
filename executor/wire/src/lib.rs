//! What crosses a process boundary inside one host, and nothing else.
//!
//! Four conversations use these types, each over a `SOCK_STREAM` Unix socket
//! that was handed over at birth and is reachable by nobody else:
//!
//! * server ↔ keeper: one [`keeper::KeeperSpec`], then [`keeper::SlotOrder`]s
//!   and [`keeper::SlotReply`]s, one socket per slot;
//! * keeper → jail: one [`cell::CellSpec`]; then, from the executor on the same
//!   socket, one [`plan::Plan`] per run;
//! * jail → executor: one [`cell::CellReply`], then [`plan::JailEvent`]s;
//! * executor ↔ WASI worker: [`worker::WorkerRequest`] and
//!   [`worker::WorkerReply`], many in flight, matched by id.
//!
//! Deliberately absent: domain types (languages, tests, HTTP), async, JSON.
//! Bytes that a guest produced travel as plain `Vec<u8>` and are allegations:
//! the receiver bounds them before it looks at them.

pub mod cell;
pub mod frame;
pub mod keeper;
pub mod plan;
pub mod warm;
pub mod worker;
