//! From a plan to a running program: a fork of the init, or of an interpreter
//! that waits in the cell.

use std::convert::Infallible;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use assize_confine::failure::{decode, encode};
use assize_confine::program::{self, PARKED, Setting, descriptors, exec};
use assize_confine::rights::Fence;
use assize_confine::step::At;
use assize_sys::fd::above;
use assize_sys::process::{Side, exit_now, fork_unchecked};
use assize_wire::cell::{Layer, SetupFailure, Step};
use assize_wire::frame::{self, FrameError};
use assize_wire::plan::{End, Plan};
use assize_wire::warm::Run;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus, waitpid};

use crate::cell::Cell;

/// A program that was forked, and the pipe on which a failure before it became
/// one would be written.
pub(crate) struct Started {
    /// Its pid inside the cell.
    pub(crate) pid: Pid,
    failure: PipeReader,
}

impl Started {
    /// What the wait status means. Bytes on the pipe mean it never started.
    pub(crate) fn verdict(mut self, status: WaitStatus) -> End {
        let mut bytes = [0; 8];
        // All writers are dead or replaced, so this cannot block.
        if self.failure.read_exact(&mut bytes).is_ok() {
            return End::NotStarted(decode(bytes));
        }
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => End::Exited(code),
            (None, Some(signal)) => End::Signaled(signal),
            // Neither: it did not end in any way we can vouch for.
            (None, None) => End::NotStarted(SetupFailure {
                step: Step::Exec,
                index: u16::MAX,
                errno: nix::libc::ECHILD,
            }),
        }
    }
}

/// A process that has been forked for a run that is still to come: forking is
/// done when nobody waits for it.
pub(crate) struct Parked {
    /// The interpreter it is a fork of; none if it is to execute its program.
    of: Option<u32>,
    pid: Pid,
    /// Where it hears its plan.
    socket: UnixStream,
}

impl Parked {
    /// Whether it heard.
    fn hear(
        &self,
        cell: &Cell,
        plan: &Plan,
        failure: &PipeWriter,
        fds: &[OwnedFd],
    ) -> Result<(), FrameError> {
        let rules = cell.fence.as_ref().map(Fence::rules);
        let run = Run {
            plan: plan.clone(),
            fenced: rules.is_some(),
        };
        let mut given = vec![failure.as_fd()];
        given.extend(rules);
        given.extend(fds.iter().map(AsFd::as_fd));
        frame::send(&self.socket, &run, &given)
    }
}

/// Lets a process that waits become the program.
pub(crate) fn start(
    cell: &mut Cell,
    plan: &Plan,
    fds: &[OwnedFd],
) -> Result<Started, SetupFailure> {
    let unusable = |errno| SetupFailure {
        step: Step::Descriptors,
        index: 0,
        errno,
    };
    if fds.len() != descriptors(plan) {
        return Err(unusable(nix::libc::EBADF));
    }
    let wanted = plan.warm.filter(|id| cell.warm.has(*id));
    let (failure, writer) = std::io::pipe().at(Step::Descriptors)?;
    for of in [wanted, None] {
        cell.park(of)?;
        let Some(parked) = cell.parked.take() else {
            continue;
        };
        if parked.hear(cell, plan, &writer, fds).is_ok() {
            let pid = parked.pid;
            return Ok(Started { pid, failure });
        }
        end(parked.pid);
    }
    Err(unusable(nix::libc::EPIPE))
}

impl Cell {
    /// Has a fork ready, of an interpreter or of the init. There may be one
    /// already; one of something else is no use.
    pub(crate) fn park(&mut self, of: Option<u32>) -> Result<(), SetupFailure> {
        match self.parked.take() {
            Some(parked) if parked.of == of => {
                self.parked = Some(parked);
                return Ok(());
            }
            Some(other) => end(other.pid),
            None => {}
        }
        let (socket, theirs) = UnixStream::pair().at(Step::Descriptors)?;
        let pid = match of {
            Some(id) => self.warm.fork(id, &theirs),
            None => Some(self.fork(&theirs)?),
        };
        self.parked = pid.map(|pid| Parked { of, pid, socket });
        Ok(())
    }

    fn fork(&self, socket: &UnixStream) -> Result<Pid, SetupFailure> {
        // The init is single-threaded by construction; `fork` checked it once.
        match fork_unchecked(0).at(Step::Exec)? {
            Side::Parent(pid) => Ok(Pid::from_raw(pid)),
            Side::Child => {
                wait_and_become(self, socket);
                exit_now(127)
            }
        }
    }
}

/// Returns when there is no program to become.
fn wait_and_become(cell: &Cell, socket: &UnixStream) {
    let ahead = program::ahead(cell.proc.as_fd(), cell.has(Layer::FreshIpc));
    let Ok((Run { plan, fenced }, fds)) = frame::recv::<Run>(socket) else {
        return;
    };
    // Out of the way of the numbers that the program's own get.
    let parked: std::io::Result<Vec<OwnedFd>> =
        fds.iter().map(|fd| above(fd.as_fd(), PARKED)).collect();
    let Ok(mut fds) = parked else { return };
    if fds.is_empty() {
        return;
    }
    let failure = File::from(fds.remove(0));
    let rules = (fenced && !fds.is_empty()).then(|| fds.remove(0));
    let setting = Setting {
        fence: rules.as_ref().map(AsFd::as_fd),
        ..cell.setting()
    };
    let become_program = || -> Result<Infallible, SetupFailure> {
        ahead?;
        setting.confine(&plan, &fds)?;
        exec(&plan.argv, &plan.env)
    };
    let Err(failed) = become_program();
    let _ = (&failure).write_all(&encode(failed));
}

/// Kills and reaps a child.
pub(crate) fn end(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
    let pid = rustix::process::Pid::from_raw(pid.as_raw());
    while matches!(
        waitpid(pid, WaitOptions::empty()),
        Err(rustix::io::Errno::INTR)
    ) {}
}
