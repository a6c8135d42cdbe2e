//! Bringing the loopback interface up in a fresh network namespace.

use std::io;
use std::os::fd::AsRawFd;

use crate::check;

/// Sets IFF_UP on `lo` in the calling process's network namespace. Many
/// runtimes and test programs talk to themselves over 127.0.0.1.
pub fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    // SAFETY: an all-zero ifreq is a valid value of that plain C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq through the pointer; it lives across
    // the call and its name is NUL-terminated because the rest is zero.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check(libc::c_long::from(done)).map(drop)
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_is_up_afterwards() {
        // Needs CAP_NET_ADMIN; without it the kernel must say so.
        match super::loopback_up() {
            Ok(()) => {
                let flags = std::fs::read_to_string("/sys/class/net/lo/flags").unwrap();
                let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap();
                assert_eq!(flags & 1, 1);
            }
            Err(e) => assert_eq!(e.raw_os_error(), Some(libc::EPERM)),
        }
    }
}
