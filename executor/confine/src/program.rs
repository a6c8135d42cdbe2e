//! From a plan to a program: a process of the init's gives up its rights one by
//! one.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assize_sys::fd::{above, cloexec_from, place};
use assize_wire::cell::{SetupFailure, Step};
use assize_wire::plan::Plan;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::unistd::{Gid, Uid, chdir, execve, setgroups, setresgid, setresuid, setsid};
use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::files::write_files;
use crate::rights;
use crate::step::At;

/// Uid and gid of programs inside the cell.
pub const PROGRAM_ID: u32 = 1000;

/// Descriptors we hold while placing others sit above any target number.
pub const PARKED: i32 = 64;

/// What is the same for all runs of a cell.
#[derive(Debug)]
pub struct Setting<'a> {
    /// Landlock's rules; none where the kernel has no Landlock.
    pub fence: Option<BorrowedFd<'a>>,
    /// Whether programs have another uid than their init.
    pub two_ids: bool,
    /// Whether the plan's rlimits are set.
    pub rlimits: bool,
    /// Whether programs lose the init's uid and capabilities.
    pub program_uid: bool,
    /// Whether the plan's filter is installed.
    pub seccomp: bool,
}

/// What a process does before it knows its plan: a session and an IPC namespace
/// of its own, and the first place on the kernel's list when memory runs out.
/// `proc` is a procfs that can be written to.
pub fn ahead(proc: BorrowedFd<'_>, fresh_ipc: bool) -> Result<(), SetupFailure> {
    setsid().at(Step::Ipc)?;
    if fresh_ipc {
        unshare(CloneFlags::CLONE_NEWIPC).at(Step::Ipc)?;
    }
    be_first_for_the_oom_killer(proc)
}

impl Setting<'_> {
    /// Gives up the calling process's rights, in this order, after [`ahead`].
    /// After an error it must end. `fds` are the plan's: the pack if there are files, three
    /// streams, then the extra ones.
    pub fn confine(&self, plan: &Plan, fds: &[OwnedFd]) -> Result<(), SetupFailure> {
        // Between runs the init may have moved to a fresh group; where it is
        // now is what the program sees as the root.
        unshare(CloneFlags::CLONE_NEWCGROUP).at(Step::Namespaces)?;
        let (pack, streams) = fds.split_at(usize::from(!plan.files.is_empty()));
        place_descriptors(plan, streams)?;
        if self.rlimits {
            set_rlimits(plan)?;
        }
        if self.program_uid {
            if self.two_ids {
                drop_ids()?;
            }
            rights::drop_capabilities()?;
        }
        rights::no_new_privs()?;
        chdir("/work").at(Step::Files)?;
        if let [pack] = pack {
            write_files(&plan.files, pack)?;
        }
        if let Some(rules) = self.fence {
            assize_sys::landlock::restrict_self(rules).at(Step::Landlock)?;
        }
        if !plan.filter.is_empty() && self.seccomp {
            assize_sys::seccomp::install(&plan.filter).at(Step::Seccomp)?;
        }
        Ok(())
    }
}

/// Becomes the program that `argv` names, with this environment and nothing
/// else.
pub fn exec(argv: &[Vec<u8>], env: &[Vec<u8>]) -> Result<Infallible, SetupFailure> {
    reset_signals()?;
    let argv = c_strings(argv)?;
    let env = c_strings(env)?;
    let program = argv.first().ok_or(SetupFailure {
        step: Step::Exec,
        index: 0,
        errno: nix::libc::ENOENT,
    })?;
    execve(program, &argv, &env).at(Step::Exec)
}

/// How many descriptors come with a plan.
#[must_use]
pub fn descriptors(plan: &Plan) -> usize {
    usize::from(!plan.files.is_empty()) + 3 + plan.extra_fds.len()
}

