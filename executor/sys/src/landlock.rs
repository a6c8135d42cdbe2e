//! Landlock by descriptor: rules that another process put together.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// Restricts the calling thread, and everything it will start, to the rules of
/// this ruleset. No-new-privileges must be set already.
pub fn restrict_self(rules: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: landlock_restrict_self(2) takes a descriptor and flags and
    // touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) };
    check(done).map(drop)
}
