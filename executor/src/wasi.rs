//! The WASI workers: wasmtime processes, each in a native cell of its own,
//! each serving many runs at once over one socket.

mod home;
mod messages;

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use assize_policies::Profile;
use assize_wire::frame;
use assize_wire::worker::{SLOWEST, STACK_BYTES, WasiReport, WorkerReply, WorkerRequest};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use self::home::{Home, Running};
use self::messages::{outcome, wire_plan};
use crate::keeper::Lease;
use crate::outcome::{Fault, Outcome};
use crate::plan::{Plan, Target, Time};
use crate::spawn::host;

/// Where cells find the worker's binary.
pub(crate) const BINARY: &str = "/assize/bin/assize-wasm";
/// Where cells find the guests.
pub(crate) const GUESTS: &str = "/assize/guests";

/// How much longer than its wall limit a run may keep us waiting before the
/// worker itself is taken for stuck and replaced.
const PATIENCE: Duration = Duration::from_secs(10);

/// What holds a run in the worker, beside what holds the worker.
const ENFORCED: [&str; 9] = [
    "wasm.memory",
    "wasm.cpu",
    "wasm.wall",
    "wasm.output",
    "wasm.no_network",
    "wasm.no_processes",
    "wasm.disk",
    "wasm.own_files",
    "wasm.worker_in_native_cell",
];

/// All workers of this process.
pub(crate) struct Workers {
    timed: Vec<Arc<Worker>>,
    /// The one that counts instructions; it starts when it is first needed.
    counted: Arc<Worker>,
    managers: Mutex<Vec<JoinHandle<()>>>,
    stopping: Arc<AtomicBool>,
    next_id: AtomicU64,
    enforced: Arc<[String]>,
}

struct Worker {
    link: Mutex<Option<Arc<Link>>>,
    guests: Mutex<Vec<String>>,
    /// MiB.
    asked: AtomicU64,
    room: Semaphore,
    /// Whether anybody wants it.
    wanted: Mutex<bool>,
    awaited: Condvar,
}

/// MiB that the runs of one worker may need together; what its cell grants,
/// less the worker itself.
const ROOM: u32 = 3584;

/// How long an answer may take before the worker is taken for stuck.
fn patience(plan: &Plan) -> Duration {
    let wall = Duration::from_millis(plan.limits.wall_ms);
    let longest = match &plan.target {
        // Virtual time is no measure of how long a run really takes; the
        // worker itself gives up on it at this point.
        Target::Wasi(_, Time::Counted) => wall.saturating_mul(SLOWEST),
        Target::Wasi(_, Time::Real) | Target::Native => wall,
    };
    longest.saturating_add(PATIENCE)
}

/// MiB that a run may come to need.
fn needs(plan: &Plan) -> u32 {
    let limits = &plan.limits;
    let bytes = [
        limits.memory_bytes,
        limits.disk_bytes,
        limits.stdout_bytes,
        limits.stderr_bytes,
        STACK_BYTES,
    ];
    let bytes = bytes.into_iter().fold(0, u64::saturating_add);
    u32::try_from(bytes >> 20).unwrap_or(u32::MAX)
}

/// A place in a worker.
struct Place<'a> {
    worker: &'a Worker,
    needs: u32,
    /// None while it waits.
    room: Option<SemaphorePermit<'a>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.worker
            .asked
            .fetch_sub(u64::from(self.needs), Ordering::Relaxed);
    }
}

impl Worker {
    fn new() -> Self {
        Self {
            link: Mutex::default(),
            guests: Mutex::default(),
            asked: AtomicU64::new(0),
            room: Semaphore::new(ROOM as usize),
            wanted: Mutex::default(),
            awaited: Condvar::new(),
        }
    }

