//! Giving rights up: capabilities, new privileges, nested namespaces, file
//! access by Landlock.

use std::fs;
use std::os::fd::OwnedFd;

use assize_wire::cell::{SetupFailure, Step};
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs as no_new_privs_of_thread,
};

use crate::step::At;

/// Writes the user namespace's own limits while the host's /proc is still in
/// sight: the sysctl tables of these are per user namespace, and 0 stays 0 for
/// everything below.
pub(crate) fn forbid_nested_namespaces() -> Result<(), SetupFailure> {
    for (index, kind) in ["user", "mnt", "pid", "uts", "time"].iter().enumerate() {
        // The ipc, cgroup and net counts are left alone: runs get fresh ones, and
        // without a user namespace nothing else can make any. The mnt, pid … counts of the cell itself are charged above.
        let path = format!("/proc/sys/user/max_{kind}_namespaces");
        match fs::write(path, "0") {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => other.at_item(Step::Ids, index)?,
        }
    }
    Ok(())
}

/// Settings of a network namespace, reached through the host's /proc/sys/net,
/// which shows those of whatever namespace its reader is in.
pub(crate) fn network_settings() -> Result<OwnedFd, SetupFailure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open("/proc/sys/net", flags, Mode::empty()).at(Step::Net)
}

/// Some of what the kernel keeps in a network namespace is nobody's memory.
/// Written into each that this cell gets; each is a setting of the namespace.
pub(crate) fn forget_connections(settings: &OwnedFd) -> Result<(), SetupFailure> {
    let values = [
        // A closed connection would keep its port for a minute, and the next
        // run from binding it. On a loopback no late segment can arrive.
        ("ipv4/tcp_max_tw_buckets", "0"),
        // Nor what one run's connections were like to the next run's.
        ("ipv4/tcp_no_metrics_save", "1"),
        // A stamp asked for with a message would keep that message on an error
        // queue, which no memory cgroup counts; the filter does not see who
        // asks so. The host's own setting before Linux 6.18.
        ("core/tstamp_allow_data", "0"),
        // Behind the filter, which lets nobody join a group.
        ("ipv4/igmp_max_memberships", "0"),
        // What a connection holds before it is accepted is nobody's memory, so
        // it may grow to a megabyte, not to six.
        ("ipv4/tcp_rmem", "4096 131072 1048576"),
    ];
    for (index, (name, value)) in values.iter().enumerate() {
        match openat(
            settings,
            *name,
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(e).at_item(Step::Net, index),
            Ok(file) => {
                rustix::io::write(&file, value.as_bytes()).at_item(Step::Net, index)?;
            }
        }
    }
    Ok(())
}

/// After this no exec can ever gain a capability, file capabilities included.
/// The init keeps its own, inside its user namespace, for mounting.
pub(crate) fn drop_bounding_set() -> Result<(), SetupFailure> {
    for index in 0..64 {
        let Some(capability) = CapabilitySet::from_bits(1 << index) else {
            continue;
        };
        match remove_capability_from_bounding_set(capability) {
            // A capability this kernel does not know.
            Err(rustix::io::Errno::INVAL) | Ok(()) => {}
            Err(e) => return Err(e).at_item(Step::Capabilities, index),
        }
    }
    Ok(())
}

/// Empties the calling process's capability sets. Changing from uid 0 does
/// that already; doing it by name leaves no room for securebits surprises.
pub(crate) fn drop_capabilities() -> Result<(), SetupFailure> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets).at(Step::Capabilities)
}

/// What a warden needs to its end: removing the server's directory from the
/// root of a cgroup hierarchy, which is not writable even for its owner.
pub(crate) fn keep_only_removal() -> rustix::io::Result<()> {
    let held = rustix::thread::capabilities(None)?.permitted & CapabilitySet::DAC_OVERRIDE;
    let sets = CapabilitySets {
        effective: held,
        permitted: held,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)
}

/// A limit of 0 stops core files but not a core_pattern that pipes to a
/// handler of the host's; 1 is the kernel's word for "no dump of any kind"
/// (fs/coredump.c). The filter keeps programs from changing it again.
pub(crate) fn no_core_dumps() -> Result<(), SetupFailure> {
    let limit = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    setrlimit(Resource::Core, limit).at(Step::Rlimits)
}

/// No exec may raise privileges: set-uid bits and file capabilities are dead.
pub(crate) fn no_new_privs() -> Result<(), SetupFailure> {
    no_new_privs_of_thread(true).at(Step::NoNewPrivs)
}

/// The newest Landlock ABI both this kernel and our crate know; 0 for none.
pub(crate) fn landlock_abi() -> u8 {
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
pub(crate) struct Fence {
    read_only: Vec<String>,
    read_write: Vec<String>,
    rules: RulesetCreated,
}

/// The ABI that rules are written for; a kernel with an older one enforces
/// what it knows.
const RULES: ABI = ABI::V6;

impl Fence {
    /// Around the named trees. A path that does not exist adds no right, so a
    /// mistake denies.
    pub(crate) fn new(read_only: &[String], read_write: &[String]) -> Result<Self, SetupFailure> {
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
        Ok(Self {
            read_only: read_only.to_vec(),
            read_write: read_write.to_vec(),
            rules: make().map_err(|_| unfenced())?,
        })
    }

    /// Whether it stands around these trees.
    pub(crate) fn is_around(&self, read_only: &[String], read_write: &[String]) -> bool {
        self.read_only == read_only && self.read_write == read_write
    }

    /// Shuts the calling process in.
    pub(crate) fn close(&self) -> Result<(), SetupFailure> {
        let rules = self.rules.try_clone().map_err(|_| unfenced())?;
        match rules.restrict_self().map(|status| status.ruleset) {
            Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => Ok(()),
            Ok(RulesetStatus::NotEnforced) | Err(_) => Err(unfenced()),
        }
    }
}

fn unfenced() -> SetupFailure {
    SetupFailure {
        step: Step::Landlock,
        index: 0,
        errno: nix::libc::EOPNOTSUPP,
    }
}
