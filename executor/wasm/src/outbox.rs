//! Replies on their way to the executor.
//!
//! A short reply goes out at once on the guests' thread. A long one could
//! block there until the executor reads, and every guest would wait with it,
//! on its own wall clock; so it goes through a thread, and so does everything
//! behind it until that thread has caught up: frames must not mix.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use assize_wire::frame::{self, FrameError};
use assize_wire::worker::{WasiReport, WorkerReply};

use crate::run;

/// Longest reply sent directly; well below a socket's default buffer.
const SHORT: usize = 32 << 10;

/// The sending half of the worker's socket.
#[derive(Clone)]
pub(crate) struct Outbox {
    socket: Arc<UnixStream>,
    queue: Sender<WorkerReply>,
    queued: Arc<AtomicUsize>,
}

impl Outbox {
    /// Starts the thread.
    pub(crate) fn start(socket: Arc<UnixStream>) -> std::io::Result<Self> {
        let (queue, replies) = mpsc::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let (out, left) = (Arc::clone(&socket), Arc::clone(&queued));
        thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || {
                for reply in replies {
                    deliver(&out, &reply);
                    left.fetch_sub(1, Ordering::Release);
                }
            })?;
        Ok(Self {
            socket,
            queue,
            queued,
        })
    }

    /// Sends `reply`, now or as soon as the ones before it are out.
    pub(crate) fn send(&self, reply: WorkerReply) {
        // Only this thread adds to the queue: seen empty, it stays empty.
        if self.queued.load(Ordering::Acquire) == 0 && size(&reply) <= SHORT {
            deliver(&self.socket, &reply);
            return;
        }
        self.queued.fetch_add(1, Ordering::Relaxed);
        // The thread ends only with this queue.
        let _ = self.queue.send(reply);
    }
}

fn deliver(socket: &UnixStream, reply: &WorkerReply) {
    let sent = frame::send(socket, reply, &[]);
    // Any other error means that the executor is gone, which the receiving
    // half sees as well.
    if let (Err(FrameError::TooLarge(size)), WorkerReply::Done(report)) = (sent, reply) {
        let reason = format!("report of {size} bytes is over the frame limit");
        let report = run::fault(report.id, &reason);
        let _ = frame::send(socket, &WorkerReply::Done(Box::new(report)), &[]);
    }
}

fn size(reply: &WorkerReply) -> usize {
    match reply {
        WorkerReply::Ready { guests } => guests.iter().map(String::len).sum(),
        WorkerReply::Done(report) => payload(report),
    }
}

fn payload(report: &WasiReport) -> usize {
    let files = report.collected.iter().flatten().map(Vec::len);
    let streams = [&report.stdout, &report.stderr, &report.report];
    files.chain(streams.map(|s| s.data.len())).sum()
}
