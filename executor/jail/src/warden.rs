//! The part of the jail that stays outside: makes the init, places it in its
//! cgroups, maps its ids, then waits for it and sweeps up.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use assize_sys::process::{CELL_NAMESPACES, Side, exit_now, fork};
use assize_wire::cell::{CellReply, CellSpec, Ids, SetupFailure, Step};
use assize_wire::frame::{self, FrameError};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setsid};

use crate::{cell, confine, init};
use assize_confine::step::At;

/// Runs the warden to its end.
pub(crate) fn run() -> Result<(), FrameError> {
    // A new session: no controlling terminal, and a Ctrl-C meant for the
    // server does not reach cells that are finishing accepted work.
    let _ = setsid();
    let keeper = nix::unistd::getppid();
    let socket = take_stdin()?;
    let (spec, _) = match frame::recv::<CellSpec>(&socket) {
        Ok(received) => received,
        Err(FrameError::Closed) => return Ok(()),
        Err(error) => return Err(error),
    };
    let cgroup_dirs = spec.cgroup_dirs.clone();
    match start(spec, &socket) {
        Ok(init) => {
            // From here the init alone holds the leash.
            drop(socket);
            // An ordinary user's warden has nothing to lose.
            let _ = confine::keep_only_removal();
            let _ = waitpid(init, None);
        }
        Err(failed) => {
            let _ = frame::send(&socket, &CellReply::Failed(failed), &[]);
        }
    }
    // A living keeper removes the group. When it was killed, each warden takes
    // its own group along, and whichever comes last the server's directory.
    if nix::unistd::getppid() != keeper || is_exiting(keeper) {
        for dir in cgroup_dirs.iter().map(Path::new) {
            remove_cgroup(dir);
            if let Some(parent) = dir.parent() {
                let _ = fs::remove_dir(parent);
            }
        }
    }
    Ok(())
}

/// Whether a process is on its way out. The server's end, which ends our init,
/// may be the end of the keeper too, and a process closes its sockets before it
/// stops being our parent; the kernel marks it earlier than both.
fn is_exiting(process: Pid) -> bool {
    const PF_EXITING: u32 = 4;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // "pid (name) state ppid pgrp session tty tpgid flags …"
    let flags = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(6)?.parse::<u32>().ok());
    flags.is_none_or(|flags| flags & PF_EXITING != 0)
}

/// The socket arrives as descriptor 0, so that the keeper can start us with
/// posix_spawn semantics and no code of its own between fork and exec.
fn take_stdin() -> io::Result<UnixStream> {
    let stdin = io::stdin();
    let socket = assize_sys::fd::above(stdin.as_fd(), 3)?;
    let null = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    assize_sys::fd::place(null.as_fd(), 0)?;
    assize_sys::fd::cloexec_from(3)?;
    Ok(UnixStream::from(socket))
}

/// Makes the init. It waits at a gate until its cgroups and ids are in place.
fn start(spec: CellSpec, socket: &UnixStream) -> Result<Pid, SetupFailure> {
    let (mut gate_in, mut gate_out) = io::pipe().at(Step::Namespaces)?;
    let without_net = spec.without.contains(&assize_wire::cell::Layer::Net);
    let namespaces = if without_net {
        CELL_NAMESPACES & !nix::libc::CLONE_NEWNET
    } else {
        CELL_NAMESPACES
    };
    match fork(namespaces).at(Step::Namespaces)? {
        Side::Child => {
            drop(gate_out);
            let mut byte = [0];
            // End-of-file means the warden gave up: leave without a word.
            if gate_in.read(&mut byte).ok() != Some(1) {
                exit_now(1);
            }
            let built = cell::build(&spec);
            // The files of the root are there by now. Every process of the
            // cell would carry a copy of them for as long as it lives.
            drop(spec);
            let status = match built {
                Ok((cell, refusals)) => init::serve(cell, refusals, socket),
                Err(failed) => {
                    let _ = frame::send(socket, &CellReply::Failed(failed), &[]);
                    1
                }
            };
            exit_now(status)
        }
        Side::Parent(pid) => {
            drop(gate_in);
            place_in_cgroups(&spec, pid)?;
            map_ids(&spec, pid)?;
            // The pid as the host sees it: the init cannot know it.
            gate_out.write_all(&[1]).at(Step::Namespaces)?;
            Ok(Pid::from_raw(pid))
        }
    }
}

fn place_in_cgroups(spec: &CellSpec, pid: i32) -> Result<(), SetupFailure> {
    for (index, file) in spec.cgroup_procs.iter().enumerate() {
        fs::write(file, pid.to_string()).at_item(Step::Cgroup, index)?;
    }
    Ok(())
}

/// Maps the cell's ids to the host's.
fn map_ids(spec: &CellSpec, pid: i32) -> Result<(), SetupFailure> {
    let proc = |name: &str| format!("/proc/{pid}/{name}");
    match spec.ids {
        Ids::Pair {
            init,
            program,
            subordinate: false,
        } => {
            let map = format!("0 {init} 1\n1000 {program} 1\n");
            fs::write(proc("uid_map"), &map).at_item(Step::Ids, 0)?;
            fs::write(proc("gid_map"), &map).at_item(Step::Ids, 1)
        }
        Ids::Pair { init, program, .. } => {
            by_helper("newuidmap", pid, init, program).at_item(Step::Ids, 2)?;
            by_helper("newgidmap", pid, init, program).at_item(Step::Ids, 3)
        }
        Ids::Own => {
            let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
            fs::write(proc("uid_map"), format!("1000 {uid} 1\n")).at_item(Step::Ids, 4)?;
            // The kernel's condition for a map of one's own gid: otherwise a
            // user could drop a group that denies them something (CVE-2014-8989).
            fs::write(proc("setgroups"), "deny").at_item(Step::Ids, 5)?;
            fs::write(proc("gid_map"), format!("1000 {gid} 1\n")).at_item(Step::Ids, 6)
        }
    }
}

/// An ordinary user's subordinate ids are mapped by a set-uid program of the
/// host, which looks into subuid(5).
fn by_helper(name: &str, pid: i32, init: u32, program: u32) -> io::Result<()> {
    let words = [
        pid.to_string(),
        "0".into(),
        init.to_string(),
        "1".into(),
        "1000".into(),
        program.to_string(),
        "1".into(),
    ];
    let status = Command::new(name)
        .env("PATH", "/usr/bin:/bin:/usr/local/bin")
        .args(words)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(nix::libc::EPERM))
    }
}

/// Removes a cgroup and those below it. A cgroup can go once its last process
/// is reaped, which may be a moment after pid 1's death is reported.
fn remove_cgroup(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    for _ in 0..200 {
        match fs::remove_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            _ => return,
        }
    }
}
