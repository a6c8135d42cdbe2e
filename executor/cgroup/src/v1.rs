//! cgroup v1, one hierarchy per controller: `memory`, `pids`, `cpuacct`; on a
//! hybrid host also a directory in the unified tree, for `cgroup.kill`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cgroups_rs::fs::Controllers;
use cgroups_rs::fs::cgroup::get_cgroups_relative_paths;
use cgroups_rs::fs::hierarchies::V1 as Discovery;

use crate::file::{Access, Control, Controls, Received, Wanted, open_all};
use crate::{Backend, Ceilings, CgroupError, Group, Kind, Made, Rest, Usage, place};

/// v1 hierarchies and our place in each.
pub struct V1 {
    memory: PathBuf,
    pids: PathBuf,
    cpuacct: PathBuf,
    unified: Option<PathBuf>,
    own: String,
}

impl V1 {
    /// Finds the hierarchies and removes what dead servers left there. `name`
    /// is the directory of the slots to come.
    pub fn prepare(name: &str) -> Result<Self, CgroupError> {
        let discovery = Discovery::new();
        let relative = get_cgroups_relative_paths().unwrap_or_default();
        let find = |controller: Controllers, limit: &'static str| {
            let carried = controller.to_string();
            let (mount, root) =
                discovery
                    .get_mount_point(controller)
                    .ok_or(CgroupError::Unenforceable {
                        limit,
                        reason: format!("no cgroup v1 hierarchy carries the {carried} controller"),
                    })?;
            let own = relative.get(&carried).map_or("/", String::as_str);
            // In a container the mount shows a subtree: our path is below it.
            let root = root.to_string_lossy().into_owned();
            let own = own.strip_prefix(root.trim_end_matches('/')).unwrap_or(own);
            let own = mount.join(own.trim_start_matches('/'));
            let own = if own.is_dir() { own } else { mount };
            place::sweep_stale(&own, name);
            Ok(own)
        };
        let unified = unified_place();
        if let Some(unified) = &unified {
            place::sweep_stale(unified, name);
        }
        let found = Self {
            memory: find(Controllers::Mem, "memory_bytes")?,
            pids: find(Controllers::Pids, "processes")?,
            cpuacct: find(Controllers::CpuAcct, "cpu_ms")?,
            unified,
            own: name.to_owned(),
        };
        // Now, so that a user who may not says so before the first slot.
        for root in found.roots() {
            if let Err(error) = place::make(&root.join(name)) {
                found.finish();
                return Err(error);
            }
        }
        Ok(found)
    }

    fn roots(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.memory, &self.pids, &self.cpuacct]
            .into_iter()
            .chain(&self.unified)
    }
}

impl Backend for V1 {
    fn kind(&self) -> Kind {
        if self.unified.is_some() {
            Kind::Hybrid
        } else {
            Kind::V1
        }
    }

