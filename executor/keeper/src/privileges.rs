//! What is left of root.

use assize_wire::cell::IdSource;
use rustix::io::{Errno, Result};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

/// Mapping host ids other than one's own into a user namespace takes the first
/// two in the namespace above (user_namespaces(7)). The root directory of a
/// cgroup hierarchy is not writable even for its owner, which takes the third.
/// Jails are reached by being of the same uid.
const FOR_PAIRS: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::DAC_OVERRIDE);

/// Root of a user namespace with a single id maps that one: then the kernel
/// asks for this instead (since Linux 5.12; user_namespaces(7)).
const FOR_OWN: CapabilitySet = CapabilitySet::SETFCAP.union(CapabilitySet::DAC_OVERRIDE);

/// Keeps what these ids take and gives up the rest for good, in this process and in every
/// jail: exec of uid 0 cannot go beyond the bounding set, nor beyond what it
/// had under no_new_privs. An ordinary user has nothing to give up, and needs
/// the set-uid `newuidmap` to work.
pub(crate) fn reduce(ids: IdSource) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let kept = match ids {
        IdSource::Pairs { .. } => FOR_PAIRS,
        IdSource::Own => FOR_OWN,
    };
    for index in 0..64 {
        match CapabilitySet::from_bits(1 << index) {
            Some(capability) if !kept.contains(capability) => {
                match remove_capability_from_bounding_set(capability) {
                    // A capability this kernel does not know.
                    Ok(()) | Err(Errno::INVAL) => {}
                    // Without CAP_SETPCAP, in a container: less to lose.
                    Err(Errno::PERM) => break,
                    Err(other) => return Err(other),
                }
            }
            Some(_) | None => {}
        }
    }
    let held = rustix::thread::capabilities(None)?.permitted;
    let sets = CapabilitySets {
        effective: held & kept,
        permitted: held & kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)
}
