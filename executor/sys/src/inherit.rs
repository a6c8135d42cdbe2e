//! Taking over a descriptor that was handed to this process at birth.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Mutex;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Two takers at once must not both see a descriptor as still inherited.
static TAKING: Mutex<()> = Mutex::new(());

/// Takes ownership of the inherited descriptor `raw` and marks it
/// close-on-exec.
///
/// A descriptor that came through `execve` cannot carry close-on-exec, and
/// everything Rust's standard library, rustix and nix open here does. So the
/// flag tells an inherited descriptor from one that somebody in this process
/// already owns, and taking the same one twice fails.
///
/// # Errors
/// `InvalidInput` for 0, 1 and 2 and for a descriptor already owned here;
/// `EBADF` when there is no such descriptor.
pub fn take_inherited_fd(raw: RawFd) -> io::Result<OwnedFd> {
    if raw < 3 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "standard streams stay shared",
        ));
    }
    let _one_at_a_time = TAKING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: only asks the kernel about the number: `raw` is not -1 (checked
    // above), the borrow ends before anything else happens, and for a number
    // that is not open fcntl says EBADF and touches nothing.
    let probe = unsafe { BorrowedFd::borrow_raw(raw) };
    let flags = fcntl_getfd(probe)?;
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "descriptor was not inherited",
        ));
    }
    fcntl_setfd(probe, flags | FdFlags::CLOEXEC)?;
    // SAFETY: `raw` is open (fcntl succeeded) and had no owner in this process:
    // it lacked close-on-exec, and this function set it under the lock, so no
    // second call can return it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn an_inherited_descriptor_is_taken_once_and_closed_on_exec() {
        let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        let taken = take_inherited_fd(file.into_raw_fd()).unwrap();
        assert!(fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        let again = take_inherited_fd(taken.as_raw_fd()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_standard_stream_is_refused() {
        assert_eq!(
            take_inherited_fd(1).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_number_that_is_not_open_is_refused() {
        let gone = take_inherited_fd(1 << 20).unwrap_err();
        assert_eq!(
            gone.raw_os_error(),
            Some(rustix::io::Errno::BADF.raw_os_error())
        );
    }
}
