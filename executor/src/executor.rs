//! The pool: hands plans to free slots and workers, retries what we lost.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use assize_wire::cell::Layer;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::capability::Capabilities;
use crate::guests::Guests;
use crate::keeper::{Keeper, until_it_ends};
use crate::outcome::{Fault, Outcome};
use crate::plan::{Plan, Target};
use crate::slot::{Facts, Slot};
use crate::warm::{Kinds, Warmth};
use crate::wasi::Workers;

/// Times a run is started before a lost cell becomes a fault.
const ATTEMPTS: u32 = 3;

/// Runs of a WASI worker, unless something else is asked for.
pub const WORKER_RUNS: u64 = 100_000;

/// How an executor is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory with `assize-keeper` and `assize-jail`.
    pub bin: PathBuf,
    /// The `assize-wasm` binary and the directory of its guests; without it
    /// the WASI backend is not available.
    pub wasm: Option<(PathBuf, PathBuf)>,
    /// Native slots kept ready.
    pub slots: u32,
    /// WASI workers kept ready.
    pub workers: u32,
    /// Runs after which a worker is replaced: what somebody may have left in
    /// it, by a hole in the engine, does not stay for ever.
    pub worker_runs: u64,
    /// Further host trees shown read-only in native cells, as (host, cell).
    pub binds: Vec<(PathBuf, String)>,
    /// Files shown under `/assize/guest`, as (name, contents).
    pub guest_files: Vec<(String, Vec<u8>)>,
    /// When interpreters are started for later runs to go on from.
    pub warmth: Warmth,
    /// Layers switched off. For controls of escape tests and nothing else.
    pub without: Vec<Layer>,
    /// Whether to go on where this user may use no cgroups: memory, processes
    /// and CPU time are then not limited, and results say so.
    pub best_effort: bool,
}

impl Config {
    /// Two at least: a pair of runs that talk to each other needs both.
    pub(crate) fn native_slots(&self) -> u32 {
        self.slots.max(2)
    }

    pub(crate) fn wasi_slots(&self) -> u32 {
        // One more, for runs whose instructions are counted.
        self.wasm.as_ref().map_or(0, |_| self.workers.max(1) + 1)
    }
}

/// Runs plans.
pub struct Executor {
    native: Arc<Queue>,
    free: Semaphore,
    threads: Mutex<Vec<JoinHandle<()>>>,
    workers: Option<Workers>,
    guests: Guests,
    worker_program: Option<PathBuf>,
    capabilities: Mutex<Capabilities>,
    keeper: Mutex<Option<Keeper>>,
    /// Closed when the keeper has ended.
    kept: watch::Receiver<()>,
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
    /// Starts a keeper and everything over it.
    pub fn start(config: &Config) -> Result<Self, Fault> {
        Self::over(Keeper::launch(config)?, config)
    }

    /// Starts the slots and the workers over a keeper that was launched with
    /// the same configuration. Needs no privilege.
    pub fn over(mut keeper: Keeper, config: &Config) -> Result<Self, Fault> {
        let kept = watch_over(&keeper)?;
        let mut leases = std::mem::take(&mut keeper.leases);
        let facts = Arc::new(Facts {
            blueprint: keeper.blueprint.clone(),
            cgroups: keeper.kind,
            warmth: config.warmth,
            kinds: Kinds::default(),
        });
        let native_slots = config.native_slots();
        let for_workers = leases.split_off(native_slots as usize);
        let mut slots = leases
            .into_iter()
            .map(|lease| Slot::new(Arc::clone(&facts), lease));
        // The first slot is built here, so that a host that cannot build any
        // says why at once instead of at the first request.
        let mut first = slots.next().ok_or(Fault::ShuttingDown)?;
        first.prepare()?;
        let workers = match &config.wasm {
            Some(_) => Some(Workers::start(for_workers, config.worker_runs)?),
            None => None,
        };
        let native = Arc::new(Queue::default());
        let threads = std::iter::once(first)
            .chain(slots)
            .map(|slot| serve(slot, Arc::clone(&native)))
            .collect::<Result<Vec<_>, _>>()?;
        let unproven = Capabilities::unproven(
            keeper.kind,
            &keeper.missing,
            config.best_effort,
            workers.is_some(),
        );
        Ok(Self {
            native,
            free: Semaphore::new(native_slots as usize),
            threads: Mutex::new(threads),
            capabilities: Mutex::new(unproven),
            workers,
            guests: keeper.guests.clone(),
            worker_program: config.wasm.as_ref().map(|(program, _)| program.clone()),
            keeper: Mutex::new(Some(keeper)),
            kept,
        })
    }

    /// Resolves when the keeper has ended while this executor still needed
    /// it. Runs that are on go on; slots can no longer be replaced.
    pub async fn keeper_lost(&self) {
        let mut kept = self.kept.clone();
        // Nothing is ever sent: an error means the watching thread is done.
        while kept.changed().await.is_ok() {}
    }

    /// Runs one plan, starting it again when a cell is lost under it.
    pub async fn run(&self, plan: Plan) -> Result<Outcome, Fault> {
        // Workers hold many runs at once and know themselves how many.
        let _free = match &plan.target {
            Target::Native => Some(self.reserve(1).await?),
            Target::Wasi(..) => None,
        };
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
        if let (Target::Wasi(..), Target::Wasi(..), Some(workers)) =
            (&a.target, &b.target, &self.workers)
        {
            return workers.run_pair(a, b).await;
        }
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
                Target::Wasi(..) => match &self.workers {
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
        self.guests.versions.get(name).cloned()
    }

    /// Digest of a guest, from the checksums that the worker verified.
    #[must_use]
    pub fn guest_digest(&self, name: &str) -> Option<String> {
        self.guests.digests.get(name).cloned()
    }

    /// The program of WASI workers, which also compiles for them.
    #[must_use]
    pub fn worker_program(&self) -> Option<&Path> {
        self.worker_program.as_deref()
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
        let proven = Capabilities::prove(self, self.capabilities()).await;
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
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(keeper) = keeper {
            keeper.end();
        }
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

/// A thread that ends when the keeper does, and with it the channel it holds.
fn watch_over(keeper: &Keeper) -> Result<watch::Receiver<()>, Fault> {
    let socket = keeper.watch().map_err(crate::spawn::host)?;
    let (alive, kept) = watch::channel(());
    let work = move || {
        until_it_ends(&socket);
        drop(alive);
    };
    std::thread::Builder::new()
        .name("keeper".into())
        .spawn(work)
        .map_err(crate::spawn::host)?;
    Ok(kept)
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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
