//! The two ends of a conversation with a program.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::outcome::Backend;

/// One end of a conversation: between two cells, or between one and the judge.
///
/// A native program is given two pipes and never a socket. Whoever reads from
/// a Unix socket, or only closes one, also closes the descriptors that its
/// peer has put into it. Closing one that the peer has prepared (a TCP socket
/// that lingers) takes as long as the peer likes, in the reader's thread; and
/// a peer that puts its own end into it never hangs up, even when it is dead.
/// Pipes carry bytes and nothing else.
#[derive(Debug)]
pub enum Channel {
    /// For native programs: descriptors 5 and 3.
    Pipes {
        /// What this end reads.
        hears: OwnedFd,
        /// What this end writes.
        says: OwnedFd,
    },
    /// For the WASI worker, whose guests reach it through host functions that
    /// carry bytes only.
    Socket(OwnedFd),
}

impl Channel {
    /// Both ends, for programs that run on `backend`.
    pub fn pair(backend: Backend) -> io::Result<(Self, Self)> {
        match backend {
            Backend::Native => {
                let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
                let (there, back) = (pipe()?, pipe()?);
                let end = |hears, says| Self::Pipes { hears, says };
                Ok((end(back.0, there.1), end(there.0, back.1)))
            }
            Backend::Wasi => {
                let (a, b) = UnixStream::pair()?;
                Ok((Self::Socket(a.into()), Self::Socket(b.into())))
            }
        }
    }
}
