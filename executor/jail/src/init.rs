//! Pid 1 of the cell: serves runs one after another until the executor lets
//! go of the socket.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use assize_wire::cell::{CellReply, Layer, SetupFailure, Step};
use assize_wire::frame::{self, FrameError};
use assize_wire::plan::{End, JailEvent, Order, Plan, RunReport};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus, wait};

use crate::backlog::{Backlog, patience};
use crate::cell::Cell;
use crate::refusals::Refusals;
use crate::traces::Traces;
use crate::warm::Nursery;
use crate::{collect, run};
use assize_confine::step::At;

/// Orphans reaped before orders are looked at again: many cores can make them
/// faster than one init reaps.
const HELPING: usize = 64;

/// Serves until end-of-file; the return value is the exit status.
pub(crate) fn serve(mut cell: Cell, mut refusals: Refusals, socket: &UnixStream) -> i32 {
    let children = match watch_children() {
        Ok(children) => children,
        Err(failed) => {
            let _ = frame::send(socket, &CellReply::Failed(failed), &[]);
            return 1;
        }
    };
    let mut traces = match Traces::new(&cell) {
        Ok(traces) => traces,
        Err(failed) => {
            let _ = frame::send(socket, &CellReply::Failed(failed), &[]);
            return 1;
        }
    };
    let ready = CellReply::Ready {
        landlock_abi: cell.landlock_abi,
        counting: refusals.counting(),
    };
    if frame::send(socket, &ready, &[]).is_err() {
        return 1;
    }
    loop {
        match frame::recv::<Order>(socket) {
            Ok((Order::Run(plan), fds)) => {
                // Any error here means the cell is no longer what it should
                // be. Dying is the report: the executor replaces the slot.
                let run = one_run(&mut cell, &mut refusals, socket, &children, &plan, fds);
                let clean = run.and_then(|()| traces.remove(&mut cell).ok());
                // The next run is likely to be like it. One that comes to
                // nothing is made when it is wanted.
                let like = plan.warm.filter(|id| cell.warm.has(*id));
                let clean = clean.and_then(|()| cell.park(like).ok());
                let said = clean.and_then(|()| frame::send(socket, &JailEvent::Idle, &[]).ok());
                if said.is_none() {
                    return 1;
                }
            }
            // A kill that crossed with the end of its run.
            Ok((Order::Kill, _)) => {}
            Ok((Order::Warm(spec), _)) => {
                // It is started where the last run's files are gone already.
                let waits = cell.warm_up(&spec);
                if frame::send(socket, &JailEvent::Warm(waits), &[]).is_err() {
                    return 1;
                }
            }
            Err(FrameError::Closed) => return 0,
            Err(_) => return 1,
        }
    }
}

/// Least time between two looks at the sockets, whatever wakes us.
const LOOK: Duration = Duration::from_millis(20);

fn watch_children() -> Result<SignalFd, SetupFailure> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), None).at(Step::Namespaces)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).at(Step::Namespaces)
}

/// One run from fresh scratch space to its report and away with the scratch.
fn one_run(
    cell: &mut Cell,
    refusals: &mut Refusals,
    socket: &UnixStream,
    children: &SignalFd,
    plan: &Plan,
    fds: Vec<OwnedFd>,
) -> Option<()> {
    cell.prepare(plan).ok()?;
    let mut over = false;
    let watching = plan.sockets && cell.has(Layer::Backlog);
    let started = run::start(cell, plan, &fds);
    // Whoever holds the other ends is to see when the program lets go.
    drop(fds);
    // From here on what is reaped is the run's.
    let before = cpu_of_children();
    let mut not_its = 0;
    let (end, leftovers) = match started {
        Ok(started) => {
            let watched = Watched {
                main: started.pid,
                alone: cell.warm.is_empty(),
                nursery: &mut cell.warm,
                backlog: watching.then_some(&mut cell.backlog),
            };
            let ended = wait_for_end(refusals, watched, socket, children);
            let (status, overflowed) = ended?;
            over = overflowed;
            let leftovers = if cell.has(Layer::Sweep) {
                sweep(cell, &mut not_its)?
            } else {
                0
            };
            (started.verdict(status), leftovers)
        }
        Err(failed) => (End::NotStarted(failed), 0),
    };
    let (collected, files) = collect::collect(&plan.collect, cell.has(Layer::Collect));
    let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let report = RunReport {
        end,
        collected,
        leftovers,
        refused: refusals.take(),
        backlog: over,
        cpu_us: cpu_of_children().saturating_sub(before + not_its),
        warm: cell.warm.ids(),
    };
    frame::send(socket, &JailEvent::Done(report), &borrowed).ok()?;
    drop(files);
    cell.renew().ok()
}

