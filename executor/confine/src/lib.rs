//! How a process in a cell becomes a program: it gives up its rights one by one,
//! in the order that ARCHITECTURE.md lists.
//!
//! Two processes do that. A fork of the init does and then calls `execve`
//! (`assize-jail`); a fork of an interpreter that has already started does and
//! then goes on to read its program (`assize-warm`). What a program may do must
//! not depend on which, so both use this.
//!
//! Deliberately absent: threads, async, policy decisions, anything about
//! building cells.

pub mod failure;
mod files;
pub mod program;
pub mod rights;
pub mod step;
