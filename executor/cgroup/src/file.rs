//! A control file kept open: written and read back at offset 0.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::CgroupError;

/// An open control file.
pub(crate) struct Control {
    path: PathBuf,
    file: File,
}

impl Control {
    /// Opens for reading and writing.
    pub(crate) fn open(dir: &Path, name: &str) -> Result<Self, CgroupError> {
        Self::open_with(dir, name, true)
    }

    /// Opens for reading.
    pub(crate) fn open_read(dir: &Path, name: &str) -> Result<Self, CgroupError> {
        Self::open_with(dir, name, false)
    }

    /// Opens a file that can only be written.
    pub(crate) fn write_only(dir: &Path, name: &str) -> Result<Self, CgroupError> {
        let path = dir.join(name);
        match File::options().write(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(CgroupError::Io { path, source }),
        }
    }

    /// Opens a file that not every kernel has.
    pub(crate) fn optional(dir: &Path, name: &str) -> Result<Option<Self>, CgroupError> {
        for write in [true, false] {
            match Self::open_with(dir, name, write) {
                Ok(control) => return Ok(Some(control)),
                Err(CgroupError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    return Ok(None);
                }
                Err(CgroupError::Io { source, .. })
                    if write && source.kind() == ErrorKind::PermissionDenied => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    fn open_with(dir: &Path, name: &str, write: bool) -> Result<Self, CgroupError> {
        let path = dir.join(name);
        match File::options().read(true).write(write).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(CgroupError::Io { path, source }),
        }
    }

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
