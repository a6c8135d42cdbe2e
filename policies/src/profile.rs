//! Profiles: named sets of defaults, ceilings and rights, written as TOML.
//!
//! A profile names its parent and what it narrows; all else it inherits. One
//! that would widen its parent in anything is refused, so a chain reads from
//! the top: whatever a parent denies, nothing below it grants.

use serde::Deserialize;

use crate::calls::{Calls, Sockets};
use crate::example::{Example, ExampleError, Written};
use crate::grant::Grant;
use crate::limits::{LimitError, Limits, LimitsRequest};
use crate::profiles::Profiles;
use crate::seccomp::{self, FilterError, Stack};
use crate::trees::Trees;

/// A profile as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    description: String,
    pub(crate) inherits: Option<String>,
    requestable: bool,
    sockets: Option<Sockets>,
    subprocesses: Option<bool>,
    #[serde(default)]
    must_allow: Vec<Written>,
    #[serde(default)]
    must_deny: Vec<Written>,
    #[serde(default)]
    limits: LimitsRequest,
    #[serde(default)]
    ceiling: LimitsRequest,
    #[serde(default)]
    files: Files,
    #[serde(default)]
    syscalls: Syscalls,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    read_only: Option<Vec<String>>,
    read_write: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Syscalls {
    /// Names each run loses on top of what its parent's do.
    #[serde(default)]
    deny: Vec<String>,
}

