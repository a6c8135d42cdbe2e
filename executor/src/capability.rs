//! What this host enforces, each line proven by a program that tries to get
//! past it in a real cell.

use std::sync::Arc;

use assize_cgroup::Kind;
use assize_policies::{Limits, Profile};
use serde::Serialize;

use crate::executor::Executor;
use crate::outcome::{End, Limit, Outcome};
use crate::plan::{Plan, Target};

/// The host's protections.
#[derive(Debug, Clone, Serialize)]
pub struct Capabilities {
    /// Kind of cgroup hierarchy.
    pub cgroup: Kind,
    /// Why no cgroup can be used; empty otherwise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroup_missing: String,
    /// Whether runs go on without what this host cannot enforce.
    pub best_effort: bool,
    /// Whether the WASI backend is there.
    pub wasi: bool,
    /// One line per protection; empty until proven.
    pub probes: Vec<Probe>,
    /// What a native run's result lists as enforced.
    pub enforced: Vec<String>,
}

/// One protection and what came of testing it.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// Name of the protection or limit.
    pub name: &'static str,
    /// What was tried.
    pub tried: &'static str,
    /// Whether it held.
    pub enforced: bool,
    /// What was seen.
    pub seen: String,
    /// What to do when it did not hold.
    pub fix: &'static str,
}

struct Trial {
    name: &'static str,
    tried: &'static str,
    script: &'static str,
    limits: fn(Limits) -> Limits,
    held: fn(&Outcome) -> bool,
    fix: &'static str,
}

const CGROUPS: &str = "give the server a cgroup subtree with the memory, pids and cpu controllers: \
    as a service Delegate=yes; as an ordinary user start it with `systemd-run --user --scope -p Delegate=yes`; \
    in a container --cgroupns=private and a writable /sys/fs/cgroup";
const NAMESPACES: &str = "allow user namespaces: `sysctl -w user.max_user_namespaces=65536`, on Debian and Ubuntu also \
    `sysctl -w kernel.unprivileged_userns_clone=1` and `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; \
    in a container --security-opt seccomp=unconfined";
const REPORT: &str = "this should hold on every host that can build a cell: please report it";
const LANDLOCK: &str = "boot a kernel with Landlock: CONFIG_SECURITY_LANDLOCK=y and `lsm=landlock,…` on its command line \
    (`cat /sys/kernel/security/lsm` lists what is active)";

fn same(limits: Limits) -> Limits {
    limits
}

fn says(outcome: &Outcome, text: &str) -> bool {
    outcome.end == End::Exited(0) && String::from_utf8_lossy(&outcome.stdout.data).trim() == text
}

/// Uses nothing but a POSIX shell, so that it runs on any host. Each script
/// prints `held` or is ended by the limit it attacks.
const TRIALS: [Trial; 12] = [
    Trial {
        name: "cpu_ms",
        tried: "an endless loop",
        script: "while :; do :; done",
        limits: |l| Limits {
            cpu_ms: 60,
            wall_ms: 5000,
            ..l
        },
        held: |o| o.end == End::Limit(Limit::Cpu),
        fix: CGROUPS,
    },
    Trial {
        name: "wall_ms",
        tried: "sleeping past the limit",
        script: "sleep 5",
        limits: |l| Limits { wall_ms: 60, ..l },
        held: |o| o.end == End::Limit(Limit::Wall),
        fix: REPORT,
    },
    Trial {
        name: "memory_bytes",
        tried: "64 MiB in a shell variable under 16 MiB",
        script: "x=x; i=0; while [ $i -lt 26 ]; do x=$x$x; i=$((i+1)); done; echo got it",
        limits: |l| Limits {
            memory_bytes: 16 << 20,
            cpu_ms: 5000,
            ..l
        },
        held: |o| o.end == End::Limit(Limit::Memory),
        fix: CGROUPS,
    },
    Trial {
        name: "processes",
        tried: "thirty processes at once under a limit of eight",
        script: "i=0; while [ $i -lt 30 ]; do sleep 1 & i=$((i+1)); done; echo got them",
        limits: |l| Limits {
            processes: 8,
            wall_ms: 3000,
            ..l
        },
        held: |o| o.violations.iter().any(|v| v.kind == "processes"),
        fix: CGROUPS,
    },
    Trial {
        name: "stdout_bytes",
        tried: "endless output",
        script: "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
        limits: |l| Limits {
            stdout_bytes: 4096,
            ..l
        },
        held: |o| o.end == End::Limit(Limit::Output) && o.stdout.data.len() == 4096,
        fix: REPORT,
    },
    Trial {
        name: "disk_bytes",
        tried: "a file of 8 MiB under 1 MiB",
        script: "head -c 8388608 /dev/zero > /tmp/f 2>/dev/null || echo held",
        limits: |l| Limits {
            disk_bytes: 1 << 20,
            ..l
        },
        held: |o| says(o, "held"),
        fix: REPORT,
    },
    Trial {
        name: "files",
        tried: "a hundred files under a limit of ten",
        script: "i=0; while [ $i -lt 100 ]; do true > /tmp/$i || { echo held; exit 0; }; i=$((i+1)); done 2>/dev/null",
        limits: |l| Limits { files: 10, ..l },
        held: |o| says(o, "held"),
        fix: REPORT,
    },
    Trial {
        name: "network",
        tried: "finding an interface other than loopback",
        script: "n=$(grep -c : /proc/self/net/dev); [ \"$n\" = 1 ] && grep -q ' lo:' /proc/self/net/dev && echo held",
        limits: same,
        held: |o| says(o, "held"),
        fix: NAMESPACES,
    },
    Trial {
        name: "read_only_root",
        tried: "writing to /, /usr, /etc and /dev",
        script: "for d in / /usr /etc /dev; do { true > $d/assize-probe; } 2>/dev/null && exit 1; done; echo held",
        limits: same,
        held: |o| says(o, "held"),
        fix: REPORT,
    },
    Trial {
        name: "identity",
        tried: "reading its own uid, capabilities, no_new_privs and seccomp mode",
        script: "s=/proc/self/status; [ \"$(id -u)\" = 1000 ] && grep -q 'CapEff:.0*$' $s && grep -q 'CapBnd:.0*$' $s && grep -q 'NoNewPrivs:.1' $s && grep -q 'Seccomp:.2' $s && echo held",
        limits: same,
        held: |o| says(o, "held"),
        fix: REPORT,
    },
    Trial {
        name: "processes_hidden",
        tried: "seeing or signalling the cell's init",
        script: "[ ! -e /proc/1/status ] && ! kill -0 1 2>/dev/null && echo held",
        limits: same,
        held: |o| says(o, "held"),
        fix: REPORT,
    },
    Trial {
        name: "landlock",
        tried: "listing the root, which only Landlock withholds",
        script: "ls / >/dev/null 2>&1 || echo held",
        limits: same,
        held: |o| says(o, "held") && o.enforced.iter().any(|e| e == "landlock"),
        fix: LANDLOCK,
    },
];

