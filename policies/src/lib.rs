//! What a program may do, as data.
//!
//! A [`Profile`] is a TOML file: default limits, their ceilings, file trees,
//! and which syscalls its runs lose. [`Limits`] are the numbers of one run,
//! always narrowed: `effective = request ∧ profile ∧ host`. The syscall
//! allow-list of a cell is `profiles/syscalls.toml`, compiled by [`seccomp`].
//!
//! Pure: no I/O, no async, no system calls. Installing what is decided here
//! is the executor's work.

pub mod limits;
pub mod profile;
pub mod seccomp;

pub use limits::{LimitError, Limits, LimitsRequest};
pub use profile::{Profile, ProfileError};
