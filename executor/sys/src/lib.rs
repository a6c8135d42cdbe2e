//! The only home of `unsafe` in Assize: safe wrappers over the few system
//! calls that neither `nix` nor `rustix` offers safely.
//!
//! Each function is the smallest expression that does one thing, states each
//! precondition in its `SAFETY:` comment and has a test. Deliberately absent:
//! policy, allocation-heavy helpers, anything a maintained crate already has.

pub mod fd;
pub mod inherit;
pub mod interpose;
pub mod landlock;
pub mod memory;
pub mod mount;
pub mod net;
pub mod process;
pub mod python;
pub mod seccomp;

use std::io;

/// Turns a raw system call's result into an `io::Result`.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
