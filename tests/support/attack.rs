//! Attacks and their controls: short ways to run one with layers off, and the
//! host's view of a cell that does not depend on who the host's users are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use assize_executor::{Executor, Layer, Plan};

use crate::hostile::{hostile, one_id, show};
use crate::{executor, out, run};

/// What one probe of `programs/probe.c` answers: `ALLOWED …`, `READ …` or
/// `DENIED <errno>`.
///
/// # Panics
/// On a fault of ours.
#[must_use]
pub fn answer(executor: &Executor, probe: &str) -> String {
    let outcome = run(executor, hostile("probe", &[probe]));
    let said = out(&outcome);
    let answer = said.trim_end().split_once('\t').map(|(_, answer)| answer);
    answer.map_or_else(|| show(&outcome), str::to_owned)
}

/// Whether an answer says that the attack worked.
#[must_use]
pub fn worked(answer: &str) -> bool {
    answer.starts_with("ALLOWED") || answer.starts_with("READ") || answer.contains(" ok")
}

/// Each probe is refused with all layers and works without these.
///
/// # Panics
/// When it is not so.
pub fn stopped_only_by(without: &[Layer], probes: &str) {
    let held = executor(2, &[]);
    let open = executor(2, without);
    // Where the init has the program's uid it is no root either, and exec
    // leaves it nothing: there is no attack to be shown.
    let no_root = without.contains(&Layer::ProgramUid) && one_id();
    let mut wrong = Vec::new();
    for probe in probes.split_whitespace() {
        let (with, none) = (answer(&held, probe), answer(&open, probe));
        if !with.starts_with("DENIED") && !with.contains("Violation") {
            wrong.push(format!("{probe} is not refused: {with}"));
        }
        if !worked(&none) && !no_root {
            wrong.push(format!("{probe} fails even without {without:?}: {none}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Standard output of a plan under an executor of its own, without these.
///
/// # Panics
/// On a fault of ours.
#[must_use]
pub fn says_without(without: &[Layer], plan: Plan) -> String {
    out(&run(&executor(2, without), plan))
}

/// Living processes in cells of this process other than the cells' inits,
/// by name: found by descent and by pid namespace, not by uid.
///
/// # Panics
/// When the host has no /proc.
#[must_use]
pub fn inhabitants() -> Vec<String> {
    let mut all: BTreeMap<u64, (u64, u64, String, String)> = BTreeMap::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let number = |name| field(&status, name).and_then(|n| n.first().copied());
        let (Some(pid), Some(parent)) = (number("Pid:"), number("PPid:")) else {
            continue;
        };
        // One number a namespace, outermost first: in a cell there are two or
        // more, and the last one is 1 for the init.
        let inside = field(&status, "NSpid:").unwrap_or_default();
        let inner = if inside.len() > 1 {
            inside.last().copied()
        } else {
            None
        };
        let line = |name: &str| {
            let found = status.lines().find_map(|l| l.strip_prefix(name));
            found.unwrap_or_default().trim().to_owned()
        };
        let (name, state) = (line("Name:"), line("State:"));
        all.insert(pid, (parent, inner.unwrap_or(1), name, state));
    }
    let ours = |mut pid: u64| {
        while let Some((parent, ..)) = all.get(&pid) {
            if *parent == u64::from(std::process::id()) {
                return true;
            }
            pid = *parent;
        }
        false
    };
    let mut found = Vec::new();
    for (pid, (_, inner, name, state)) in &all {
        let lives = *inner > 1 && !state.starts_with(['Z', 'X']) && ours(*pid);
        let process = Path::new("/proc").join(pid.to_string());
        if lives && !crate::hostile::waits_for_a_run(&process, name) {
            found.push(name.clone());
        }
    }
    found
}

fn field(status: &str, name: &str) -> Option<Vec<u64>> {
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_whitespace().map(|n| n.parse().ok()).collect()
}
