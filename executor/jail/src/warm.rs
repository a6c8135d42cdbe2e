//! Interpreters that wait in the cell: started between runs, by nobody's
//! program, and copied for each run that goes on from them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use assize_confine::program::{PARKED, exec};
use assize_confine::step::At;
use assize_sys::fd::{above, cloexec_from, place};
use assize_sys::process::{Side, exit_now, fork_unchecked};
use assize_wire::cell::{SetupFailure, Step};
use assize_wire::frame;
use assize_wire::warm::{CONTROL_FD, PROC_FD, WarmOrder, WarmReply, WarmSpec};
use nix::unistd::{Pid, chdir, setsid};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cell::Cell;
use crate::run::end;

/// How long an interpreter may take to start, with what it is to load before
/// it waits. The executor waits a little longer.
const STARTING: Duration = Duration::from_secs(20);

/// How long it may take to fork.
const FORKING: Duration = Duration::from_secs(5);

/// The interpreters of a cell, by what the executor calls them.
#[derive(Debug, Default)]
pub(crate) struct Nursery(BTreeMap<u32, Waiting>);

#[derive(Debug)]
struct Waiting {
    pid: Pid,
    control: UnixStream,
}

impl Nursery {
    /// The names of all.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.0.keys().copied().collect()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is this one.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.0.contains_key(&id)
    }

    /// Has one fork; the new process hears its plan on this socket. None when
    /// it cannot: it was killed together with an earlier program.
    pub(crate) fn fork(&mut self, id: u32, socket: &UnixStream) -> Option<Pid> {
        let waiting = self.0.get(&id)?;
        if let Some(WarmReply::Forked(pid)) =
            waiting.ask(&WarmOrder::Fork, &[socket.as_fd()], FORKING)
        {
            return Some(Pid::from_raw(pid));
        }
        self.end(id);
        None
    }

    /// Whether these processes are among them.
    pub(crate) fn holds(&self, pids: impl Iterator<Item = i32>) -> bool {
        let ours: Vec<i32> = self.0.values().map(|w| w.pid.as_raw()).collect();
        pids.into_iter().all(|pid| ours.contains(&pid))
    }

    /// Forgets the one that this process was, which has ended by itself and was
    /// reaped: its number may soon be a program's. Says whether it was one.
    pub(crate) fn has_lost(&mut self, pid: i32) -> bool {
        let before = self.0.len();
        self.0.retain(|_, waiting| waiting.pid.as_raw() != pid);
        self.0.len() < before
    }

    /// Forgets all, which were killed, when they have ended.
    pub(crate) fn bury(&mut self) {
        for waiting in std::mem::take(&mut self.0).into_values() {
            end(waiting.pid);
        }
    }

    /// Ends one.
    fn end(&mut self, id: u32) {
        if let Some(waiting) = self.0.remove(&id) {
            end(waiting.pid);
        }
    }
}

impl Waiting {
    fn ask(
        &self,
        order: &WarmOrder,
        fds: &[BorrowedFd<'_>],
        within: Duration,
    ) -> Option<WarmReply> {
        self.control.set_read_timeout(Some(within)).ok()?;
        frame::send(&self.control, order, fds).ok()?;
        Some(frame::recv(&self.control).ok()?.0)
    }
}

impl Cell {
    /// Has an interpreter started and waits until it waits. Says whether it
    /// does. No program may be alive.
    pub(crate) fn warm_up(&mut self, spec: &WarmSpec) -> bool {
        if let Some(id) = spec.instead_of {
            self.warm.end(id);
        }
        if !self.may_keep_warm() {
            return false;
        }
        let waits = self.start_and_wait(spec);
        // What stood for the program's file, and what it may have left itself.
        self.renew().is_ok() && waits
    }

    fn start_and_wait(&mut self, spec: &WarmSpec) -> bool {
        if self.make_room().is_err() {
            return false;
        }
        if let Some(name) = &spec.program
            && std::fs::write(std::path::Path::new("/work").join(name), "").is_err()
        {
            return false;
        }
        let Ok(waiting) = self.start_waiting(spec) else {
            return false;
        };
        let order = WarmOrder::Prepare {
            before: spec.before.clone(),
            program: spec.program.clone(),
        };
        match waiting.ask(&order, &[], STARTING) {
            Some(WarmReply::Waits) => {
                self.warm.0.insert(spec.id, waiting);
                true
            }
            Some(WarmReply::Refuses | WarmReply::Forked(_) | WarmReply::Failed(_)) | None => {
                end(waiting.pid);
                false
            }
        }
    }

    fn start_waiting(&self, spec: &WarmSpec) -> Result<Waiting, SetupFailure> {
        let (control, theirs) = UnixStream::pair().at(Step::Descriptors)?;
        match fork_unchecked(0).at(Step::Exec)? {
            Side::Parent(pid) => Ok(Waiting {
                pid: Pid::from_raw(pid),
                control,
            }),
            Side::Child => {
                let _ = become_interpreter(spec, theirs.as_fd(), self.proc.as_fd());
                exit_now(127)
            }
        }
    }
}

/// As uid 0 of the cell, with an empty input, outputs of the kind that programs
/// get, and nothing else of ours. Never returns on success.
fn become_interpreter(
    spec: &WarmSpec,
    control: BorrowedFd<'_>,
    proc: BorrowedFd<'_>,
) -> Result<std::convert::Infallible, SetupFailure> {
    setsid().at(Step::Ipc)?;
    let input = memfd_create("assize", MemfdFlags::CLOEXEC).at(Step::Descriptors)?;
    let (_unread, output) = io::pipe().at(Step::Descriptors)?;
    let placed = [
        (input.as_fd(), 0),
        (output.as_fd(), 1),
        (output.as_fd(), 2),
        (control, CONTROL_FD),
        (proc, PROC_FD),
    ];
    let parked = placed.map(|(fd, target)| (above(fd, PARKED), target));
    cloexec_from(3).at(Step::Descriptors)?;
    for (fd, target) in parked {
        let fd = fd.at(Step::Descriptors)?;
        place(fd.as_fd(), target).at(Step::Descriptors)?;
    }
    // The kernel lays out memory by it, and the C library its threads' stacks.
    let stack = Rlimit {
        current: Some(spec.stack),
        ..getrlimit(Resource::Stack)
    };
    setrlimit(Resource::Stack, stack).at(Step::Rlimits)?;
    chdir("/work").at(Step::Files)?;
    let mut env = spec.env.clone();
    env.push(format!("LD_PRELOAD={}", spec.library).into_bytes());
    exec(&spec.argv, &env)
}
