//! One run, from plan to report.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use assize_wire::plan::{Collect, CollectError};
use assize_wire::worker::{Captured, ModuleRef, SLOWEST, WasiEnd, WasiPlan, WasiReport};
use tokio::sync::oneshot::Receiver;
use wasmtime::error::Context as _;
use wasmtime::{Linker, PoolConcurrencyLimitError, Store, Trap, bail, format_err};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use crate::capture::Bounded;
use crate::channel::Channel;
use crate::clock::{self, Clock, Random};
use crate::code::{Code, Kept};
use crate::engine::Flavour;
use crate::fs::{Budget, Files, Setup};
use crate::guests::Guest;
use crate::host::Host;
use crate::limiter::Limiter;
use crate::meter::{Ended, Meter};
use crate::passed::Passed;
use crate::poll::Overslept;
use crate::program::Program;
use crate::stdin::Input;

/// Longest text of a trap or a fault.
const MAX_TEXT: usize = 500;

/// Bytes of all files handed back; a frame holds 96 MiB, and streams come on
/// top.
const MAX_COLLECTED: usize = 48 << 20;

/// Fuel between two looks at what else there is to do: about 10 ms.
const TURN: u64 = 10_000_000;

/// What all runs of this worker share.
pub(crate) struct Shared {
    pub(crate) flavour: Flavour,
    pub(crate) linker: Linker<Host>,
    pub(crate) guests: BTreeMap<String, Guest>,
    pub(crate) passed: Mutex<Passed>,
    pub(crate) kept: Arc<Mutex<Kept>>,
}

/// What is left of a run once it has been reported. Dropping it resets the
/// instance's memory: a third of the time of a short run, and nobody needs to
/// wait for it.
pub(crate) struct Remains {
    _store: Store<Host>,
}

/// Everything made ready before the clock starts: our time, not the guest's.
struct Prepared {
    program: Arc<Program>,
    store: Store<Host>,
}

/// Runs `plan` to its end.
pub(crate) async fn run(
    shared: &Shared,
    plan: &WasiPlan,
    fds: Vec<OwnedFd>,
    cancel: Receiver<()>,
) -> (WasiReport, Option<Remains>) {
    let (program, mut store) = match prepare(shared, plan, fds) {
        Ok(Prepared { program, store }) => (program, store),
        Err(error) => return (fault(plan.id, &format!("{error:#}")), None),
    };
    let (cpu, wall) = (plan.limits.cpu_ns, plan.limits.wall_ns);
    let mut meter = match shared.flavour {
        Flavour::Timed => Meter::start(cpu, wall, cancel),
        // Neither clock decides there; this one only ends what is stuck.
        Flavour::Deterministic => {
            Meter::start(u64::MAX, wall.saturating_mul(u64::from(SLOWEST)), cancel)
        }
    };
    let ended = meter.run(program.run(&mut store)).await;
    let real = meter.wall();
    let spent = clock::spent(&store);
    let host = store.data_mut();
    let end = match ended {
        _ if host.files.stdout.overrun() => WasiEnd::OutputLimit,
        Ended::Done(_) if spent.is_some_and(|spent| spent.fuel >= cpu) => WasiEnd::CpuLimit,
        Ended::Done(_) if spent.is_some_and(|spent| spent.wall > wall) => WasiEnd::WallLimit,
        Ended::Done(Ok(status)) => WasiEnd::Exited(status),
        Ended::Done(Err(error)) => failed(&error, host),
        Ended::CpuLimit => WasiEnd::CpuLimit,
        // Whether it would have ended in time is not known, and must not
        // depend on how fast this machine is.
        Ended::WallLimit if spent.is_some() => WasiEnd::Fault("too slow for its fuel".to_owned()),
        Ended::WallLimit => WasiEnd::WallLimit,
        Ended::Cancelled => WasiEnd::Cancelled,
    };
    let report = WasiReport {
        id: plan.id,
        end,
        stdout: host.files.stdout.take(),
        stderr: host.files.stderr.take(),
        report: host.report.take(),
        collected: collect(&plan.collect, &host.files),
        cpu_ns: nanoseconds(meter.cpu),
        wall_ns: nanoseconds(real),
        fuel: spent.map(|spent| spent.fuel),
        memory_peak_bytes: host.limiter.peak as u64,
        memory_denied: host.limiter.denied,
    };
    (report, Some(Remains { _store: store }))
}

/// A report that says that we failed.
pub(crate) fn fault(id: u64, reason: &str) -> WasiReport {
    WasiReport {
        id,
        end: WasiEnd::Fault(clip(reason)),
        stdout: Captured::default(),
        stderr: Captured::default(),
        report: Captured::default(),
        collected: Vec::new(),
        cpu_ns: 0,
        wall_ns: 0,
        fuel: None,
        memory_peak_bytes: 0,
        memory_denied: false,
    }
}

