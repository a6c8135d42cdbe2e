//! Installing a compiled seccomp program.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// Bytes of one BPF instruction (`struct sock_filter`).
pub const INSTRUCTION: usize = 8;

/// `ret SECCOMP_RET_USER_NOTIF` and `ret SECCOMP_RET_ERRNO | ENOSYS`.
const NOTIFY: [u8; INSTRUCTION] = [0x06, 0, 0, 0, 0, 0, 0xc0, 0x7f];
const NO_SUCH_CALL: [u8; INSTRUCTION] = [0x06, 0, 0, 0, 38, 0, 0x05, 0];

/// Installs `program`, a raw array of `sock_filter`, on the calling thread and
/// everything it will start. No-new-privileges must be set already.
///
/// The kernel verifies the program; a bad one is refused with `EINVAL`.
pub fn install(program: &[u8]) -> io::Result<()> {
    set_filter(program, 0).map(drop)
}

/// As [`install`], for a program that notifies: gives the descriptor on which
/// [`next`] reads what it was asked. None where an outer sandbox already
/// listens: the kernel allows one listener in a chain of filters, and then
/// the same calls are refused with ENOSYS and not counted.
pub fn install_listening(program: &[u8]) -> io::Result<Option<OwnedFd>> {
    match set_filter(program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER) {
        Ok(number) => {
            let number = i32::try_from(number).map_err(io::Error::other)?;
            // SAFETY: the kernel has just made this descriptor for us; nobody
            // else knows its number.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
        }
        Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
            let (instructions, _) = program.as_chunks::<INSTRUCTION>();
            let mute = |i: &[u8; INSTRUCTION]| if *i == NOTIFY { NO_SUCH_CALL } else { *i };
            let silent: Vec<[u8; INSTRUCTION]> = instructions.iter().map(mute).collect();
            install(&silent.concat())?;
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn set_filter(program: &[u8], flags: libc::c_ulong) -> io::Result<libc::c_long> {
    let (instructions, rest) = program.as_chunks::<INSTRUCTION>();
    let length = u16::try_from(instructions.len()).unwrap_or(0);
    if !rest.is_empty() || length == 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let filter: Vec<libc::sock_filter> = instructions
        .iter()
        .map(|&[a, b, jt, jf, k0, k1, k2, k3]| libc::sock_filter {
            code: u16::from_ne_bytes([a, b]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        })
        .collect();
    let program = libc::sock_fprog {
        len: length,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: `program` points at `length` initialised instructions that live
    // across the call; the kernel copies them and writes nothing back.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    check(done)
}

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    id: u64,
    /// Number of the call, on this architecture.
    pub number: u32,
    /// Its second argument, a number and not a pointer where we look at it.
    pub second: u64,
}

/// The next waiting call. Blocks when there is none, so poll first. None when
/// the caller has died since.
pub fn next(listener: BorrowedFd<'_>) -> io::Result<Option<Asked>> {
    // SAFETY: an all-zero seccomp_notif is a valid value of that plain C
    // struct, and the kernel insists on zeros.
    let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one seccomp_notif, whose size is part of the
    // request's number, into `asked`, which lives across the call.
    let done = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV as _,
            &raw mut asked,
        )
    };
    match check(libc::c_long::from(done)) {
        Ok(_) => Ok(Some(Asked {
            id: asked.id,
            number: asked.data.nr.cast_unsigned(),
            second: asked.data.args[1],
        })),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Answers a waiting call: it fails with `errno`. A caller that has died since
/// is no error.
pub fn refuse(listener: BorrowedFd<'_>, asked: Asked, errno: i32) -> io::Result<()> {
    answer(listener, asked, -errno, 0)
}

/// Answers a waiting call: it goes on, with whatever its arguments are by then.
/// Sound only where nothing depends on what a pointer among them points to.
pub fn allow(listener: BorrowedFd<'_>, asked: Asked) -> io::Result<()> {
    /// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`, since Linux 5.5.
    const CONTINUE: u32 = 1;
    answer(listener, asked, 0, CONTINUE)
}

fn answer(listener: BorrowedFd<'_>, asked: Asked, error: i32, flags: u32) -> io::Result<()> {
    let answer = libc::seccomp_notif_resp {
        id: asked.id,
        val: 0,
        error,
        flags,
    };
    // SAFETY: the kernel reads one seccomp_notif_resp, whose size is part of
    // the request's number, from `answer`, which lives across the call.
    let done = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND as _,
            &raw const answer,
        )
    };
    match check(libc::c_long::from(done)) {
        Err(e) if e.raw_os_error() != Some(libc::ENOENT) => Err(e),
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Side, exit_now, fork_unchecked};

    #[test]
    fn an_installed_program_decides() {
        // ld nr; jeq getppid → errno(7); allow
        let raw = |code: u16, jt: u8, jf: u8, k: u32| {
            let (c, k) = (code.to_ne_bytes(), k.to_ne_bytes());
            [c[0], c[1], jt, jf, k[0], k[1], k[2], k[3]]
        };
        let getppid = u32::try_from(libc::SYS_getppid).unwrap();
        let program = [
            raw(0x20, 0, 0, 0),
            raw(0x15, 0, 1, getppid),
            raw(0x06, 0, 0, libc::SECCOMP_RET_ERRNO | 7),
            raw(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
        ]
        .concat();
        match fork_unchecked(0).unwrap() {
            Side::Child => {
                let _ = rustix::thread::set_no_new_privs(true);
                let installed = install(&program).is_ok();
                // SAFETY: getppid takes no arguments.
                let answer = unsafe { libc::syscall(libc::SYS_getppid) };
                let errno = io::Error::last_os_error().raw_os_error();
                exit_now(if installed && answer == -1 && errno == Some(7) {
                    0
                } else {
                    1
                });
            }
            Side::Parent(pid) => {
                let pid = rustix::process::Pid::from_raw(pid);
                let (_, status) =
                    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty())
                        .unwrap()
                        .unwrap();
                assert_eq!(status.exit_status(), Some(0));
            }
        }
    }

    #[test]
    fn a_listener_hears_and_answers() {
        let raw = |code: u16, jt: u8, jf: u8, k: u32| {
            let (c, k) = (code.to_ne_bytes(), k.to_ne_bytes());
            [c[0], c[1], jt, jf, k[0], k[1], k[2], k[3]]
        };
        let getppid = u32::try_from(libc::SYS_getppid).unwrap();
        let program = [
            raw(0x20, 0, 0, 0),
            raw(0x15, 0, 1, getppid),
            raw(0x06, 0, 0, libc::SECCOMP_RET_USER_NOTIF),
            raw(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        assert_eq!(program[2], NOTIFY);
        let silent = raw(
            0x06,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(),
        );
        assert_eq!(silent, NO_SUCH_CALL);
        // On a thread of its own: the filter stays with it for good.
        std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            let listener = install_listening(&program.concat()).unwrap().unwrap();
            let asker = fork_unchecked(0).unwrap();
            let Side::Parent(pid) = asker else {
                // SAFETY: getppid takes no arguments.
                let answer = unsafe { libc::syscall(libc::SYS_getppid) };
                let errno = io::Error::last_os_error().raw_os_error();
                exit_now(i32::from(answer != -1 || errno != Some(libc::ENOSYS)));
            };
            use std::os::fd::AsFd;
            let asked = next(listener.as_fd()).unwrap().unwrap();
            assert_eq!(asked.number, getppid);
            refuse(listener.as_fd(), asked, libc::ENOSYS).unwrap();
            let pid = rustix::process::Pid::from_raw(pid);
            let (_, status) = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty())
                .unwrap()
                .unwrap();
            assert_eq!(status.exit_status(), Some(0));
            // It is answered for nobody now, which is no error.
            refuse(listener.as_fd(), asked, libc::ENOSYS).unwrap();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_torn_program_is_refused() {
        assert!(install(&[0; 7]).is_err());
        assert!(install(&[]).is_err());
    }
}
