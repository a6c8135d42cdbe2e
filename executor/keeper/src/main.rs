//! `assize-keeper`: the one process with privileges.
//!
//! # Theory of operation
//!
//! The server starts a keeper while it still is what it was started as, tells
//! it once what cells look like, and then gives up its own privileges. What
//! is left to ask for is in [`assize_wire::keeper`]: a socket per slot, and on
//! it *open*, *renew* and *close*. No message names a path, an id, a program
//! or a limit, so a server that was taken over can make its own slots come
//! and go and nothing else.
//!
//! Opening a slot makes its cgroup, starts an `assize-jail` and tells it what
//! cell to build. The jail's socket and the group's open control files go to
//! the server: runs, their limits and their counters are from then on a
//! matter between server and jail, and cost no trip through here.
//!
//! Started as root, the keeper keeps what mapping foreign ids into a user
//! namespace and making cgroups take (`CAP_SETUID`, `CAP_SETGID`,
//! `CAP_DAC_OVERRIDE`) and drops every other capability. Started as an ordinary
//! user it has none to begin with.
//!
//! The sockets are the leash: when the server goes, however suddenly, each
//! slot's socket reads end-of-file, the keeper ends the slots, removes their
//! cgroups and exits. When the keeper itself is killed, the server notices and
//! stops, and the wardens remove the groups.
//!
//! Deliberately absent: network, threads, async, JSON, any data of a run.

mod privileges;
mod serve;
mod slot;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use assize_cgroup::{Backend, CgroupError, none};
use assize_sys::process::exit_now;
use assize_wire::frame::{self, FrameError};
use assize_wire::keeper::{KeeperReply, KeeperSpec, Leases, Refused};

fn main() {
    let status = match run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("assize-keeper: {error}");
            1
        }
    };
    exit_now(status);
}

fn run() -> Result<(), FrameError> {
    // A new session: a Ctrl-C meant for the server must not end the keeper
    // before the server has finished its accepted work.
    let _ = nix::unistd::setsid();
    let server = take_stdin()?;
    let (spec, _) = match frame::recv::<KeeperSpec>(&server) {
        Ok(received) => received,
        Err(FrameError::Closed) => return Ok(()),
        Err(error) => return Err(error),
    };
    let leases = receive_leases(&server, spec.slots)?;
    let prepared = privileges::reduce(spec.ids)
        .map_err(|e| refused(None, format!("giving up capabilities: {e}")))
        .and_then(|()| hierarchy(&spec));
    match prepared {
        Ok((cgroups, missing)) => {
            let ready = KeeperReply::Ready {
                cgroups: cgroups.kind().name().to_owned(),
                missing,
            };
            frame::send(&server, &ready, &[])?;
            serve::until_the_server_goes(&server, &spec, cgroups.as_ref(), leases);
            Ok(())
        }
        Err(reason) => frame::send(&server, &KeeperReply::Failed(reason), &[]),
    }
}

/// The place our groups go to; with best effort also none, and why.
fn hierarchy(spec: &KeeperSpec) -> Result<(Box<dyn Backend>, String), Refused> {
    // The name becomes a directory's: nothing but what servers call theirs.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !spec.name.starts_with("assize-") || !spec.name.chars().all(plain) {
        return Err(refused(
            None,
            format!("{:?} is no server's name", spec.name),
        ));
    }
    match assize_cgroup::detect(&spec.name) {
        Ok(backend) => Ok((backend, String::new())),
        Err(error) if spec.best_effort => Ok((Box::new(none::None), explain(error).reason)),
        Err(error) => Err(explain(error)),
    }
}

pub(crate) fn refused(limit: Option<&str>, reason: String) -> Refused {
    Refused {
        limit: limit.map(str::to_owned),
        reason,
    }
}

pub(crate) fn explain(error: CgroupError) -> Refused {
    match error {
        CgroupError::Unenforceable { limit, reason } => refused(Some(limit), reason),
        CgroupError::Io { path, source } => refused(None, format!("{}: {source}", path.display())),
        CgroupError::ReadBack { .. } | CgroupError::Unsettled(_) => {
            refused(None, error.to_string())
        }
    }
}

fn receive_leases(server: &UnixStream, slots: u32) -> Result<Vec<UnixStream>, FrameError> {
    let mut leases = Vec::new();
    while leases.len() < slots as usize {
        let (Leases { count }, fds) = frame::recv(server)?;
        if count == 0 || fds.len() != count as usize {
            return Err(FrameError::Io(io::ErrorKind::InvalidData.into()));
        }
        leases.extend(fds.into_iter().map(UnixStream::from));
    }
    Ok(leases)
}

/// The socket arrives as descriptor 0, so that the server can start us with
/// posix_spawn semantics and no code of its own between fork and exec.
fn take_stdin() -> io::Result<UnixStream> {
    let stdin = io::stdin();
    let socket = assize_sys::fd::above(stdin.as_fd(), 3)?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    assize_sys::fd::place(null.as_fd(), 0)?;
    assize_sys::fd::cloexec_from(3)?;
    Ok(UnixStream::from(socket))
}
