//! Standard input from a regular file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;
use wasmtime::ensure;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

/// Most bytes handed over at once: bounds what one read allocates here.
const CHUNK: usize = 64 << 10;

/// Reads at its own offset: the descriptor's offset is shared with every
/// other run that was given the same input.
#[derive(Clone)]
pub(crate) struct Input {
    file: Arc<File>,
    offset: Arc<AtomicU64>,
}

impl Input {
    /// Accepts regular files only (a memfd is one): reading anything else
    /// could block, and with it every guest of this worker.
    pub(crate) fn new(file: File) -> wasmtime::Result<Self> {
        ensure!(file.metadata()?.is_file(), "stdin is not a regular file");
        Ok(Self {
            file: Arc::new(file),
            offset: Arc::new(AtomicU64::new(0)),
        })
    }
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let offset = self.offset.load(Ordering::Relaxed);
        let mut bytes = BytesMut::zeroed(size.min(CHUNK));
        match self.file.read_at(&mut bytes, offset) {
            Ok(0) => Err(StreamError::Closed),
            Ok(read) => {
                bytes.truncate(read);
                self.offset.store(offset + read as u64, Ordering::Relaxed);
                Ok(bytes.freeze())
            }
            Err(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {}
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    /// Only WASI p3 asks for this one, and p3 is not linked.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }
}
