//! What may be done, as one value, and how several are narrowed into one.
//!
//! Host, tenant and profile each grant something; what holds is what all of
//! them grant: `effective = host ∧ tenant ∧ profile`, and a request picks
//! limits within it. The meet is commutative, associative and idempotent, and
//! its result is below both sides; the tests below hold it to that.

use crate::calls::Calls;
use crate::limits::{Limits, LimitsRequest};
use crate::trees::Trees;

/// Everything that can be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Limits no run gets more than.
    pub ceiling: Limits,
    /// File trees.
    pub files: Trees,
    /// System calls.
    pub calls: Calls,
}

impl Grant {
    /// No restriction beyond the cell's own: the top of the lattice.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            ceiling: Limits::MOST,
            files: Trees::everything(),
            calls: Calls::all(),
        }
    }

    /// Only limits restricted, and only those named: what a host or a tenant
    /// is configured with.
    #[must_use]
    pub fn limited(ceiling: &LimitsRequest) -> Self {
        Self {
            ceiling: Limits::MOST.capped(ceiling),
            ..Self::everything()
        }
    }

    /// What both grant.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        Self {
            ceiling: self.ceiling.meet(other.ceiling),
            files: self.files.meet(&other.files),
            calls: self.calls.meet(&other.calls),
        }
    }

    /// Whether everything here is granted there too.
    #[must_use]
    pub fn within(&self, wider: &Self) -> bool {
        let narrowest = self.meet(&Self::everything());
        narrowest.meet(wider) == narrowest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bpf::Answer;
    use crate::calls::Sockets;
    use crate::seccomp::{Stack, run_filter};

    const PATHS: [&str; 8] = [
        "/",
        "/usr",
        "/usr/lib",
        "/usr/lib/x",
        "/usrlocal",
        "/work",
        "/work/a",
        "/etc",
    ];
    const NAMES: [&str; 6] = ["mount", "socket", "kill", "clone", "fork", "shmget"];

    fn paths() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(
            prop::sample::select(&PATHS[..]).prop_map(str::to_owned),
            0..5,
        )
    }

    fn any_grant() -> impl Strategy<Value = Grant> {
        let limits = prop::array::uniform8(0u64..5).prop_map(Limits::from_array);
        let trees = (paths(), paths()).prop_map(|(read_only, read_write)| {
            Trees {
                read_only,
                read_write,
            }
            .normal()
        });
        let names = prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
        let denied = prop::collection::btree_set(names, 0..4);
        let sockets = prop::sample::select(&[Sockets::None, Sockets::Unix, Sockets::Loopback][..]);
        let calls =
            (denied, sockets, any::<bool>()).prop_map(|(denied, sockets, subprocesses)| Calls {
                denied,
                sockets,
                subprocesses,
            });
        (limits, trees, calls).prop_map(|(ceiling, files, calls)| Grant {
            ceiling,
            files,
            calls,
        })
    }

    proptest! {
        #[test]
        fn the_meet_is_commutative_associative_and_idempotent(
            a in any_grant(), b in any_grant(), c in any_grant(),
        ) {
            prop_assert_eq!(a.meet(&b), b.meet(&a));
            prop_assert_eq!(a.meet(&b).meet(&c), a.meet(&b.meet(&c)));
            prop_assert_eq!(a.meet(&a), a.clone());
            prop_assert_eq!(a.meet(&Grant::everything()), a);
        }

        #[test]
        fn the_meet_never_widens_and_takes_no_more_than_needed(
            a in any_grant(), b in any_grant(), c in any_grant(),
        ) {
            let m = a.meet(&b);
            prop_assert!(m.within(&a) && m.within(&b));
            // The greatest lower bound: whatever is within both is within it.
            prop_assert_eq!(c.within(&a) && c.within(&b), c.within(&m));
            for path in PATHS {
                prop_assert_eq!(m.files.reads(path), a.files.reads(path) && b.files.reads(path));
                prop_assert_eq!(m.files.writes(path), a.files.writes(path) && b.files.writes(path));
            }
        }

        #[test]
        fn narrowing_the_host_narrows_what_holds(
            host in any_grant(), less in any_grant(), tenant in any_grant(), profile in any_grant(),
        ) {
            let before = host.meet(&tenant).meet(&profile);
            let after = host.meet(&less).meet(&tenant).meet(&profile);
            prop_assert!(after.within(&before));
        }
    }

    proptest! {
        // Each case compiles three filters.
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// The law holds for what is installed, not just for what is written.
        #[test]
        fn the_compiled_meet_allows_what_both_compiled_sides_allow(
            a in any_grant(), b in any_grant(), flags in any::<u32>(), domain in 0u64..3,
        ) {
            let cell = Stack::cell().unwrap();
            let allowed = |grant: &Grant, name: &str, args: [u64; 6]| {
                let filter = run_filter(&grant.calls).unwrap();
                cell.answer(&filter, name, args).unwrap() == Answer::Allowed
            };
            let m = a.meet(&b);
            for (name, args) in [
                ("clone", [u64::from(flags), 0, 0, 0, 0, 0]),
                ("socket", [domain, 1, 0, 0, 0, 0]),
                ("socketpair", [1, 1, 0, 0, 0, 0]),
                ("kill", [0; 6]),
                ("mount", [0; 6]),
            ] {
                let both = allowed(&a, name, args) && allowed(&b, name, args);
                prop_assert_eq!(allowed(&m, name, args), both, "{}", name);
            }
        }
    }
}
