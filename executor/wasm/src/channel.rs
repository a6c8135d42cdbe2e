//! A guest's end of a conversation with another cell, or with the judge.
//!
//! Frames are a little-endian `u32` length and that many bytes. Both ends are
//! guests: a length is an allegation and reserves nothing.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Longest frame either way.
pub(crate) const MAX_FRAME: usize = 16 << 20;

/// Bytes of a frame that go out with its length.
const TOGETHER: usize = 8 << 10;

/// Absent, open or broken; what is broken stays broken.
pub(crate) struct Channel {
    /// Buffered: a frame in one read where it is short.
    stream: Option<BufReader<UnixStream>>,
    /// A frame announced by `next` and not yet taken.
    waiting: Option<Vec<u8>>,
}

impl Channel {
    pub(crate) fn none() -> Self {
        Self {
            stream: None,
            waiting: None,
        }
    }

    pub(crate) fn open(fd: OwnedFd) -> std::io::Result<Self> {
        let stream = StdStream::from(fd);
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: Some(BufReader::new(UnixStream::from_std(stream)?)),
            waiting: None,
        })
    }

    /// Sends one frame, waiting until the kernel has all of it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let length = frame_length(bytes.len()).ok_or(Broken)?;
        let stream = self.stream.as_mut().ok_or(Broken)?;
        // A write each would wake the other side twice.
        let (first, rest) = bytes.split_at(bytes.len().min(TOGETHER));
        let first = [&length.to_le_bytes(), first].concat();
        let sent = async {
            stream.write_all(&first).await?;
            stream.write_all(rest).await
        }
        .await;
        if sent.is_err() {
            self.stream = None;
        }
        sent.map_err(|_| Broken)
    }

    /// Waits for the next frame and says how long it is.
    pub(crate) async fn next(&mut self) -> Result<u32, Broken> {
        self.waiting = None;
        let stream = self.stream.as_mut().ok_or(Broken)?;
        let frame = receive(stream).await;
        match frame {
            Some((length, body)) => {
                self.waiting = Some(body);
                Ok(length)
            }
            None => {
                self.stream = None;
                Err(Broken)
            }
        }
    }

    /// The announced frame, once.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.waiting.take()
    }
}

/// No channel, the other side is gone, or a frame over the limit.
pub(crate) struct Broken;

fn frame_length(len: usize) -> Option<u32> {
    (len <= MAX_FRAME)
        .then_some(len)
        .and_then(|len| u32::try_from(len).ok())
}

async fn receive(stream: &mut BufReader<UnixStream>) -> Option<(u32, Vec<u8>)> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await.ok()?;
    let length = frame_length(u32::from_le_bytes(prefix) as usize)?;
    let mut body = Vec::with_capacity((length as usize).min(64 << 10));
    stream
        .take(u64::from(length))
        .read_to_end(&mut body)
        .await
        .ok()?;
    (body.len() == length as usize).then_some((length, body))
}
