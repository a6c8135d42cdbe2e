//! cgroup v2: a delegated subtree with the memory, pids and cpu controllers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::file::{Access, Control, Controls, Received, Wanted, open_all};
use crate::{Backend, Ceilings, CgroupError, Group, Kind, Made, Rest, Usage, place};

const MOUNT: &str = "/sys/fs/cgroup";
const CONTROLLERS: [(&str, &str); 3] = [
    ("memory", "memory_bytes"),
    ("pids", "processes"),
    ("cpu", "cpu_ms"),
];

/// Our subtree of the unified hierarchy.
pub struct V2 {
    own: PathBuf,
    name: String,
}

impl V2 {
    /// Finds our group, moves this process into a leaf of it (a group with
    /// controllers for children may hold no process itself) and enables the
    /// controllers. Under systemd this needs `Delegate=yes`. `name` is the
    /// directory of the slots to come.
    pub fn prepare(name: &str) -> Result<Self, CgroupError> {
        let path = Path::new("/proc/self/cgroup");
        let text = fs::read_to_string(path).map_err(|source| CgroupError::Io {
            path: path.to_owned(),
            source,
        })?;
        let relative = text
            .lines()
            .find_map(|l| l.strip_prefix("0::"))
            .unwrap_or("/");
        let mut own = Path::new(MOUNT).join(relative.trim_start_matches('/'));
        // Started again inside the leaf of an earlier instance.
        if own.ends_with("assize-server") {
            own.pop();
        }
        if !own.is_dir() {
            own = PathBuf::from(MOUNT);
        }
        place::sweep_stale(&own, name);
        if own != Path::new(MOUNT) {
            vacate(&own)?;
        }
        enable(&own)?;
        let parent = own.join(name);
        place::make(&parent)?;
        enable(&parent)?;
        Ok(Self {
            own,
            name: name.to_owned(),
        })
    }
}

/// Moves every process of `own` into a leaf below it.
fn vacate(own: &Path) -> Result<(), CgroupError> {
    let leaf = own.join("assize-server");
    place::make(&leaf)?;
    let procs = own.join("cgroup.procs");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| CgroupError::Io { path, source }
    };
    let pids = fs::read_to_string(&procs).map_err(io(&procs))?;
    let target = leaf.join("cgroup.procs");
    for pid in pids.lines() {
        match fs::write(&target, pid) {
            // It ended in the meantime.
            Err(e) if e.raw_os_error() == Some(3) => {}
            other => other.map_err(io(&target))?,
        }
    }
    Ok(())
}

/// Enables our controllers for the children of `dir`.
fn enable(dir: &Path) -> Result<(), CgroupError> {
    let io = |path: PathBuf| move |source| CgroupError::Io { path, source };
    let (offers, control) = (
        dir.join("cgroup.controllers"),
        dir.join("cgroup.subtree_control"),
    );
    let offered = fs::read_to_string(&offers).map_err(io(offers))?;
    for (name, limit) in CONTROLLERS {
        if !offered.split_whitespace().any(|c| c == name) {
            return Err(CgroupError::Unenforceable {
                limit,
                reason: format!(
                    "the {name} controller is not delegated to {}; with systemd set Delegate=yes",
                    dir.display()
                ),
            });
        }
        match fs::write(&control, format!("+{name}")) {
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(CgroupError::Unenforceable {
                    limit,
                    reason: format!("{}: {e}; {}", control.display(), place::DELEGATION),
                });
            }
            other => other.map_err(io(control.clone()))?,
        }
    }
    Ok(())
}

impl Backend for V2 {
    fn kind(&self) -> Kind {
        Kind::V2
    }

    fn create(&self, slot: &str) -> Result<Made, CgroupError> {
        let base = self.own.join(&self.name).join(slot);
        place::make(&base)?;
        enable(&base)?;
        self.leaf(slot, 0)
    }

