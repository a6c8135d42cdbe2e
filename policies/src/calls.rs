//! Which system calls a run loses on top of what its cell lacks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::list::List;
use crate::seccomp::FilterError;

/// Sockets a program may make, each kind including those before it. Sockets
/// that it was handed (a function test's channel) are not meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sockets {
    /// None of any kind, pairs included.
    None,
    /// Unix sockets and pairs of them.
    Unix,
    /// TCP and UDP too, in a network of the cell's own with only a loopback.
    Loopback,
}

/// System calls as a lattice: more denials, fewer rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Names a run loses.
    pub denied: BTreeSet<String>,
    /// Sockets it may make.
    pub sockets: Sockets,
    /// Whether it may start processes; threads it always may, within
    /// `limits.processes`.
    pub subprocesses: bool,
}

/// `CLONE_THREAD`: without it, clone makes a process.
const CLONE_THREAD: u32 = 0x0001_0000;
const AF_UNIX: u32 = 1;

impl Calls {
    /// All that the cell's list allows: the top of the lattice.
    #[must_use]
    pub fn all() -> Self {
        Self {
            denied: BTreeSet::new(),
            sockets: Sockets::Loopback,
            subprocesses: true,
        }
    }

    /// What both allow.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        Self {
            denied: self.denied.union(&other.denied).cloned().collect(),
            sockets: self.sockets.min(other.sockets),
            subprocesses: self.subprocesses && other.subprocesses,
        }
    }

    /// As denials, by name. A filter sees registers, not memory, so only what
    /// registers show can be told apart.
    pub(crate) fn denials(&self, list: &List) -> Result<Vec<Denial>, FilterError> {
        let mut denials = Vec::new();
        for name in &self.denied {
            match list.allows(name) {
                // Taking away what the cell never gave is a slip of the pen.
                None => return Err(FilterError::Unlisted(name.clone())),
                Some(false) => {}
                Some(true) => denials.push(Denial::always(name)),
            }
        }
        let mut deny = |name: &str, unless: Unless| {
            if list.allows(name) == Some(true) && !self.denied.contains(name) {
                let name = name.to_owned();
                denials.push(Denial { name, unless });
            }
        };
        match self.sockets {
            Sockets::Loopback => {}
            Sockets::Unix => deny("socket", Unless::FirstIs(AF_UNIX)),
            Sockets::None => {
                deny("socket", Unless::Never);
                deny("socketpair", Unless::Never);
            }
        }
        if !self.subprocesses {
            deny("clone", Unless::FirstHas(CLONE_THREAD));
            deny("fork", Unless::Never);
            deny("vfork", Unless::Never);
        }
        Ok(denials)
    }
}

/// A call that a run loses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) name: String,
    pub(crate) unless: Unless,
}

/// When a denied call is allowed after all, by the low half of its first
/// argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unless {
    Never,
    /// It is this.
    FirstIs(u32),
    /// It has one of these bits.
    FirstHas(u32),
}

impl Denial {
    fn always(name: &str) -> Self {
        let name = name.to_owned();
        let unless = Unless::Never;
        Self { name, unless }
    }
}
