//! Handing files back when everything in the cell is dead.
//!
//! The names come from the request and the tree was made by the program, so
//! both are hostile. Nothing below is alive any more to swap a component, and
//! the kernel itself refuses links and anything outside /work.

use std::os::fd::OwnedFd;

use assize_wire::plan::{Collect, CollectError};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};
use rustix::io::Errno;

/// Opens each wanted file; sizes and errors line up with `wanted`, the
/// descriptors with the successes among them. Not `careful` is for controls.
pub(crate) fn collect(
    wanted: &[Collect],
    careful: bool,
) -> (Vec<Result<u64, CollectError>>, Vec<OwnedFd>) {
    let mut found = Vec::with_capacity(wanted.len());
    let mut files = Vec::new();
    let base = open(
        "/work",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    for item in wanted {
        let opened = match &base {
            Ok(base) if careful => open_one(base, item),
            Ok(base) => open_carelessly(base, item),
            Err(_) => Err(CollectError::Missing),
        };
        found.push(opened.map(|(file, size)| {
            files.push(file);
            size
        }));
    }
    (found, files)
}

fn open_one(base: &OwnedFd, item: &Collect) -> Result<(OwnedFd, u64), CollectError> {
    // Non-blocking, so that a FIFO cannot hold us; it is refused below.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let file =
        openat2(base, item.path.as_str(), flags, Mode::empty(), resolve).map_err(|e| match e {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => CollectError::Missing,
            _ => CollectError::Irregular,
        })?;
    let status = fstat(&file).map_err(|_| CollectError::Irregular)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(CollectError::Irregular);
    }
    let size = u64::try_from(status.st_size).map_err(|_| CollectError::Irregular)?;
    if size > item.max_bytes {
        Err(CollectError::TooLarge)
    } else {
        Ok((file, size))
    }
}

/// What a collector does that has not heard of links, pipes and `..`: the
/// control of the attacks on [`open_one`].
fn open_carelessly(base: &OwnedFd, item: &Collect) -> Result<(OwnedFd, u64), CollectError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(base, item.path.as_str(), flags, Mode::empty())
        .map_err(|_| CollectError::Missing)?;
    Ok((file, 0))
}
