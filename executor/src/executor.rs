//! The pool: hands plans to free slots and workers, retries what we lost.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use assize_cgroup as cgroup;
use assize_wire::cell::Layer;
use tokio::sync::{Semaphore, oneshot};

use crate::capability::Capabilities;
use crate::cell::Blueprint;
use crate::outcome::{Fault, Outcome};
use crate::plan::{Plan, Target};
use crate::slot::{Maker, Slot};
use crate::wasi::Workers;

/// Times a run is started before a lost cell becomes a fault.
const ATTEMPTS: u32 = 3;

/// How an executor is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// The `assize-jail` binary.
    pub jail: PathBuf,
    /// The `assize-wasm` binary and the directory of its guests; without it
    /// the WASI backend is not available.
    pub wasm: Option<(PathBuf, PathBuf)>,
    /// Native slots kept ready.
    pub slots: u32,
    /// WASI workers kept ready.
    pub workers: u32,
    /// Further host trees shown read-only in native cells, as (host, cell).
    pub binds: Vec<(PathBuf, String)>,
    /// Files shown under `/assize/guest`, as (name, contents).
    pub guest_files: Vec<(String, Vec<u8>)>,
    /// Layers switched off. For controls of escape tests and nothing else.
    pub without: Vec<Layer>,
}

/// Runs plans.
pub struct Executor {
    native: Arc<Queue>,
    free: Semaphore,
    threads: Mutex<Vec<JoinHandle<()>>>,
    workers: Option<Workers>,
    guests: Option<PathBuf>,
    maker: Arc<Maker>,
    capabilities: Mutex<Capabilities>,
}

struct Job {
    plan: Plan,
    reply: oneshot::Sender<Result<Outcome, Fault>>,
}

#[derive(Default)]
struct Queue {
    stopping: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Executor {
    /// Prepares the host's cgroups, starts the slots and the workers.
    pub fn start(config: &Config) -> Result<Self, Fault> {
        let cgroups = cgroup::detect().map_err(|e| match e {
            cgroup::CgroupError::Unenforceable { limit, reason } => {
                Fault::Unenforceable { limit, reason }
            }
            other => Fault::Host(format!("{other}: {}", chain(&other))),
        })?;
        let mut binds = config.binds.clone();
        if let Some((binary, guests)) = &config.wasm {
            binds.push((binary.clone(), crate::wasi::BINARY.to_owned()));
            binds.push((guests.clone(), crate::wasi::GUESTS.to_owned()));
        }
        let blueprint = Blueprint::survey(&binds, &config.guest_files, &config.without)
            .map_err(|e| Fault::Host(format!("{e}: {}", chain(&e))))?;
        let maker = Arc::new(Maker {
            jail: config.jail.clone(),
            blueprint,
            cgroups,
        });
        // The first slot is built here, so that a host that cannot build any
        // says why at once instead of at the first request.
        let mut first = Slot::new(Arc::clone(&maker), 0);
        first.prepare()?;
        let workers = match &config.wasm {
            Some(_) => Some(Workers::start(&maker, config.workers.max(1))?),
            None => None,
        };
        let native = Arc::new(Queue::default());
        let slots = config.slots.max(2);
        let rest = (1..slots).map(|n| Slot::new(Arc::clone(&maker), n));
        let threads = std::iter::once(first)
            .chain(rest)
            .map(|slot| serve(slot, Arc::clone(&native)))
            .collect::<Result<Vec<_>, _>>()?;
        let kind = maker.cgroups.kind();
        Ok(Self {
            native,
            free: Semaphore::new(slots as usize),
            threads: Mutex::new(threads),
            capabilities: Mutex::new(Capabilities::unproven(kind, workers.is_some())),
            workers,
            guests: config.wasm.as_ref().map(|(_, guests)| guests.clone()),
            maker,
        })
    }

    /// Runs one plan, starting it again when a cell is lost under it.
    pub async fn run(&self, plan: Plan) -> Result<Outcome, Fault> {
        let _free = self.reserve(1).await?;
        self.run_reserved(plan).await
    }

    /// Runs two plans that talk to each other over their channels. Both slots
    /// are reserved at once: two cases that each hold one slot and wait for a
    /// second would wait for ever.
    pub async fn run_pair(
        &self,
        a: Plan,
        b: Plan,
    ) -> (Result<Outcome, Fault>, Result<Outcome, Fault>) {
        match self.reserve(2).await {
            Ok(_free) => tokio::join!(self.run_reserved(a), self.run_reserved(b)),
            Err(_) => (Err(Fault::ShuttingDown), Err(Fault::ShuttingDown)),
        }
    }

    async fn reserve(&self, slots: u32) -> Result<tokio::sync::SemaphorePermit<'_>, Fault> {
        self.free
            .acquire_many(slots)
            .await
            .map_err(|_| Fault::ShuttingDown)
    }

