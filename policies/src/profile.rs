//! Profiles: named sets of defaults, ceilings and rights, shipped as TOML.

use serde::Deserialize;

use crate::limits::Limits;
use crate::seccomp::{self, FilterError};

/// The profiles that ship, by name.
const SHIPPED: &[(&str, &str)] = &[
    ("default", include_str!("../profiles/default.toml")),
    ("compile", include_str!("../profiles/compile.toml")),
    ("worker", include_str!("../profiles/worker.toml")),
];

/// A profile as its file says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    description: String,
    requestable: bool,
    limits: Limits,
    ceiling: Limits,
    files: Trees,
    syscalls: Syscalls,
}

/// File trees a program may touch; Landlock enforces it, beneath the mounts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trees {
    /// Read and execute.
    pub read_only: Vec<String>,
    /// Read, write, create, execute.
    pub read_write: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Syscalls {
    /// Names each run loses on top of what the cell's allow-list lacks.
    deny: Vec<String>,
}

/// A checked profile: holding one is the proof that it parses, that its
/// defaults lie within its ceilings and that its filter compiles.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// Whether an API request may name it.
    pub requestable: bool,
    /// Limits a run gets when it asks for none.
    pub limits: Limits,
    /// Limits no run gets more than.
    pub ceiling: Limits,
    /// File trees.
    pub files: Trees,
    /// Seccomp program of a run, on top of the cell's.
    pub filter: Vec<u8>,
}

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML of the right shape.
    #[error("profile {name} does not parse")]
    Parse {
        /// Which profile.
        name: String,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// A default lies above its own ceiling.
    #[error("profile {name}: a default limit is above its ceiling")]
    AboveCeiling {
        /// Which profile.
        name: String,
    },
    /// The syscall list does not compile.
    #[error("profile {name}: its syscalls do not compile")]
    Syscalls {
        /// Which profile.
        name: String,
        /// Why.
        #[source]
        source: FilterError,
    },
}

impl Profile {
    /// Parses and checks one profile.
    pub fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        let document: Document = toml::from_str(text).map_err(|source| ProfileError::Parse {
            name: name.to_owned(),
            source,
        })?;
        if document.limits.meet(document.ceiling) != document.limits {
            return Err(ProfileError::AboveCeiling {
                name: name.to_owned(),
            });
        }
        let filter =
            seccomp::deny(&document.syscalls.deny).map_err(|source| ProfileError::Syscalls {
                name: name.to_owned(),
                source,
            })?;
        Ok(Self {
            name: name.to_owned(),
            description: document.description,
            requestable: document.requestable,
            limits: document.limits,
            ceiling: document.ceiling,
            files: document.files,
            filter,
        })
    }

    /// Every shipped profile, checked.
    pub fn shipped() -> Result<Vec<Self>, ProfileError> {
        SHIPPED
            .iter()
            .map(|(name, text)| Self::parse(name, text))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_is_sound() {
        let profiles = Profile::shipped().unwrap();
        assert_eq!(profiles.len(), SHIPPED.len());
        for profile in profiles {
            assert!(
                !profile.filter.is_empty(),
                "{} denies nothing of the init's",
                profile.name
            );
            assert!(!profile.files.read_write.iter().any(|p| p == "/"));
        }
    }

    #[test]
    fn a_default_above_its_ceiling_is_refused() {
        let text = include_str!("../profiles/default.toml").replacen(
            "cpu_ms = 2000",
            "cpu_ms = 99999999999",
            1,
        );
        assert!(matches!(
            Profile::parse("x", &text),
            Err(ProfileError::AboveCeiling { .. })
        ));
    }

    #[test]
    fn an_unknown_syscall_is_refused_by_name() {
        let text = include_str!("../profiles/default.toml").replacen("\"mount\"", "\"mownt\"", 1);
        assert!(matches!(
            Profile::parse("x", &text),
            Err(ProfileError::Syscalls { .. })
        ));
    }
}
