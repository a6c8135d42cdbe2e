//! The worker: requests in, runs on one thread, replies out as they complete.
//!
//! Threads: this one (the runtime, every guest, short replies), a ticker that
//! advances the epoch, and the outbox for long replies. The executor is
//! trusted; a frame it has begun is read to its end without yielding.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use assize_sys::inherit::take_inherited_fd;
use assize_wire::frame::{self, FrameError};
use assize_wire::worker::{SOCKET_FD, WasiPlan, WorkerReply, WorkerRequest};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot::{self, Sender};
use wasmtime::Engine;
use wasmtime::error::Context as _;

use crate::engine::Flavour;
use crate::meter::TICK;
use crate::outbox::Outbox;
use crate::run::{self, Shared};
use crate::{engine, guests, host};

/// Serves until the socket closes.
pub(crate) fn serve(guests: &Path, flavour: Flavour, slots: u32) -> wasmtime::Result<ExitCode> {
    let socket = take_inherited_fd(SOCKET_FD).context("no socket on descriptor 3")?;
    let socket = Arc::new(UnixStream::from(socket));
    let engine = engine::pooled(flavour, slots)?;
    let linker = host::linker(&engine)?;
    let guests = guests::load(&linker, guests, flavour)?;
    let names = guests.keys().cloned().collect();
    let worker = Worker {
        shared: Arc::new(Shared {
            flavour,
            linker,
            guests,
            passed: Mutex::default(),
            kept: Arc::default(),
        }),
        outbox: Outbox::start(Arc::clone(&socket))?,
        in_flight: InFlight::default(),
    };
    if flavour == Flavour::Timed {
        start_ticker(engine)?;
    }
    // By default a runtime looks at its timers and sockets every 61 polls; a
    // busy guest's poll takes a whole tick.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .event_interval(1)
        .build()?;
    worker.outbox.send(WorkerReply::Ready { guests: names });
    runtime.block_on(worker.receive(socket))?;
    Ok(ExitCode::SUCCESS)
}

fn start_ticker(engine: Engine) -> std::io::Result<()> {
    let tick = move || {
        loop {
            thread::sleep(TICK);
            engine.increment_epoch();
        }
    };
    thread::Builder::new()
        .name("ticker".to_owned())
        .spawn(tick)?;
    Ok(())
}

/// Runs in flight, each with the way to cancel it.
#[derive(Clone, Default)]
struct InFlight(Arc<Mutex<HashMap<u64, Sender<()>>>>);

impl InFlight {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<u64, Sender<()>>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Worker {
    shared: Arc<Shared>,
    outbox: Outbox,
    in_flight: InFlight,
}

impl Worker {
    async fn receive(&self, socket: Arc<UnixStream>) -> wasmtime::Result<()> {
        let readable = watch(Arc::clone(&socket))?;
        loop {
            let mut guard = readable.readable().await?;
            match frame::recv(&socket) {
                Ok((request, fds)) => self.handle(request, fds),
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error).context("cannot read a request"),
            }
            // Readiness comes once per arrival: keep it while more is waiting.
            // What arrives after this look announces itself again.
            if !has_more(&socket)? {
                guard.clear_ready();
            }
        }
    }

    fn handle(&self, request: WorkerRequest, fds: Vec<OwnedFd>) {
        match request {
            WorkerRequest::Run(plan) => self.start(plan, fds),
            WorkerRequest::Cancel { id } => {
                // Already done: nothing to cancel.
                if let Some(cancel) = self.in_flight.with(|runs| runs.remove(&id)) {
                    let _ = cancel.send(());
                }
            }
        }
    }

    fn start(&self, plan: Box<WasiPlan>, fds: Vec<OwnedFd>) {
        let (sender, cancel) = oneshot::channel();
        let id = plan.id;
        let is_new = self
            .in_flight
            .with(|runs| !runs.contains_key(&id) && runs.insert(id, sender).is_none());
        if !is_new {
            let report = run::fault(id, "a run with this id is in flight");
            return self.outbox.send(WorkerReply::Done(Box::new(report)));
        }
        let shared = Arc::clone(&self.shared);
        let mut answer = Answer {
            id,
            done: false,
            outbox: self.outbox.clone(),
            in_flight: self.in_flight.clone(),
        };
        tokio::spawn(async move {
            let (report, remains) = run::run(&shared, &plan, fds, cancel).await;
            answer.send(WorkerReply::Done(Box::new(report)));
            drop(remains);
        });
    }
}

/// Owes the executor one reply, and pays even when the run panics.
struct Answer {
    id: u64,
    done: bool,
    outbox: Outbox,
    in_flight: InFlight,
}

impl Answer {
    fn send(&mut self, reply: WorkerReply) {
        self.done = true;
        self.in_flight.with(|runs| runs.remove(&self.id));
        self.outbox.send(reply);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.done && thread::panicking() {
            self.send(WorkerReply::Done(Box::new(run::fault(
                self.id,
                "the worker panicked",
            ))));
        }
    }
}

/// The executor has closed its end; if it had not read everything we sent, the
/// kernel says so by a reset.
fn is_gone(error: &FrameError) -> bool {
    match error {
        FrameError::Closed => true,
        FrameError::Io(error) => error.kind() == ErrorKind::ConnectionReset,
        FrameError::TooLarge(_) | FrameError::Malformed(_) => false,
    }
}

/// Tells when `socket` has something to read, without making it non-blocking:
/// the outbox writes to the same open socket and wants to block.
#[expect(
    deprecated,
    reason = "tokio deprecates the safe constructor because `AsRawFd` alone does not promise an \
              open descriptor; an `Arc<UnixStream>` does keep its descriptor open, and the \
              alternatives are `unsafe` here or one more thread between a request and its run"
)]
fn watch(socket: Arc<UnixStream>) -> std::io::Result<AsyncFd<Arc<UnixStream>>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

fn has_more(socket: &UnixStream) -> std::io::Result<bool> {
    let mut waiting = [PollFd::new(socket, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    Ok(rustix::io::retry_on_intr(|| poll(&mut waiting, Some(&now)))? > 0)
}
