//! The server's side of its keeper: starting it, and holding the leases of its
//! slots.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use assize_cgroup::{Group, Kind};
use assize_wire::frame;
use assize_wire::keeper::{
    KeeperReply, KeeperSpec, LEASES_PER_FRAME, Leases, Refused, SlotOrder, SlotReply,
};

use crate::cell::Blueprint;
use crate::executor::Config;
use crate::guests::{self, Guests};
use crate::outcome::Fault;
use crate::spawn::{Jail, host};

/// A started keeper and what is known of its host. Starting one takes the
/// privileges of this process; nothing afterwards does.
pub struct Keeper {
    child: Child,
    socket: UnixStream,
    pub(crate) leases: Vec<Lease>,
    pub(crate) kind: Kind,
    /// Why there are no cgroups; empty otherwise.
    pub(crate) missing: String,
    pub(crate) blueprint: Blueprint,
    pub(crate) guests: Guests,
}

impl Keeper {
    /// Starts the keeper, tells it once what cells look like, and waits until
    /// it serves.
    pub fn launch(config: &Config) -> Result<Self, Fault> {
        if let Some((worker, guests)) = &config.wasm {
            guests::only_ours(worker, guests)?;
        }
        let blueprint = Blueprint::survey(config)?;
        let slots = config.native_slots() + config.wasi_slots();
        let spec = blueprint.spec(config, own_name(), slots);
        let binary = config.bin.join("assize-keeper");
        let (ours, theirs) = UnixStream::pair().map_err(host)?;
        let mut child = Command::new(&binary)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| Fault::Host(format!("{}: {e}", binary.display())))?;
        let guests = config
            .wasm
            .as_ref()
            .map(|(_, dir)| Guests::read(dir))
            .unwrap_or_default();
        match introduce(&ours, &spec) {
            Ok((kind, missing, leases)) => Ok(Self {
                child,
                socket: ours,
                leases,
                kind,
                missing,
                blueprint,
                guests,
            }),
            Err(fault) => {
                drop(ours);
                let _ = child.wait();
                Err(fault)
            }
        }
    }

    /// A descriptor that reads end-of-file when the keeper has ended, which
    /// it does by itself only when everybody has let go of it.
    pub(crate) fn watch(&self) -> std::io::Result<UnixStream> {
        self.socket.try_clone()
    }

    /// Waits for the keeper to have swept up; all leases must be gone.
    pub(crate) fn end(mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.leases.clear();
        let _ = self.child.wait();
    }
}

/// Blocks until the keeper at the other end has ended.
pub(crate) fn until_it_ends(mut watch: &UnixStream) {
    // It never writes here again after its first reply.
    while !matches!(watch.read(&mut [0]), Ok(0) | Err(_)) {}
}

/// `assize-<pid>`, with a number behind it from this process's second keeper
/// on.
fn own_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    match COUNT.fetch_add(1, Ordering::Relaxed) {
        0 => format!("assize-{pid}"),
        n => format!("assize-{pid}.{n}"),
    }
}

fn introduce(socket: &UnixStream, spec: &KeeperSpec) -> Result<(Kind, String, Vec<Lease>), Fault> {
    let lost = |e: frame::FrameError| Fault::Host(format!("the keeper: {e}"));
    frame::send(socket, spec, &[]).map_err(lost)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..spec.slots {
        let (a, b) = UnixStream::pair().map_err(host)?;
        ours.push(a);
        theirs.push(b);
    }
    for some in theirs.chunks(LEASES_PER_FRAME) {
        let fds: Vec<_> = some.iter().map(AsFd::as_fd).collect();
        let count = u32::try_from(fds.len()).unwrap_or(u32::MAX);
        frame::send(socket, &Leases { count }, &fds).map_err(lost)?;
    }
    drop(theirs);
    let (reply, _) = frame::recv::<KeeperReply>(socket).map_err(lost)?;
    match reply {
        KeeperReply::Ready { cgroups, missing } => {
            let kind = Kind::named(&cgroups)
                .ok_or_else(|| Fault::Host(format!("the keeper speaks of {cgroups:?}")))?;
            let leases = ours.into_iter().map(|socket| Lease { socket, kind });
            Ok((kind, missing, leases.collect()))
        }
        KeeperReply::Failed(refused) => Err(fault(refused)),
    }
}

/// The right to one slot.
pub(crate) struct Lease {
    socket: UnixStream,
    kind: Kind,
}

impl Lease {
    fn ask(&self, order: SlotOrder) -> Result<(SlotReply, Vec<OwnedFd>), Fault> {
        let lost = |e: frame::FrameError| Fault::Host(format!("the keeper is gone: {e}"));
        frame::send(&self.socket, &order, &[]).map_err(lost)?;
        match frame::recv::<SlotReply>(&self.socket).map_err(lost)? {
            (SlotReply::Failed(refused), _) => Err(fault(refused)),
            answered => Ok(answered),
        }
    }

    /// Has the slot's cell built and waits until it stands.
    pub(crate) fn open(&self) -> Result<(Jail, Box<dyn Group>), Fault> {
        let (reply, mut fds) = self.ask(SlotOrder::Open)?;
        let SlotReply::Opened { controls } = reply else {
            return Err(out_of_turn());
        };
        if fds.is_empty() {
            return Err(out_of_turn());
        }
        let socket = UnixStream::from(fds.remove(0));
        let built = self
            .adopt(controls, fds)
            .and_then(|group| Ok((Jail::greet(socket)?, group)));
        if built.is_err() {
            self.close();
        }
        built
    }

    /// Has the slot moved to a fresh group.
    pub(crate) fn renew(&self) -> Result<Box<dyn Group>, Fault> {
        match self.ask(SlotOrder::Renew)? {
            (SlotReply::Renewed { controls }, fds) => self.adopt(controls, fds),
            (SlotReply::Opened { .. } | SlotReply::Closed | SlotReply::Failed(_), _) => {
                Err(out_of_turn())
            }
        }
    }

    /// Waits until nothing of the slot is left. Its [`Jail`] must have been
    /// dropped: that is what ends it.
    pub(crate) fn close(&self) {
        if let Err(fault) = self.ask(SlotOrder::Close) {
            tracing::warn!(%fault, "a slot could not be closed");
        }
    }

    fn adopt(&self, names: Vec<String>, fds: Vec<OwnedFd>) -> Result<Box<dyn Group>, Fault> {
        if names.len() != fds.len() {
            return Err(out_of_turn());
        }
        let controls = names.into_iter().zip(fds).collect();
        assize_cgroup::adopt(self.kind, controls).map_err(crate::slot::cgroup)
    }
}

fn out_of_turn() -> Fault {
    Fault::Host("the keeper answered out of turn".to_owned())
}

fn fault(refused: Refused) -> Fault {
    let known = assize_policies::Limits::NAMES;
    let limit = refused
        .limit
        .and_then(|name| known.iter().find(|known| **known == name));
    match limit {
        Some(limit) => Fault::Unenforceable {
            limit,
            reason: refused.reason,
        },
        None => Fault::CellNotBuilt(refused.reason),
    }
}

/// How long a jail may take to build its cell.
pub(crate) const BUILDING: Duration = Duration::from_secs(30);
