//! Giving up what only starting takes, before the first request is read.

use anyhow::{Context, Result};
use nix::unistd::{Gid, Uid, User, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

use crate::Usage;

/// Used when there is no user `assize`: an id that owns nothing, just below
/// those of cells.
const NOBODY_ELSE: u32 = 0x49FF_FFFF;

/// Who the server is from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    uid: Uid,
    gid: Gid,
}

impl Identity {
    /// The user of this name or number; without one the user `assize`, or
    /// failing that an id nobody has.
    pub(crate) fn find(user: Option<&str>) -> Result<Self> {
        let lookup = |name: &str| User::from_name(name).context("reading /etc/passwd");
        let found = match user {
            None => lookup("assize")?,
            Some(name) => match name.parse::<u32>() {
                Ok(uid) => return Self::number(uid),
                Err(_) => Some(
                    lookup(name)?.ok_or_else(|| Usage(format!("--user: no user {name:?} here")))?,
                ),
            },
        };
        match found {
            Some(user) => Self::new(user.uid, user.gid),
            None => Self::number(NOBODY_ELSE),
        }
    }

    fn number(uid: u32) -> Result<Self> {
        Self::new(Uid::from_raw(uid), Gid::from_raw(uid))
    }

    fn new(uid: Uid, gid: Gid) -> Result<Self> {
        if uid.is_root() || gid.as_raw() == 0 {
            return Err(Usage("--user: the server does not run as root".to_owned()).into());
        }
        Ok(Self { uid, gid })
    }
}

/// Whether this user namespace has a single id, so that its root is an ordinary
/// user of the host and can become nobody else.
fn alone() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().nth(2) == Some("1") && map.lines().count() == 1
}

/// Becomes `identity`, for good, when this process is root; gives up every
/// capability and the right to gain any in either case. Must be called while
/// there is one thread: capabilities and no_new_privs are each thread's own.
pub(crate) fn give_up(identity: &Identity) -> Result<()> {
    for index in 0..64 {
        if let Some(capability) = CapabilitySet::from_bits(1 << index) {
            // Fails for what this kernel does not know, and for all without
            // CAP_SETPCAP: then no_new_privs alone stands guard.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    if nix::unistd::geteuid().is_root() && !alone() {
        let Identity { uid, gid } = *identity;
        let hint = "this host has no such id (a container?): name one with --user";
        setgroups(&[]).context("dropping supplementary groups")?;
        setresgid(gid, gid, gid).context(hint)?;
        setresuid(uid, uid, uid).context(hint)?;
        // The kernel now hides /proc/self from us, through which memory is
        // opened anew; whoever could read ours has our uid, which is nobody's.
        nix::sys::prctl::set_dumpable(true).context("staying visible to ourselves")?;
        anyhow::ensure!(setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_err());
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).context("dropping capabilities")?;
    set_no_new_privs(true).context("no_new_privs")?;
    // A dump would hold requests and keys.
    let no_core = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(rustix::process::Resource::Core, no_core).context("no core dumps")
}
