//! Runs ONE [`Plan`] in ONE cell and returns an [`Outcome`].
//!
//! Knows no language, no test, no HTTP. A *slot* is a prepared cell with a
//! thread of its own in this process (`slot`, `native`); the pool hands
//! plans to free slots. The WASI worker (`wasi`) is a long-lived program in
//! a slot that nobody else uses.
//!
//! Three kinds of result are three types: what a program did is always an
//! `Ok(Outcome)`; what cannot be enforced here is [`Fault::Unenforceable`];
//! everything else that goes wrong is a [`Fault`] of ours and is never
//! reported as the program's doing.

mod capability;
mod cell;
mod channel;
mod ended;
mod enforced;
mod executor;
mod guests;
mod identity;
mod keeper;
mod outcome;
mod pack;
mod plan;
mod rlimits;
mod slot;
mod spawn;
mod warm;
mod wasi;
mod watch;

pub use assize_sys::memory::give_back;
pub use assize_wire::cell::Layer;
pub use assize_wire::plan::{Collect, CollectError};
pub use capability::{Capabilities, Probe};
pub use channel::{Channel, Meter, Stdio};
pub use executor::{Config, Executor, WORKER_RUNS};
pub use keeper::Keeper;
pub use outcome::{Backend, End, Fault, Limit, Outcome, Stream, Usage, Violation};
pub use pack::{FileSource, MAX_FILES, Pack, PackError, Sealed, plain_relative};
pub use plan::{Module, Plan, Target, Time, Warm};
pub use warm::Warmth;
