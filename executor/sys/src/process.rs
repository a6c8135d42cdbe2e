//! Making and ending processes where `std` and the crates stop.

use std::io;

use crate::check;

/// The namespaces a cell is born into. The cgroup namespace is not among them:
/// it must be unshared after the process sits in its cgroup, or it would show
/// the path above.
pub const CELL_NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The new process.
    Child,
    /// The caller, with the child's pid as the caller's namespace sees it.
    Parent(i32),
}

/// Forks, giving the child new namespaces (`CLONE_NEW*` flags; 0 for none).
///
/// Fails with `EBUSY` when the process has more than one thread: a child of a
/// threaded process may not allocate, and every caller here does.
pub fn fork(namespaces: libc::c_int) -> io::Result<Side> {
    if thread_count()? != 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    fork_unchecked(namespaces)
}

/// As [`fork`], without counting threads: for loops that fork thousands of
/// times and were checked once with [`thread_count`].
///
/// Without namespaces this is `clone`, not `clone3`: a seccomp filter cannot
/// look behind clone3's pointer, so cells forbid it, and their inits too.
pub fn fork_unchecked(namespaces: libc::c_int) -> io::Result<Side> {
    if namespaces == 0 {
        // SAFETY: see below; a null stack, no CLONE_VM: this is fork(2).
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        return Ok(side(check(pid)?));
    }
    // SAFETY: an all-zero clone_args is a valid value of that plain C struct.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM and with a zero stack this is fork(2): the
    // child gets a copy of this address space. The process is single-threaded
    // (documented duty of callers, checked by `fork`), so no lock of the
    // allocator or of std can be held by a thread that does not exist in the
    // child. `args` lives across the call and its true size is passed.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            size_of::<libc::clone_args>(),
        )
    };
    Ok(side(check(pid)?))
}

/// Forks a sibling: a child of the caller's parent, to which its end is
/// reported. The caller has one thread and is no init of a pid namespace.
///
/// The C library keeps a thread's id where the kernel was told to clear it, and
/// `raise` and `abort` trust it, so the kernel writes the new one there, as it
/// does for the library's own fork.
pub fn fork_sibling() -> io::Result<Side> {
    const GET_TID_ADDRESS: libc::c_int = 40;
    let mut noted: *mut libc::c_int = std::ptr::null_mut();
    // SAFETY: PR_GET_TID_ADDRESS writes one pointer to where we say.
    let asked = unsafe { libc::prctl(GET_TID_ADDRESS, &raw mut noted) };
    check(libc::c_long::from(asked))?;
    let flags =
        libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    // SAFETY: a null stack, no CLONE_VM: this is fork(2), see `fork_unchecked`.
    // The kernel writes the id into the new process's own copy of the memory,
    // where the C library had told it to clear the old one.
    let pid = unsafe { clone(flags, noted) };
    Ok(side(check(pid)?))
}

/// `clone(2)` without a stack of its own, whose last arguments change places
/// with the architecture.
///
/// # Safety
/// As for clone(2).
unsafe fn clone(flags: libc::c_int, child_tid: *mut libc::c_int) -> libc::c_long {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: by the caller's duty: flags, stack, parent tid, child tid, tls.
    unsafe {
        libc::syscall(libc::SYS_clone, flags, 0, 0, child_tid, 0)
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: by the caller's duty: flags, stack, parent tid, tls, child tid.
    unsafe {
        libc::syscall(libc::SYS_clone, flags, 0, 0, 0, child_tid)
    }
}

fn side(pid: libc::c_long) -> Side {
    // A pid fits in 22 bits on Linux.
    if pid == 0 {
        Side::Child
    } else {
        Side::Parent(pid as i32)
    }
}

/// Threads of the calling process.
pub fn thread_count() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Gives a signal its default disposition again, for a program about to be
/// exec'ed: an ignored signal would stay ignored in it.
pub fn default_signal(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_DFL installs no code of ours; the old disposition is not
    // kept by anyone in a process that is about to be replaced.
    if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Ends the process at once: no destructors, no `atexit`, no flushing of
/// buffers that a fork copied from its parent.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// Ends the process as the C library does, which writes out what its streams
/// still hold; at once where other threads run, which could not be stopped from
/// using what is taken down.
pub fn end_with(status: i32) -> ! {
    if thread_count().is_ok_and(|threads| threads == 1) {
        end_as_main_does(status)
    }
    // SAFETY: a null stream is all of them, each under its lock.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    exit_now(status)
}

/// Ends the process as a return from `main` does.
pub fn end_as_main_does(status: i32) -> ! {
    // SAFETY: handlers are the C library's and those that libraries of the
    // program have registered; what threads are left was never to be stopped.
    unsafe { libc::exit(status) }
}

/// Ends the process by this signal.
pub fn end_by(signal: i32) -> ! {
    let _ = default_signal(signal);
    // SAFETY: a signal to ourselves.
    unsafe { libc::raise(signal) };
    // It is blocked.
    exit_now(128 + signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threaded_process_may_not_fork() {
        // The test harness itself has several threads.
        let error = fork(0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
    }

    #[test]
    fn a_forked_child_reports_its_status() {
        // The child only calls _exit, which is sound even in this threaded
        // test process.
        match fork_unchecked(0).unwrap() {
            Side::Child => exit_now(42),
            Side::Parent(pid) => {
                let pid = rustix::process::Pid::from_raw(pid);
                let (_, status) =
                    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty())
                        .unwrap()
                        .unwrap();
                assert_eq!(status.exit_status(), Some(42));
            }
        }
    }
}
