//! Descriptors by number: closing ranges and placing one at a fixed number,
//! as a program that is about to be exec'ed expects them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::check;

/// Marks every descriptor from `first` up close-on-exec.
pub fn cloexec_from(first: u32) -> io::Result<()> {
    // SAFETY: close_range with CLOSE_RANGE_CLOEXEC only sets a flag on open
    // descriptors; it closes nothing and touches no memory.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    check(done).map(drop)
}

/// Closes every descriptor from `first` up, but those of `keep`, which must be
/// sorted.
///
/// For a process that is about to run somebody else's code: whatever of ours
/// still owns a closed number must be forgotten, not dropped.
pub fn close_others(first: u32, keep: &[RawFd]) -> io::Result<()> {
    let mut from = first;
    let kept = keep.iter().filter_map(|&fd| u32::try_from(fd).ok());
    for fd in kept.filter(|fd| *fd >= first) {
        if from < fd {
            close_range(from, fd - 1)?;
        }
        from = fd.saturating_add(1);
    }
    close_range(from, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: touches no memory; that nothing here uses the numbers any more
    // is the documented duty of the caller.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    check(done).map(drop)
}

/// Makes `target` refer to what `source` refers to, without close-on-exec.
/// Meant for the instant before `execve`, when the numbers are the message.
///
/// `target` must not be a number that an `OwnedFd` of this process still
/// owns: callers move what they hold above the targets first
/// ([`above`]).
pub fn place(source: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    // SAFETY: dup2 touches no memory. Whether `target` is owned elsewhere is
    // the documented duty of the caller; breaking it mixes up descriptors of
    // a process that is about to be replaced, never memory.
    check(libc::c_long::from(unsafe {
        libc::dup2(source.as_raw_fd(), target)
    }))
    .map(drop)
}

/// A close-on-exec duplicate whose number is at least `floor`.
pub fn above(source: BorrowedFd<'_>, floor: RawFd) -> io::Result<std::os::fd::OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(source, floor)?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_duplicate_lands_at_or_above_its_floor() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let high = above(null.as_fd(), 200).unwrap();
        assert!(high.as_raw_fd() >= 200);
        place(high.as_fd(), 321).unwrap();
        let path = std::fs::read_link("/proc/self/fd/321").unwrap();
        assert_eq!(path, std::path::Path::new("/dev/null"));
        cloexec_from(321).unwrap();
        let info = std::fs::read_to_string("/proc/self/fdinfo/321").unwrap();
        // O_CLOEXEC is 0o2000000 in fdinfo's flags.
        assert!(
            info.lines()
                .any(|l| l.starts_with("flags:") && l.contains("02"))
        );
    }
}
