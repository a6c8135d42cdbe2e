//! Sealed memory: a run's files and its input, made once, shared without
//! copying, impossible to change afterwards.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use assize_wire::plan::PackEntry;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Most files one run may bring.
pub const MAX_FILES: usize = 4096;

/// A sealed memfd. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sealed {
    file: Arc<File>,
    /// Length in bytes.
    pub len: u64,
}

impl Sealed {
    /// Copies `parts` into fresh memory, end to end, and seals it.
    pub fn new(parts: &[&[u8]]) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(memfd_create("assize", flags)?);
        let mut len = 0;
        for part in parts {
            file.write_all(part)?;
            len += part.len() as u64;
        }
        // Sealing covers the contents; the mode covers what seals do not, such
        // as extended attributes and times, which the next holder could read.
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o444))?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        Ok(Self {
            file: Arc::new(file),
            len,
        })
    }

    /// The same bytes in memory that no other run will see.
    pub(crate) fn copy(&self) -> io::Result<OwnedFd> {
        let len = usize::try_from(self.len).map_err(io::Error::other)?;
        let mut data = Vec::with_capacity(len);
        File::from(self.open()?).read_to_end(&mut data)?;
        Self::new(&[&data])?.open()
    }

    /// A fresh read-only descriptor at offset 0: descriptors that share an
    /// open file description share their offset, and two runs must not.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.file.as_fd().as_raw_fd());
        Ok(File::open(path)?.into())
    }
}

/// Where a packed file's bytes come from.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// Path relative to `/work`.
    pub path: String,
    /// Contents.
    pub data: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
}

/// All files of a run in one sealed memfd. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pack {
    pub(crate) sealed: Sealed,
    pub(crate) entries: Arc<[PackEntry]>,
}

/// A set of files that cannot be packed; names the path.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The path could leave the working directory, or is no path at all.
    #[error("file name {0:?} is not a plain relative path")]
    Path(String),
    /// Two files of one name, or a file where another needs a directory.
    #[error("file name {0:?} is taken twice")]
    Duplicate(String),
    /// Too many files.
    #[error("{0} files, at most {MAX_FILES} are accepted")]
    TooMany(usize),
    /// The host could not hold them.
    #[error("no memory for the files")]
    Host(#[from] io::Error),
}

impl Pack {
    /// Checks the names and packs the contents.
    pub fn new(files: &[FileSource]) -> Result<Self, PackError> {
        if files.len() > MAX_FILES {
            return Err(PackError::TooMany(files.len()));
        }
        check_names(files.iter().map(|f| f.path.as_str()))?;
        let mut offset = 0;
        let mut entries = Vec::with_capacity(files.len());
        for file in files {
            let len = file.data.len() as u64;
            entries.push(PackEntry {
                path: file.path.clone(),
                mode: mode(file.executable),
                offset,
                len,
            });
            offset += len;
        }
        let parts: Vec<&[u8]> = files.iter().map(|f| f.data.as_slice()).collect();
        Ok(Self {
            sealed: Sealed::new(&parts)?,
            entries: entries.into(),
        })
    }
}

impl Pack {
    /// One file.
    pub fn of(path: &str, data: &[u8], executable: bool) -> Result<Self, PackError> {
        check_names(std::iter::once(path))?;
        let entry = PackEntry {
            path: path.to_owned(),
            mode: mode(executable),
            offset: 0,
            len: data.len() as u64,
        };
        Ok(Self {
            sealed: Sealed::new(&[data])?,
            entries: [entry].into(),
        })
    }

    /// The same and these files, in memory of their own.
    pub fn with(&self, files: &[FileSource]) -> Result<Self, PackError> {
        let count = self.entries.len() + files.len();
        if count > MAX_FILES {
            return Err(PackError::TooMany(count));
        }
        let old = self.entries.iter().map(|e| e.path.as_str());
        check_names(old.chain(files.iter().map(|f| f.path.as_str())))?;
        let more = Self::new(files)?;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        File::from(self.sealed.open()?).read_to_end(&mut first)?;
        File::from(more.sealed.open()?).read_to_end(&mut second)?;
        let moved = more.entries.iter().map(|entry| PackEntry {
            offset: entry.offset + self.sealed.len,
            ..entry.clone()
        });
        Ok(Self {
            sealed: Sealed::new(&[&first, &second])?,
            entries: self.entries.iter().cloned().chain(moved).collect(),
        })
    }

    /// Bytes of all its files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.sealed.len
    }
}

/// Whether `path` names something below the working directory in the one way
/// we accept: components that are no `.`, `..` or empty, no NUL, no control
/// characters, no leading slash, not absurdly long.
#[must_use]
pub fn plain_relative(path: &str) -> bool {
    path.len() <= 1024
        && !path.chars().any(char::is_control)
        && path
            .split('/')
            .all(|c| !c.is_empty() && c != "." && c != ".." && c.len() <= 255)
}

fn mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

fn check_names<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), PackError> {
    let mut names = BTreeSet::new();
    let mut dirs = BTreeSet::new();
    for path in paths {
        if !plain_relative(path) {
            return Err(PackError::Path(path.to_owned()));
        }
        if !names.insert(path) {
            return Err(PackError::Duplicate(path.to_owned()));
        }
        for (at, _) in path.match_indices('/') {
            dirs.insert(&path[..at]);
        }
    }
    match names.intersection(&dirs).next() {
        Some(clash) => Err(PackError::Duplicate((*clash).to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> FileSource {
        FileSource {
            path: path.into(),
            data: b"x".to_vec(),
            executable: false,
        }
    }

    #[test]
    fn names_that_could_leave_the_working_directory_are_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "a\0b",
            "a\nb",
        ] {
            assert!(
                matches!(Pack::new(&[file(path)]), Err(PackError::Path(_))),
                "{path:?}"
            );
        }
    }

    #[test]
    fn a_file_cannot_also_be_a_directory() {
        let clash = Pack::new(&[file("a"), file("a/b")]);
        assert!(matches!(clash, Err(PackError::Duplicate(p)) if p == "a"));
    }

    #[test]
    fn a_pack_with_more_files_has_all_of_them_and_no_name_twice() {
        let pack = Pack::new(&[file("a"), file("d/b")]).unwrap();
        let more = pack
            .with(&[FileSource {
                data: b"yz".to_vec(),
                ..file("c")
            }])
            .unwrap();
        assert_eq!(more.size(), 4);
        let at: Vec<_> = more.entries.iter().map(|e| (&*e.path, e.offset)).collect();
        assert_eq!(at, [("a", 0), ("d/b", 1), ("c", 2)]);
        for taken in ["a", "d", "d/b"] {
            assert!(matches!(
                pack.with(&[file(taken)]),
                Err(PackError::Duplicate(_))
            ));
        }
    }

    #[test]
    fn sealed_memory_cannot_be_written_and_offsets_are_not_shared() {
        let sealed = Sealed::new(&[b"hello ", b"world"]).unwrap();
        for _ in 0..2 {
            let mut text = String::new();
            File::from(sealed.open().unwrap())
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text, "hello world");
        }
        assert!((&*sealed.file).write(b"x").is_err());
    }
}
