//! What it was measured on.

use crate::setup;

/// Processors, memory, kernel, cgroups and load, in a line.
pub(super) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|l| l.strip_prefix("model name"));
    let model = model.map_or("", |m| m.trim_start_matches([':', '\t', ' ']));
    let meminfo = read("/proc/meminfo");
    let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib = total.and_then(|t| t.split_whitespace().next()?.parse::<u64>().ok());
    let cgroups = match std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        true => "v2",
        false => "v1",
    };
    format!(
        "{} cores of {model}; {:.0} GiB; Linux {}; cgroup {cgroups}; load {}",
        setup::cores(),
        kib.unwrap_or(0) as f64 / f64::from(1 << 20),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or("?")
    )
}