    fn renew(&self, slot: &str, generation: u64) -> Result<Made, CgroupError> {
        let made = self.leaf(slot, generation)?;
        let base = self.own.join(&self.name).join(slot);
        let old = base.join(leaf_name(generation.saturating_sub(1)));
        let procs = old.join("cgroup.procs");
        let target = base.join(leaf_name(generation)).join("cgroup.procs");
        let io = |path: PathBuf| move |source| CgroupError::Io { path, source };
        for pid in fs::read_to_string(&procs).map_err(io(procs))?.lines() {
            fs::write(&target, pid).map_err(io(target.clone()))?;
        }
        place::remove(&old);
        Ok(made)
    }

    fn kill(&self, slot: &str) {
        let base = self.own.join(&self.name).join(slot);
        let _ = fs::write(base.join("cgroup.kill"), "1");
    }

    fn remove(&self, slot: &str) {
        place::remove_tree(&self.own.join(&self.name).join(slot));
    }

    fn finish(&self) {
        let _ = fs::remove_dir(self.own.join(&self.name));
    }
}

impl V2 {
    fn leaf(&self, slot: &str, generation: u64) -> Result<Made, CgroupError> {
        let base = self.own.join(&self.name).join(slot);
        let dir = base.join(leaf_name(generation));
        place::make(&dir)?;
        let mut controls = Controls::new();
        open_all(&dir, &FILES, &mut controls)?;
        Ok(Made {
            procs_files: vec![dir.join("cgroup.procs")],
            dirs: vec![base],
            controls,
        })
    }
}

fn leaf_name(generation: u64) -> String {
    format!("run-{generation}")
}

const fn wanted(name: &'static str, access: Access, needed: bool) -> Wanted {
    Wanted {
        name,
        access,
        needed,
    }
}

const FILES: [Wanted; 11] = [
    wanted("memory.max", Access::Both, true),
    // Absent when the kernel has no swap at all.
    wanted("memory.swap.max", Access::Both, false),
    wanted("memory.current", Access::Read, true),
    wanted("memory.peak", Access::Both, false),
    wanted("memory.events", Access::Read, true),
    wanted("pids.max", Access::Both, true),
    wanted("pids.events", Access::Read, true),
    wanted("pids.peak", Access::Read, false),
    wanted("cpu.stat", Access::Read, true),
    wanted("memory.stat", Access::Read, true),
    // Since Linux 5.19.
    wanted("memory.reclaim", Access::Write, false),
];

/// Where the counters stood when the run was armed.
#[derive(Default)]
struct Start {
    memory: u64,
    cpu_us: u64,
    oom_kills: u64,
    refused: u64,
    pids_peak: u64,
}

/// The group that a slot's init and its current run are in, as the server uses
/// it.
pub(crate) struct V2Group {
    max: Control,
    swap: Option<Control>,
    current: Control,
    peak: Option<Control>,
    events: Control,
    pids_max: Control,
    pids_events: Control,
    pids_peak: Option<Control>,
    cpu: Control,
    stat: Control,
    reclaim: Option<Control>,
    start: Start,
    /// Processes that live here, the run's not counted.
    residents: u64,
    /// What the idle slot itself uses, measured before its first run.
    idle: Option<u64>,
    /// How much of it is shared memory: the files of the cell's root.
    idle_shared: u64,
}

impl V2Group {
    pub(crate) fn adopt(mut files: Received) -> Result<Self, CgroupError> {
        Ok(Self {
            max: files.take("memory.max")?,
            swap: files.optional("memory.swap.max"),
            current: files.take("memory.current")?,
            peak: files.optional("memory.peak"),
            events: files.take("memory.events")?,
            pids_max: files.take("pids.max")?,
            pids_events: files.take("pids.events")?,
            pids_peak: files.optional("pids.peak"),
            cpu: files.take("cpu.stat")?,
            stat: files.take("memory.stat")?,
            reclaim: files.optional("memory.reclaim"),
            start: Start::default(),
            residents: 1,
            idle: None,
            idle_shared: 0,
        })
    }

    fn most_pids(&self) -> Result<u64, CgroupError> {
        self.pids_peak.as_ref().map_or(Ok(0), Control::number)
    }

