//! The writable part of the world, fresh for every run: one tmpfs with one
//! size and inode cap, seen as /work, /tmp and /dev/shm.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use assize_wire::cell::{SetupFailure, Step};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use assize_confine::step::At;

/// Where the tmpfs itself sits; only the init can look in.
const BOX: &str = "/box";

/// The three views of the tmpfs.
const VIEWS: [(&str, &str); 3] = [
    ("/box/work", "/work"),
    ("/box/tmp", "/tmp"),
    ("/box/shm", "/dev/shm"),
];

/// Room in a scratch tmpfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Inodes.
    pub(crate) inodes: u64,
}

/// The scratch space of the next run. It is mounted between runs, as large as
/// the last one's, so that the usual run finds it ready.
#[derive(Debug)]
pub(crate) struct Scratch {
    mounted: Option<Room>,
    /// Whether a file's pages come in large folios, which costs a quarter.
    large: bool,
}

impl Scratch {
    /// Nothing is mounted yet.
    pub(crate) fn new() -> Self {
        Self {
            mounted: None,
            large: true,
        }
    }

    /// Mounts a fresh one unless one of that size is ready. Says whether it
    /// did.
    pub(crate) fn prepare(&mut self, room: Room) -> Result<bool, SetupFailure> {
        if self.mounted == Some(room) {
            return Ok(false);
        }
        self.discard()?;
        match mount_fresh(room, self.large) {
            // A kernel without huge pages knows no such option.
            Err(Errno::EINVAL) if self.large => {
                self.large = false;
                mount_fresh(room, false)
            }
            other => other,
        }
        .at(Step::Scratch)?;
        self.mounted = Some(room);
        for (index, (inner, view)) in VIEWS.into_iter().enumerate() {
            show(inner, view).at_item(Step::Scratch, index)?;
        }
        Ok(true)
    }

    /// Whether there is one at all.
    pub(crate) fn is_mounted(&self) -> bool {
        self.mounted.is_some()
    }

    /// Lets go of the tmpfs with everything in it. Nothing in the tree is
    /// looked at, so no depth, mode or name in it can hurt.
    pub(crate) fn discard(&mut self) -> Result<(), SetupFailure> {
        if self.mounted.take().is_none() {
            return Ok(());
        }
        for (index, (_, view)) in VIEWS.into_iter().rev().enumerate() {
            umount2(view, MntFlags::MNT_DETACH).at_item(Step::Scratch, index)?;
        }
        umount2(BOX, MntFlags::MNT_DETACH).at(Step::Scratch)
    }
}

fn mount_fresh(room: Room, large: bool) -> nix::Result<()> {
    // Four inodes are the tmpfs root and the views themselves. Rounded up to
    // a page: tmpfs reads a size of 0 as no limit at all.
    let bytes = room.bytes.max(4096);
    let inodes = room.inodes.saturating_add(4);
    let huge = if large { ",huge=within_size" } else { "" };
    let options = format!("mode=700,size={bytes},nr_inodes={inodes}{huge}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("scratch"),
        BOX,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    )
}

fn show(inner: &str, view: &str) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(inner)?;
    // World-writable and sticky, owned by the init: the program can fill them
    // but not change their own mode, owner or attributes.
    fs::set_permissions(inner, fs::Permissions::from_mode(0o1777))?;
    let none = None::<&str>;
    Ok(mount(Some(inner), view, none, MsFlags::MS_BIND, none)?)
}
