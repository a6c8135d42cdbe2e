//! From a plan to a running program: a fork of the init, or of an interpreter
//! that waits in the cell.

use std::convert::Infallible;
use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use assize_confine::failure::{decode, encode};
use assize_confine::program::{PARKED, descriptors, exec};
use assize_confine::step::At;
use assize_sys::fd::above;
use assize_sys::process::{Side, exit_now, fork_unchecked};
use assize_wire::cell::{SetupFailure, Step};
use assize_wire::plan::{End, Plan};
use nix::unistd::Pid;
use rustix::process::WaitStatus;

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

/// Forks and lets the child become the program.
pub(crate) fn start(
    cell: &mut Cell,
    plan: &Plan,
    fds: Vec<OwnedFd>,
) -> Result<Started, SetupFailure> {
    if fds.len() != descriptors(plan) {
        return Err(SetupFailure {
            step: Step::Descriptors,
            index: 0,
            errno: nix::libc::EBADF,
        });
    }
    let (failure, writer) = std::io::pipe().at(Step::Descriptors)?;
    if let Some(id) = plan.warm
        && let Some(pid) = cell.go_on(id, plan, &writer, &fds)
    {
        return Ok(Started { pid, failure });
    }
    // The init is single-threaded by construction; `fork` checked it once.
    match fork_unchecked(0).at(Step::Exec)? {
        Side::Parent(pid) => Ok(Started {
            pid: Pid::from_raw(pid),
            failure,
        }),
        Side::Child => {
            // Out of the way of the numbers that the program's own get.
            let failure = above(writer.as_fd(), PARKED);
            let Err(failed) = become_program(cell, plan, &fds);
            if let Ok(failure) = failure {
                let _ = File::from(failure).write_all(&encode(failed));
            }
            exit_now(127)
        }
    }
}

/// Never returns on success.
fn become_program(cell: &Cell, plan: &Plan, fds: &[OwnedFd]) -> Result<Infallible, SetupFailure> {
    cell.setting().confine(plan, fds)?;
    exec(&plan.argv, &plan.env)
}
