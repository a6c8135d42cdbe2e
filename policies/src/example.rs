//! Examples in a profile of what it must allow and must deny, tried when the
//! profile is loaded against what will be installed: the compiled filters and
//! the trees. A profile that does not do what it says does not load.

use serde::Deserialize;

use crate::bpf::Answer;
use crate::seccomp::{FilterError, Stack};
use crate::trees::{Trees, plain};

/// As written: exactly one of `syscall`, `read` and `write`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    syscall: Option<String>,
    #[serde(default)]
    args: Vec<i64>,
    read: Option<String>,
    write: Option<String>,
    arch: Option<String>,
    why: String,
}

/// What a program tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// A system call with these registers.
    Call {
        /// Its name.
        name: String,
        /// Its arguments; those that are not named are 0.
        args: [u64; 6],
    },
    /// Reading this path.
    Read(String),
    /// Changing this path.
    Write(String),
}

/// An attempt and what must come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What is tried.
    pub attempt: Attempt,
    /// Whether it must be allowed; denied otherwise.
    pub allowed: bool,
    /// Why that matters.
    pub why: String,
    /// The only architecture on which it says anything.
    pub arch: Option<String>,
}

/// An example that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ExampleError {
    /// It is not one.
    #[error(
        "give exactly one of syscall (with at most six args), read and write (plain absolute paths), and a reason"
    )]
    Malformed,
    /// It names a call that does not exist.
    #[error("cannot be tried")]
    Untried(#[from] FilterError),
    /// The profile does something else.
    #[error("must be {}, got: {got}", if *.allowed { "allowed" } else { "denied" })]
    Otherwise {
        /// What was demanded.
        allowed: bool,
        /// What would happen.
        got: String,
    },
}

impl Written {
    pub(crate) fn read(self, allowed: bool) -> Result<Example, ExampleError> {
        let attempt = match (self.syscall, self.read, self.write) {
            (Some(name), None, None) if self.args.len() <= 6 => {
                let mut args = [0; 6];
                for (slot, value) in args.iter_mut().zip(&self.args) {
                    *slot = value.cast_unsigned();
                }
                Attempt::Call { name, args }
            }
            (None, Some(path), None) if self.args.is_empty() && plain(&path) => Attempt::Read(path),
            (None, None, Some(path)) if self.args.is_empty() && plain(&path) => {
                Attempt::Write(path)
            }
            _ => return Err(ExampleError::Malformed),
        };
        if self.why.trim().is_empty() {
            return Err(ExampleError::Malformed);
        }
        Ok(Example {
            attempt,
            allowed,
            why: self.why,
            arch: self.arch,
        })
    }
}

impl Example {
    /// Whether it says anything about this architecture.
    #[must_use]
    pub fn applies(&self) -> bool {
        let here = |arch: &String| arch == std::env::consts::ARCH;
        self.arch.as_ref().is_none_or(here)
    }

    /// Tries it against the cell's filters, a run's and its trees.
    pub fn check(&self, cell: &Stack, filter: &[u8], files: &Trees) -> Result<(), ExampleError> {
        if !self.applies() {
            return Ok(());
        }
        let (allowed, got) = match &self.attempt {
            Attempt::Call { name, args } => {
                let answer = cell.answer(filter, name, *args)?;
                (answer == Answer::Allowed, answer.to_string())
            }
            Attempt::Read(path) => tell(files.reads(path)),
            Attempt::Write(path) => tell(files.writes(path)),
        };
        if allowed == self.allowed {
            Ok(())
        } else {
            Err(ExampleError::Otherwise {
                allowed: self.allowed,
                got,
            })
        }
    }
}

fn tell(granted: bool) -> (bool, String) {
    let got = if granted {
        "granted"
    } else {
        "in no granted tree"
    };
    (granted, got.to_owned())
}

impl std::fmt::Display for Example {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.attempt {
            Attempt::Call { name, args } => write!(f, "{name}({args:x?})"),
            Attempt::Read(path) => write!(f, "reading {path}"),
            Attempt::Write(path) => write!(f, "writing {path}"),
        }
    }
}
