//! From a plan to a running program: a fork of the init that gives up its
//! rights one by one and then is replaced.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assize_sys::fd::{above, cloexec_from, place};
use assize_sys::process::{Side, exit_now, fork_unchecked};
use assize_wire::cell::{Layer, SetupFailure, Step};
use assize_wire::plan::{End, PackEntry, Plan};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::unistd::{Gid, Pid, Uid, chdir, execve, setgroups, setresgid, setresuid, setsid};
use rustix::fs::{Mode, OFlags, mkdirat, open, openat, sendfile};
use rustix::process::{Resource, Rlimit, WaitStatus, setrlimit};

use crate::cell::{Cell, PROGRAM_ID};
use crate::confine;
use crate::step::At;

/// Descriptors we hold while placing others sit above any target number.
const PARKED: i32 = 64;

/// A program that was forked, and the pipe on which a failure before its
/// `execve` would be written.
pub(crate) struct Started {
    /// Its pid inside the cell.
    pub(crate) pid: Pid,
    failure: std::io::PipeReader,
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
pub(crate) fn start(cell: &Cell, plan: &Plan, fds: Vec<OwnedFd>) -> Result<Started, SetupFailure> {
    let expected = usize::from(!plan.files.is_empty()) + 3 + plan.extra_fds.len();
    if fds.len() != expected {
        return Err(SetupFailure {
            step: Step::Descriptors,
            index: 0,
            errno: nix::libc::EBADF,
        });
    }
    let (reader, writer) = std::io::pipe().at(Step::Descriptors)?;
    // The init is single-threaded by construction; `fork` checked it once.
    match fork_unchecked(0).at(Step::Exec)? {
        Side::Parent(pid) => Ok(Started {
            pid: Pid::from_raw(pid),
            failure: reader,
        }),
        Side::Child => {
            let writer = above(writer.as_fd(), PARKED);
            let Err(failed) = become_program(cell, plan, &fds);
            if let Ok(writer) = writer {
                let _ = File::from(writer).write_all(&encode(failed));
            }
            exit_now(127)
        }
    }
}

/// The order in which a run gives up its rights. Never returns on success.
fn become_program(
    cell: &Cell,
    plan: &Plan,
    fds: &[OwnedFd],
) -> Result<std::convert::Infallible, SetupFailure> {
    setsid().at(Step::Ipc)?;
    if cell.has(Layer::FreshIpc) {
        unshare(CloneFlags::CLONE_NEWIPC).at(Step::Ipc)?;
    }
    // Between runs the init may have moved to a fresh group; where it is now
    // is what the program sees as the root.
    unshare(CloneFlags::CLONE_NEWCGROUP).at(Step::Namespaces)?;
    be_first_for_the_oom_killer(cell)?;
    let (pack, streams) = fds.split_at(usize::from(!plan.files.is_empty()));
    place_descriptors(plan, streams)?;
    if cell.has(Layer::Rlimits) {
        set_rlimits(plan)?;
    }
    if cell.has(Layer::ProgramUid) {
        if cell.two_ids {
            drop_ids()?;
        }
        confine::drop_capabilities()?;
    }
    confine::no_new_privs()?;
    chdir("/work").at(Step::Files)?;
    if let [pack] = pack {
        write_files(&plan.files, pack)?;
    }
    if let Some(fence) = &cell.fence {
        fence.close()?;
    }
    reset_signals()?;
    if !plan.filter.is_empty() && cell.has(Layer::Seccomp) {
        assize_sys::seccomp::install(&plan.filter).at(Step::Seccomp)?;
    }
    let argv = c_strings(&plan.argv)?;
    let env = c_strings(&plan.env)?;
    let program = argv.first().ok_or(SetupFailure {
        step: Step::Exec,
        index: 0,
        errno: nix::libc::ENOENT,
    })?;
    execve(program, &argv, &env).at(Step::Exec)
}

/// Under memory pressure the kernel picks the program before its init.
/// Raising one's own score needs no privilege, and the visible /proc is
/// read-only, so the program cannot lower it again.
fn be_first_for_the_oom_killer(cell: &Cell) -> Result<(), SetupFailure> {
    // The init is not dumpable, which makes its /proc files root's; this fork
    // is still alone in the cell and needs to write one of its own.
    nix::sys::prctl::set_dumpable(true).at(Step::Rlimits)?;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(&cell.proc, "self/oom_score_adj", flags, Mode::empty()).at(Step::Rlimits)?;
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

/// Lays the files out as the program's own uid: whatever a name tries, it has
/// no more rights than the program itself.
fn write_files(files: &[PackEntry], pack: &OwnedFd) -> Result<(), SetupFailure> {
    let work = open(
        ".",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Step::Files)?;
    let pack = File::from(above(pack.as_fd(), PARKED).at(Step::Files)?);
    for (index, entry) in files.iter().enumerate() {
        write_file(&work, entry, &pack).at_item(Step::Files, index)?;
    }
    Ok(())
}

fn write_file(work: &OwnedFd, entry: &PackEntry, pack: &File) -> std::io::Result<()> {
    let parts: Vec<&str> = entry.path.split('/').collect();
    let plain = |p: &&str| !p.is_empty() && *p != "." && *p != ".." && !p.contains('\0');
    let (Some((name, dirs)), true) = (parts.split_last(), parts.iter().all(plain)) else {
        return Err(std::io::Error::from_raw_os_error(nix::libc::EINVAL));
    };
    let mut parent: Option<OwnedFd> = None;
    for dir in dirs {
        let base: BorrowedFd<'_> = parent.as_ref().map_or(work.as_fd(), AsFd::as_fd);
        match mkdirat(base, *dir, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        parent = Some(openat(base, *dir, flags, Mode::empty())?);
    }
    let base: BorrowedFd<'_> = parent.as_ref().map_or(work.as_fd(), AsFd::as_fd);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(openat(
        base,
        *name,
        flags,
        Mode::from_raw_mode(entry.mode & 0o777),
    )?);
    let end = entry.offset.saturating_add(entry.len);
    let mut offset = entry.offset;
    // In the kernel, from memory to memory: half the work of reading and
    // writing, and it sees at once how large the file's folios may be.
    while offset < end {
        let want = usize::try_from(end - offset).unwrap_or(usize::MAX);
        if sendfile(&file, pack, Some(&mut offset), want)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    // The umask of the init is not the program's business.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode & 0o777))?;
    Ok(())
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

/// Eight bytes: step, zero, index, errno. Small enough to be written whole.
fn encode(failed: SetupFailure) -> [u8; 8] {
    let position = Step::ALL
        .iter()
        .position(|s| *s == failed.step)
        .unwrap_or(0);
    let [i0, i1] = failed.index.to_le_bytes();
    let [e0, e1, e2, e3] = failed.errno.to_le_bytes();
    [
        u8::try_from(position).unwrap_or(0),
        0,
        i0,
        i1,
        e0,
        e1,
        e2,
        e3,
    ]
}

fn decode([step, _, i0, i1, e0, e1, e2, e3]: [u8; 8]) -> SetupFailure {
    SetupFailure {
        step: Step::ALL
            .get(usize::from(step))
            .copied()
            .unwrap_or(Step::Exec),
        index: u16::from_le_bytes([i0, i1]),
        errno: i32::from_le_bytes([e0, e1, e2, e3]),
    }
}
