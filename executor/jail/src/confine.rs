//! Giving rights up: capabilities, new privileges, nested namespaces, file
//! access by Landlock.

use std::fs;
use std::os::fd::OwnedFd;

use assize_wire::cell::{SetupFailure, Step};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
};

use assize_confine::step::At;

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

/// What an interpreter that waits for runs needs to let its forks give up their
/// rights: namespaces of their own, and another uid. It is inherited by what the
/// init executes as uid 0, which is nothing but those interpreters: a program
/// loses its inheritable set with the others.
pub(crate) fn keep_for_warm_interpreters() -> Result<(), SetupFailure> {
    let held = rustix::thread::capabilities(None).at(Step::Capabilities)?;
    let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::SETUID | CapabilitySet::SETGID;
    let sets = CapabilitySets {
        inheritable: held.permitted & needed,
        ..held
    };
    set_capabilities(None, sets).at(Step::Capabilities)
}

/// After this no exec can gain a capability, file capabilities included, that is
/// not in the inheritable set.
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
