//! Giving up what only starting takes, before the first request is read.

use std::path::Path;

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

    /// Its number.
    pub(crate) fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Makes it the owner of a file that root has just made.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        let (uid, gid) = (Some(self.uid.as_raw()), Some(self.gid.as_raw()));
        std::os::unix::fs::chown(path, uid, gid)
            .with_context(|| format!("making {} the server's own", path.display()))
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

/// Who this process is.
pub(crate) fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether this process is somebody who will become somebody else.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root() && !alone()
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
    if is_root() {
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