fn prepare(shared: &Shared, plan: &WasiPlan, fds: Vec<OwnedFd>) -> wasmtime::Result<Prepared> {
    let mut fds = fds.into_iter();
    let mut next = |what| {
        fds.next()
            .with_context(|| format!("no descriptor for the {what}"))
    };
    let mut library = None;
    let mut code = Code::none();
    let program = match &plan.module {
        ModuleRef::Guest(name) => {
            let guest = shared
                .guests
                .get(name)
                .with_context(|| format!("no guest {name:?}"))?;
            library = guest.library.as_ref();
            if matches!(shared.flavour, Flavour::Timed) {
                code = Code::open(Arc::clone(&shared.kept), Arc::clone(&guest.digest));
            }
            Arc::clone(&guest.program)
        }
        ModuleRef::Passed => {
            let file = File::from(next("module")?);
            let mut passed = shared.passed.lock().unwrap_or_else(PoisonError::into_inner);
            passed.get(&shared.linker, file)?
        }
    };
    let pack = if plan.files.is_empty() {
        None
    } else {
        Some(Arc::new(File::from(next("pack")?)))
    };
    let stdin = if plan.stdin {
        Some(Input::new(File::from(next("stdin")?))?)
    } else {
        None
    };
    let channel = if plan.channel {
        Channel::open(next("channel")?).context("cannot use the channel")?
    } else {
        Channel::none()
    };
    if fds.next().is_some() {
        bail!("more descriptors than the plan names");
    }

    let limits = &plan.limits;
    let (clock, random) = match shared.flavour {
        Flavour::Timed => (Clock::Real(Instant::now()), Random::Kernel),
        Flavour::Deterministic => {
            let fuel = limits.cpu_ns;
            (Clock::Virtual { fuel, slept: 0 }, Random::Seeded(0))
        }
    };
    let files = Files::new(Setup {
        library,
        entries: &plan.files,
        pack,
        budget: Budget {
            bytes: limits.disk_bytes,
            inodes: limits.files,
        },
        at_work: matches!(plan.module, ModuleRef::Passed),
        now: clock.beginning(),
        random,
        stdin,
        stdout: Bounded::new(limits.stdout_bytes),
        stderr: Bounded::new(limits.stderr_bytes),
    })
    .map_err(|errno| format_err!("cannot lay out /work: {errno:?}"))?;
    let mut wasi = WasiCtxBuilder::new();
    wasi.args(&plan.argv).envs(&plan.env);
    let mut host = Host::new(&mut wasi, files, clock);
    host.wall_limit = limits.wall_ns;
    host.limiter = Limiter::new(limits.memory_bytes);
    host.channel = channel;
    host.code = code;
    host.report = Bounded::new(limits.report_bytes);
    let mut store = Store::new(shared.linker.engine(), host);
    store.limiter(|host| &mut host.limiter);
    match shared.flavour {
        Flavour::Timed => {
            store.set_epoch_deadline(1);
            store.epoch_deadline_async_yield_and_update(1);
        }
        Flavour::Deterministic => {
            store.set_fuel(limits.cpu_ns)?;
            store.fuel_async_yield_interval(Some(TURN))?;
        }
    }
    Ok(Prepared { program, store })
}

/// Files to hand back: as many as a report can carry beside the rest.
fn collect(wanted: &[Collect], files: &Files) -> Vec<Result<Vec<u8>, CollectError>> {
    let mut room = MAX_COLLECTED;
    let one = |want: &Collect| {
        let data = files.collect(want)?;
        room = room.checked_sub(data.len()).ok_or(CollectError::TooLarge)?;
        Ok(data)
    };
    wanted.iter().map(one).collect()
}

/// What an error out of a guest means.
fn failed(error: &wasmtime::Error, host: &Host) -> WasiEnd {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return WasiEnd::Exited(exit.0);
    }
    if error.is::<Overslept>() {
        return WasiEnd::WallLimit;
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        if *trap == Trap::OutOfFuel {
            return WasiEnd::CpuLimit;
        }
        return WasiEnd::Trapped(clip(&trap.to_string()));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return WasiEnd::Fault("every slot is taken".to_owned());
    }
    if host.limiter.denied {
        return WasiEnd::Trapped("initial memory is over the limit".to_owned());
    }
    // A host function refused what it was given: the guest's doing.
    WasiEnd::Trapped(clip(&format!("{error:#}")))
}

fn clip(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn nanoseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
