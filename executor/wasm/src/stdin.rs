//! Standard input from a regular file.

use std::fs::File;
use std::os::unix::fs::FileExt;

use wasmtime::ensure;

/// Most bytes handed over at once.
const CHUNK: usize = 1 << 20;

/// Reads at its own offset: the descriptor's offset is shared with every
/// other run that was given the same input.
pub(crate) struct Input {
    file: File,
    offset: u64,
}

impl Input {
    /// Accepts regular files only (a memfd is one): reading anything else
    /// could block, and with it every guest of this worker.
    pub(crate) fn new(file: File) -> wasmtime::Result<Self> {
        ensure!(file.metadata()?.is_file(), "stdin is not a regular file");
        Ok(Self { file, offset: 0 })
    }

    /// 0 at the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let want = into.len().min(CHUNK);
        let read = self.file.read_at(&mut into[..want], self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}
