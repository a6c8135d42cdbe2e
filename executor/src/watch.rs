//! Watching one native run: its streams, its clock, its CPU time, its limits.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use assize_cgroup::Group;
use assize_policies::Limits;
use assize_wire::frame;
use assize_wire::plan::{JailEvent, Order, RunReport};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::channel::Meter;
use crate::outcome::{Fault, Limit, Stream};
use crate::spawn::host;

/// Longest nap: how late a caller's leaving may be noticed.
const NAP: Duration = Duration::from_millis(100);

/// Buffers taken from one stream before the clock is looked at again.
const HELPING: usize = 8;

/// How long a killed cell may take to report.
const GRACE: Duration = Duration::from_secs(10);

/// One captured stream.
pub(crate) struct Capture {
    pipe: Option<File>,
    limit: u64,
    stream: Stream,
}

impl Capture {
    /// A pipe and the end that goes into the cell.
    pub(crate) fn new(limit: u64) -> Result<(Self, OwnedFd), Fault> {
        let flags = rustix::pipe::PipeFlags::CLOEXEC;
        let (ours, theirs) = rustix::pipe::pipe_with(flags).map_err(|e| host(e.into()))?;
        // A pipe belongs to whoever made it; the program, of another uid, opens
        // it anew through /dev/stdout.
        let writable = rustix::fs::Mode::from_raw_mode(0o222);
        rustix::fs::fchmod(&theirs, writable).map_err(|e| host(e.into()))?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(|e| host(e.into()))?;
        Ok((
            Self {
                pipe: Some(ours.into()),
                limit,
                stream: Stream::default(),
            },
            theirs,
        ))
    }

    /// A stream that is somebody else's to read.
    pub(crate) fn none() -> Self {
        Self {
            pipe: None,
            limit: u64::MAX,
            stream: Stream::default(),
        }
    }

    /// Takes what is there, a bounded helping at a time: a program that writes
    /// as fast as we read must not keep us from looking at the clock. What is
    /// over the limit is counted and dropped, so that a program never blocks
    /// on a stream we stopped keeping.
    fn pump(&mut self) {
        let mut buffer = [0; 64 << 10];
        for _ in 0..HELPING {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(n) => {
                    let room = self.limit.saturating_sub(self.stream.data.len() as u64);
                    let keep = n.min(usize::try_from(room).unwrap_or(usize::MAX));
                    self.stream.data.extend_from_slice(&buffer[..keep]);
                    self.stream.total += n as u64;
                    if n < buffer.len() {
                        return;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn over(&self) -> bool {
        self.stream.total > self.limit
    }

    /// What was captured, once every writer is dead.
    pub(crate) fn finish(mut self) -> Stream {
        while self.pipe.is_some() {
            let before = self.stream.total;
            self.pump();
            if self.stream.total == before {
                break;
            }
        }
        self.stream
    }
}

/// What watching found.
pub(crate) struct Watched {
    /// The jail's report, unless the cell was lost.
    pub(crate) report: Result<(RunReport, Vec<OwnedFd>), Fault>,
    /// The limit we ended the run for.
    pub(crate) limit: Option<Limit>,
    /// From the order to the report.
    pub(crate) wall: Duration,
    /// Whether the caller left.
    pub(crate) abandoned: bool,
}

/// Watches until the jail reports, telling `meter` on the way. `captures[0]` is standard output, the only
/// stream whose limit ends a run.
pub(crate) fn watch(
    start: Instant,
    socket: &UnixStream,
    group: &dyn Group,
    limits: &Limits,
    captures: &mut [Capture],
    meter: Option<&Meter>,
    abandoned: &dyn Fn() -> bool,
) -> Watched {
    let cpu_limit = Duration::from_millis(limits.cpu_ms);
    let wall_end = start.checked_add(Duration::from_millis(limits.wall_ms));
    let parallel = parallelism(limits.processes);
    let mut next_cpu = start + cpu_limit / parallel;
    let mut killed: Option<(Option<Limit>, Instant)> = None;
    loop {
        let now = Instant::now();
        if let Some(meter) = meter
            && let Ok(used) = group.cpu()
        {
            meter.show(used);
        }
        let deadline = match killed {
            Some((_, since)) => since + GRACE,
            None => wall_end.map_or(next_cpu, |end| end.min(next_cpu)),
        };
        let nap = deadline.saturating_duration_since(now).min(NAP);
        let ready = wait(socket, captures, nap);
        for capture in captures.iter_mut() {
            capture.pump();
        }
        if ready {
            let report = match frame::recv::<JailEvent>(socket) {
                Ok((JailEvent::Done(report), fds)) => Ok((report, fds)),
                Ok((JailEvent::Idle | JailEvent::Warm(_), _)) => {
                    Err(Fault::CellLost("out of turn".into()))
                }
                Err(e) => Err(Fault::CellLost(e.to_string())),
            };
            let limit = killed.and_then(|(limit, _)| limit);
            let abandoned = killed.is_some() && limit.is_none();
            return Watched {
                report,
                limit,
                wall: start.elapsed(),
                abandoned,
            };
        }
        let now = Instant::now();
        if let Some((limit, since)) = killed {
            if now >= since + GRACE {
                let report = Err(Fault::CellLost("it did not end when killed".into()));
                return Watched {
                    report,
                    limit,
                    wall: start.elapsed(),
                    abandoned: limit.is_none(),
                };
            }
            continue;
        }
        let mut reason = None;
        if captures.first().is_some_and(Capture::over) {
            reason = Some(Some(Limit::Output));
        } else if now >= next_cpu {
            // The counter can rise by `parallel` seconds a second at most, so
            // nothing can be missed by sleeping this long.
            let used = group.cpu().unwrap_or(cpu_limit);
            match cpu_limit.checked_sub(used) {
                None | Some(Duration::ZERO) => reason = Some(Some(Limit::Cpu)),
                Some(left) => next_cpu = now + (left / parallel).max(Duration::from_millis(1)),
            }
        }
        if reason.is_none() && wall_end.is_some_and(|end| now >= end) {
            reason = Some(Some(Limit::Wall));
        }
        if reason.is_none() && abandoned() {
            reason = Some(None);
        }
        if let Some(limit) = reason {
            killed = Some((limit, now));
            if let Err(e) = frame::send(socket, &Order::Kill, &[]) {
                let report = Err(Fault::CellLost(e.to_string()));
                return Watched {
                    report,
                    limit,
                    wall: start.elapsed(),
                    abandoned: limit.is_none(),
                };
            }
        }
    }
}

/// CPUs a run can burn at once.
fn parallelism(processes: u64) -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(processes.min(cpus as u64))
        .unwrap_or(1)
        .max(1)
}

/// Sleeps until something happens; says whether the socket is readable.
fn wait(socket: &UnixStream, captures: &[Capture], nap: Duration) -> bool {
    let mut sources = vec![PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    for pipe in captures.iter().filter_map(|c| c.pipe.as_ref()) {
        sources.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
    }
    // Interrupted or failed: the caller looks at its deadlines and comes back.
    let _ = ppoll(&mut sources, Some(TimeSpec::from_duration(nap)), None);
    sources[0].any() == Some(true)
}
