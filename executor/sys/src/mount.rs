//! `mount_setattr(2)`, which no crate wraps yet.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// Attributes to switch on; nothing is ever switched off.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountFlags {
    /// No writes.
    pub read_only: bool,
    /// Device nodes do not work.
    pub no_dev: bool,
    /// Nothing can be executed.
    pub no_exec: bool,
}

/// Applies `flags`, and always nosuid, to the mount `tree` refers to and, when
/// `recursive`, to every mount below it in one atomic step: a bind of a tree
/// with submounts has no moment and no corner in which it is writable.
pub fn restrict(tree: BorrowedFd<'_>, flags: MountFlags, recursive: bool) -> io::Result<()> {
    let mut set = libc::MOUNT_ATTR_NOSUID;
    if flags.read_only {
        set |= libc::MOUNT_ATTR_RDONLY;
    }
    if flags.no_dev {
        set |= libc::MOUNT_ATTR_NODEV;
    }
    if flags.no_exec {
        set |= libc::MOUNT_ATTR_NOEXEC;
    }
    let attr = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let at = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `attr` lives across the call and its true size is passed; the
    // path is a static NUL-terminated empty string; `tree` is open.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            at,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(done).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_descriptor_that_is_no_mount_is_refused() {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        assert!(restrict(file.as_fd(), MountFlags::default(), false).is_err());
    }
}