    async fn run_reserved(&self, plan: Plan) -> Result<Outcome, Fault> {
        let mut plan = plan;
        let mut attempt = 1;
        loop {
            let again = plan.again();
            let result = match &plan.target {
                Target::Native => self.run_native(plan).await,
                Target::Wasi(_) => match &self.workers {
                    Some(workers) => workers.run(plan).await,
                    None => Err(Fault::NoBackend("wasi")),
                },
            };
            match (result, again) {
                (Ok(outcome), _) => {
                    return Ok(Outcome {
                        attempts: attempt,
                        ..outcome
                    });
                }
                (Err(fault), Some(again)) if fault.retryable() && attempt < ATTEMPTS => {
                    tracing::warn!(%fault, attempt, "run lost its cell, trying another");
                    plan = again;
                    attempt += 1;
                }
                (Err(fault), _) => return Err(fault),
            }
        }
    }

    async fn run_native(&self, plan: Plan) -> Result<Outcome, Fault> {
        let (reply, answer) = oneshot::channel();
        self.native.push(Job { plan, reply })?;
        // Dropping `answer` is how a caller leaves: the slot notices and kills.
        answer.await.unwrap_or(Err(Fault::ShuttingDown))
    }

    /// Whether a WASI guest of this name is installed.
    #[must_use]
    pub fn has_guest(&self, name: &str) -> bool {
        self.workers
            .as_ref()
            .is_some_and(|w| w.guests().iter().any(|g| g == name))
    }

    /// Version of a guest, from the file that its build leaves beside it.
    #[must_use]
    pub fn guest_version(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.guests.as_ref()?.join(format!("{name}.version")));
        text.ok().map(|t| t.trim().to_owned())
    }

    /// Digest of a guest, from the checksums that the worker verified.
    #[must_use]
    pub fn guest_digest(&self, name: &str) -> Option<String> {
        let sums = std::fs::read_to_string(self.guests.as_ref()?.join("SHA256SUMS")).ok()?;
        let file = format!("{name}.cwasm");
        let line = sums
            .lines()
            .find(|l| l.split_whitespace().nth(1) == Some(file.as_str()))?;
        line.split_whitespace()
            .next()
            .map(|hex| format!("sha256:{hex}"))
    }

    /// Whether the WASI backend is available at all.
    #[must_use]
    pub fn has_wasi(&self) -> bool {
        self.workers.is_some()
    }

    /// What this host enforces, as far as it has been proven.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Proves each protection by a program that tries to get past it.
    pub async fn prove(&self) -> Capabilities {
        let proven = Capabilities::prove(self, self.maker.cgroups.kind()).await;
        *self
            .capabilities
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = proven.clone();
        proven
    }

    /// Ends every cell and waits until they are gone. Plans still waiting get
    /// [`Fault::ShuttingDown`]; callers drain their own work first.
    pub fn shutdown(&self) {
        self.free.close();
        self.native.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
        if let Some(workers) = &self.workers {
            workers.shutdown();
        }
        self.maker.cgroups.remove();
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Fault::ShuttingDown);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job; none when the queue is closed.
    fn pop(&self) -> Option<Job> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives up: waiting jobs are dropped, running ones ended.
    fn close(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.changed.notify_all();
    }
}

/// A slot's thread: blocking system calls all the way, so that a run costs two
/// wake-ups and no trip through an event loop.
fn serve(mut slot: Slot, queue: Arc<Queue>) -> Result<JoinHandle<()>, Fault> {
    let work = move || {
        if let Err(fault) = slot.prepare() {
            tracing::warn!(%fault, "a slot could not be prepared; it tries again when needed");
        }
        while let Some(Job { plan, reply }) = queue.pop() {
            if reply.is_closed() {
                continue;
            }
            let left = || reply.is_closed() || queue.stopping.load(Ordering::Relaxed);
            let result = slot.run(plan, &left);
            let _ = reply.send(result);
            slot.settle();
        }
    };
    std::thread::Builder::new()
        .name("slot".into())
        .spawn(work)
        .map_err(crate::spawn::host)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