/// A checked profile: holding one is the proof that it parses, that it is
/// within its parent, that its defaults are within its ceilings, that its
/// filter compiles and that its examples hold.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// The profile it narrows; only the root has none.
    pub inherits: Option<String>,
    /// Whether an API request may name it.
    pub requestable: bool,
    /// Limits a run gets when it asks for none.
    pub limits: Limits,
    /// Limits no run gets more than.
    pub ceiling: Limits,
    /// File trees.
    pub files: Trees,
    /// System calls.
    pub calls: Calls,
    /// Seccomp program of a run, on top of the cell's.
    pub filter: Vec<u8>,
    examples: Vec<Example>,
}

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The cell's own list is not sound.
    #[error("the syscall list of cells")]
    Cell(#[from] FilterError),
    /// Not TOML of the right shape.
    #[error("profile {name} does not parse")]
    Parse {
        /// Which profile.
        name: String,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// Names are of `a`–`z`, digits, `-` and `_`.
    #[error("{name:?} is not a name for a profile")]
    Name {
        /// Which profile.
        name: String,
    },
    /// Two profiles of one name.
    #[error("profile {name}: the name is taken")]
    Taken {
        /// Which profile.
        name: String,
    },
    /// Only the shipped root has no parent.
    #[error("profile {name}: inherits: name the profile that it narrows")]
    NoParent {
        /// Which profile.
        name: String,
    },
    /// There is no such parent.
    #[error("profile {name}: inherits: there is no profile {parent}")]
    UnknownParent {
        /// Which profile.
        name: String,
        /// What it names.
        parent: String,
    },
    /// It inherits from itself.
    #[error("profile {name}: inherits: goes round in a circle")]
    Circle {
        /// Which profile.
        name: String,
    },
    /// The root has to say everything.
    #[error("profile {name}: {key} is missing, and there is no parent to take it from")]
    Missing {
        /// Which profile.
        name: String,
        /// What is missing.
        key: String,
    },
    /// It grants what its parent does not.
    #[error("profile {name}: {key} is wider than in {parent}; a profile can only narrow")]
    Widens {
        /// Which profile.
        name: String,
        /// What is wider.
        key: String,
        /// Its parent.
        parent: String,
    },
    /// A default lies above its own ceiling.
    #[error("profile {name}: limits.{key} is above ceiling.{key}")]
    AboveCeiling {
        /// Which profile.
        name: String,
        /// Which limit.
        key: &'static str,
    },
    /// A ceiling or a default under what can work.
    #[error("profile {name}: {key} is under the least that can work")]
    TooLow {
        /// Which profile.
        name: String,
        /// Which.
        key: String,
    },
    /// A configured ceiling under what can work.
    #[error("ceiling")]
    Ceiling(#[from] LimitError),
    /// A tree that is not an absolute plain path.
    #[error("profile {name}: {key}: {path:?} is not an absolute plain path")]
    Path {
        /// Which profile.
        name: String,
        /// Which list.
        key: &'static str,
        /// The path.
        path: String,
    },
    /// The denials do not compile.
    #[error("profile {name}: its syscalls do not compile")]
    Syscalls {
        /// Which profile.
        name: String,
        /// Why.
        #[source]
        source: FilterError,
    },
    /// An example does not hold.
    #[error("profile {name}: example {example}")]
    Example {
        /// Which profile.
        name: String,
        /// Which example.
        example: String,
        /// What it got.
        #[source]
        source: Box<ExampleError>,
    },
}

impl Profile {
    /// Every shipped profile, checked.
    pub fn shipped() -> Result<Vec<Self>, ProfileError> {
        Ok(Profiles::shipped()?.iter().map(|p| (**p).clone()).collect())
    }

    /// What it is held to: its own examples, and what its parents must deny,
    /// which it must deny too.
    #[must_use]
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// What it grants, as one value.
    #[must_use]
    pub fn grant(&self) -> Grant {
        Grant {
            ceiling: self.ceiling,
            files: self.files.clone(),
            calls: self.calls.clone(),
        }
    }

    /// The same with lower ceilings, and defaults within them.
    #[must_use]
    pub fn capped(&self, by: &LimitsRequest) -> Self {
        let ceiling = self.ceiling.capped(by);
        Self {
            ceiling,
            limits: self.limits.meet(ceiling),
            ..self.clone()
        }
    }

    /// Puts a document over its parent and checks the result.
    pub(crate) fn assemble(
        name: &str,
        document: Document,
        parent: Option<&Self>,
        cell: &Stack,
    ) -> Result<Self, ProfileError> {
        let own = || name.to_owned();
        let (limits, ceiling) = numbers(name, &document, parent)?;
        let files = trees(name, document.files, parent)?;
        let calls = calls(
            name,
            &document.syscalls,
            document.sockets,
            document.subprocesses,
            parent,
        )?;
        let filter = seccomp::run_filter(&calls).map_err(|source| ProfileError::Syscalls {
            name: own(),
            source,
        })?;
        let inherited = parent.map_or(&[][..], Self::examples);
        let mut examples: Vec<Example> = inherited.iter().filter(|e| !e.allowed).cloned().collect();
        let written = document.must_allow.into_iter().map(|e| (e, true));
        let denied = document.must_deny.into_iter().map(|e| (e, false));
        let fails = |example: String, source: ExampleError| ProfileError::Example {
            name: own(),
            example,
            source: Box::new(source),
        };
        for (index, (example, allowed)) in written.chain(denied).enumerate() {
            let read = example.read(allowed);
            examples.push(read.map_err(|e| fails((index + 1).to_string(), e))?);
        }
        for example in &examples {
            example
                .check(cell, &filter, &files)
                .map_err(|e| fails(example.to_string(), e))?;
        }
        Ok(Self {
            name: own(),
            description: document.description,
            inherits: document.inherits,
            requestable: document.requestable,
            limits,
            ceiling,
            files,
            calls,
            filter,
            examples,
        })
    }
}

fn widens(name: &str, key: impl Into<String>, parent: &Profile) -> ProfileError {
    ProfileError::Widens {
        name: name.to_owned(),
        key: key.into(),
        parent: parent.name.clone(),
    }
}

fn missing(name: &str, key: impl Into<String>) -> ProfileError {
    ProfileError::Missing {
        name: name.to_owned(),
        key: key.into(),
    }
}

fn numbers(
    name: &str,
    document: &Document,
    parent: Option<&Profile>,
) -> Result<(Limits, Limits), ProfileError> {
    let ceiling = document
        .ceiling
        .over(parent.map(|p| p.ceiling))
        .map_err(|key| missing(name, format!("ceiling.{key}")))?;
    if let Some((parent, key)) = parent.and_then(|p| Some((p, ceiling.beyond(p.ceiling)?))) {
        return Err(widens(name, format!("ceiling.{key}"), parent));
    }
    // An inherited default gives way to a lower ceiling; a written one does not.
    let limits = document
        .limits
        .over(parent.map(|p| p.limits.meet(ceiling)))
        .map_err(|key| missing(name, format!("limits.{key}")))?;
    if let Some(key) = limits.beyond(ceiling) {
        let name = name.to_owned();
        return Err(ProfileError::AboveCeiling { name, key });
    }
    if let Some(key) = Limits::LEAST.beyond(limits) {
        return Err(ProfileError::TooLow {
            name: name.to_owned(),
            key: format!("limits.{key}"),
        });
    }
    Ok((limits, ceiling))
}

fn trees(name: &str, files: Files, parent: Option<&Profile>) -> Result<Trees, ProfileError> {
    let inherited = |key: &str, of: fn(&Trees) -> &Vec<String>| {
        parent
            .map(|p| of(&p.files).clone())
            .ok_or_else(|| missing(name, key))
    };
    let trees = Trees {
        read_only: match files.read_only {
            Some(own) => own,
            None => inherited("files.read_only", |t| &t.read_only)?,
        },
        read_write: match files.read_write {
            Some(own) => own,
            None => inherited("files.read_write", |t| &t.read_write)?,
        },
    };
    if let Some((key, path)) = trees.malformed() {
        return Err(ProfileError::Path {
            name: name.to_owned(),
            key,
            path: path.to_owned(),
        });
    }
    if let Some((parent, (key, path))) = parent.and_then(|p| Some((p, trees.beyond(&p.files)?))) {
        return Err(widens(name, format!("{key} ({path})"), parent));
    }
    Ok(trees.normal())
}

fn calls(
    name: &str,
    syscalls: &Syscalls,
    sockets: Option<Sockets>,
    subprocesses: Option<bool>,
    parent: Option<&Profile>,
) -> Result<Calls, ProfileError> {
    let mut denied = parent.map(|p| p.calls.denied.clone()).unwrap_or_default();
    denied.extend(syscalls.deny.iter().cloned());
    let calls = Calls {
        denied,
        sockets: sockets
            .or(parent.map(|p| p.calls.sockets))
            .ok_or_else(|| missing(name, "sockets"))?,
        subprocesses: subprocesses
            .or(parent.map(|p| p.calls.subprocesses))
            .ok_or_else(|| missing(name, "subprocesses"))?,
    };
    match parent {
        Some(p) if calls.sockets > p.calls.sockets => Err(widens(name, "sockets", p)),
        Some(p) if calls.subprocesses && !p.calls.subprocesses => {
            Err(widens(name, "subprocesses", p))
        }
        Some(_) | None => Ok(calls),
    }
}
