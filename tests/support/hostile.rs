//! Hostile programs and the host's view of them.
//!
//! The sources lie in `escape/programs`. They are compiled on the host, which
//! is harmless, and executed in cells only: nothing here starts one.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use assize_executor::{Executor, FileSource, Layer, Outcome, Pack, Plan};

use crate::{binaries, executor, out, plan, run, shell};

/// The executor of all tests of one process. Tests that look at the host, at
/// one slot's past, or that switch a layer off run [`alone`] with their own.
///
/// # Panics
/// When this host cannot run cells.
pub fn shared() -> &'static Executor {
    static SHARED: OnceLock<Executor> = OnceLock::new();
    SHARED.get_or_init(|| executor(2, &[]))
}

/// The compiled form of `escape/programs/<name>.c`.
///
/// # Panics
/// When there is no C compiler: a test that cannot test must say so.
#[must_use]
pub fn compiled(name: &str) -> Vec<u8> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("escape/programs/{name}.c"));
    let text = fs::read(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let dir = binaries().join("hostile");
    fs::create_dir_all(&dir).expect("a directory for compiled programs");
    let binary = dir.join(format!("{name}-{:016x}", hasher.finish()));
    if !binary.exists() {
        let partial = dir.join(format!("{name}-{}", std::process::id()));
        let compiled = Command::new("gcc")
            .args(["-O1", "-w", "-s", "-static", "-pthread", "-o"])
            .args([&partial, &source])
            .output()
            .expect("gcc is needed to compile the hostile programs");
        assert!(
            compiled.status.success(),
            "{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        fs::rename(&partial, &binary).expect("renaming within a directory");
    }
    fs::read(&binary).expect("a compiled program")
}

/// A plan that runs a hostile program under the default profile.
///
/// # Panics
/// When it cannot be compiled.
#[must_use]
pub fn hostile(program: &str, args: &[&str]) -> Plan {
    hostile_as(program, program, args)
}

/// As [`hostile`], with another name for the program's file.
fn hostile_as(name: &str, program: &str, args: &[&str]) -> Plan {
    let path = format!("/work/{name}");
    let mut argv = vec![path.as_str()];
    argv.extend(args);
    let mut plan = plan(&argv);
    let file = FileSource {
        path: name.to_owned(),
        data: compiled(program),
        executable: true,
    };
    plan.files = Some(Pack::new(&[file]).expect("a plain name"));
    plan
}

/// Whether the kernel is at least this version, for the few answers that
/// changed over time. A part of a test that is left out for it says so.
///
/// # Panics
/// When the kernel does not say what it is.
#[must_use]
pub fn linux(major: u32, minor: u32) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc");
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|n| n.trim().parse::<u32>().ok());
    let version = (
        numbers.next().expect("a version"),
        numbers.next().unwrap_or(0),
    );
    let recent = version >= (major, minor);
    if !recent {
        println!("this kernel is older than {major}.{minor}: a part of this test is left out");
    }
    recent
}

/// Whether programs and their inits share one host id here, as they do for an
/// ordinary user without subordinate ids. A part of a test that is left out for
/// it says so.
#[must_use]
pub fn one_id() -> bool {
    static ONE: OnceLock<bool> = OnceLock::new();
    let one = *ONE.get_or_init(|| {
        let map = out(&run(&executor(2, &[]), shell("wc -l < /proc/self/uid_map")));
        map.trim() == "1"
    });
    if one {
        println!("init and program have one id here: a part of this test is left out");
    }
    one
}

/// Runs a test in a process of its own: its cells, cgroups, descriptors and
/// uids are then nobody else's. Use through [`alone!`](crate::alone).
///
/// # Panics
/// When the test fails there, or was not found.
pub fn alone(here: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let (passed, said) = in_own_process(here, ALONE)
        .output()
        .map(|done| {
            let mut said = String::from_utf8_lossy(&done.stdout).into_owned();
            said.push_str(&String::from_utf8_lossy(&done.stderr));
            (done.status.success(), said)
        })
        .expect("the test binary starts again");
    assert!(passed && said.contains("1 passed"), "{said}");
    // A part that was left out is said aloud, not only in there.
    for line in said.lines().filter(|l| l.contains("left out")) {
        println!("{line}");
    }
}

const ALONE: &str = "ASSIZE_TEST_ALONE";

/// This test binary again, to run only the test that contains `here`, with a
/// variable set to say why.
///
/// # Panics
/// When the running binary has no path.
#[must_use]
pub fn in_own_process(here: &str, variable: &str) -> Command {
    // `here` is the path of an item inside the test function.
    let (_, path) = here.split_once("::").expect("a crate's item");
    let (test, _) = path.rsplit_once("::").expect("an item in a function");
    let mut command = Command::new(std::env::current_exe().expect("a running test has a path"));
    command
        .args(["--exact", test, "--nocapture"])
        .env(variable, "1");
    command
}

