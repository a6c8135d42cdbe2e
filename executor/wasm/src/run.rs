//! One run, from plan to report.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use assize_wire::worker::{Captured, ModuleRef, WasiEnd, WasiPlan, WasiReport};
use tokio::sync::oneshot::Receiver;
use wasmtime::bail;
use wasmtime::error::Context as _;
use wasmtime::{Linker, PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use crate::capture::Capture;
use crate::channel::Channel;
use crate::files::WorkDir;
use crate::guests::{self, Guest};
use crate::host::{self, Host};
use crate::meter::{Ended, Meter};
use crate::passed::Passed;
use crate::program::Program;
use crate::stdin::Input;

/// Longest text of a trap or a fault.
const MAX_TEXT: usize = 500;

/// What all runs of this worker share.
pub(crate) struct Shared {
    pub(crate) linker: Linker<Host>,
    pub(crate) guests: BTreeMap<String, Guest>,
    pub(crate) passed: Mutex<Passed>,
}

/// What is left of a run once it has been reported. Dropping it resets the
/// instance's memory and removes its files: a third of the time of a short
/// run, and nobody needs to wait for it.
pub(crate) struct Remains {
    _store: Store<Host>,
    _work: Option<WorkDir>,
}

/// Everything made ready before the clock starts: our time, not the guest's.
struct Prepared {
    program: Arc<Program>,
    store: Store<Host>,
    work: Option<WorkDir>,
    stdout: Capture,
    stderr: Capture,
}

/// Runs `plan` to its end.
pub(crate) async fn run(
    shared: &Shared,
    plan: &WasiPlan,
    fds: Vec<OwnedFd>,
    cancel: Receiver<()>,
) -> (WasiReport, Option<Remains>) {
    let Prepared {
        program,
        mut store,
        work,
        stdout,
        stderr,
    } = match prepare(shared, plan, fds) {
        Ok(prepared) => prepared,
        Err(error) => return (fault(plan.id, &format!("{error:#}")), None),
    };
    let mut meter = Meter::start(plan.limits.cpu_ns, plan.limits.wall_ns, cancel);
    let ended = meter.run(program.run(&mut store)).await;
    let wall = meter.wall();
    let host = store.data_mut();
    let end = match ended {
        _ if stdout.over_limit() => WasiEnd::OutputLimit,
        Ended::Done(Ok(status)) => WasiEnd::Exited(status),
        Ended::Done(Err(error)) => failed(&error, host),
        Ended::CpuLimit => WasiEnd::CpuLimit,
        Ended::WallLimit => WasiEnd::WallLimit,
        Ended::Cancelled => WasiEnd::Cancelled,
    };
    let report = WasiReport {
        id: plan.id,
        end,
        stdout: stdout.take(),
        stderr: stderr.take(),
        report: host.report.take(),
        cpu_ns: nanoseconds(meter.cpu),
        wall_ns: nanoseconds(wall),
        memory_peak_bytes: host.limiter.peak as u64,
        memory_denied: host.limiter.denied,
    };
    (
        report,
        Some(Remains {
            _store: store,
            _work: work,
        }),
    )
}

/// A report that says that we failed.
pub(crate) fn fault(id: u64, reason: &str) -> WasiReport {
    WasiReport {
        id,
        end: WasiEnd::Fault(clip(reason)),
        stdout: Captured::default(),
        stderr: Captured::default(),
        report: Captured::default(),
        cpu_ns: 0,
        wall_ns: 0,
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
    let mut wasi = WasiCtxBuilder::new();
    let stdout = Capture::strict(plan.limits.stdout_bytes);
    let stderr = Capture::lenient(plan.limits.stderr_bytes);
    wasi.args(&plan.argv)
        .envs(&plan.env)
        .stdout(stdout.clone())
        .stderr(stderr.clone());

    let program = match &plan.module {
        ModuleRef::Guest(name) => {
            let guest = shared
                .guests
                .get(name)
                .with_context(|| format!("no guest {name:?}"))?;
            if let Some(library) = &guest.library {
                host::show(&mut wasi, library, guests::LIBRARY)?;
            }
            Arc::clone(&guest.program)
        }
        ModuleRef::Passed => {
            let file = File::from(next("module")?);
            let mut passed = shared.passed.lock().unwrap_or_else(PoisonError::into_inner);
            passed.get(&shared.linker, file)?
        }
    };
    let work = if plan.files.is_empty() {
        None
    } else {
        let pack = File::from(next("pack")?);
        let work = WorkDir::lay_out(plan.id, &plan.files, &pack).context("cannot lay out /work")?;
        host::show(&mut wasi, work.path(), "/work")?;
        Some(work)
    };
    if plan.stdin {
        wasi.stdin(Input::new(File::from(next("stdin")?))?);
    }
    let channel = if plan.channel {
        Channel::open(next("channel")?).context("cannot use the channel")?
    } else {
        Channel::none()
    };
    if fds.next().is_some() {
        bail!("more descriptors than the plan names");
    }

    let limits = &plan.limits;
    let host = Host::new(&mut wasi, limits.memory_bytes, limits.report_bytes, channel);
    let mut store = Store::new(shared.linker.engine(), host);
    store.limiter(|host| &mut host.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    Ok(Prepared {
        program,
        store,
        work,
        stdout,
        stderr,
    })
}

/// What an error out of a guest means.
fn failed(error: &wasmtime::Error, host: &Host) -> WasiEnd {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return WasiEnd::Exited(exit.0);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
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