    fn create(&self, slot: &str) -> Result<Made, CgroupError> {
        let own = &self.own;
        let mut dirs = Vec::new();
        for root in self.roots() {
            let dir = root.join(own).join(slot);
            place::make(&dir)?;
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
        let at = |root: &Path| root.join(own).join(slot);
        let mut controls = Controls::new();
        open_all(&at(&self.memory), &MEMORY, &mut controls)?;
        open_all(&at(&self.pids), &PIDS, &mut controls)?;
        open_all(&at(&self.cpuacct), &CPU, &mut controls)?;
        if !controls.iter().any(|(name, _)| name == SWAP) && swap_in_use() {
            return Err(CgroupError::Unenforceable {
                limit: "memory_bytes",
                reason: "the host swaps and its kernel does not account swap; run swapoff -a \
                         or boot with swapaccount=1"
                    .to_owned(),
            });
        }
        Ok(Made {
            procs_files: dirs.iter().map(|d| d.join("cgroup.procs")).collect(),
            dirs,
            controls,
        })
    }

    /// v1 resets its high-water mark, so no group is ever renewed.
    fn renew(&self, slot: &str, _generation: u64) -> Result<Made, CgroupError> {
        self.create(slot)
    }

    fn kill(&self, slot: &str) {
        if let Some(unified) = &self.unified {
            let _ = fs::write(unified.join(&self.own).join(slot).join("cgroup.kill"), "1");
        }
    }

    fn remove(&self, slot: &str) {
        for root in self.roots() {
            place::remove(&root.join(&self.own).join(slot));
        }
    }

    fn finish(&self) {
        for root in self.roots() {
            let _ = fs::remove_dir(root.join(&self.own));
        }
    }
}

const SWAP: &str = "memory.memsw.limit_in_bytes";

const fn wanted(name: &'static str, access: Access, needed: bool) -> Wanted {
    Wanted {
        name,
        access,
        needed,
    }
}

const MEMORY: [Wanted; 9] = [
    wanted("memory.limit_in_bytes", Access::Both, true),
    wanted(SWAP, Access::Both, false),
    wanted("memory.usage_in_bytes", Access::Read, true),
    wanted("memory.max_usage_in_bytes", Access::Both, true),
    wanted("memory.oom_control", Access::Read, true),
    wanted("memory.kmem.tcp.limit_in_bytes", Access::Both, false),
    wanted("memory.kmem.usage_in_bytes", Access::Read, false),
    wanted("memory.force_empty", Access::Write, true),
    wanted("memory.stat", Access::Read, true),
];

const PIDS: [Wanted; 3] = [
    wanted("pids.max", Access::Both, true),
    wanted("pids.events", Access::Read, false),
    wanted("pids.peak", Access::Read, false),
];

const CPU: [Wanted; 1] = [wanted("cpuacct.usage", Access::Read, true)];

/// Our place in the empty unified tree of a hybrid host. It limits nothing:
/// where it is not ours to use, `cgroup.kill` is all that is lost.
fn unified_place() -> Option<PathBuf> {
    let mount = Path::new("/sys/fs/cgroup/unified");
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = text.lines().find_map(|l| l.strip_prefix("0::"))?;
    let own = mount.join(own.trim_start_matches('/'));
    let usable = own.join("cgroup.procs").exists()
        && rustix::fs::access(&own, rustix::fs::Access::WRITE_OK).is_ok();
    usable.then_some(own)
}

fn swap_in_use() -> bool {
    // One header line, then one line per swap area.
    fs::read_to_string("/proc/swaps").is_ok_and(|s| s.lines().count() > 1)
}

/// Where the counters stood when the run was armed.
#[derive(Default)]
struct Start {
    memory: u64,
    cpu_ns: u64,
    oom_kills: u64,
    refused: u64,
    pids_peak: u64,
}

/// A v1 group as the server uses it.
pub(crate) struct V1Group {
    limit: Control,
    swap: Option<Control>,
    usage: Control,
    peak: Control,
    oom: Control,
    pids_max: Control,
    pids_events: Option<Control>,
    pids_peak: Option<Control>,
    cpu: Control,
    /// v1 counts socket buffers apart, and not at all without a limit.
    tcp: Option<Control>,
    empty: Control,
    stat: Control,
    /// What the idle slot itself uses, measured before its first run.
    base: Option<u64>,
    /// How much of it is shared memory: the files of the cell's root.
    base_shared: u64,
    /// How much of it is the kernel's own: page tables, inodes …
    base_kernel: u64,
    kernel: Option<Control>,
    start: Start,
    /// Processes that live here, the run's not counted.
    residents: u64,
}

/// Most bytes of TCP buffers of one run.
const TCP_BYTES: u64 = 16 << 20;

impl V1Group {
    pub(crate) fn adopt(mut files: Received) -> Result<Self, CgroupError> {
        Ok(Self {
            limit: files.take("memory.limit_in_bytes")?,
            swap: files.optional(SWAP),
            usage: files.take("memory.usage_in_bytes")?,
            peak: files.take("memory.max_usage_in_bytes")?,
            oom: files.take("memory.oom_control")?,
            pids_max: files.take("pids.max")?,
            pids_events: files.optional("pids.events"),
            pids_peak: files.optional("pids.peak"),
            cpu: files.take("cpuacct.usage")?,
            tcp: files.optional("memory.kmem.tcp.limit_in_bytes"),
            empty: files.take("memory.force_empty")?,
            stat: files.take("memory.stat")?,
            base: None,
            base_shared: 0,
            base_kernel: 0,
            kernel: files.optional("memory.kmem.usage_in_bytes"),
            start: Start::default(),
            residents: 1,
        })
    }

