//! Saying which step failed, without strings.

use std::io;

use assize_wire::cell::{SetupFailure, Step};

/// Attaches a [`Step`] and an item number to a failed system call.
pub trait At<T> {
    /// Names the step.
    fn at(self, step: Step) -> Result<T, SetupFailure>
    where
        Self: Sized,
    {
        self.at_item(step, 0)
    }

    /// Names the step and which of its items failed.
    fn at_item(self, step: Step, index: usize) -> Result<T, SetupFailure>;
}

pub(crate) fn failure(step: Step, index: usize, errno: Option<i32>) -> SetupFailure {
    // An error without errno comes from our own checks: EINVAL.
    let errno = errno.unwrap_or(nix::errno::Errno::EINVAL as i32);
    SetupFailure {
        step,
        index: u16::try_from(index).unwrap_or(u16::MAX),
        errno,
    }
}

impl<T> At<T> for io::Result<T> {
    fn at_item(self, step: Step, index: usize) -> Result<T, SetupFailure> {
        self.map_err(|e| failure(step, index, e.raw_os_error()))
    }
}

impl<T> At<T> for nix::Result<T> {
    fn at_item(self, step: Step, index: usize) -> Result<T, SetupFailure> {
        self.map_err(|e| failure(step, index, Some(e as i32)))
    }
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at_item(self, step: Step, index: usize) -> Result<T, SetupFailure> {
        self.map_err(|e| failure(step, index, Some(e.raw_os_error())))
    }
}
