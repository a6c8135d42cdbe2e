//! What processes cost: CPU time and memory of whole families of them.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

/// What `/proc` says of one process.
struct Entry {
    parent: u32,
    /// CPU time of its children that have ended, in ticks of ten milliseconds.
    ended: u64,
}

fn all() -> HashMap<u32, Entry> {
    let mut all = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<u32>().ok())
        else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name may hold spaces and brackets; the fields begin behind it.
        let Some((_, fields)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok());
        if let Some(parent) = number(1).and_then(|p| u32::try_from(p).ok()) {
            let ended = number(13).unwrap_or(0) + number(14).unwrap_or(0);
            all.insert(pid, Entry { parent, ended });
        }
    }
    all
}

/// A process and all below it.
fn family(all: &HashMap<u32, Entry>, root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        found.extend(all.iter().filter(|(_, e)| e.parent == pid).map(|(p, _)| *p));
        at += 1;
    }
    found
}

/// CPU time of a family so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    own: Duration,
    below: Duration,
}

impl Spent {
    /// At the beginning of something: our own is looked at last, so that the
    /// looking does not count.
    pub(super) fn before() -> Self {
        let below = below();
        let own = usage(UsageWho::RUSAGE_SELF);
        Self { own, below }
    }

    /// What this process and all below it, ended ones included, have spent
    /// since. Before that the adopted ones are waited for; `kept` are children
    /// that live on.
    pub(super) fn since(self, kept: &[u32]) -> Duration {
        let own = usage(UsageWho::RUSAGE_SELF);
        bury(kept);
        let below = below();
        own.saturating_sub(self.own) + below.saturating_sub(self.below)
    }
}

fn below() -> Duration {
    let (all, own) = (all(), std::process::id());
    let below = family(&all, own).into_iter().skip(1);
    let ticks = |pid| Duration::from_millis(10 * all.get(&pid).map_or(0, |e| e.ended));
    let live: Duration = below.map(|pid| ticks(pid) + running(pid)).sum();
    live + usage(UsageWho::RUSAGE_CHILDREN)
}

/// To the microsecond.
fn usage(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else {
        return Duration::ZERO;
    };
    let micro = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micro).unwrap_or(0))
}

/// Makes this process the parent of what loses its own: some sandboxes leave
/// without waiting for their first process, whose CPU time would be nobody's.
pub(super) fn adopt() -> std::io::Result<()> {
    let own = rustix::process::getpid();
    Ok(rustix::process::set_child_subreaper(Some(own))?)
}

/// Waits for adopted processes that are about to end, a moment at most.
fn bury(kept: &[u32]) {
    for _ in 0..50 {
        while matches!(
            waitpid(None, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))
        ) {}
        let left = children().iter().any(|pid| !kept.contains(pid));
        if !left {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Processes whose parent we are.
pub(super) fn children() -> Vec<u32> {
    let own = std::process::id();
    let ours = all().into_iter().filter(|(_, e)| e.parent == own);
    ours.map(|(pid, _)| pid).collect()
}

/// CPU time of a live process's threads, to the nanosecond.
fn running(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let nanoseconds = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Resident memory of a process and all below it, in bytes. Pages that several
/// of them share are counted for each: never too little.
pub(super) fn resident(root: u32) -> u64 {
    let all = all();
    family(&all, root).into_iter().map(resident_alone).sum()
}

fn resident_alone(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_work_is_counted() {
        let before = Spent::before();
        let mut x = 1_u64;
        for i in 0..30_000_000_u64 {
            x = x.wrapping_mul(i | 1).rotate_left(7);
        }
        assert!(
            std::hint::black_box(x) != 0 && before.since(&children()) > Duration::from_millis(1)
        );
    }

    #[test]
    fn a_family_has_memory_and_one_of_nobody_has_none() {
        assert!(resident(std::process::id()) > 1 << 20);
        assert_eq!(resident(u32::MAX), 0);
    }
}
