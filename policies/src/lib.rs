//! What a program may do, as data.
//!
//! A [`Profile`] is a TOML file that narrows another: default limits, their
//! ceilings, file trees, and which syscalls its runs lose. What holds for a
//! run is what everybody grants, `effective = host ∧ tenant ∧ profile ∧
//! request`; [`Grant`] is that lattice. The syscall allow-list of a cell is
//! `profiles/syscalls.toml` ([`list`]), compiled by [`seccomp`]; [`bpf`]
//! evaluates what was compiled, so that a profile's examples are tried when it
//! is loaded.
//!
//! Pure: no I/O, no async, no system calls. Installing what is decided here
//! is the executor's work.

pub mod bpf;
pub mod calls;
pub mod example;
pub mod grant;
pub mod limits;
pub mod list;
pub mod profile;
pub mod profiles;
pub mod seccomp;
pub mod trees;

pub use calls::{Calls, Sockets};
pub use example::{Attempt, Example};
pub use grant::Grant;
pub use limits::{LimitError, Limits, LimitsRequest};
pub use profile::{Profile, ProfileError};
pub use profiles::Profiles;
pub use trees::Trees;
