//! Building the cell: one function, top to bottom, in the order of
//! [`Step::ALL`].

use std::os::fd::OwnedFd;

use assize_wire::cell::{CellSpec, Ids, Layer, SetupFailure, Step};
use assize_wire::plan::Plan;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgroups, sethostname, setresgid, setresuid};
use rustix::fs::{Mode, OFlags, openat};

use crate::backlog::Backlog;
use crate::refusals::Refusals;
use crate::run::Parked;
use crate::scratch::{Room, Scratch};
use crate::warm::Nursery;
use crate::{confine, mounts, traces};
use assize_confine::program::Setting;
use assize_confine::rights::{self, Fence};
use assize_confine::step::At;

/// A built cell: what the init needs for every run.
pub(crate) struct Cell {
    /// Layers that a control test has switched off.
    pub(crate) without: Vec<Layer>,
    /// A private, writable procfs that is mounted nowhere: the visible /proc
    /// is read-only, and a run's `oom_score_adj` must be raised.
    pub(crate) proc: OwnedFd,
    /// See [`traces::last_pid`].
    pub(crate) last_pid: Option<OwnedFd>,
    /// See [`confine::network_settings`]; none where they are not the cell's.
    pub(crate) network: Option<OwnedFd>,
    /// Landlock ABI of this kernel.
    pub(crate) landlock_abi: u8,
    /// Scratch space, mounted ahead of the run it is for.
    pub(crate) scratch: Scratch,
    /// What it is made for.
    pub(crate) needs: Option<Needs>,
    /// Landlock's rules around that scratch space.
    pub(crate) fence: Option<Fence>,
    /// Whether init and program are two uids, see [`Ids`].
    pub(crate) two_ids: bool,
    /// What waits in sockets uncounted.
    pub(crate) backlog: Backlog,
    /// Interpreters that wait for runs.
    pub(crate) warm: Nursery,
    /// What becomes the next program.
    pub(crate) parked: Option<Parked>,
}

/// What the last run needed, as the next will.
pub(crate) struct Needs {
    room: Room,
    read_only: Vec<String>,
    read_write: Vec<String>,
}

impl Cell {
    /// Whether this layer is in force.
    pub(crate) fn has(&self, layer: Layer) -> bool {
        !self.without.contains(&layer)
    }

    /// What all runs of this cell have in common.
    pub(crate) fn setting(&self) -> Setting<'_> {
        Setting {
            fence: self.fence.as_ref().map(Fence::rules),
            two_ids: self.two_ids,
            rlimits: self.has(Layer::Rlimits),
            program_uid: self.has(Layer::ProgramUid),
            seccomp: self.has(Layer::Seccomp),
        }
    }

    /// The pids of all children. None when they cannot be told.
    pub(crate) fn children(&self) -> Option<Vec<i32>> {
        // Ours grow only at the list's end while it is read, and shrink only
        // when we reap: none is missed.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.proc, "self/task/1/children", flags, Mode::empty()).ok()?;
        let text = std::io::read_to_string(std::fs::File::from(file)).ok()?;
        let pids = text.split_ascii_whitespace().map(|pid| pid.parse().ok());
        pids.collect()
    }

    /// Whether interpreters may wait here: programs have a uid of their own and
    /// so no way to them, and no layer is off, which they would not know.
    pub(crate) fn may_keep_warm(&self) -> bool {
        self.two_ids && self.without.is_empty() && self.children().is_some()
    }

    /// Makes ready what a run needs. Most runs are like the one before and find
    /// everything done.
    pub(crate) fn prepare(&mut self, plan: &Plan) -> Result<(), SetupFailure> {
        self.needs = Some(Needs {
            room: Room {
                bytes: plan.disk_bytes,
                inodes: plan.inodes,
            },
            read_only: plan.read_only.clone(),
            read_write: plan.read_write.clone(),
        });
        self.make_ready()
    }

    fn make_ready(&mut self) -> Result<(), SetupFailure> {
        let Some(needs) = &self.needs else {
            return Ok(());
        };
        let stays = self.scratch.is_mounted() && self.without.contains(&Layer::FreshTmp);
        let moved = !stays && self.scratch.prepare(needs.room)?;
        if self.landlock_abi == 0 || self.without.contains(&Layer::Landlock) {
            return Ok(());
        }
        let (read_only, read_write) = (&needs.read_only, &needs.read_write);
        let stands = |fence: &Fence| !moved && fence.is_around(read_only, read_write);
        if !self.fence.as_ref().is_some_and(stands) {
            self.fence = Some(Fence::new(read_only, read_write)?);
        }
        Ok(())
    }

    /// Some scratch space, for a cell that has not run anything yet.
    pub(crate) fn make_room(&mut self) -> Result<(), SetupFailure> {
        self.needs.get_or_insert(Needs {
            room: Room {
                bytes: 1 << 20,
                inodes: 64,
            },
            read_only: Vec::new(),
            read_write: Vec::new(),
        });
        self.make_ready()
    }

    /// Throws the last run's files away; the next run is likely to be like it.
    pub(crate) fn renew(&mut self) -> Result<(), SetupFailure> {
        if !self.has(Layer::FreshTmp) {
            return Ok(());
        }
        self.scratch.discard()?;
        self.make_ready()
    }
}