    fn refused(&self) -> Result<u64, CgroupError> {
        self.pids_events.as_ref().map_or(Ok(0), |f| f.field("max"))
    }

    fn most_pids(&self) -> Result<u64, CgroupError> {
        self.pids_peak.as_ref().map_or(Ok(0), Control::number)
    }

    /// The kernel wants limit ≤ memory+swap limit at every moment.
    fn set_memory(&self, bytes: u64) -> Result<(), CgroupError> {
        match &self.swap {
            None => self.limit.set(bytes),
            Some(swap) if swap.number()? < bytes => {
                swap.set(bytes)?;
                self.limit.set(bytes)
            }
            Some(swap) => {
                self.limit.set(bytes)?;
                swap.set(bytes)
            }
        }
    }
}

impl Group for V1Group {
    fn arm(&mut self, ceilings: Ceilings) -> Result<(), CgroupError> {
        self.residents = ceilings.residents;
        self.start.memory = self.usage.number()?;
        // Not what is in use now: page cache of the last run must not raise
        // the limit of this one.
        if self.base.is_none() {
            self.base_shared = self.stat.field("shmem")?;
            self.base_kernel = self.kernel.as_ref().map_or(Ok(0), Control::number)?;
        }
        let base = *self.base.get_or_insert(self.start.memory);
        self.set_memory((base + ceilings.memory_bytes).next_multiple_of(4096))?;
        if let Some(tcp) = &self.tcp {
            tcp.set(ceilings.memory_bytes.min(TCP_BYTES).next_multiple_of(4096))?;
        }
        self.pids_max
            .set(ceilings.processes.saturating_add(ceilings.residents))?;
        self.peak.write("0")?;
        self.start.oom_kills = self.oom.field("oom_kill")?;
        self.start.refused = self.refused()?;
        self.start.pids_peak = self.most_pids()?;
        self.start.cpu_ns = self.cpu.number()?;
        Ok(())
    }

    fn memory(&self) -> Result<u64, CgroupError> {
        self.usage.number()
    }

    fn shift(&mut self, bytes: i64) {
        self.base = self.base.map(|at| at.saturating_add_signed(bytes));
    }

    fn cpu(&self) -> Result<Duration, CgroupError> {
        Ok(Duration::from_nanos(
            self.cpu.number()?.saturating_sub(self.start.cpu_ns),
        ))
    }

    fn usage(&self) -> Result<Usage, CgroupError> {
        let pids_peak = self.most_pids()?;
        Ok(Usage {
            cpu: self.cpu()?,
            memory_peak: self.peak.number()?.saturating_sub(self.start.memory),
            oom_kills: self
                .oom
                .field("oom_kill")?
                .saturating_sub(self.start.oom_kills),
            // The kernel's high-water mark never falls: it says something of
            // this run only if this run raised it.
            processes_peak: (pids_peak > self.start.pids_peak)
                .then(|| pids_peak.saturating_sub(self.residents)),
            forks_refused: self.refused()?.saturating_sub(self.start.refused),
        })
    }

    /// The next run's limit counts from the idle slot, so what the last one
    /// held must be gone first: shared memory and page tables by themselves, a
    /// moment later, page cache because we ask.
    fn rest(&mut self) -> Result<Rest, CgroupError> {
        let most = self.base.unwrap_or(0) + crate::SLACK;
        let start = Instant::now();
        let mut asked = false;
        while self.usage.number()? > most {
            let shared = self.stat.field("shmem")?.saturating_sub(self.base_shared);
            let kernel = self.kernel.as_ref().map_or(Ok(0), Control::number)?;
            let other = kernel.saturating_sub(self.base_kernel);
            let waited = start.elapsed();
            if shared > crate::SLACK && waited > crate::SETTLING {
                return Err(CgroupError::Unsettled(shared));
            }
            let held = other > crate::SLACK && waited <= crate::KERNEL_SETTLING;
            if shared <= crate::SLACK && (!asked || !held) {
                // Pages that others map stay, and are given up when the next
                // run needs the room; so do the kernel's own caches.
                let _ = self.empty.write("0");
                asked = true;
            }
            if shared <= crate::SLACK && !held {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Rest::Clean)
    }
}
