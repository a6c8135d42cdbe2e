//! What seccomp refused: the kernel asks the init, the init says no and counts.
//!
//! A refusal by notification costs the program two switches to the init and
//! back, and only when it asks for what is not on the list; an honest program
//! pays nothing. The init decides on nothing but the call's number, which the
//! program cannot change once it has asked, and never lets a call through.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assize_wire::plan::MAX_REFUSED;

/// The allow-list's listener, and what this run was refused.
pub(crate) struct Refusals {
    listener: Option<OwnedFd>,
    counts: BTreeMap<u32, u64>,
}

impl Refusals {
    /// Hears with this listener; with none, counts nothing.
    pub(crate) fn new(listener: Option<OwnedFd>) -> Self {
        Self {
            listener,
            counts: BTreeMap::new(),
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
        if self.counts.len() < MAX_REFUSED || self.counts.contains_key(&asked.number) {
            let count = self.counts.entry(asked.number).or_insert(0);
            *count = count.saturating_add(1);
        }
        assize_sys::seccomp::refuse(listener, asked, nix::libc::ENOSYS).ok()
    }

    /// What was counted since the last time.
    pub(crate) fn take(&mut self) -> Vec<(u32, u64)> {
        std::mem::take(&mut self.counts).into_iter().collect()
    }
}
