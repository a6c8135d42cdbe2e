//! Limits and accounting of one slot, on every kind of host.
//!
//! A slot's init is placed in its group once, at birth, and every run is
//! forked from it, so no run pays for an attach (8–12 ms on a host whose
//! cgroups were idle: an RCU grace period). [`Group::arm`] sets the limits and
//! remembers where the counters stand; [`Group::cpu`] and [`Group::usage`] say
//! what happened since.
//!
//! Two processes share the work. The keeper makes and removes groups
//! ([`Backend`]); it opens their control files and passes the descriptors on,
//! and the server, which has no right to the files by name, arms and reads them
//! ([`Group`], from [`adopt`]).
//!
//! [`detect`] picks the backend: [`v2`] when the unified hierarchy carries the
//! controllers, else [`v1`], which also uses a controller-less unified tree
//! (a *hybrid* host) for its `cgroup.kill`. `cgroups-rs` finds v1's mounts and
//! our place in them. Its setters are not used: `apply` and the builder
//! swallow a rejected memory limit, and each call opens its file anew. Every
//! limit written here is read back.

/// Memory an idle slot may hold above its base before it is told to let go.
const SLACK: u64 = 1 << 20;

/// How long the kernel may take to free what a dead run held: an IPC
/// namespace, with its shared memory, is torn down by a worker thread.
const SETTLING: Duration = Duration::from_millis(500);

/// How long page tables may take: the kernel frees them after a grace period,
/// when every CPU has passed through its scheduler.
const KERNEL_SETTLING: Duration = Duration::from_millis(200);

mod file;
pub mod none;
mod place;
pub mod v1;
pub mod v2;

use std::path::PathBuf;
use std::time::Duration;

pub use file::Controls;
pub use place::sweep_stale;

/// What a group must hold a run to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Memory with swap, in bytes, on top of what the idle slot itself uses.
    pub memory_bytes: u64,
    /// Processes and threads, those that live in the slot not counted.
    pub processes: u64,
    /// Processes that live in the slot: its init, and interpreters that wait.
    pub residents: u64,
}

/// What happened in a group since it was armed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of everything in the group.
    pub cpu: Duration,
    /// Most memory in use at once, in bytes, the idle slot's own not counted.
    pub memory_peak: u64,
    /// Processes the kernel killed because the group was out of memory.
    pub oom_kills: u64,
    /// Most processes at once, init not counted, where the kernel still knows.
    pub processes_peak: Option<u64>,
    /// How often a fork was refused.
    pub forks_refused: u64,
}

/// The kind of hierarchy in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Unified hierarchy with controllers.
    V2,
    /// One hierarchy per controller.
    V1,
    /// Controllers on v1, and an empty unified tree beside them.
    Hybrid,
    /// None that this user may use: accepted only as best effort.
    None,
}

impl Kind {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V1 => "v1",
            Self::Hybrid => "hybrid",
            Self::None => "none",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::V2, Self::V1, Self::Hybrid, Self::None]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A cgroup operation that failed, with the file it failed on.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A file could not be read or written.
    #[error("cgroup file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// The kernel took a value but reads back another.
    #[error("cgroup file {path}: wrote {wrote}, reads {reads}")]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// What was written.
        wrote: u64,
        /// What it says.
        reads: String,
    },
    /// What a run held is still charged long after its end.
    #[error("memory of the last run is still held: {0} bytes")]
    Unsettled(u64),
    /// The host lacks a controller or a file that a limit needs.
    #[error("this host cannot enforce {limit}: {reason}")]
    Unenforceable {
        /// Name of the limit in a request.
        limit: &'static str,
        /// What is missing, and what would help.
        reason: String,
    },
}

/// A group that was just made.
#[derive(Debug)]
pub struct Made {
    /// Files into which the pid of the slot's init is written, once.
    pub procs_files: Vec<PathBuf>,
    /// Directories to remove, with everything below, when the slot is over.
    pub dirs: Vec<PathBuf>,
    /// Its opened control files.
    pub controls: Controls,
}

/// The keeper's side: making groups and taking them away.
pub trait Backend {
    /// The hierarchy in use.
    fn kind(&self) -> Kind;
    /// Makes the group of one slot. Nothing is in it yet.
    fn create(&self, slot: &str) -> Result<Made, CgroupError>;
    /// Moves what is in the slot's group into a fresh one, the
    /// `generation`-th, and removes the old one.
    fn renew(&self, slot: &str, generation: u64) -> Result<Made, CgroupError>;
    /// Kills everything in the group, the init too, where the kernel can.
    fn kill(&self, slot: &str);
    /// Removes the group; everything in it must be dead.
    fn remove(&self, slot: &str);
    /// Removes the server's own parent directories once all groups are gone.
    fn finish(&self);
}

/// What a group needs between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing more: it holds the init alone.
    Clean,
    /// Its high-water mark cannot be reset: [`Backend::renew`].
    Renew,
}

/// The server's side: limits and counters of one slot.
pub trait Group: Send {
    /// Sets the limits of the next run, reads them back, and notes where the
    /// counters stand.
    fn arm(&mut self, ceilings: Ceilings) -> Result<(), CgroupError>;
    /// CPU time since [`Group::arm`].
    fn cpu(&self) -> Result<Duration, CgroupError>;
    /// Everything since [`Group::arm`].
    fn usage(&self) -> Result<Usage, CgroupError>;
    /// Memory in use now, in bytes.
    fn memory(&self) -> Result<u64, CgroupError>;
    /// What lives in the slot holds so many bytes more, or less.
    fn shift(&mut self, bytes: i64);
    /// Called between runs, when the group holds nothing but the init.
    fn rest(&mut self) -> Result<Rest, CgroupError>;
}

/// Finds out what this host offers and prepares a place in it, called `name`.
pub fn detect(name: &str) -> Result<Box<dyn Backend>, CgroupError> {
    if cgroups_rs::fs::hierarchies::is_cgroup2_unified_mode() {
        Ok(Box::new(v2::V2::prepare(name)?))
    } else {
        Ok(Box::new(v1::V1::prepare(name)?))
    }
}

/// Takes over the control files that a keeper has opened.
pub fn adopt(kind: Kind, controls: Controls) -> Result<Box<dyn Group>, CgroupError> {
    let files = file::Received::new(controls);
    Ok(match kind {
        Kind::V2 => Box::new(v2::V2Group::adopt(files)?),
        Kind::V1 | Kind::Hybrid => Box::new(v1::V1Group::adopt(files)?),
        Kind::None => Box::new(none::NoGroup),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs on whatever this host has; needs root, like everything that
    /// places processes in groups.
    #[test]
    fn a_group_enforces_counts_and_goes_away() {
        let slot = "test";
        let backend = detect(&format!("assize-{}", std::process::id())).unwrap();
        let made = backend.create(slot).unwrap();
        assert!(made.dirs.iter().all(|d| d.is_dir()));
        let mut group = adopt(backend.kind(), made.controls).unwrap();
        group
            .arm(Ceilings {
                memory_bytes: 64 << 20,
                processes: 3,
                residents: 1,
            })
            .unwrap();
        let mut child = std::process::Command::new("sh")
            .args([
                "-c",
                "read go; i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done",
            ])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        for file in made.procs_files {
            std::fs::write(file, child.id().to_string()).unwrap();
        }
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        let usage = group.usage().unwrap();
        assert!(usage.cpu > Duration::from_millis(1), "{usage:?}");
        assert_eq!((usage.oom_kills, usage.forks_refused), (0, 0));
        backend.remove(slot);
        backend.finish();
        assert!(made.dirs.iter().all(|d| !d.exists()));
    }
}
