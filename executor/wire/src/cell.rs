//! How a cell is built: sent once, when a jail starts.

use serde::{Deserialize, Serialize};

/// Everything the jail needs to build a cell that then serves many runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellSpec {
    /// Host identities the cell's user namespace maps.
    pub ids: Ids,
    /// Name shown by `uname -n` inside.
    pub hostname: String,
    /// `cgroup.procs` files the jail writes its init's pid into before the
    /// init runs any code of its own, so that every run is born in the group.
    pub cgroup_procs: Vec<String>,
    /// Cgroup directories the jail removes when its cell has ended and the
    /// server is gone, so that a killed server leaves none behind.
    pub cgroup_dirs: Vec<String>,
    /// Host trees shown read-only inside.
    pub binds: Vec<Bind>,
    /// Symbolic links made in the root, as (path, target).
    pub symlinks: Vec<(String, String)>,
    /// Small files written into the root before it becomes read-only.
    pub files: Vec<RootFile>,
    /// Seccomp programs (raw `sock_filter` arrays, 8 bytes an instruction)
    /// installed in the init and inherited by every run at no cost.
    pub filters: Vec<Vec<u8>>,
    /// The allow-list: one more such program, whose refusals the init itself
    /// hears, counts and answers.
    pub allow_list: Vec<u8>,
    /// Layers left out, for controls of escape tests. Empty in production.
    pub without: Vec<Layer>,
}

/// Host user and group ids of one slot, and how they are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ids {
    /// Two ids that own nothing on the host, so that a program can neither
    /// signal, trace nor `prlimit` its own init.
    Pair {
        /// Host uid and gid that the cell's init (uid 0 inside) runs as.
        init: u32,
        /// Host uid and gid that programs (uid 1000 inside) run as.
        program: u32,
        /// Whether `newuidmap` and `newgidmap` write the maps, because the
        /// keeper itself is an ordinary user.
        subordinate: bool,
    },
    /// The keeper's own id, seen as 1000 inside by init and program alike:
    /// all that an ordinary user without subordinate ids has. The init is
    /// then guarded by what it is (pid 1 of its namespace, not dumpable) and
    /// by seccomp, no longer by its uid as well.
    Own,
}

/// Where the ids of a server's slots come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdSource {
    /// Two per slot from `first` up.
    Pairs {
        /// The first host id.
        first: u32,
        /// Whether they are subordinate ids of an ordinary user (subuid(5)).
        subordinate: bool,
    },
    /// The keeper's own.
    Own,
}

impl IdSource {
    /// The ids of one slot.
    #[must_use]
    pub fn of_slot(self, slot: u32) -> Ids {
        match self {
            Self::Pairs { first, subordinate } => {
                let init = first.saturating_add(slot.saturating_mul(2));
                let program = init.saturating_add(1);
                Ids::Pair {
                    init,
                    program,
                    subordinate,
                }
            }
            Self::Own => Ids::Own,
        }
    }
}

/// One read-only bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute path inside the cell.
    pub target: String,
    /// Whether device nodes work (only for `/dev/null` and its kin).
    pub device: bool,
}

/// A file written into the cell's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFile {
    /// Absolute path inside the cell.
    pub path: String,
    /// Contents.
    pub data: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// A protection that a control test may switch off to show that its attack is
/// real. Nothing outside the test suite sets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// Seccomp filters, base and per run.
    Seccomp,
    /// Landlock rules.
    Landlock,
    /// A fresh IPC namespace per run.
    FreshIpc,
    /// Fresh `/work`, `/tmp` and `/dev/shm` per run.
    FreshTmp,
    /// The network namespace.
    Net,
    /// Killing and reaping whatever a run left behind.
    Sweep,
    /// The program's own uid: it shares the init's instead.
    ProgramUid,
    /// Read-only root and binds.
    ReadOnly,
    /// Handing back plain files below /work only, without waiting for any.
    Collect,
    /// Resource limits, and that a crash dumps nothing.
    Rlimits,
    /// Namespaces inside the cell counted down to none.
    NestedNamespaces,
    /// Emptying the bounding set and the program's capability sets.
    Capabilities,
    /// A procfs that shows a program only its own processes.
    Proc,
    /// What the cell's network may remember and queue.
    NetMemory,
    /// Watching bytes that wait in connections nobody has accepted.
    Backlog,
    /// Counting record locks.
    Locks,
}

/// The steps of building a cell and of starting a run, in their order. The
/// same list stands in ARCHITECTURE.md; a tidy test holds the two equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// clone3 with seven namespaces.
    Namespaces,
    /// Joining the slot's cgroups.
    Cgroup,
    /// Mapping ids; becoming uid 0 of the namespace.
    Ids,
    /// tmpfs root, read-only binds, devices, /proc.
    Mounts,
    /// pivot_root and detaching the host's tree.
    Pivot,
    /// Loopback up; nothing else exists.
    Net,
    /// Per-run mounts of /work, /tmp, /dev/shm.
    Scratch,
    /// Fresh IPC namespace for the run.
    Ipc,
    /// Standard streams and passed descriptors; all others closed.
    Descriptors,
    /// Resource limits.
    Rlimits,
    /// Dropping to the program's uid and to no capabilities.
    Capabilities,
    /// No new privileges.
    NoNewPrivs,
    /// Writing the run's files as the program's uid.
    Files,
    /// Landlock.
    Landlock,
    /// Seccomp.
    Seccomp,
    /// execve.
    Exec,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 16] = [
        Self::Namespaces,
        Self::Cgroup,
        Self::Ids,
        Self::Mounts,
        Self::Pivot,
        Self::Net,
        Self::Scratch,
        Self::Ipc,
        Self::Descriptors,
        Self::Rlimits,
        Self::Capabilities,
        Self::NoNewPrivs,
        Self::Files,
        Self::Landlock,
        Self::Seccomp,
        Self::Exec,
    ];
}

/// The item of [`Step::Mounts`] that is the cell's own /proc.
pub const PROC_ITEM: u16 = 1000;

/// A step that failed: a fixed-size fact, no strings, so it can be sent from
/// between fork and exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupFailure {
    /// Which step.
    pub step: Step,
    /// Which of the step's items (the third bind, the second file …).
    pub index: u16,
    /// The kernel's answer.
    pub errno: i32,
}

impl std::fmt::Display for SetupFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, index, errno } = self;
        let reason = std::io::Error::from_raw_os_error(*errno);
        write!(f, "step {step:?} (item {index}) failed: {reason}")
    }
}

impl std::error::Error for SetupFailure {}

/// The jail's answer to a [`CellSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CellReply {
    /// The cell stands.
    Ready {
        /// Landlock ABI in force, 0 when the kernel has none.
        landlock_abi: u8,
        /// Whether refused system calls are counted.
        counting: bool,
    },
    /// The cell could not be built; the jail has ended.
    Failed(SetupFailure),
}