/// Builds the cell around the calling process, which is pid 1 of fresh
/// namespaces and already sits in its cgroup.
pub(crate) fn build(spec: &CellSpec) -> Result<(Cell, Refusals), SetupFailure> {
    // The cgroup namespace comes now that the process is in its cgroup, so
    // that the path above it stays unknown inside.
    unshare(CloneFlags::CLONE_NEWCGROUP).at(Step::Namespaces)?;
    mounts::make_private()?;
    // Still with the host uid of the keeper: a tree may lie below a directory
    // that is nobody else's to enter.
    let trees = mounts::open_binds(spec)?;
    let last_pid = traces::last_pid();
    let two_ids = match spec.ids {
        Ids::Pair { .. } => true,
        Ids::Own => false,
    };
    if two_ids {
        become_root_of_the_cell()?;
    }
    guard_the_init()?;
    let root = mounts::build_root(spec, &trees)?;
    drop(trees);
    // After the mounts: a detached mount counts as a namespace while it lasts.
    if !spec.without.contains(&Layer::NestedNamespaces) {
        confine::forbid_nested_namespaces()?;
    }
    // Without a network namespace these would be the host's own settings.
    let own = !spec.without.contains(&Layer::Net) && !spec.without.contains(&Layer::NetMemory);
    let network = own.then(confine::network_settings).transpose()?;
    if let Some(network) = &network {
        confine::forget_connections(network)?;
    }
    mounts::pivot_into(&root)?;
    sethostname(&spec.hostname).at(Step::Net)?;
    if !spec.without.contains(&Layer::Net) {
        assize_sys::net::loopback_up().at(Step::Net)?;
    }
    if !spec.without.contains(&Layer::Rlimits) {
        confine::no_core_dumps()?;
    }
    if !spec.without.contains(&Layer::Capabilities) {
        confine::keep_for_warm_interpreters()?;
        confine::drop_bounding_set()?;
    }
    rights::no_new_privs()?;
    let mut listener = None;
    if !spec.without.contains(&Layer::Seccomp) {
        for (index, filter) in spec.filters.iter().enumerate() {
            assize_sys::seccomp::install(filter).at_item(Step::Seccomp, index)?;
        }
        listener = assize_sys::seccomp::install_listening(&spec.allow_list)
            .at_item(Step::Seccomp, spec.filters.len())?;
    }
    // From here on a call of our own that is not on the list would wait for
    // our own answer. The executor's patience ends such a cell.
    let cell = Cell {
        without: spec.without.clone(),
        backlog: Backlog::open(&root.proc),
        proc: root.proc,
        last_pid,
        network,
        landlock_abi: rights::landlock_abi(),
        scratch: Scratch::new(),
        needs: None,
        fence: None,
        warm: Nursery::default(),
        parked: None,
        two_ids,
    };
    let count_locks = cell.has(Layer::Locks);
    Ok((cell, Refusals::new(listener, count_locks)))
}

fn become_root_of_the_cell() -> Result<(), SetupFailure> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(gid, gid, gid).at(Step::Ids)?;
    setgroups(&[]).at(Step::Ids)?;
    setresuid(uid, uid, uid).at(Step::Ids)
}

fn guard_the_init() -> Result<(), SetupFailure> {
    // Changing ids clears the parent-death signal, so it is set only here.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).at(Step::Ids)?;
    // Nothing in the cell may trace or read the init, whatever its uid.
    nix::sys::prctl::set_dumpable(false).at(Step::Ids)
}
