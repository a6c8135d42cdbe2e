//! One slot as the keeper sees it: a jail and its group.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assize_cgroup::{Backend, Made};
use assize_wire::cell::CellSpec;
use assize_wire::frame::{self, FrameError};
use assize_wire::keeper::{KeeperSpec, Refused, SlotReply};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::{explain, refused};

/// How long a jail may take to end by itself. A second is an eternity for an
/// exit.
const PATIENCE: Duration = Duration::from_secs(1);

/// A jail that was started.
struct Jail {
    warden: Child,
    /// Readable when the warden has ended.
    ended: OwnedFd,
    generation: u64,
}

/// A jail that is to end.
struct Ending {
    jail: Jail,
    since: Instant,
    killed: bool,
    /// Whether somebody waits for [`SlotReply::Closed`].
    awaited: bool,
}

enum State {
    Closed,
    Open(Jail),
    Closing(Ending),
}

/// A slot and the socket on which it is asked for.
pub(crate) struct Slot {
    number: u32,
    /// None once the server has closed it.
    pub(crate) socket: Option<UnixStream>,
    state: State,
}

impl Slot {
    pub(crate) fn new(number: u32, socket: UnixStream) -> Self {
        Self {
            number,
            socket: Some(socket),
            state: State::Closed,
        }
    }

    /// Whether nothing is left of it and nothing will come.
    pub(crate) fn is_over(&self) -> bool {
        self.socket.is_none() && matches!(self.state, State::Closed)
    }

    /// The descriptor that says a closing jail has ended.
    pub(crate) fn ending(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Closing(ending) => Some(ending.jail.ended.as_fd()),
            State::Closed | State::Open(_) => None,
        }
    }

    /// When a closing jail is to be killed.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Closing(ending) if !ending.killed => Some(ending.since + PATIENCE),
            State::Closing(_) | State::Closed | State::Open(_) => None,
        }
    }

    fn name(&self) -> String {
        format!("slot-{}", self.number)
    }

    fn answer(&mut self, reply: &SlotReply, fds: &[BorrowedFd<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut sent = frame::send(socket, reply, fds);
        // Descriptors in flight are counted per uid, and rootless the uid may
        // be the programs' too: they come and go.
        for _ in 0..100 {
            let crowded = matches!(&sent, Err(FrameError::Io(e))
                if e.raw_os_error() == Some(nix::libc::ETOOMANYREFS));
            if !crowded {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            sent = frame::send(socket, reply, fds);
        }
        if sent.is_err() {
            self.socket = None;
            self.close(false);
        }
    }

    /// Makes the group and starts the jail.
    pub(crate) fn open(&mut self, spec: &KeeperSpec, cgroups: &dyn Backend) {
        if !matches!(self.state, State::Closed) {
            self.answer(&out_of_turn(), &[]);
            return;
        }
        let made = match cgroups.create(&self.name()) {
            Ok(made) => made,
            Err(error) => {
                cgroups.remove(&self.name());
                self.answer(&SlotReply::Failed(explain(error)), &[]);
                return;
            }
        };
        match start_jail(spec, self.number, &made) {
            Ok((jail, theirs)) => {
                self.state = State::Open(jail);
                let (controls, files) = split(&made);
                let mut fds = vec![theirs.as_fd()];
                fds.extend(files);
                self.answer(&SlotReply::Opened { controls }, &fds);
            }
            Err(failed) => {
                cgroups.remove(&self.name());
                self.answer(&SlotReply::Failed(failed), &[]);
            }
        }
    }

    /// Moves the jail into a fresh group.
    pub(crate) fn renew(&mut self, cgroups: &dyn Backend) {
        let name = self.name();
        let State::Open(jail) = &mut self.state else {
            self.answer(&out_of_turn(), &[]);
            return;
        };
        jail.generation += 1;
        match cgroups.renew(&name, jail.generation) {
            Ok(made) => {
                let (controls, files) = split(&made);
                self.answer(&SlotReply::Renewed { controls }, &files);
            }
            Err(error) => self.answer(&SlotReply::Failed(explain(error)), &[]),
        }
    }

    /// Begins to end the jail, whose leash the server has let go.
    pub(crate) fn close(&mut self, awaited: bool) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed if awaited => self.answer(&SlotReply::Closed, &[]),
            State::Closed => {}
            State::Open(jail) => {
                self.state = State::Closing(Ending {
                    jail,
                    since: Instant::now(),
                    killed: false,
                    awaited,
                });
            }
            State::Closing(ending) => {
                let awaited = ending.awaited || awaited;
                self.state = State::Closing(Ending { awaited, ..ending });
            }
        }
    }

    /// Looks after a closing jail: reaps it when it has ended, kills it when
    /// it takes too long.
    pub(crate) fn attend(&mut self, cgroups: &dyn Backend) {
        let name = self.name();
        let State::Closing(ending) = &mut self.state else {
            return;
        };
        if !matches!(ending.jail.warden.try_wait(), Ok(None)) {
            let awaited = ending.awaited;
            self.state = State::Closed;
            cgroups.remove(&name);
            if awaited {
                self.answer(&SlotReply::Closed, &[]);
            }
        } else if !ending.killed && ending.since.elapsed() >= PATIENCE {
            eprintln!("assize-keeper: {name} did not end by itself and is killed");
            ending.killed = true;
            cgroups.kill(&name);
            // The init dies with its warden (PR_SET_PDEATHSIG).
            let _ = ending.jail.warden.kill();
        }
    }
}

