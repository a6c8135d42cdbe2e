//! What a tree is made of: files, directories and devices.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::errno::Errno;

/// A file or directory, by number; its `st_ino` as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Node(pub(super) usize);

/// Nodes from here on belong to the library, which all runs share.
pub(super) const SHARED: usize = 1 << 31;

impl Node {
    pub(crate) const ROOT: Self = Self(0);

    pub(crate) fn ino(self) -> u64 {
        self.0 as u64 + 1
    }
}

/// Where a file's bytes are.
#[derive(Clone)]
pub(crate) enum Content {
    /// Here.
    Own(Vec<u8>),
    /// In a file of the host that does not change: a sealed pack, a library.
    Slice {
        file: Arc<File>,
        offset: u64,
        len: u64,
    },
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Own(bytes) => bytes.len() as u64,
            Self::Slice { len, .. } => *len,
        }
    }
}

/// A device that programs expect under `/dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Null,
    Zero,
    Random,
    Stdin,
    Stdout,
    Stderr,
}

pub(crate) enum Kind {
    Directory(BTreeMap<Box<str>, Node>),
    File(Content),
    Device(Device),
}

pub(crate) struct Inode {
    pub(crate) kind: Kind,
    /// Names that lead here; a directory's own is counted once.
    pub(crate) links: u64,
    /// Descriptors that hold it.
    pub(super) opened: u32,
    /// Nanoseconds since 1970.
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
    pub(super) read_only: bool,
}

impl Inode {
    pub(super) fn new(kind: Kind, now: u64, read_only: bool) -> Self {
        Self {
            kind,
            links: 1,
            opened: 0,
            accessed: now,
            modified: now,
            changed: now,
            read_only,
        }
    }
}

impl Content {
    /// Reads until `into` is full or the content ends.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let left = self.len().saturating_sub(offset);
        let want = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let into = &mut into[..want];
        match self {
            Self::Own(bytes) => {
                let at = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                into.copy_from_slice(&bytes[at..at + want]);
            }
            Self::Slice {
                file, offset: base, ..
            } => {
                let from = base.checked_add(offset).ok_or(Errno::IO)?;
                file.read_exact_at(into, from).map_err(|_| Errno::IO)?;
            }
        }
        Ok(want)
    }
}