/// Under memory pressure the kernel picks the program before its init.
/// Raising one's own score needs no privilege, and the visible /proc is
/// read-only, so the program cannot lower it again.
fn be_first_for_the_oom_killer(proc: BorrowedFd<'_>) -> Result<(), SetupFailure> {
    // The init is not dumpable, which makes its /proc files root's; this fork
    // is still alone in the cell and needs to write one of its own.
    nix::sys::prctl::set_dumpable(true).at(Step::Rlimits)?;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(proc, "self/oom_score_adj", flags, Mode::empty()).at(Step::Rlimits)?;
    File::from(file).write_all(b"1000").at(Step::Rlimits)
}

/// stdin, stdout, stderr and the extra descriptors at their numbers; every
/// other descriptor of the init closes on exec.
fn place_descriptors(plan: &Plan, streams: &[OwnedFd]) -> Result<(), SetupFailure> {
    let targets = [0, 1, 2].into_iter().chain(plan.extra_fds.iter().copied());
    let parked: Result<Vec<OwnedFd>, SetupFailure> = streams
        .iter()
        .map(|fd| above(fd.as_fd(), PARKED).at(Step::Descriptors))
        .collect();
    let parked = parked?;
    cloexec_from(3).at(Step::Descriptors)?;
    for (index, (fd, target)) in parked.iter().zip(targets).enumerate() {
        if !(0..PARKED).contains(&target) {
            let errno = nix::libc::EBADF;
            return Err(SetupFailure {
                step: Step::Descriptors,
                index: 0,
                errno,
            });
        }
        place(fd.as_fd(), target).at_item(Step::Descriptors, index)?;
    }
    // Dropping them closes only the parked copies.
    Ok(())
}

fn set_rlimits(plan: &Plan) -> Result<(), SetupFailure> {
    const KNOWN: [(u32, Resource); 11] = [
        (nix::libc::RLIMIT_CPU, Resource::Cpu),
        (nix::libc::RLIMIT_DATA, Resource::Data),
        (nix::libc::RLIMIT_FSIZE, Resource::Fsize),
        (nix::libc::RLIMIT_NPROC, Resource::Nproc),
        (nix::libc::RLIMIT_STACK, Resource::Stack),
        (nix::libc::RLIMIT_NOFILE, Resource::Nofile),
        (nix::libc::RLIMIT_MEMLOCK, Resource::Memlock),
        (nix::libc::RLIMIT_SIGPENDING, Resource::Sigpending),
        (nix::libc::RLIMIT_MSGQUEUE, Resource::Msgqueue),
        (nix::libc::RLIMIT_NICE, Resource::Nice),
        (nix::libc::RLIMIT_RTPRIO, Resource::Rtprio),
    ];
    for (index, (number, value)) in plan.rlimits.iter().enumerate() {
        let resource = KNOWN.iter().find(|(n, _)| n == number).map(|(_, r)| *r);
        let resource = resource.ok_or(SetupFailure {
            step: Step::Rlimits,
            index: u16::try_from(index).unwrap_or(u16::MAX),
            errno: nix::libc::EINVAL,
        })?;
        let limit = Rlimit {
            current: Some(*value),
            maximum: Some(*value),
        };
        setrlimit(resource, limit).at_item(Step::Rlimits, index)?;
    }
    Ok(())
}

fn drop_ids() -> Result<(), SetupFailure> {
    let (uid, gid) = (Uid::from_raw(PROGRAM_ID), Gid::from_raw(PROGRAM_ID));
    setgroups(&[]).at(Step::Capabilities)?;
    setresgid(gid, gid, gid).at(Step::Capabilities)?;
    setresuid(uid, uid, uid).at(Step::Capabilities)
}

/// The init blocks SIGCHLD; std ignores SIGPIPE. A program expects neither.
fn reset_signals() -> Result<(), SetupFailure> {
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).at(Step::Exec)?;
    assize_sys::process::default_signal(Signal::SIGPIPE as i32).at(Step::Exec)?;
    Ok(())
}

fn c_strings(items: &[Vec<u8>]) -> Result<Vec<CString>, SetupFailure> {
    let make = |(index, item): (usize, &Vec<u8>)| {
        CString::new(item.as_slice())
            .map_err(|_| std::io::Error::from_raw_os_error(nix::libc::EINVAL))
            .at_item(Step::Exec, index)
    };
    items.iter().enumerate().map(make).collect()
}