impl Capabilities {
    /// Before any probe has run.
    pub(crate) fn unproven(cgroup: Kind, missing: &str, best_effort: bool, wasi: bool) -> Self {
        Self {
            cgroup,
            cgroup_missing: missing.to_owned(),
            best_effort,
            wasi,
            probes: Vec::new(),
            enforced: Vec::new(),
        }
    }

    /// Names of all probes.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        TRIALS.iter().map(|trial| trial.name).collect()
    }

    /// Whether every probe held.
    #[must_use]
    pub fn all_enforced(&self) -> bool {
        !self.probes.is_empty() && self.probes.iter().all(|p| p.enforced)
    }

    /// Whether a request must be refused for this limit: it was shown to fail,
    /// and nobody asked for best effort.
    #[must_use]
    pub fn refuted(&self, limit: &str) -> bool {
        !self.best_effort && self.probes.iter().any(|p| p.name == limit && !p.enforced)
    }

    pub(crate) async fn prove(executor: &Executor, unproven: Self) -> Self {
        let mut proven = Self {
            probes: Vec::new(),
            ..unproven
        };
        let profiles = Profile::shipped().unwrap_or_default();
        let Some(policy) = profiles
            .into_iter()
            .find(|p| p.name == "default")
            .map(Arc::new)
        else {
            return proven;
        };
        for trial in &TRIALS {
            let plan = Plan {
                argv: vec!["/bin/sh".into(), "-c".into(), trial.script.into()],
                env: vec![("PATH".into(), "/usr/bin:/bin".into())],
                files: None,
                stdin: None,
                channel: None,
                report_bytes: 0,
                collect: Vec::new(),
                limits: (trial.limits)(policy.limits),
                policy: Arc::clone(&policy),
                target: Target::Native,
                warm: None,
            };
            let (enforced, seen) = match executor.run(plan).await {
                Ok(outcome) => {
                    proven.enforced = outcome.enforced.to_vec();
                    ((trial.held)(&outcome), describe(&outcome))
                }
                Err(fault) => (false, fault.to_string()),
            };
            let Trial {
                name, tried, fix, ..
            } = *trial;
            proven.probes.push(Probe {
                name,
                tried,
                enforced,
                seen,
                fix,
            });
        }
        proven
    }
}

fn describe(outcome: &Outcome) -> String {
    let end = match &outcome.end {
        End::Exited(status) => format!("exit status {status}"),
        End::Signaled(signal) => format!("signal {signal}"),
        End::Trapped(name) => format!("trap {name}"),
        End::Limit(limit) => format!("{limit:?} limit"),
        End::Violation => "seccomp violation".to_owned(),
    };
    let stderr = String::from_utf8_lossy(&outcome.stderr.data);
    let first = stderr.lines().next().unwrap_or_default();
    let first: String = first.chars().take(120).collect();
    let cpu = outcome.usage.cpu.as_secs_f64() * 1e3;
    let note = if first.is_empty() {
        String::new()
    } else {
        format!(" ({first})")
    };
    format!("{end} after {cpu:.1} ms CPU{note}")
}
