//! Length-prefixed postcard frames with file descriptors attached.
//!
//! A frame is a little-endian `u32` length and that many bytes. Descriptors
//! ride on the length prefix as `SCM_RIGHTS`, so the reader has them before it
//! decodes the body. A frame longer than [`MAX_FRAME`] or with more than
//! [`MAX_FDS`] descriptors is refused on both sides.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest body accepted, in bytes. Outputs of a WASI run travel inline, so
/// this bounds what one run can return.
pub const MAX_FRAME: usize = 96 << 20;

/// Most descriptors on one frame; the kernel's own limit (`SCM_MAX_FD`) is 253.
pub const MAX_FDS: usize = 64;

/// Why a frame could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed the socket between two frames: an orderly end.
    #[error("peer closed the socket")]
    Closed,
    /// A system call failed, or the peer vanished in the middle of a frame.
    #[error("socket error")]
    Io(#[from] io::Error),
    /// The length prefix or the number of descriptors is over the limit.
    #[error("frame over the limit ({0})")]
    TooLarge(usize),
    /// The body is not the expected message.
    #[error("malformed frame")]
    Malformed(#[from] postcard::Error),
}

/// Sends one message with its descriptors, blocking until the kernel took it.
pub fn send<T: Serialize>(
    mut socket: &UnixStream,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> Result<(), FrameError> {
    let body = postcard::to_allocvec(message)?;
    if body.len() > MAX_FRAME {
        return Err(FrameError::TooLarge(body.len()));
    }
    if fds.len() > MAX_FDS {
        return Err(FrameError::TooLarge(fds.len()));
    }
    let length = u32::try_from(body.len()).map_err(|_| FrameError::TooLarge(body.len()))?;
    let prefix = length.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    let parts = [IoSlice::new(&prefix), IoSlice::new(&body)];
    let sent = retry_on_intr(|| sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL))
        .map_err(io::Error::from)?;
    // The descriptors went with the first byte; what is left is plain data.
    if sent < prefix.len() {
        socket.write_all(&prefix[sent..])?;
        socket.write_all(&body)?;
    } else {
        socket.write_all(&body[sent - prefix.len()..])?;
    }
    Ok(())
}

/// Receives one message and its descriptors (close-on-exec), blocking.
pub fn recv<T: DeserializeOwned>(mut socket: &UnixStream) -> Result<(T, Vec<OwnedFd>), FrameError> {
    let mut prefix = [0u8; 4];
    let (read, fds) = recv_with_fds(socket, &mut prefix)?;
    if read == 0 {
        return Err(FrameError::Closed);
    }
    if read < prefix.len() {
        socket.read_exact(&mut prefix[read..])?;
    }
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    // Grows as bytes arrive: a lying prefix cannot make us reserve memory.
    let mut body = Vec::with_capacity(length.min(64 << 10));
    let got = socket.take(length as u64).read_to_end(&mut body)?;
    if got < length {
        return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok((postcard::from_bytes(&body)?, fds))
}

fn recv_with_fds(
    socket: &UnixStream,
    into: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), FrameError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(into)];
    let message =
        retry_on_intr(|| recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC))
            .map_err(io::Error::from)?;
    let mut fds = Vec::new();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = item {
            fds.extend(rights);
        }
    }
    // Truncated control data means descriptors were dropped: refuse the frame.
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(FrameError::TooLarge(fds.len() + 1));
    }
    Ok((message.bytes, fds))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_frame_and_its_descriptors_arrive_together() {
        let (a, b) = UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let big = vec![7u8; 3 << 20];
        let sender = std::thread::spawn(move || {
            send(&a, &big, &[file.as_fd(), file.as_fd()]).unwrap();
            send(&a, &"next", &[]).unwrap();
        });
        let (body, fds) = recv::<Vec<u8>>(&b).unwrap();
        assert_eq!((body.len(), fds.len()), (3 << 20, 2));
        let (text, fds) = recv::<String>(&b).unwrap();
        assert_eq!((text.as_str(), fds.len()), ("next", 0));
        sender.join().unwrap();
        assert!(matches!(recv::<String>(&b), Err(FrameError::Closed)));
    }

    #[test]
    fn a_lying_length_is_refused_without_reserving_it() {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(matches!(recv::<String>(&b), Err(FrameError::TooLarge(_))));
    }
}
