//! The file system that a guest sees: in memory, its own, gone with it.
//!
//! Why not directories of the host: a run with one file would cost twenty
//! system calls, WASI has no quota, and every file system advisory of this
//! engine's last years was about a writable host directory. Here a path never
//! reaches the kernel, the budget of bytes and inodes is exact and per run,
//! and what a listing or a time stamp says is ours to decide, which a
//! deterministic run needs.
//!
//! Not here: symbolic links (`ENOTSUP`), permissions beyond read-only.

mod calls;
mod descriptors;
mod errno;
mod library;
mod node;
mod tree;

pub(crate) use calls::link;
pub(crate) use descriptors::{Files, Setup};
pub(crate) use library::library;
pub(crate) use tree::{Budget, Tree};
