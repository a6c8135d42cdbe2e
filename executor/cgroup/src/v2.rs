//! cgroup v2: a delegated subtree with the memory, pids and cpu controllers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::file::Control;
use crate::{Backend, Ceilings, CgroupError, Group, Kind, Usage, place};

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
    /// controllers. Under systemd this needs `Delegate=yes`.
    pub fn prepare() -> Result<Self, CgroupError> {
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
        place::sweep_stale(&own);
        if own != Path::new(MOUNT) {
            vacate(&own)?;
        }
        enable(&own)?;
        Ok(Self {
            own,
            name: place::own_name(),
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
    let offered = Control::open_read(dir, "cgroup.controllers")?.text()?;
    let control = Control::open(dir, "cgroup.subtree_control")?;
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
        control.write(&format!("+{name}"))?;
    }
    Ok(())
}

impl Backend for V2 {
    fn kind(&self) -> Kind {
        Kind::V2
    }

    fn create(&self, slot: &str) -> Result<Box<dyn Group>, CgroupError> {
        let parent = self.own.join(&self.name);
        place::make(&parent)?;
        enable(&parent)?;
        let base = parent.join(slot);
        place::make(&base)?;
        enable(&base)?;
        Ok(Box::new(V2Group {
            leaf: Leaf::make(&base, 0)?,
            base,
            idle: None,
        }))
    }

    fn remove(&self) {
        let _ = fs::remove_dir(self.own.join(&self.name));
    }
}

/// The group that a slot's init and its current run are in.
struct Leaf {
    number: u64,
    dir: PathBuf,
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
    /// Since Linux 5.19.
    reclaim: Option<Control>,
    start: Start,
}

/// Where the counters stood when the run was armed.
#[derive(Default)]
struct Start {
    memory: u64,
    cpu_us: u64,
    oom_kills: u64,
    refused: u64,
    pids_peak: u64,
}

impl Leaf {
    fn make(base: &Path, number: u64) -> Result<Self, CgroupError> {
        let dir = base.join(format!("run-{number}"));
        place::make(&dir)?;
        Ok(Self {
            number,
            max: Control::open(&dir, "memory.max")?,
            // Absent when the kernel has no swap at all.
            swap: Control::optional(&dir, "memory.swap.max")?,
            current: Control::open_read(&dir, "memory.current")?,
            peak: Control::optional(&dir, "memory.peak")?,
            events: Control::open_read(&dir, "memory.events")?,
            pids_max: Control::open(&dir, "pids.max")?,
            pids_events: Control::open_read(&dir, "pids.events")?,
            pids_peak: Control::optional(&dir, "pids.peak")?,
            cpu: Control::open_read(&dir, "cpu.stat")?,
            stat: Control::open_read(&dir, "memory.stat")?,
            reclaim: Control::write_only(&dir, "memory.reclaim").ok(),
            start: Start::default(),
            dir,
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

struct V2Group {
    base: PathBuf,
    leaf: Leaf,
    /// What the idle slot itself uses, measured before its first run.
    idle: Option<u64>,
}

impl Group for V2Group {
    fn procs_files(&self) -> Vec<PathBuf> {
        vec![self.leaf.dir.join("cgroup.procs")]
    }

    fn dirs(&self) -> Vec<PathBuf> {
        vec![self.base.clone()]
    }

    fn arm(&mut self, ceilings: Ceilings) -> Result<(), CgroupError> {
        let leaf = &mut self.leaf;
        leaf.start.memory = leaf.current.number()?;
        // Not what is in use now: page cache of the last run must not raise
        // the limit of this one.
        let idle = *self.idle.get_or_insert(leaf.start.memory);
        leaf.max
            .set((idle + ceilings.memory_bytes).next_multiple_of(4096))?;
        if let Some(swap) = &leaf.swap {
            swap.set(0)?;
        }
        leaf.pids_max.set(ceilings.processes.saturating_add(1))?;
        leaf.peak_resets();
        leaf.start.oom_kills = leaf.events.field("oom_kill")?;
        leaf.start.refused = leaf.pids_events.field("max")?;
        leaf.start.pids_peak = leaf.most_pids()?;
        leaf.start.cpu_us = leaf.cpu.field("usage_usec")?;
        Ok(())
    }

    fn cpu(&self) -> Result<Duration, CgroupError> {
        let used = self.leaf.cpu.field("usage_usec")?;
        Ok(Duration::from_micros(
            used.saturating_sub(self.leaf.start.cpu_us),
        ))
    }

    fn usage(&self) -> Result<Usage, CgroupError> {
        let leaf = &self.leaf;
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
            processes_peak: (pids_peak > leaf.start.pids_peak).then(|| pids_peak.saturating_sub(1)),
            forks_refused: leaf
                .pids_events
                .field("max")?
                .saturating_sub(leaf.start.refused),
        })
    }

    /// Where `memory.peak` cannot be reset, the init moves to a fresh leaf
    /// between runs, off every run's path.
    fn rest(&mut self) -> Result<(), CgroupError> {
        // Shared memory of the last run goes by itself, a moment later; the
        // next run's limit counts from the idle slot, so wait for it.
        let most = self.idle.unwrap_or(0) + crate::SLACK;
        let end = Instant::now() + crate::SETTLING;
        let over = loop {
            let now = self.leaf.current.number()?;
            if now <= most || self.leaf.stat.field("shmem")? <= crate::SLACK {
                break now.saturating_sub(most);
            }
            if Instant::now() > end {
                return Err(CgroupError::Unsettled(now));
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        if self.leaf.peak_resets() {
            if let (true, Some(reclaim)) = (over > 0, &self.leaf.reclaim) {
                // Gives back the page cache that the last run left charged
                // here. Busy pages stay, and then the kernel says EAGAIN.
                let _ = reclaim.write(&over.to_string());
            }
            return Ok(());
        }
        let fresh = Leaf::make(&self.base, self.leaf.number + 1)?;
        let procs = self.leaf.dir.join("cgroup.procs");
        let target = fresh.dir.join("cgroup.procs");
        let io = |path: PathBuf| move |source| CgroupError::Io { path, source };
        for pid in fs::read_to_string(&procs)
            .map_err(io(procs.clone()))?
            .lines()
        {
            fs::write(&target, pid).map_err(io(target.clone()))?;
        }
        let old = std::mem::replace(&mut self.leaf, fresh);
        // The init's own memory stays charged to the first group.
        self.idle = None;
        place::remove(&old.dir);
        Ok(())
    }

    fn kill(&self) {
        let _ = fs::write(self.leaf.dir.join("cgroup.kill"), "1");
    }

    fn remove(&mut self) {
        place::remove(&self.leaf.dir);
        place::remove(&self.base);
    }
}
