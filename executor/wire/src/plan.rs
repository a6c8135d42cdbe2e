//! One run in a native cell, and what the jail says of it.

use serde::{Deserialize, Serialize};

use crate::cell::SetupFailure;
use crate::warm::WarmSpec;

/// One program, one input. Descriptors on the frame, in this order: the pack
/// (when `files` is not empty), stdin, stdout, stderr, then one for each of
/// `extra_fds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Program and arguments; `argv[0]` is an absolute path inside the cell.
    pub argv: Vec<Vec<u8>>,
    /// Environment as `NAME=value`; nothing else is inherited.
    pub env: Vec<Vec<u8>>,
    /// Files to lay out under `/work` before the program starts.
    pub files: Vec<PackEntry>,
    /// Numbers the extra descriptors get inside, ascending, each above 2.
    pub extra_fds: Vec<i32>,
    /// Size of the tmpfs behind /work, /tmp and /dev/shm together, in bytes.
    pub disk_bytes: u64,
    /// Inodes of that tmpfs.
    pub inodes: u64,
    /// Resource limits, as (resource number, soft = hard value).
    pub rlimits: Vec<(u32, u64)>,
    /// Files under `/work` to hand back when the run has ended.
    pub collect: Vec<Collect>,
    /// Seccomp program of this run on top of the cell's (empty: none).
    pub filter: Vec<u8>,
    /// Whether the program may open network sockets, and is watched for what
    /// they hold uncounted.
    pub sockets: bool,
    /// Trees the program may read and execute (Landlock).
    pub read_only: Vec<String>,
    /// Trees the program may also write (Landlock).
    pub read_write: Vec<String>,
    /// The warm interpreter it goes on from. Where there is none of this name
    /// any more, it is started like any other.
    pub warm: Option<u32>,
}

/// A file inside a pack: one sealed memfd that holds all of a run's files end
/// to end, shared by every run of a case without copying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackEntry {
    /// Path relative to `/work`: plain components only, checked by the maker
    /// and again by the jail.
    pub path: String,
    /// Permission bits (`0o644`, `0o755`).
    pub mode: u32,
    /// Offset in the pack, in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

/// A file to hand back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    /// Path relative to `/work`.
    pub path: String,
    /// Largest size taken, in bytes.
    pub max_bytes: u64,
}

/// What the executor may say while a run is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Start this run.
    Run(Box<Plan>),
    /// End the current run now: a limit was reached or nobody waits for it.
    Kill,
    /// Between runs: have this interpreter started and wait.
    Warm(Box<WarmSpec>),
}

/// What the jail says, in this order, once per run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JailEvent {
    /// The program has ended, and so has everything it started. One
    /// descriptor per collected file that was found is attached.
    Done(RunReport),
    /// The slot is clean again and takes the next run.
    Idle,
    /// Whether the interpreter waits.
    Warm(bool),
}

/// How a run ended, as its init saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The main program's end.
    pub end: End,
    /// For each of `Plan::collect`, the size, or why there is no file.
    pub collected: Vec<Result<u64, CollectError>>,
    /// Processes that were still alive when the main program ended.
    pub leftovers: u32,
    /// System calls that the allow-list refused, as (number, times), at most
    /// [`MAX_REFUSED`] of them.
    pub refused: Vec<(u32, u64)>,
    /// Whether it was ended for bytes that wait in connections nobody has
    /// accepted, which no memory cgroup counts.
    pub backlog: bool,
    /// CPU time of the run's processes that were reaped, in microseconds.
    pub cpu_us: u64,
    /// The warm interpreters that are left.
    pub warm: Vec<u32>,
}

/// Most different refused calls that are told apart.
pub const MAX_REFUSED: usize = 64;

/// The main program's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It called `exit` with this status.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// It never started: a step between fork and exec failed.
    NotStarted(SetupFailure),
}

/// Why a file could not be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CollectError {
    /// There is no such file.
    Missing,
    /// It is a link, a directory, a pipe, a device, or behind one.
    Irregular,
    /// It is longer than `Collect::max_bytes`.
    TooLarge,
}
