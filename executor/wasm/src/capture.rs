//! What a guest wrote: the first bytes and a count, never more.

use std::sync::{Arc, Mutex, PoisonError};

use assize_wire::worker::Captured;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// A bounded buffer that keeps counting when it is full.
#[derive(Default)]
pub(crate) struct Bounded {
    captured: Captured,
    keep: usize,
}

impl Bounded {
    pub(crate) fn new(keep: u64) -> Self {
        Self {
            captured: Captured::default(),
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
        }
    }

    /// Keeps what fits and says whether that was everything.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        self.captured.total = self.captured.total.saturating_add(bytes.len() as u64);
        let fits = bytes.len().min(self.keep - self.captured.data.len());
        self.captured.data.extend_from_slice(&bytes[..fits]);
        fits == bytes.len()
    }

    pub(crate) fn take(&mut self) -> Captured {
        std::mem::take(&mut self.captured)
    }

    fn overrun(&self) -> bool {
        self.captured.total > self.captured.data.len() as u64
    }
}

/// A standard stream of the guest that ends in a [`Bounded`].
#[derive(Clone)]
pub(crate) struct Capture {
    buffer: Arc<Mutex<Bounded>>,
    /// Whether one byte too many ends the run.
    strict: bool,
}

impl Capture {
    /// Output that may not be longer than `keep` bytes.
    pub(crate) fn strict(keep: u64) -> Self {
        Self {
            buffer: Arc::new(Mutex::new(Bounded::new(keep))),
            strict: true,
        }
    }

    /// Output that is cut at `keep` bytes.
    pub(crate) fn lenient(keep: u64) -> Self {
        Self {
            buffer: Arc::new(Mutex::new(Bounded::new(keep))),
            strict: false,
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Bounded) -> T) -> T {
        f(&mut self.buffer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the run must end because of what it wrote.
    pub(crate) fn over_limit(&self) -> bool {
        self.strict && self.with(|buffer| buffer.overrun())
    }

    pub(crate) fn take(&self) -> Captured {
        self.with(Bounded::take)
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let whole = self.with(|buffer| buffer.push(&bytes));
        if whole || !self.strict {
            return Ok(());
        }
        // A trap, not an error: a guest could ignore an error and go on.
        Err(StreamError::trap("output limit"))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Only WASI p3 asks for this one, and p3 is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_keeps_the_first_bytes_and_counts_the_rest() {
        let mut buffer = Bounded::new(4);
        assert!(buffer.push(b"abc"));
        assert!(!buffer.push(b"def"));
        let Captured { data, total } = buffer.take();
        assert_eq!((data.as_slice(), total), (b"abcd".as_slice(), 6));
    }

    #[test]
    fn exactly_the_limit_is_within_it() {
        let mut stream = Capture::strict(3);
        assert!(stream.write(Bytes::from_static(b"abc")).is_ok());
        assert!(!stream.over_limit());
        assert!(stream.write(Bytes::from_static(b"d")).is_err());
        assert!(stream.over_limit());
    }
}
