//! `libassize_warm.so`: preloaded into an interpreter, it lets it start as ever
//! and stops it where it first touches a file of its program. There it waits,
//! and each run is a fork from there: what an interpreter does before it reads
//! a program is the same for all programs, and is done once.
//!
//! # Theory of operation
//!
//! The init of a cell starts the interpreter with the arguments and the
//! environment of the runs to come, in an empty working directory, as uid 0 of
//! the cell with the few capabilities that starting a run takes. [`touched`]
//! hears of each path that the interpreter is about to open or to look at. At
//! the first that is the program's it asks the init what to do.
//!
//! A fork is a child of the init, which waits for it as for any program. It
//! hears its plan on a socket of its own, so the interpreter that goes on
//! waiting knows nothing of it, and no later fork can find traces of it. It
//! gives up its rights in the same order and by the same code as a program that
//! is started (`assize-confine`), closes what is not the program's, and returns
//! into the interpreter: which opens the file that is there by now.
//!
//! Trust: the waiting interpreter runs the host's toolchain and no program. To
//! programs it is another uid's process, out of reach of signals and out of
//! sight in /proc; they inherit none of its descriptors.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use assize_confine::failure::encode;
use assize_confine::program::{self, PARKED, Setting};
use assize_confine::step::At;
use assize_sys::fd::{above, close_others};
use assize_sys::inherit::take_inherited_fd;
use assize_sys::interpose::Touch;
use assize_sys::process::{
    Side, end_as_main_does, end_by, end_with, exit_now, fork_sibling, thread_count,
};
use assize_sys::python::{Ending, Held, Python};
use assize_wire::cell::{SetupFailure, Step};
use assize_wire::frame::{self, FrameError};
use assize_wire::plan::Plan;
use assize_wire::warm::{CONTROL_FD, PROC_FD, Run, WarmOrder, WarmReply};
use rustix::process::DumpableBehavior;

assize_sys::interpose!(crate::touched);

/// What CPython runs around a program.
const PROGRAM: &str = include_str!("program.py");

/// What the init said first: there until the wait begins.
static TOLD: Mutex<Option<Told>> = Mutex::new(None);

/// Whether nothing is heard of any more.
static PASSED: AtomicBool = AtomicBool::new(false);

struct Told {
    control: UnixStream,
    before: String,
    program: Option<String>,
}

fn touched(path: &[u8], touch: Touch) {
    if PASSED.load(Ordering::Relaxed) || !is_of_the_program(path) {
        return;
    }
    // What we open ourselves is nobody's business.
    PASSED.store(true, Ordering::Relaxed);
    let Some(told) = TOLD
        .lock()
        .ok()
        .and_then(|mut told| told.take().or_else(listen))
    else {
        exit_now(1)
    };
    // An interpreter looks at a file in several ways (is it an archive?) before
    // it reads its program.
    if told.program.is_some() && touch != Touch::Stream {
        if let Ok(mut kept) = TOLD.lock() {
            *kept = Some(told);
        }
        PASSED.store(false, Ordering::Relaxed);
        return;
    }
    // Whoever comes back from it is a program. All others end here.
    if wait(told).is_none() {
        exit_now(1);
    }
}

/// The working directory is the program's and has no other files.
fn is_of_the_program(path: &[u8]) -> bool {
    let relative = !path.starts_with(b"/") && !path.is_empty() && path != b".";
    relative || path.starts_with(b"/work/")
}

fn listen() -> Option<Told> {
    let control = UnixStream::from(take_inherited_fd(CONTROL_FD).ok()?);
    match frame::recv(&control).ok()?.0 {
        WarmOrder::Prepare { before, program } => Some(Told {
            control,
            before,
            program,
        }),
        WarmOrder::Fork => None,
    }
}

