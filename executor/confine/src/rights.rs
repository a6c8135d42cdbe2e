//! Rights, and giving them up: capabilities, new privileges, and file access by
//! Landlock.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assize_sys::fd::above;
use assize_wire::cell::{SetupFailure, Step};
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs as no_new_privs_of_thread,
};

use crate::program::PARKED;
use crate::step::{At, failure};

/// Empties the calling process's capability sets. Changing from uid 0 does
/// that already; doing it by name leaves no room for securebits surprises.
pub fn drop_capabilities() -> Result<(), SetupFailure> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets).at(Step::Capabilities)
}

/// No exec may raise privileges: set-uid bits and file capabilities are dead.
pub fn no_new_privs() -> Result<(), SetupFailure> {
    no_new_privs_of_thread(true).at(Step::NoNewPrivs)
}

/// The newest Landlock ABI both this kernel and our crate know; 0 for none.
pub fn landlock_abi() -> u8 {
    let handled = |abi: ABI| {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))
            .and_then(|r| {
                let scopes: BitFlags<Scope> = Scope::from_all(abi);
                if scopes.is_empty() {
                    Ok(r)
                } else {
                    r.scope(scopes)
                }
            })
            .and_then(Ruleset::create)
            .is_ok()
    };
    let all = [ABI::V6, ABI::V5, ABI::V4, ABI::V3, ABI::V2, ABI::V1];
    let numbers = [6, 5, 4, 3, 2, 1];
    all.into_iter()
        .zip(numbers)
        .find(|(abi, _)| handled(*abi))
        .map_or(0, |(_, n)| n)
}

/// Landlock's rules for one run, put together before it is needed. A rule is
/// about an inode, not about a name: rules around one scratch space say nothing
/// of the next.
#[derive(Debug)]
pub struct Fence {
    read_only: Vec<String>,
    read_write: Vec<String>,
    rules: OwnedFd,
}

/// The ABI that rules are written for; a kernel with an older one enforces
/// what it knows.
const RULES: ABI = ABI::V6;

impl Fence {
    /// Around the named trees. A path that does not exist adds no right, so a
    /// mistake denies.
    pub fn new(read_only: &[String], read_write: &[String]) -> Result<Self, SetupFailure> {
        let make = || -> Result<RulesetCreated, RulesetError> {
            let rules = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(RULES))?
                .scope(Scope::from_all(RULES))?
                .create()?;
            rules
                .add_rules(path_beneath_rules(read_only, AccessFs::from_read(RULES)))?
                .add_rules(path_beneath_rules(read_write, AccessFs::from_all(RULES)))
        };
        let unfenced = failure(Step::Landlock, 0, Some(nix::libc::EOPNOTSUPP));
        let rules = make().map_err(|_| unfenced)?;
        // None where the kernel has no Landlock: nothing would be held.
        let rules = Option::<OwnedFd>::from(rules).ok_or(unfenced)?;
        Ok(Self {
            read_only: read_only.to_vec(),
            read_write: read_write.to_vec(),
            rules: above(rules.as_fd(), PARKED).at(Step::Landlock)?,
        })
    }

    /// Whether it stands around these trees.
    #[must_use]
    pub fn is_around(&self, read_only: &[String], read_write: &[String]) -> bool {
        self.read_only == read_only && self.read_write == read_write
    }

    /// What [`crate::program::confine`] shuts a process in with.
    #[must_use]
    pub fn rules(&self) -> BorrowedFd<'_> {
        self.rules.as_fd()
    }
}