/// A run that is on.
struct Watched<'a> {
    /// The main program.
    main: Pid,
    /// Whether nothing but the run is in the cell.
    alone: bool,
    /// What else is.
    nursery: &'a mut Nursery,
    /// Its sockets, if it may have any.
    backlog: Option<&'a mut Backlog>,
}

/// Waits for the main program, reaping orphans on the way, answering refused
/// calls, watching sockets and obeying `Kill`. Also says whether the sockets
/// held too much. `None` when the executor is gone.
fn wait_for_end(
    refusals: &mut Refusals,
    watched: Watched<'_>,
    socket: &UnixStream,
    children: &SignalFd,
) -> Option<(WaitStatus, bool)> {
    let Watched {
        main,
        alone,
        nursery,
        mut backlog,
    } = watched;
    let mut more = false;
    let mut over = false;
    let mut looked = Instant::now();
    loop {
        let (spoken, asked) = {
            let mut sources = vec![
                PollFd::new(children.as_fd(), PollFlags::POLLIN),
                PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            ];
            sources.extend(refusals.source().map(|s| PollFd::new(s, PollFlags::POLLIN)));
            let patience = if more {
                PollTimeout::ZERO
            } else {
                backlog.as_ref().map_or(PollTimeout::NONE, |_| patience())
            };
            match poll(&mut sources, patience) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
            let ready = |at: usize| sources.get(at).and_then(PollFd::any) == Some(true);
            (ready(1), ready(2))
        };
        if spoken {
            match frame::recv::<Order>(socket) {
                // What it leaves behind is swept afterwards.
                Ok((Order::Kill, _)) if !alone => kill_one(main),
                Ok((Order::Kill, _)) => kill_all(),
                Ok((Order::Run(_) | Order::Warm(_), _)) | Err(_) => return None,
            }
        }
        if asked {
            refusals.answer()?;
        }
        if let Some(backlog) = &mut backlog
            && looked.elapsed() >= LOOK
        {
            looked = Instant::now();
            if backlog.is_over() {
                over = true;
                kill_one(main);
            }
        }
        // Once: a standard signal waits only once, and where program and init
        // share a uid the program may send it faster than we read.
        let _ = children.read_signal();
        more = true;
        for _ in 0..HELPING {
            // Raw statuses: a real-time signal is a legal way to die, and nix
            // has no name for it.
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == main.as_raw() => {
                    return Some((status, over));
                }
                Ok(Some((pid, _))) => {
                    nursery.has_lost(pid.as_raw_nonzero().get());
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(None) => {
                    more = false;
                    break;
                }
                Err(_) => return None,
            }
        }
    }
}

/// CPU time of every child reaped so far, in microseconds.
fn cpu_of_children() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return 0;
    };
    let spent = usage.user_time() + usage.system_time();
    u64::try_from(spent.num_microseconds()).unwrap_or(0)
}

/// Kills everything in the cell but the init. The kernel walks the task list
/// under its lock and fails the fork of a process with a pending signal, so
/// nothing can slip through by forking.
fn kill_all() {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}

fn kill_one(process: Pid) {
    let _ = kill(process, Signal::SIGKILL);
}

/// Kills and reaps whatever the run left; says how many there were, and adds
/// the CPU time of those that were not the run's.
///
/// Where interpreters wait in the cell they must be told from what is left. A
/// process that has lost its parent is ours, so if all of our children are
/// interpreters, nothing is left. If something is, all go: nothing can be told
/// apart in a crowd that forks.
fn sweep(cell: &mut Cell, not_its: &mut u64) -> Option<u32> {
    let mut reaped = 0;
    if !cell.warm.is_empty() {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, _))) => {
                    reaped += u32::from(!cell.warm.has_lost(pid.as_raw_nonzero().get()));
                }
                Ok(None) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CHILD) => {
                    cell.warm.bury();
                    return Some(reaped);
                }
                Err(_) => return None,
            }
        }
        if cell.warm.holds(cell.children()?.into_iter()) {
            return Some(reaped);
        }
    }
    kill_all();
    let before = cpu_of_children();
    cell.warm.bury();
    *not_its += cpu_of_children().saturating_sub(before);
    loop {
        match wait(WaitOptions::empty()) {
            Ok(_) => reaped += 1,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CHILD) => return Some(reaped),
            Err(_) => return None,
        }
    }
}
