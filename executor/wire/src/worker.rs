//! One run in the WASI worker: a wasmtime process that itself lives in a cell.
//!
//! The worker finds its socket on descriptor [`SOCKET_FD`]. Several requests
//! may be in flight; replies come in completion order and carry the id.

use serde::{Deserialize, Serialize};

use crate::plan::{Collect, CollectError, PackEntry};

/// Number of the worker's end of the socket.
pub const SOCKET_FD: i32 = 3;

/// Times its virtual wall limit that a deterministic run may really take, before
/// it is taken for stuck.
pub const SLOWEST: u32 = 20;

/// Most of the machine's stack that one guest takes, in bytes; it is beside the
/// guest's memory limit.
pub const STACK_BYTES: u64 = 34 << 20;

/// What the executor asks of the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerRequest {
    /// Run a module. Descriptors on the frame, in this order: the module (when
    /// `module` is [`ModuleRef::Passed`]), the pack (when `files` is not
    /// empty), stdin (when `stdin`), the channel (when `channel`).
    Run(Box<WasiPlan>),
    /// Nobody waits for this run any more.
    Cancel {
        /// Which run.
        id: u64,
    },
}

/// One program, one input, in wasm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasiPlan {
    /// Chosen by the executor, unique among the runs in flight.
    pub id: u64,
    /// What to run.
    pub module: ModuleRef,
    /// Arguments, program name first.
    pub argv: Vec<String>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Files that lie in `/work`, which is the run's own to change.
    pub files: Vec<PackEntry>,
    /// Files to hand back.
    pub collect: Vec<Collect>,
    /// Whether a descriptor for stdin is attached (else it is empty).
    pub stdin: bool,
    /// Whether a channel socket is attached: the guest reaches it through
    /// the host functions `assize.channel_send`, `channel_next` and `channel_take`.
    pub channel: bool,
    /// Limits.
    pub limits: WasiLimits,
}

/// Which module a run uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModuleRef {
    /// A guest installed with Assize, by name (`python`).
    Guest(String),
    /// A precompiled module attached to the frame, made by our own compiler in
    /// a cell of its own.
    Passed,
}

/// Limits of one wasm run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasiLimits {
    /// CPU time of this run alone, in nanoseconds; for a deterministic worker
    /// instructions, of which one counts as a nanosecond.
    pub cpu_ns: u64,
    /// Wall time, host calls included, in nanoseconds; for a deterministic
    /// worker instructions and time slept.
    pub wall_ns: u64,
    /// Bytes of files, those it starts with included.
    pub disk_bytes: u64,
    /// Files and directories, those it starts with included.
    pub files: u64,
    /// Linear memory, in bytes.
    pub memory_bytes: u64,
    /// Bytes kept of stdout; one more is an output-limit end.
    pub stdout_bytes: u64,
    /// Bytes kept of stderr.
    pub stderr_bytes: u64,
    /// Bytes kept of the report (`assize.report`); 0 when there is none.
    pub report_bytes: u64,
}

/// What the worker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerReply {
    /// The worker has loaded its guests and takes requests.
    Ready {
        /// Names of the guests found.
        guests: Vec<String>,
    },
    /// A run has ended.
    Done(Box<WasiReport>),
}

/// How a wasm run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasiReport {
    /// The id of the request.
    pub id: u64,
    /// The end.
    pub end: WasiEnd,
    /// Captured standard output.
    pub stdout: Captured,
    /// Captured standard error.
    pub stderr: Captured,
    /// What the guest reported through `assize.report`.
    pub report: Captured,
    /// For each of the plan's `collect`, the contents, or why there are none.
    pub collected: Vec<Result<Vec<u8>, CollectError>>,
    /// Instructions executed, where they are counted.
    pub fuel: Option<u64>,
    /// CPU time of this run, in nanoseconds.
    pub cpu_ns: u64,
    /// Wall time of this run, in nanoseconds.
    pub wall_ns: u64,
    /// Largest linear memory, in bytes.
    pub memory_peak_bytes: u64,
    /// Whether a request for more memory was refused.
    pub memory_denied: bool,
}

/// The end of a wasm run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WasiEnd {
    /// `proc_exit`, or a return from the entry point (0).
    Exited(i32),
    /// A trap: unreachable, out of bounds, stack overflow … with its name.
    Trapped(String),
    /// CPU time ran out.
    CpuLimit,
    /// Wall time ran out.
    WallLimit,
    /// It wrote more than it may.
    OutputLimit,
    /// It was cancelled.
    Cancelled,
    /// The worker could not run it: our fault, with the reason.
    Fault(String),
}

/// A bounded stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// The first bytes.
    pub data: Vec<u8>,
    /// Bytes written in all, kept or not.
    pub total: u64,
}