    /// Waits until there is room. Whoever needs more than there is gets all.
    async fn enter(&self, needs: u32) -> Result<Place<'_>, Fault> {
        let needs = needs.clamp(1, ROOM);
        self.asked.fetch_add(u64::from(needs), Ordering::Relaxed);
        let mut place = Place {
            worker: self,
            needs,
            room: None,
        };
        let room = self.room.acquire_many(needs).await;
        place.room = Some(room.map_err(|_| Fault::ShuttingDown)?);
        Ok(place)
    }

    /// Has the worker behind a link replaced, and gives nobody else the link:
    /// they would lose an attempt on it.
    fn abandon(&self, link: &Arc<Link>) {
        let mut current = lock(&self.link);
        if current.as_ref().is_some_and(|c| Arc::ptr_eq(c, link)) {
            *current = None;
        }
        link.hang_up();
    }

    /// What those who are in and those who wait need together.
    fn load(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn want(&self) {
        let mut wanted = lock(&self.wanted);
        if !*wanted {
            *wanted = true;
            self.awaited.notify_all();
        }
    }

    /// Blocks until somebody wants it.
    fn wait(&self) {
        let wanted = lock(&self.wanted);
        let waited = self.awaited.wait_while(wanted, |wanted| !*wanted);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// A connection to a live worker.
struct Link {
    socket: UnixStream,
    sending: Mutex<()>,
    pending: Mutex<HashMap<u64, oneshot::Sender<WasiReport>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workers {
    /// Starts a worker per lease and waits for each to be ready.
    pub(crate) fn start(leases: Vec<Lease>, runs: u64) -> Result<Self, Fault> {
        let profile = Profile::shipped()
            .map_err(|e| Fault::Host(e.to_string()))?
            .into_iter()
            .find(|p| p.name == "worker")
            .map(Arc::new)
            .ok_or_else(|| Fault::Host("the worker profile is missing".into()))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let mut timed = Vec::new();
        let mut counted = Arc::new(Worker::new());
        let mut managers = Vec::new();
        let last = leases.len().saturating_sub(1);
        for (index, lease) in leases.into_iter().enumerate() {
            let worker = Arc::new(Worker::new());
            let time = if index < last {
                Time::Real
            } else {
                Time::Counted
            };
            let home = Home {
                lease,
                profile: Arc::clone(&profile),
                time,
                runs,
            };
            // The first start is ours to report; later ones are retried.
            let running = match time {
                Time::Real => {
                    timed.push(Arc::clone(&worker));
                    Some(home.start()?)
                }
                Time::Counted => {
                    counted = Arc::clone(&worker);
                    None
                }
            };
            let stopping = Arc::clone(&stopping);
            let manage = move || manage(&home, running, &worker, &stopping);
            let thread = std::thread::Builder::new()
                .name("wasi".into())
                .spawn(manage);
            managers.push(thread.map_err(host)?);
        }
        Ok(Self {
            timed,
            counted,
            managers: Mutex::new(managers),
            stopping,
            next_id: AtomicU64::new(1),
            enforced: ENFORCED.map(str::to_owned).into_iter().collect(),
        })
    }

    /// Names of the installed guests.
    pub(crate) fn guests(&self) -> Vec<String> {
        self.timed
            .first()
            .map(|w| lock(&w.guests).clone())
            .unwrap_or_default()
    }

    /// Runs one plan on the least loaded worker.
    pub(crate) async fn run(&self, plan: Plan) -> Result<Outcome, Fault> {
        let worker = self.choose(&plan)?;
        let _place = worker.enter(needs(&plan)).await?;
        self.run_on(worker, plan).await
    }

    /// Runs two plans that talk to each other, on one worker: every word they
    /// exchange would otherwise wake another process.
    pub(crate) async fn run_pair(
        &self,
        a: Plan,
        b: Plan,
    ) -> (Result<Outcome, Fault>, Result<Outcome, Fault>) {
        let Ok(worker) = self.choose(&a) else {
            return (Err(Fault::NoBackend("wasi")), Err(Fault::NoBackend("wasi")));
        };
        // Room for both at once: two pairs that each held half of what they
        // need would wait for ever.
        match worker.enter(needs(&a).saturating_add(needs(&b))).await {
            Ok(_place) => tokio::join!(self.run_on(worker, a), self.run_on(worker, b)),
            Err(_) => (Err(Fault::ShuttingDown), Err(Fault::ShuttingDown)),
        }
    }

    fn choose(&self, plan: &Plan) -> Result<&Worker, Fault> {
        match &plan.target {
            Target::Wasi(_, Time::Counted) => {
                self.counted.want();
                Ok(&self.counted)
            }
            // One that is being replaced only when all are.
            Target::Wasi(_, Time::Real) | Target::Native => self
                .timed
                .iter()
                .min_by_key(|w| (lock(&w.link).is_none(), w.load()))
                .map(Arc::as_ref)
                .ok_or(Fault::NoBackend("wasi")),
        }
    }

    async fn run_on(&self, worker: &Worker, plan: Plan) -> Result<Outcome, Fault> {
        let link = self.link(worker).await?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let patience = patience(&plan);
        let wanted: Vec<String> = plan.collect.iter().map(|c| c.path.clone()).collect();
        let (request, fds) = wire_plan(id, plan)?;
        let (sender, answer) = oneshot::channel();
        lock(&link.pending).insert(id, sender);
        let guard = CancelOnDrop { link: &link, id };
        if let Err(fault) = link.send(&request, &fds) {
            worker.abandon(&link);
            return Err(fault);
        }
        drop(fds);
        let report = match tokio::time::timeout(patience, answer).await {
            Ok(Ok(report)) => report,
            Ok(Err(_)) => return Err(Fault::CellLost("the wasm worker died".into())),
            Err(_) => {
                worker.abandon(&link);
                return Err(Fault::CellLost("the wasm worker did not answer".into()));
            }
        };
        std::mem::forget(guard);
        outcome(report, &wanted, &self.enforced)
    }

    /// The live connection, waiting a moment for a worker that is restarting.
    async fn link(&self, worker: &Worker) -> Result<Arc<Link>, Fault> {
        for _ in 0..500 {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(Fault::ShuttingDown);
            }
            if let Some(link) = lock(&worker.link).clone() {
                return Ok(link);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(Fault::CellLost("no wasm worker came up".into()))
    }

    /// Ends all workers and waits for them.
    pub(crate) fn shutdown(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for worker in self.timed.iter().chain([&self.counted]) {
            worker.want();
            worker.room.close();
            if let Some(link) = lock(&worker.link).take() {
                link.hang_up();
            }
        }
        for manager in std::mem::take(&mut *lock(&self.managers)) {
            let _ = manager.join();
        }
    }
}

impl Link {
    fn send(&self, request: &WorkerRequest, fds: &[OwnedFd]) -> Result<(), Fault> {
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let _turn = lock(&self.sending);
        frame::send(&self.socket, request, &borrowed).map_err(|e| Fault::CellLost(e.to_string()))
    }

    /// Makes both sides read end-of-file; the manager then replaces the worker.
    fn hang_up(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// Tells the worker when a caller leaves.
struct CancelOnDrop<'a> {
    link: &'a Link,
    id: u64,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        lock(&self.link.pending).remove(&self.id);
        let _ = self.link.send(&WorkerRequest::Cancel { id: self.id }, &[]);
    }
}

/// Keeps one worker alive until the executor stops.
fn manage(home: &Home, first: Option<Running>, worker: &Worker, stopping: &AtomicBool) {
    let mut next = first;
    if next.is_none() {
        worker.wait();
    }
    while !stopping.load(Ordering::Relaxed) {
        let running = match next.take() {
            Some(running) => running,
            None => match home.start() {
                Ok(running) => running,
                Err(fault) => {
                    tracing::error!(%fault, "a wasm worker could not be started");
                    std::thread::sleep(Duration::from_millis(500));
                    continue;
                }
            },
        };
        let Running {
            jail,
            group,
            socket,
            guests,
        } = running;
        *lock(&worker.guests) = guests;
        let pending = Mutex::new(HashMap::new());
        let link = Arc::new(Link {
            socket,
            sending: Mutex::new(()),
            pending,
        });
        *lock(&worker.link) = Some(Arc::clone(&link));
        // Whoever stops us sets the flag first and then takes the link: if it
        // was not there yet, the flag is.
        if stopping.load(Ordering::SeqCst) {
            link.hang_up();
        }
        let served = serve(&link, worker, home.runs, stopping);
        *lock(&worker.link) = None;
        // Dropping the senders is the news that these runs lost their worker.
        lock(&link.pending).clear();
        if !stopping.load(Ordering::Relaxed) {
            if served >= home.runs {
                tracing::debug!(served, "a wasm worker has served its time and is replaced");
            } else {
                tracing::warn!("a wasm worker ended and is replaced");
            }
        }
        drop((jail, group));
        home.lease.close();
    }
}

/// How long a worker that is to be replaced may be silent before it is looked
/// at again whether anybody still uses it.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Hands answers over until the worker ends or has served so many runs: then
/// nobody new is given the link, and those who have it are waited for.
fn serve(link: &Arc<Link>, worker: &Worker, runs: u64, stopping: &AtomicBool) -> u64 {
    let mut served = 0;
    loop {
        if served >= runs {
            *lock(&worker.link) = None;
            // Whoever still holds it may be about to ask something of it. Who
            // stops us finds no link to hang up.
            if Arc::strong_count(link) == 1 || stopping.load(Ordering::SeqCst) {
                return served;
            }
            let mut waiting = [PollFd::new(&link.socket, PollFlags::IN)];
            if !matches!(poll(&mut waiting, Some(&LOOK)), Ok(1..)) {
                continue;
            }
        }
        let Ok((WorkerReply::Done(report), _)) = frame::recv(&link.socket) else {
            return served;
        };
        if let Some(waiting) = lock(&link.pending).remove(&report.id) {
            let _ = waiting.send(*report);
        }
        served += 1;
    }
}
