//! Laying out a run's files.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assize_sys::fd::above;
use assize_wire::cell::{SetupFailure, Step};
use assize_wire::plan::PackEntry;
use rustix::fs::{Mode, OFlags, mkdirat, open, openat, sendfile};

use crate::program::PARKED;
use crate::step::At;

/// Lays the files out as the program's own uid: whatever a name tries, it has
/// no more rights than the program itself.
pub(crate) fn write_files(files: &[PackEntry], pack: &OwnedFd) -> Result<(), SetupFailure> {
    let work = open(
        ".",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Step::Files)?;
    let pack = File::from(above(pack.as_fd(), PARKED).at(Step::Files)?);
    for (index, entry) in files.iter().enumerate() {
        write_file(&work, entry, &pack).at_item(Step::Files, index)?;
    }
    Ok(())
}

fn write_file(work: &OwnedFd, entry: &PackEntry, pack: &File) -> std::io::Result<()> {
    let parts: Vec<&str> = entry.path.split('/').collect();
    let plain = |p: &&str| !p.is_empty() && *p != "." && *p != ".." && !p.contains('\0');
    let (Some((name, dirs)), true) = (parts.split_last(), parts.iter().all(plain)) else {
        return Err(std::io::Error::from_raw_os_error(nix::libc::EINVAL));
    };
    let mut parent: Option<OwnedFd> = None;
    for dir in dirs {
        let base: BorrowedFd<'_> = parent.as_ref().map_or(work.as_fd(), AsFd::as_fd);
        match mkdirat(base, *dir, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        parent = Some(openat(base, *dir, flags, Mode::empty())?);
    }
    let base: BorrowedFd<'_> = parent.as_ref().map_or(work.as_fd(), AsFd::as_fd);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(openat(
        base,
        *name,
        flags,
        Mode::from_raw_mode(entry.mode & 0o777),
    )?);
    let end = entry.offset.saturating_add(entry.len);
    let mut offset = entry.offset;
    // In the kernel, from memory to memory: half the work of reading and
    // writing, and it sees at once how large the file's folios may be.
    while offset < end {
        let want = usize::try_from(end - offset).unwrap_or(usize::MAX);
        if sendfile(&file, pack, Some(&mut offset), want)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    // The umask of the init is not the program's business.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode & 0o777))?;
    Ok(())
}
