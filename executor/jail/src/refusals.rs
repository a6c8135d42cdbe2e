//! What seccomp refused: the kernel asks the init, the init says no and counts.
//!
//! A refusal by notification costs the program two switches to the init and
//! back, and only when it asks for what is not on the list; an honest program
//! pays nothing. The init decides on nothing but the call's number, which the
//! program cannot change once it has asked. One call it lets through, a bounded
//! number of times: record locks, which databases need and which no memory
//! cgroup counts.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assize_sys::seccomp::Asked;
use assize_wire::plan::MAX_REFUSED;

/// The allow-list's listener, and what this run was refused.
pub(crate) struct Refusals {
    listener: Option<OwnedFd>,
    counts: BTreeMap<u32, u64>,
    count_locks: bool,
    locks: u32,
}

/// Most record locks that one run may ask for: each costs the kernel about 220
/// bytes that are charged to nobody.
const MOST_LOCKS: u32 = 65_536;

impl Refusals {
    /// Hears with this listener; with none, counts nothing.
    pub(crate) fn new(listener: Option<OwnedFd>, count_locks: bool) -> Self {
        Self {
            listener,
            counts: BTreeMap::new(),
            count_locks,
            locks: 0,
        }
    }

    /// Whether anything is counted.
    pub(crate) fn counting(&self) -> bool {
        self.listener.is_some()
    }

    /// What to poll for.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(AsFd::as_fd)
    }

    /// Answers one waiting call, which there must be. None when the listener
    /// is broken: the cell is then no longer what it should be.
    pub(crate) fn answer(&mut self) -> Option<()> {
        let listener = self.listener.as_ref()?.as_fd();
        let Some(asked) = assize_sys::seccomp::next(listener).ok()? else {
            return Some(());
        };
        if is_lock(asked) {
            if self.locks < MOST_LOCKS || !self.count_locks {
                self.locks += 1;
                return assize_sys::seccomp::allow(listener, asked).ok();
            }
            return assize_sys::seccomp::refuse(listener, asked, nix::libc::ENOLCK).ok();
        }
        if self.counts.len() < MAX_REFUSED || self.counts.contains_key(&asked.number) {
            let count = self.counts.entry(asked.number).or_insert(0);
            *count = count.saturating_add(1);
        }
        assize_sys::seccomp::refuse(listener, asked, nix::libc::ENOSYS).ok()
    }

    /// What was counted since the last time.
    pub(crate) fn take(&mut self) -> Vec<(u32, u64)> {
        self.locks = 0;
        std::mem::take(&mut self.counts).into_iter().collect()
    }
}

/// `fcntl` with one of the commands that take a lock. The kernel reads the
/// command as 32 bits.
fn is_lock(asked: Asked) -> bool {
    use nix::libc::{F_OFD_SETLK, F_OFD_SETLKW, F_SETLK, F_SETLKW, SYS_fcntl};
    let command = i32::try_from(asked.second & 0x7FFF_FFFF).unwrap_or(0);
    let high = asked.second & 0x8000_0000;
    i64::from(asked.number) == SYS_fcntl
        && high == 0
        && [F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW].contains(&command)
}