/// Runs a block in a process of its own; see [`hostile::alone`](alone()).
#[macro_export]
macro_rules! alone {
    ($body:block) => {{
        fn here() {}
        $crate::hostile::alone(std::any::type_name_of_val(&here), || $body)
    }};
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it still does not after `limit`.
pub fn eventually(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process of some cell, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellProcess {
    /// Host pid.
    pub pid: u32,
    /// Its name and state.
    pub what: String,
    /// Whether it is a program, not an init.
    pub program: bool,
}

/// Whether a process of a cell is there for the next run: a fork of the init,
/// or an interpreter, which was preloaded and unlike its forks has capabilities.
pub(crate) fn waits_for_a_run(process: &Path, name: &str) -> bool {
    let environ = fs::read(process.join("environ")).unwrap_or_default();
    let preloaded = String::from_utf8_lossy(&environ).contains("LD_PRELOAD=/assize/");
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let permitted = status.lines().find_map(|l| l.strip_prefix("CapPrm:"));
    let capable = permitted.is_some_and(|set| set.trim().contains(|c| c != '0'));
    name == "assize-jail" || (preloaded && capable)
}

/// All processes in cells of the server with this pid, zombies included: they
/// are in a pid namespace below ours, and have the server's host ids or sit in
/// its cgroups (an ordinary user's cells may all have one id).
///
/// # Panics
/// When the host has no /proc.
#[must_use]
pub fn cell_processes(server: u32) -> Vec<CellProcess> {
    let first = 0x4A00_0000 + (server & 0xFFFF) * 0x400;
    let group = format!("/assize-{server}");
    let own = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find(|l| l.starts_with(name))?;
            Some(line[name.len()..].trim().to_owned())
        };
        let pids = field("NSpid:").unwrap_or_default();
        if pids.split_whitespace().count() < 2 {
            continue;
        }
        let uid = field("Uid:").unwrap_or_default();
        let uid: u32 = uid
            .split_whitespace()
            .next()
            .and_then(|u| u.parse().ok())
            .unwrap_or(u32::MAX);
        let in_range = uid.checked_sub(first).is_some_and(|slot| slot < 0x400);
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        let in_group = groups.lines().any(|line| {
            line.split_once(&group)
                .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(['/', '.']))
        });
        let state = field("State:").unwrap_or_default();
        let state = state.split_whitespace().next().unwrap_or_default();
        // A zombie has left its v1 groups.
        let own_zombie = own != 0 && uid == own && state.starts_with('Z');
        if in_range || in_group || own_zombie {
            let name = field("Name:").unwrap_or_default();
            let what = format!("{name} ({state})");
            let waits = waits_for_a_run(&entry.path(), &name);
            let program = pids.split_whitespace().next_back() != Some("1") && !waits;
            found.push(CellProcess { pid, what, program });
        }
    }
    found
}

/// Programs (not inits) of this process's own cells.
///
/// # Panics
/// When the host has no /proc.
#[must_use]
pub fn survivors() -> Vec<CellProcess> {
    let mut all = cell_processes(std::process::id());
    all.retain(|p| p.program);
    all
}

/// Directories a server with this pid has in any cgroup hierarchy.
#[must_use]
pub fn cgroup_dirs(server: u32) -> Vec<PathBuf> {
    fn walk(dir: &Path, name: &str, depth: u32, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            if entry.file_name() == name {
                found.push(entry.path());
            } else if depth > 0 {
                walk(&entry.path(), name, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    let name = format!("assize-{server}");
    walk(Path::new("/sys/fs/cgroup"), &name, 6, &mut found);
    found
}

/// Runs `first`, then `then` until it lands on the slot that `first` had, and
/// returns both outcomes. Both must print `slot=<their user namespace>` as their
/// first line.
///
/// # Panics
/// When the slot never comes round again, or a run prints no slot.
#[must_use]
pub fn on_one_slot(
    executor: &Executor,
    first: Plan,
    then: impl Fn() -> Plan,
) -> (Outcome, Outcome) {
    let first = run(executor, first);
    let slot = slot_of(&first);
    for _ in 0..100 {
        let second = run(executor, then());
        if slot_of(&second) == slot {
            return (first, second);
        }
    }
    panic!("slot {slot} never came round again");
}

fn slot_of(outcome: &Outcome) -> String {
    let text = out(outcome);
    let line = text.lines().next().unwrap_or_default();
    assert!(
        line.starts_with("slot="),
        "{:?}: {}",
        outcome.end,
        show(outcome)
    );
    line.to_owned()
}

/// Whether what `leave` left in a slot is there for the slot's next run, with
/// these layers off. `programs/state.c` has the things that can be left.
///
/// # Panics
/// When leaving or looking does not work at all.
#[must_use]
pub fn carried_over(what: &str, without: &[Layer]) -> bool {
    // A new name each time: without fresh directories the last run's program
    // is still there, and files are never overwritten.
    static RUN: AtomicU32 = AtomicU32::new(0);
    let executor = executor(2, without);
    let state = |verb| {
        let name = format!("state-{}", RUN.fetch_add(1, Ordering::Relaxed));
        hostile_as(&name, "state", &[verb, what])
    };
    let (left, found) = on_one_slot(&executor, state("leave"), || state("find"));
    assert!(out(&left).contains("left"), "{}", show(&left));
    let text = out(&found);
    assert!(
        text.contains("found") || text.contains("nothing"),
        "{}",
        show(&found)
    );
    text.contains("found")
}

/// Everything an outcome says, for messages.
#[must_use]
pub fn show(outcome: &Outcome) -> String {
    let clip = |data: &[u8]| {
        String::from_utf8_lossy(&data[..data.len().min(2000)])
            .trim_end()
            .to_owned()
    };
    format!(
        "{:?} {:?} {:?}\nstdout ({}): {}\nstderr ({}): {}",
        outcome.end,
        outcome.usage,
        outcome.violations,
        outcome.stdout.total,
        clip(&outcome.stdout.data),
        outcome.stderr.total,
        clip(&outcome.stderr.data)
    )
}