/// Waits and forks; returns in the forks, unless they run their program from
/// here.
fn wait(told: Told) -> Option<()> {
    let Told {
        control,
        before,
        program,
    } = told;
    let proc = take_inherited_fd(PROC_FD).ok()?;
    let program = program.map(|name| Path::new("/work").join(name));
    let mut python = Python::find().and_then(Python::hold);
    let reply = match prepare(python.as_mut(), &before, program.as_deref()) {
        true => WarmReply::Waits,
        false => WarmReply::Refuses,
    };
    frame::send(&control, &reply, &[]).ok()?;
    loop {
        let run = match frame::recv::<WarmOrder>(&control) {
            Ok((WarmOrder::Fork, mut fds)) => UnixStream::from(fds.pop()?),
            // The init lets go of us.
            Err(FrameError::Closed) => exit_now(0),
            Ok((WarmOrder::Prepare { .. }, _)) | Err(_) => return None,
        };
        if let Some(python) = &python {
            python.before_fork();
        }
        let forked = fork_sibling();
        if matches!(forked, Ok(Side::Child)) {
            become_program(&run, &proc);
            // The numbers are the program's now, or closed.
            std::mem::forget((control, proc, run));
            if let Some(python) = &mut python {
                python.after_fork_in_child();
                if let Some(program) = &program {
                    match python.run_program(program) {
                        Some(Ending::Status(status)) => end_with(status),
                        Some(Ending::Finalized(status)) => end_as_main_does(status),
                        Some(Ending::Interrupted) => end_by(libc::SIGINT),
                        None => end_with(1),
                    }
                }
            }
            return Some(());
        }
        if let Some(python) = &python {
            python.after_fork();
        }
        let reply = match forked {
            Ok(Side::Parent(pid)) => WarmReply::Forked(pid),
            Ok(Side::Child) | Err(_) => WarmReply::Refuses,
        };
        frame::send(&control, &reply, &[]).ok()?;
    }
}

/// Runs what comes before the wait; says whether this process can be copied at
/// all: a fork has one thread, and the program's descriptors take the place of
/// what is open.
fn prepare(python: Option<&mut Held>, before: &str, program: Option<&Path>) -> bool {
    let ready = match (python, program) {
        (Some(python), program) => {
            let path = program.map_or("None".to_owned(), |path| format!("{path:?}"));
            let ready = python.run(PROGRAM) && python.run(before);
            let ready = ready && python.run(&format!("settle({path})"));
            python.settle();
            ready
        }
        (None, program) => before.is_empty() && program.is_none(),
    };
    ready && thread_count().is_ok_and(|n| n == 1) && nothing_is_open().unwrap_or(false)
}

fn nothing_is_open() -> std::io::Result<bool> {
    let ours = ["0", "1", "2", &CONTROL_FD.to_string(), &PROC_FD.to_string()].map(str::to_owned);
    let names = std::fs::read_dir("/proc/self/fd")?
        .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()?;
    // One more: the directory that was being read.
    Ok(names.iter().filter(|name| !ours.contains(name)).count() == 1)
}

/// Gives up everything but what the plan grants. Ends the process if it cannot.
fn become_program(run: &UnixStream, proc: &OwnedFd) {
    if program::ahead(proc.as_fd(), true).is_err() {
        exit_now(127)
    }
    let Ok((Run { plan, fenced }, fds)) = frame::recv::<Run>(run) else {
        exit_now(127)
    };
    let given = 1 + usize::from(fenced) + program::descriptors(&plan);
    if fds.len() != given {
        exit_now(127)
    }
    // The numbers that the program's descriptors get may be those of ours.
    let came = fds;
    let parked: std::io::Result<Vec<OwnedFd>> =
        came.iter().map(|fd| above(fd.as_fd(), PARKED)).collect();
    let Ok(mut fds) = parked else { exit_now(127) };
    drop(came);
    let failure = File::from(fds.remove(0));
    let rules = fenced.then(|| fds.remove(0));
    let setting = Setting {
        fence: rules.as_ref().map(AsFd::as_fd),
        two_ids: true,
        rlimits: true,
        program_uid: true,
        seccomp: true,
    };
    if let Err(failed) = setting.confine(&plan, &fds).and_then(|()| let_go(&plan)) {
        let _ = (&failure).write_all(&encode(failed));
        exit_now(127)
    }
    std::mem::forget((failure, rules, fds));
}

/// What `execve` does for a program that is started: closes what is not its
/// own, and lets it look at itself again, which changing ids forbids.
fn let_go(plan: &Plan) -> Result<(), SetupFailure> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).at(Step::Exec)?;
    let mut own = plan.extra_fds.clone();
    own.sort_unstable();
    close_others(3, &own).at(Step::Descriptors)
}
