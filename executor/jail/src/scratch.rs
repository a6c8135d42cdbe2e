//! The writable part of the world, fresh for every run: one tmpfs with one
//! size and inode cap, seen as /work, /tmp and /dev/shm.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use assize_wire::cell::{SetupFailure, Step};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::step::At;

/// Where the tmpfs itself sits; only the init can look in.
const BOX: &str = "/box";

/// The three views of the tmpfs.
const VIEWS: [(&str, &str); 3] = [
    ("/box/work", "/work"),
    ("/box/tmp", "/tmp"),
    ("/box/shm", "/dev/shm"),
];

/// Mounts a fresh tmpfs and its views.
pub(crate) fn mount_fresh(bytes: u64, inodes: u64) -> Result<(), SetupFailure> {
    let none = None::<&str>;
    // Four inodes are the tmpfs root and the views themselves. Rounded up to
    // a page: tmpfs reads a size of 0 as no limit at all.
    let bytes = bytes.max(4096);
    let options = format!(
        "mode=700,size={bytes},nr_inodes={}",
        inodes.saturating_add(4)
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("scratch"),
        BOX,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    )
    .at(Step::Scratch)?;
    for (index, (inner, view)) in VIEWS.into_iter().enumerate() {
        DirBuilder::new()
            .mode(0o700)
            .create(inner)
            .at_item(Step::Scratch, index)?;
        // World-writable and sticky, owned by the init: the program can fill
        // them but not change their own mode, owner or attributes.
        fs::set_permissions(inner, fs::Permissions::from_mode(0o1777))
            .at_item(Step::Scratch, index)?;
        mount(Some(inner), view, none, MsFlags::MS_BIND, none).at_item(Step::Scratch, index)?;
    }
    Ok(())
}

/// Lets go of the tmpfs with everything in it. Nothing in the tree is looked
/// at, so no depth, mode or name in it can hurt.
pub(crate) fn unmount() -> Result<(), SetupFailure> {
    for (index, (_, view)) in VIEWS.into_iter().rev().enumerate() {
        umount2(view, MntFlags::MNT_DETACH).at_item(Step::Scratch, index)?;
    }
    umount2(BOX, MntFlags::MNT_DETACH).at(Step::Scratch)
}
