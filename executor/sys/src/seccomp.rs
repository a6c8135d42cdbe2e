//! Installing a compiled seccomp program.

use std::io;

use crate::check;

/// Bytes of one BPF instruction (`struct sock_filter`).
pub const INSTRUCTION: usize = 8;

/// Installs `program`, a raw array of `sock_filter`, on the calling thread and
/// everything it will start. No-new-privileges must be set already.
///
/// The kernel verifies the program; a bad one is refused with `EINVAL`.
pub fn install(program: &[u8]) -> io::Result<()> {
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
            0,
            &raw const program,
        )
    };
    check(done).map(drop)
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
    fn a_torn_program_is_refused() {
        assert!(install(&[0; 7]).is_err());
        assert!(install(&[]).is_err());
    }
}