    /// Since Linux 6.12 writing to an open `memory.peak` resets what that
    /// descriptor reads.
    fn peak_resets(&self) -> bool {
        self.peak
            .as_ref()
            .is_some_and(|peak| peak.write("reset").is_ok())
    }
}

impl Group for V2Group {
    fn arm(&mut self, ceilings: Ceilings) -> Result<(), CgroupError> {
        let leaf = self;
        leaf.residents = ceilings.residents;
        leaf.start.memory = leaf.current.number()?;
        // Not what is in use now: page cache of the last run must not raise
        // the limit of this one.
        if leaf.idle.is_none() {
            leaf.idle_shared = leaf.stat.field("shmem")?;
        }
        let idle = *leaf.idle.get_or_insert(leaf.start.memory);
        leaf.max
            .set((idle + ceilings.memory_bytes).next_multiple_of(4096))?;
        if let Some(swap) = &leaf.swap {
            swap.set(0)?;
        }
        leaf.pids_max
            .set(ceilings.processes.saturating_add(ceilings.residents))?;
        leaf.peak_resets();
        leaf.start.oom_kills = leaf.events.field("oom_kill")?;
        leaf.start.refused = leaf.pids_events.field("max")?;
        leaf.start.pids_peak = leaf.most_pids()?;
        leaf.start.cpu_us = leaf.cpu.field("usage_usec")?;
        Ok(())
    }

    fn memory(&self) -> Result<u64, CgroupError> {
        self.current.number()
    }

    fn shift(&mut self, bytes: i64) {
        self.idle = self.idle.map(|at| at.saturating_add_signed(bytes));
    }

    fn cpu(&self) -> Result<Duration, CgroupError> {
        let used = self.cpu.field("usage_usec")?;
        Ok(Duration::from_micros(
            used.saturating_sub(self.start.cpu_us),
        ))
    }

    fn usage(&self) -> Result<Usage, CgroupError> {
        let leaf = self;
        let pids_peak = leaf.most_pids()?;
        // Linux 5.19 brought memory.peak; before it the last level is all
        // there is, and a lower bound.
        let peak = leaf.peak.as_ref().unwrap_or(&leaf.current).number()?;
        Ok(Usage {
            cpu: self.cpu()?,
            memory_peak: peak.saturating_sub(leaf.start.memory),
            oom_kills: leaf
                .events
                .field("oom_kill")?
                .saturating_sub(leaf.start.oom_kills),
            processes_peak: (pids_peak > leaf.start.pids_peak)
                .then(|| pids_peak.saturating_sub(leaf.residents)),
            forks_refused: leaf
                .pids_events
                .field("max")?
                .saturating_sub(leaf.start.refused),
        })
    }

    /// Where `memory.peak` cannot be reset, the init moves to a fresh leaf
    /// between runs, off every run's path.
    fn rest(&mut self) -> Result<Rest, CgroupError> {
        // Shared memory and page tables of the last run go by themselves, a
        // moment later; the next run's limit counts from the idle slot, so
        // wait for them.
        let most = self.idle.unwrap_or(0) + crate::SLACK;
        let start = Instant::now();
        let over = loop {
            let now = self.current.number()?;
            let shared = self.stat.field("shmem")?.saturating_sub(self.idle_shared);
            let waited = start.elapsed();
            let tables = self.stat.field("pagetables")?;
            let held = tables > crate::SLACK && waited <= crate::KERNEL_SETTLING;
            if now <= most || (shared <= crate::SLACK && !held) {
                break now.saturating_sub(most);
            }
            if shared > crate::SLACK && waited > crate::SETTLING {
                return Err(CgroupError::Unsettled(now));
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        if !self.peak_resets() {
            return Ok(Rest::Renew);
        }
        if let (true, Some(reclaim)) = (over > 0, &self.reclaim) {
            // Gives back the page cache that the last run left charged here.
            // Busy pages stay, and then the kernel says EAGAIN.
            let _ = reclaim.write(&over.to_string());
        }
        Ok(Rest::Clean)
    }
}
