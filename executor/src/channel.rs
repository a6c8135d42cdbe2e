//! The two ends of a conversation with a program.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, fchmod};
use rustix::pipe::{PipeFlags, pipe_with};

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
    /// For native programs that know nothing of channels: their standard input
    /// and output themselves. What they print is not captured then; whoever
    /// holds the other end bounds it.
    Stdio {
        /// Descriptor 0.
        stdin: OwnedFd,
        /// Descriptor 1.
        stdout: OwnedFd,
        /// Where the run's CPU time is told while it lasts.
        meter: Meter,
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
                let pipe = || pipe_with(PipeFlags::CLOEXEC);
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

/// The judge's end of a program's standard streams.
#[derive(Debug)]
pub struct Stdio {
    /// What the program prints.
    pub hears: OwnedFd,
    /// What it reads.
    pub says: OwnedFd,
    /// Its CPU time so far.
    pub meter: Meter,
}

impl Stdio {
    /// Our end and the program's. A program may open its streams anew through
    /// /dev/stdin and /dev/stdout, but neither the other way round: of a pipe
    /// both ends have one mode, and nobody is to read what he has printed
    /// himself away from whom it is for.
    pub fn pair() -> io::Result<(Self, Channel)> {
        let (stdin, says) = pipe_with(PipeFlags::CLOEXEC)?;
        let (hears, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        fchmod(&stdin, Mode::from_raw_mode(0o444))?;
        fchmod(&stdout, Mode::from_raw_mode(0o222))?;
        let meter = Meter::default();
        let theirs = Channel::Stdio {
            stdin,
            stdout,
            meter: meter.clone(),
        };
        let ours = Self { hears, says, meter };
        Ok((ours, theirs))
    }
}

/// How much CPU time a run has used so far, brought up to date several times a
/// second.
#[derive(Debug, Clone)]
pub struct Meter(Arc<AtomicU64>);

/// What a meter shows before its run has begun.
const UNBEGUN: u64 = u64::MAX;

impl Default for Meter {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(UNBEGUN)))
    }
}

impl Meter {
    /// CPU time so far; none before the run has begun.
    #[must_use]
    pub fn used(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            UNBEGUN => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    pub(crate) fn show(&self, used: Duration) {
        let micros = u64::try_from(used.as_micros()).unwrap_or(UNBEGUN - 1);
        self.0.store(micros, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsRawFd, BorrowedFd};

    /// As a program of another uid would fare: root ignores modes.
    fn mode(fd: BorrowedFd<'_>) -> u32 {
        rustix::fs::fstat(fd).unwrap().st_mode & 0o777
    }

    #[test]
    fn a_program_may_open_its_streams_anew_in_their_own_direction_only() {
        use std::os::fd::AsFd;
        let (_ours, theirs) = Stdio::pair().unwrap();
        let Channel::Stdio { stdin, stdout, .. } = theirs else {
            panic!("standard streams")
        };
        assert_ne!(stdin.as_raw_fd(), stdout.as_raw_fd());
        assert_eq!((mode(stdin.as_fd()), mode(stdout.as_fd())), (0o444, 0o222));
    }

    #[test]
    fn a_meter_shows_nothing_before_its_run_has_begun() {
        let meter = Meter::default();
        assert_eq!(meter.used(), None);
        meter.show(Duration::ZERO);
        assert_eq!(meter.clone().used(), Some(Duration::ZERO));
    }
}
