//! What a run did.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assize_wire::plan::CollectError;
use serde::Serialize;

/// How a run ended, with everything it left. Always the program's doing.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The end.
    pub end: End,
    /// Standard output, bounded.
    pub stdout: Stream,
    /// Standard error, bounded.
    pub stderr: Stream,
    /// What trusted code in the cell reported on its own descriptor.
    pub report: Stream,
    /// Collected files by path.
    pub files: BTreeMap<String, Result<Vec<u8>, CollectError>>,
    /// What it used.
    pub usage: Usage,
    /// Which cell ran it.
    pub backend: Backend,
    /// The protections in force during this run.
    pub enforced: Arc<[String]>,
    /// Limits that nothing held this run to, on a host where best effort was
    /// asked for.
    pub missing: Arc<[String]>,
    /// What it tried and was refused, as far as the kernel told.
    pub violations: Vec<Violation>,
    /// Times it was started, 1 unless a slot was lost under it.
    pub attempts: u32,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// `exit(status)`.
    Exited(i32),
    /// Ended by this signal, which we did not send.
    Signaled(i32),
    /// A wasm trap, by name.
    Trapped(String),
    /// It reached a limit and was ended for it.
    Limit(Limit),
    /// Seccomp killed it (SIGSYS).
    Violation,
}

/// Which limit ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// CPU time.
    Cpu,
    /// Wall time only.
    Wall,
    /// Memory.
    Memory,
    /// Standard output.
    Output,
}

/// A bounded stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// The first bytes, at most the limit.
    pub data: Vec<u8>,
    /// Bytes seen in all, kept or not.
    pub total: u64,
}

impl Stream {
    /// Whether bytes were dropped.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.total > self.data.len() as u64
    }
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// CPU time summed over everything in the cell.
    pub cpu: Duration,
    /// Wall time.
    pub wall: Duration,
    /// Most memory in use at once, in bytes.
    pub memory_peak: u64,
    /// Most processes at once, where known.
    pub processes_peak: Option<u64>,
    /// Instructions executed, where they were counted.
    pub instructions: Option<u64>,
}

/// Which cell ran a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// Namespaces, cgroups, seccomp.
    Native,
    /// wasmtime, itself in such a cell.
    Wasi,
}

/// Something the program tried and was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// `syscall`, `processes`, …
    pub kind: &'static str,
    /// What exactly.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// Our failure, never the program's.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// This host cannot hold a run to a limit it asks for.
    #[error("this host cannot enforce {limit}: {reason}")]
    Unenforceable {
        /// Name of the limit.
        limit: &'static str,
        /// Why, and what would help.
        reason: String,
    },
    /// A slot could not be started.
    #[error("no cell could be built: {0}")]
    CellNotBuilt(String),
    /// The jail or the worker was lost during the run.
    #[error("the cell was lost during the run: {0}")]
    CellLost(String),
    /// The run could not be set up inside its cell.
    #[error("the run could not be started: {0}")]
    NotStarted(String),
    /// The backend is not available on this host.
    #[error("backend {0} is not available here")]
    NoBackend(&'static str),
    /// The executor is shutting down.
    #[error("shutting down")]
    ShuttingDown,
    /// An operation on the host failed.
    #[error("host operation failed: {0}")]
    Host(String),
}

impl Fault {
    /// Stable code for the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unenforceable { .. } => "unenforceable_limit",
            Self::CellNotBuilt(_) => "fault.cell_not_built",
            Self::CellLost(_) => "fault.cell_lost",
            Self::NotStarted(_) => "fault.not_started",
            Self::NoBackend(_) => "unavailable_backend",
            Self::ShuttingDown => "fault.shutting_down",
            Self::Host(_) => "fault.host",
        }
    }

    /// Whether another slot might do better.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::CellNotBuilt(_) | Self::CellLost(_) | Self::NotStarted(_) => true,
            Self::Unenforceable { .. }
            | Self::NoBackend(_)
            | Self::ShuttingDown
            | Self::Host(_) => false,
        }
    }
}
