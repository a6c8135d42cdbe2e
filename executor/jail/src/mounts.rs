//! The root a program sees: a small tmpfs, read-only views of the host's
//! toolchain, six devices, a procfs that shows only the cell's own processes.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use assize_sys::mount::{MountFlags, restrict};
use assize_wire::cell::{CellSpec, Layer, PROC_ITEM, SetupFailure, Step};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use assize_confine::step::At;

/// Where the new root is put together, in a mount namespace nobody shares.
const STAGE: &str = "/tmp";

/// The new root, ready to pivot into.
pub(crate) struct Root {
    read_only: bool,
    /// See [`crate::cell::Cell::proc`].
    pub(crate) proc: OwnedFd,
}

/// What we mount must never propagate to the host, nor the host's later mounts
/// into the cell.
pub(crate) fn make_private() -> Result<(), SetupFailure> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).at(Step::Mounts)
}

/// Puts the root together under [`STAGE`]. The trees were opened before, as
/// a source may lie under the stage's own path, which is about to be covered.
pub(crate) fn build_root(spec: &CellSpec, trees: &[OwnedFd]) -> Result<Root, SetupFailure> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("cell"),
        STAGE,
        Some("tmpfs"),
        flags,
        Some("mode=755,size=4m,nr_inodes=512"),
    )
    .at(Step::Mounts)?;
    for (index, (bind, tree)) in spec.binds.iter().zip(trees).enumerate() {
        attach(tree, &bind.target, bind.device).at_item(Step::Mounts, index)?;
    }
    for (index, (path, target)) in spec.symlinks.iter().enumerate() {
        let path = staged(path);
        make_parent(&path)
            .and_then(|()| symlink(target, &path))
            .at_item(Step::Mounts, index)?;
    }
    for (index, file) in spec.files.iter().enumerate() {
        write_file(&staged(&file.path), &file.data, file.mode).at_item(Step::Mounts, index)?;
    }
    for dir in ["/proc", "/work", "/tmp", "/dev/shm", "/box"] {
        fs::create_dir_all(staged(dir)).at(Step::Mounts)?;
    }
    let private = !spec.without.contains(&Layer::Proc);
    let proc = mount_proc(true, private)?;
    let visible = mount_proc(false, private)?;
    move_mount(
        &visible,
        "",
        CWD,
        staged("/proc"),
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .at(Step::Mounts)?;
    Ok(Root {
        read_only: !spec.without.contains(&Layer::ReadOnly),
        proc,
    })
}

/// Opens each bind's source as a detached tree and takes its rights away
/// before it is visible anywhere.
pub(crate) fn open_binds(spec: &CellSpec) -> Result<Vec<OwnedFd>, SetupFailure> {
    let read_only = !spec.without.contains(&Layer::ReadOnly);
    let mut trees = Vec::with_capacity(spec.binds.len());
    for (index, bind) in spec.binds.iter().enumerate() {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(CWD, &bind.source, flags).at_item(Step::Mounts, index)?;
        let flags = MountFlags {
            // A device node on a read-only mount still takes writes.
            read_only,
            no_dev: !bind.device,
            no_exec: bind.device,
        };
        restrict(tree.as_fd(), flags, true).at_item(Step::Mounts, index)?;
        trees.push(tree);
    }
    Ok(trees)
}

fn attach(tree: &OwnedFd, target: &str, device: bool) -> std::io::Result<()> {
    let target = staged(target);
    make_parent(&target)?;
    if device || !rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(tree)?.st_mode).is_dir() {
        File::create(&target)?;
    } else {
        fs::create_dir_all(&target)?;
    }
    let from_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(tree, "", CWD, target, from_descriptor)?)
}

/// A procfs of the cell's pid namespace that shows a process only its own
/// kind (`hidepid`) and nothing but processes (`subset=pid`): no
/// /proc/sys, /proc/kcore, /proc/cpuinfo.
fn mount_proc(writable: bool, private: bool) -> Result<OwnedFd, SetupFailure> {
    let make = || -> rustix::io::Result<OwnedFd> {
        let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        if private {
            fsconfig_set_string(&context, "hidepid", "invisible")?;
            fsconfig_set_string(&context, "subset", "pid")?;
        }
        fsconfig_create(&context)?;
        let mut flags = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        if !writable {
            flags |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
    };
    make().at_item(Step::Mounts, usize::from(PROC_ITEM))
}

/// Makes the stage the root and lets go of the host's tree for good.
pub(crate) fn pivot_into(root: &Root) -> Result<(), SetupFailure> {
    chdir(STAGE).at(Step::Pivot)?;
    // pivot_root(".", ".") stacks the old root on the new one, where it can be
    // detached without a directory to hold it; see pivot_root(2).
    pivot_root(".", ".").at(Step::Pivot)?;
    umount2(".", MntFlags::MNT_DETACH).at(Step::Pivot)?;
    chdir("/").at(Step::Pivot)?;
    // A working directory outside the root would be a way back (CVE-2024-21626).
    if nix::unistd::getcwd().at(Step::Pivot)? != Path::new("/") {
        return Err(SetupFailure {
            step: Step::Pivot,
            index: 1,
            errno: nix::libc::EXDEV,
        });
    }
    if root.read_only {
        let here = open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLOEXEC).at(Step::Pivot)?;
        let flags = MountFlags {
            read_only: true,
            no_dev: true,
            no_exec: false,
        };
        restrict(here.as_fd(), flags, false).at(Step::Pivot)?;
    }
    Ok(())
}

fn staged(path: &str) -> PathBuf {
    Path::new(STAGE).join(path.trim_start_matches('/'))
}

fn make_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn write_file(path: &Path, data: &[u8], mode: u32) -> std::io::Result<()> {
    make_parent(path)?;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(data)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}
