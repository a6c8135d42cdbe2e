//! Modules attached to requests, kept for the next request with the same one.
//!
//! A case is one compiled program and many inputs: the executor attaches the
//! same memfd each time. Its inode number names it for as long as we hold it
//! open (the kernel cannot reuse the number), and its seals mean that its
//! content cannot have changed. Neither holds for anything but a sealed memfd,
//! and `trusted` refuses everything else.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use wasmtime::Linker;

use crate::host::Host;
use crate::program::Program;
use crate::trusted;

/// Programs kept; each holds its native code mapped.
const KEPT: usize = 32;

/// The most recently used programs, newest first.
#[derive(Default)]
pub(crate) struct Passed {
    kept: VecDeque<Kept>,
}

struct Kept {
    inode: (u64, u64),
    program: Arc<Program>,
    /// Only held, so that `inode` stays taken.
    _file: File,
}

impl Passed {
    /// The program in `file`, loaded if it is not already.
    pub(crate) fn get(
        &mut self,
        linker: &Linker<Host>,
        file: File,
    ) -> wasmtime::Result<Arc<Program>> {
        let meta = file.metadata()?;
        let inode = (meta.dev(), meta.ino());
        let found = self.kept.iter().position(|kept| kept.inode == inode);
        if let Some(kept) = found.and_then(|at| self.kept.remove(at)) {
            let program = Arc::clone(&kept.program);
            self.kept.push_front(kept);
            return Ok(program);
        }
        let module = trusted::attached(linker.engine(), file.try_clone()?)?;
        let program = Arc::new(Program::new(linker, &module)?);
        self.kept.truncate(KEPT - 1);
        self.kept.push_front(Kept {
            inode,
            program: Arc::clone(&program),
            _file: file,
        });
        Ok(program)
    }
}
