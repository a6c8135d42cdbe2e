//! What a run is held by, in words.

use std::sync::Arc;

use assize_cgroup::Kind;
use assize_wire::cell::Layer;

use crate::slot::Facts;
use crate::spawn::Jail;

/// Names of limits that nothing holds a run to: without cgroups there are only
/// rlimits, which count for each process alone.
pub(crate) fn missing(facts: &Facts) -> Arc<[String]> {
    let without_cgroups: &[&str] = match facts.cgroups {
        Kind::None => &["memory_bytes", "processes", "cpu_ms"],
        Kind::V1 | Kind::V2 | Kind::Hybrid => &[],
    };
    without_cgroups
        .iter()
        .map(|&name| name.to_owned())
        .collect()
}

/// Names of what holds a run in this cell.
pub(crate) fn enforced(facts: &Facts, jail: &Jail) -> Arc<[String]> {
    let blueprint = &facts.blueprint;
    let mut names = vec![
        "namespaces.user",
        "namespaces.pid",
        "namespaces.mount",
        "namespaces.uts",
        "namespaces.cgroup",
        "rlimits",
        "capabilities",
        "no_new_privs",
    ];
    let layers = [
        (Layer::Net, "namespaces.net"),
        (Layer::FreshIpc, "namespaces.ipc"),
        (Layer::ReadOnly, "read_only_root"),
        (Layer::FreshTmp, "fresh_scratch"),
        (Layer::Seccomp, "seccomp"),
    ];
    names.extend(
        layers
            .into_iter()
            .filter(|(l, _)| blueprint.has(*l))
            .map(|(_, n)| n),
    );
    if facts.cgroups != Kind::None {
        names.extend(["cgroup.memory", "cgroup.pids", "cgroup.cpu"]);
    }
    if jail.traits.counting {
        names.push("seccomp.counted");
    }
    if blueprint.own_uid() {
        names.push("program_uid");
    }
    if jail.traits.landlock_abi > 0 && blueprint.has(Layer::Landlock) {
        names.push("landlock");
    }
    names.into_iter().map(str::to_owned).collect()
}