fn out_of_turn() -> SlotReply {
    SlotReply::Failed(refused(None, "this order is out of turn".to_owned()))
}

fn split(made: &Made) -> (Vec<String>, Vec<BorrowedFd<'_>>) {
    let names = made.controls.iter().map(|(name, _)| name.clone());
    let files = made.controls.iter().map(|(_, file)| file.as_fd());
    (names.collect(), files.collect())
}

/// Starts a jail and tells it what to build. Its socket is its stdin, so std
/// uses posix_spawn and no code of ours runs between fork and exec.
fn start_jail(spec: &KeeperSpec, slot: u32, made: &Made) -> Result<(Jail, UnixStream), Refused> {
    let host = |what: &str, e: io::Error| refused(None, format!("{what}: {e}"));
    let (ours, theirs) = UnixStream::pair().map_err(|e| host("socket", e))?;
    let mut warden = Command::new(&spec.jail)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| host(&spec.jail, e))?;
    let pid = i32::try_from(warden.id()).ok().and_then(Pid::from_raw);
    let watched = pid
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
        .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
    let told = watched.map_err(|e| host("pidfd", e)).and_then(|ended| {
        frame::send(&ours, &cell(spec, slot, made), &[])
            .map_err(|e| refused(None, format!("telling the jail: {e}")))?;
        Ok(ended)
    });
    match told {
        Ok(ended) => Ok((
            Jail {
                warden,
                ended,
                generation: 0,
            },
            ours,
        )),
        Err(failed) => {
            let _ = warden.kill();
            let _ = warden.wait();
            Err(failed)
        }
    }
}

fn cell(spec: &KeeperSpec, slot: u32, made: &Made) -> CellSpec {
    let text = |p: &std::path::PathBuf| p.to_string_lossy().into_owned();
    CellSpec {
        ids: spec.ids.of_slot(slot),
        hostname: "assize".to_owned(),
        cgroup_procs: made.procs_files.iter().map(text).collect(),
        cgroup_dirs: made.dirs.iter().map(text).collect(),
        binds: spec.binds.clone(),
        symlinks: spec.symlinks.clone(),
        files: spec.files.clone(),
        filters: spec.filters.clone(),
        allow_list: spec.allow_list.clone(),
        without: spec.without.clone(),
    }
}
