//! Warm interpreters: what the init of a cell and an interpreter that waits in
//! it say to each other.

use serde::{Deserialize, Serialize};

use crate::cell::SetupFailure;

/// Number of the interpreter's end of the socket to its init.
pub const CONTROL_FD: i32 = 62;

/// Number of its procfs, on which a program's rank for the kernel's killer is
/// set.
pub const PROC_FD: i32 = 63;

/// An interpreter that is to be started and to wait, as the executor asks for
/// it. It is started as its runs would be, so that a run that goes on from it
/// finds what it would have found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmSpec {
    /// What the executor calls it.
    pub id: u32,
    /// Program and arguments of its runs.
    pub argv: Vec<Vec<u8>>,
    /// Their environment, as `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// The shared object that makes it wait, inside the cell.
    pub library: String,
    /// Their stack limit in bytes, by which the kernel lays out memory.
    pub stack: u64,
    /// Statements that it runs before it waits.
    pub before: String,
    /// The program's file, in the working directory, if it is the interpreter
    /// itself that reads it. It is there, empty, while the interpreter starts.
    pub program: Option<String>,
    /// One that ends for this one, if there are too many.
    pub instead_of: Option<u32>,
}

/// What the init says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WarmOrder {
    /// Run these statements and wait. The first word.
    Prepare {
        /// In the interpreter's own language.
        before: String,
        /// See [`WarmSpec::program`].
        program: Option<String>,
    },
    /// Fork. The new process hears its plan ([`Run`]) on the socket that is
    /// attached: this one learns nothing of any run.
    Fork,
}

/// What the forked process hears, with the plan's descriptors and before them a
/// pipe for a [`SetupFailure`] and, if `fenced`, Landlock's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its plan.
    pub plan: crate::plan::Plan,
    /// Whether Landlock's rules come with it.
    pub fenced: bool,
}

/// What it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WarmReply {
    /// It waits.
    Waits,
    /// It cannot wait: it has several threads, open files, or no such module.
    Refuses,
    /// It forked; the pid inside the cell.
    Forked(i32),
    /// It could not.
    Failed(SetupFailure),
}
