//! A control file kept open: written and read back at offset 0. The keeper
//! opens it, the server uses it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::CgroupError;

/// Opened control files by name, on their way from keeper to server.
pub type Controls = Vec<(String, OwnedFd)>;

/// How a control file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A counter.
    Read,
    /// A command.
    Write,
    /// A limit: written and read back.
    Both,
}

/// A file of a group that is opened when the group is made.
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) name: &'static str,
    /// How.
    pub(crate) access: Access,
    /// Whether every kernel has it. An optional one that may be written is
    /// opened for reading where the kernel allows no more.
    pub(crate) needed: bool,
}

/// Opens the wanted files of `dir`.
pub(crate) fn open_all(
    dir: &Path,
    wanted: &[Wanted],
    into: &mut Controls,
) -> Result<(), CgroupError> {
    for want in wanted {
        let path = dir.join(want.name);
        let opened = open(&path, want.access).or_else(|error| {
            match (want.needed, want.access, error.kind()) {
                (false, Access::Both, ErrorKind::PermissionDenied) => open(&path, Access::Read),
                _ => Err(error),
            }
        });
        match opened {
            Ok(file) => into.push((want.name.to_owned(), file.into())),
            Err(e) if !want.needed && e.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(CgroupError::Io { path, source }),
        }
    }
    Ok(())
}

fn open(path: &Path, access: Access) -> io::Result<File> {
    File::options()
        .read(access != Access::Write)
        .write(access != Access::Read)
        .open(path)
}

/// Control files as the server received them, to be taken by name.
pub(crate) struct Received(BTreeMap<String, OwnedFd>);

impl Received {
    pub(crate) fn new(controls: Controls) -> Self {
        Self(controls.into_iter().collect())
    }

    /// One that must be there.
    pub(crate) fn take(&mut self, name: &str) -> Result<Control, CgroupError> {
        self.optional(name).ok_or_else(|| CgroupError::Io {
            path: name.into(),
            source: ErrorKind::NotFound.into(),
        })
    }

    /// One that not every kernel has.
    pub(crate) fn optional(&mut self, name: &str) -> Option<Control> {
        self.0.remove(name).map(|fd| Control {
            path: name.into(),
            file: fd.into(),
        })
    }
}

/// An open control file.
pub(crate) struct Control {
    path: PathBuf,
    file: File,
}

impl Control {
    fn fail(&self, source: io::Error) -> CgroupError {
        CgroupError::Io {
            path: self.path.clone(),
            source,
        }
    }

    /// The whole file, which for all of ours is less than a page.
    pub(crate) fn text(&self) -> Result<String, CgroupError> {
        let mut buffer = [0; 4096];
        let n = self
            .file
            .read_at(&mut buffer, 0)
            .map_err(|e| self.fail(e))?;
        Ok(String::from_utf8_lossy(&buffer[..n]).trim().to_owned())
    }

    /// A file that holds one number. `max` reads as `u64::MAX`.
    pub(crate) fn number(&self) -> Result<u64, CgroupError> {
        let text = self.text()?;
        if text == "max" {
            return Ok(u64::MAX);
        }
        text.parse()
            .map_err(|_| self.fail(ErrorKind::InvalidData.into()))
    }

    /// The number after `key` in a file of `key value` lines; 0 when absent.
    pub(crate) fn field(&self, key: &str) -> Result<u64, CgroupError> {
        let text = self.text()?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        match value {
            Some(value) => value
                .parse()
                .map_err(|_| self.fail(ErrorKind::InvalidData.into())),
            None => Ok(0),
        }
    }

    /// Writes without reading back: for resets.
    pub(crate) fn write(&self, value: &str) -> Result<(), CgroupError> {
        self.file
            .write_all_at(value.as_bytes(), 0)
            .map_err(|e| self.fail(e))
    }

    /// Writes a limit and makes sure the kernel holds it. The kernel rounds
    /// bytes down to whole pages, so up to one page less is the same limit.
    pub(crate) fn set(&self, value: u64) -> Result<(), CgroupError> {
        self.write(&value.to_string())?;
        let reads = self.text()?;
        let held = reads.parse::<u64>().ok();
        if held.is_some_and(|held| held <= value && value - held < 4096) {
            Ok(())
        } else {
            Err(CgroupError::ReadBack {
                path: self.path.clone(),
                wrote: value,
                reads,
            })
        }
    }
}
