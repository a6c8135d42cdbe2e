//! `/work`: a run's files, laid out in a directory of its own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use assize_wire::plan::PackEntry;
use wasmtime::ensure;
use wasmtime::error::Context as _;

/// Bytes copied at once.
const CHUNK: usize = 64 << 10;

/// Names tried for one directory.
const ATTEMPTS: u32 = 100;

/// The directory; removed when dropped.
pub(crate) struct WorkDir(PathBuf);

impl WorkDir {
    /// Lays out `files` from `pack` in a fresh directory for run `id`.
    pub(crate) fn lay_out(id: u64, files: &[PackEntry], pack: &File) -> wasmtime::Result<Self> {
        let dir = Self(fresh_directory(id)?);
        let size = pack.metadata()?.len();
        for file in files {
            dir.write(file, pack, size)
                .with_context(|| format!("file {:?}", file.path))?;
        }
        Ok(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, file: &PackEntry, pack: &File, size: u64) -> wasmtime::Result<()> {
        ensure!(is_plain(&file.path), "path is not made of plain components");
        let end = file.offset.checked_add(file.len);
        ensure!(end.is_some_and(|end| end <= size), "outside the pack");
        let path = self.0.join(&file.path);
        if let Some(parent) = path.parent().filter(|parent| *parent != self.0) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
        }
        // `create_new`: the second of two files with one name is an error, and
        // no link is followed (there can be none: only we write here).
        let mode = (file.mode & 0o777) | 0o400;
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        let mut buffer = vec![0; CHUNK.min(usize::try_from(file.len)?)];
        let mut done = 0;
        while done < file.len {
            let want = buffer.len().min(usize::try_from(file.len - done)?);
            pack.read_exact_at(&mut buffer[..want], file.offset + done)?;
            out.write_all(&buffer[..want])?;
            done += want as u64;
        }
        Ok(())
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // What cannot be removed is in the cell's own tmpfs and goes with it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A directory that did not exist before: nobody can have prepared it for us.
/// A worker that was killed leaves its own behind, and its process id comes
/// round again, so a name that is taken is passed over.
fn fresh_directory(id: u64) -> std::io::Result<PathBuf> {
    let parent = std::env::temp_dir();
    let name = format!("assize-{}-{id}", std::process::id());
    let mut attempt = 0;
    loop {
        let path = parent.join(format!("{name}-{attempt}"));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Relative, and neither `.` nor `..` nor an empty component nor a NUL.
fn is_plain(path: &str) -> bool {
    let plain = |part| matches!(part, Component::Normal(_));
    !path.contains('\0')
        && !path.split('/').any(|part| part.is_empty() || part == ".")
        && Path::new(path).components().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_left_by_a_killed_worker_is_passed_over() {
        let (first, second) = (
            fresh_directory(u64::MAX).unwrap(),
            fresh_directory(u64::MAX),
        );
        let second = second.unwrap();
        assert_ne!(first, second);
        fs::remove_dir(first).unwrap();
        fs::remove_dir(second).unwrap();
    }

    #[test]
    fn only_plain_relative_paths_are_laid_out() {
        for path in ["main.py", "a/b.txt", "a b", "..a", "a/...", "é"] {
            assert!(is_plain(path), "{path:?}");
        }
        for path in [
            "", "/", "/a", "a/", "a//b", ".", "./a", "a/.", "..", "a/../b", "a\0b",
        ] {
            assert!(!is_plain(path), "{path:?}");
        }
    }
}
