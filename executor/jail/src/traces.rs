//! What namespaces that outlive a run would remember of it.
//!
//! A connection that was closed holds its port for a minute after its process
//! is dead, and /proc/self/net counts every packet: the next run in the slot
//! could not bind that port, or could read what was counted. Process ids go
//! on from where the last run left them. Both are put back between runs: the
//! ids always, the network namespace only when something happened in it, for
//! a new one costs half a millisecond.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assize_wire::cell::{SetupFailure, Step};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, open, openat};

use crate::backlog::Backlog;
use crate::cell::Cell;
use crate::confine;
use assize_confine::step::At;

/// Counters that move with everything that crosses a network namespace or is
/// refused by it.
const COUNTERS: [&str; 3] = ["self/net/snmp", "self/net/snmp6", "self/net/dev"];

/// The last process id of the caller's pid namespace, as the host's procfs
/// shows it. None where the kernel has it not, or /proc/sys is read-only.
pub(crate) fn last_pid() -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    open("/proc/sys/kernel/ns_last_pid", flags, Mode::empty()).ok()
}

/// What the network namespace said when it was fresh.
pub(crate) struct Traces {
    /// Open files of that namespace: they show it wherever their reader is.
    counters: Vec<File>,
    fresh: Vec<u8>,
}

impl Traces {
    /// Of a cell that has not run anything yet.
    pub(crate) fn new(cell: &Cell) -> Result<Self, SetupFailure> {
        let counters = open_counters(cell.proc.as_fd()).at(Step::Net)?;
        let fresh = read(&counters).at(Step::Net)?;
        Ok(Self { counters, fresh })
    }

    /// Removes what the last run left; everything of it must be dead.
    pub(crate) fn remove(&mut self, cell: &mut Cell) -> Result<(), SetupFailure> {
        if let Some(last) = &cell.last_pid {
            // At offset 0: the kernel ignores what is written behind it.
            rustix::io::pwrite(last, b"1", 0).at(Step::Namespaces)?;
        }
        let Some(network) = &cell.network else {
            return Ok(());
        };
        if read(&self.counters).at(Step::Net)? == self.fresh {
            return Ok(());
        }
        unshare(CloneFlags::CLONE_NEWNET).at(Step::Net)?;
        confine::forget_connections(network)?;
        assize_sys::net::loopback_up().at(Step::Net)?;
        // The open tables are those of the namespace that is gone.
        cell.backlog = Backlog::open(&cell.proc);
        *self = Self::new(cell)?;
        Ok(())
    }
}

/// One that this kernel lacks (no IPv6) counts nothing.
fn open_counters(proc: BorrowedFd<'_>) -> std::io::Result<Vec<File>> {
    let mut files = Vec::new();
    for name in COUNTERS {
        match openat(proc, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => files.push(file.into()),
            Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(files)
}

/// The counters as text, from the beginning.
fn read(counters: &[File]) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for mut file in counters {
        file.rewind()?;
        file.read_to_end(&mut text)?;
    }
    Ok(text)
}
