//! The limits of one run, and how a request narrows a profile's.

use serde::{Deserialize, Serialize};

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident >= $least:expr,)*) => {
        /// What one run may use. Every limit is enforced or the run is
        /// refused; none is advisory.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Limits {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// Limits as a request names them: any subset.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct LimitsRequest {
            $($(#[$doc])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $name: Option<u64>,)*
        }

        impl Limits {
            /// The names of all limits, as they appear on the wire.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// No limit at all: the top of the lattice.
            pub const MOST: Self = Self { $($name: u64::MAX,)* };

            /// The least of each that can work.
            pub const LEAST: Self = Self { $($name: $least,)* };

            /// The smaller of each pair: the meet of the lattice.
            #[must_use]
            pub fn meet(self, other: Self) -> Self {
                Self { $($name: self.$name.min(other.$name),)* }
            }

            /// These, none above the named ones.
            #[must_use]
            pub fn capped(self, by: &LimitsRequest) -> Self {
                Self { $($name: by.$name.map_or(self.$name, |most| self.$name.min(most)),)* }
            }

            /// The first limit here that is above its counterpart.
            #[must_use]
            pub fn beyond(self, ceiling: Self) -> Option<&'static str> {
                $(if self.$name > ceiling.$name {
                    return Some(stringify!($name));
                })*
                None
            }

            /// Limits from numbers in the order of [`Limits::NAMES`].
            #[cfg(test)]
            pub(crate) fn from_array([$($name),*]: [u64; 8]) -> Self {
                Self { $($name,)* }
            }

            /// Applies a request to these defaults under `ceiling`. A value
            /// over the ceiling or under what can work at all is an error
            /// that names the field, never silently changed.
            pub fn requested(
                self,
                request: &LimitsRequest,
                ceiling: Self,
            ) -> Result<Self, LimitError> {
                Ok(Self { $($name: match request.$name {
                    None => self.$name.min(ceiling.$name),
                    Some(asked) if asked > ceiling.$name => {
                        return Err(LimitError::TooHigh {
                            field: stringify!($name), asked, most: ceiling.$name,
                        });
                    }
                    Some(asked) if !($least..=u64::MAX).contains(&asked) => {
                        return Err(LimitError::TooLow {
                            field: stringify!($name), asked, least: $least,
                        });
                    }
                    Some(asked) => asked,
                },)* })
            }
        }

        impl LimitsRequest {
            /// The named ones; of the others, those of `parent`. An error
            /// names the first that neither has.
            pub(crate) fn over(&self, parent: Option<Limits>) -> Result<Limits, &'static str> {
                Ok(Limits { $($name: match (self.$name, parent) {
                    (Some(own), _) => own,
                    (None, Some(parent)) => parent.$name,
                    (None, None) => return Err(stringify!($name)),
                },)* })
            }

            /// As a ceiling: the smaller of each that both name, and all that
            /// one names.
            #[must_use]
            pub fn meet(&self, other: &Self) -> Self {
                Self { $($name: match (self.$name, other.$name) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                },)* }
            }

            /// Checks a ceiling: nothing can run under less than the least.
            pub fn check_ceiling(&self) -> Result<(), LimitError> {
                $(if let Some(asked) = self.$name {
                    if asked < Limits::LEAST.$name {
                        return Err(LimitError::TooLow {
                            field: stringify!($name), asked, least: $least,
                        });
                    }
                })*
                Ok(())
            }
        }
    };
}

limits! {
    /// CPU time summed over everything in the cell, in milliseconds. Reaching
    /// it is `time_limit_exceeded`.
    cpu_ms >= 1,
    /// Wall time, in milliseconds: the guard against sleeping.
    wall_ms >= 1,
    /// Memory of everything in the cell, kernel memory and tmpfs included, in
    /// bytes. Swap is off.
    memory_bytes >= 4 << 20,
    /// Processes and threads alive at once.
    processes >= 1,
    /// Bytes of standard output; one more is `output_limit_exceeded`.
    stdout_bytes >= 0,
    /// Bytes of standard error kept; the rest is counted and dropped.
    stderr_bytes >= 0,
    /// Bytes of files under /work, /tmp and /dev/shm together.
    disk_bytes >= 4096,
    /// Files and directories there.
    files >= 1,
}

/// A limit that cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Over the ceiling of the policy.
    #[error("{asked} is over {most}, the most that is granted here")]
    TooHigh {
        /// Name of the limit.
        field: &'static str,
        /// What was asked.
        asked: u64,
        /// What is granted at most.
        most: u64,
    },
    /// Under what any program needs to start.
    #[error("{asked} is under {least}, the least that can work")]
    TooLow {
        /// Name of the limit.
        field: &'static str,
        /// What was asked.
        asked: u64,
        /// The least accepted.
        least: u64,
    },
}

impl LimitError {
    /// The wire name of the field, `limits.` included.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::TooHigh { field, .. } | Self::TooLow { field, .. } => format!("limits.{field}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_limits() -> impl Strategy<Value = Limits> {
        prop::array::uniform8(1u64 << 24..1 << 40).prop_map(Limits::from_array)
    }

    proptest! {
        #[test]
        fn meet_is_commutative_idempotent_and_never_widens(a in any_limits(), b in any_limits()) {
            let m = a.meet(b);
            prop_assert_eq!(m, b.meet(a));
            prop_assert_eq!(m.meet(m), m);
            prop_assert!(m.cpu_ms <= a.cpu_ms && m.files <= b.files);
        }

        #[test]
        fn capping_is_meeting_a_ceiling_that_names_some(a in any_limits(), cpu: u64, files: u64) {
            let by = LimitsRequest { cpu_ms: Some(cpu), ..LimitsRequest::default() };
            let more = LimitsRequest { cpu_ms: None, files: Some(files), ..by };
            prop_assert_eq!(a.capped(&by), a.meet(Limits { cpu_ms: cpu, ..Limits::MOST }));
            prop_assert_eq!(a.capped(&by).capped(&more), a.capped(&by.meet(&more)));
            prop_assert_eq!(by.meet(&more), more.meet(&by));
            prop_assert_eq!(a.capped(&by).beyond(a), None);
        }

        #[test]
        fn a_granted_request_is_within_the_ceiling(
            a in any_limits(), c in any_limits(), cpu in 0u64..1 << 41,
        ) {
            let request = LimitsRequest { cpu_ms: Some(cpu), ..LimitsRequest::default() };
            match a.requested(&request, c) {
                Ok(granted) => {
                    prop_assert_eq!(granted.meet(c), granted);
                    prop_assert_eq!(granted.cpu_ms, cpu);
                }
                Err(e) => prop_assert_eq!(e.field(), "limits.cpu_ms"),
            }
        }
    }
}
