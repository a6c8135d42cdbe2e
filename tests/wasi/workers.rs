//! The workers themselves: what holds them, and what becomes of their runs when
//! one of them ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use assize_executor::{End, WORKER_RUNS};
use assize_judge::engine::Engine;
use assize_runtimes::BackendChoice::Wasi;
use tokio::runtime::Runtime;

use crate::python;

/// An engine of this test's own.
fn own(workers: u32, runs: u64) -> (Runtime, Arc<Engine>) {
    let runtime = Runtime::new().unwrap();
    let engine = runtime.block_on(assize_tests::server::engine_with(2, workers, runs));
    (runtime, engine)
}

fn field(pid: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// Processes below this one that run the worker's program.
fn workers() -> BTreeSet<u32> {
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok())
            && let Ok(parent) = field(pid, "PPid").parse()
        {
            below.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut todo) = (BTreeSet::new(), vec![std::process::id()]);
    while let Some(pid) = todo.pop() {
        if field(pid, "Name") == "assize-wasm" {
            found.insert(pid);
        }
        todo.extend(below.remove(&pid).unwrap_or_default());
    }
    found
}

#[test]
fn a_worker_is_held_like_a_program_and_more() {
    let (_runtime, engine) = own(2, WORKER_RUNS);
    let workers = workers();
    assert_eq!(
        workers.len(),
        2,
        "one each; the counting one starts when it is wanted"
    );
    for pid in workers {
        assert_eq!(field(pid, "NoNewPrivs"), "1");
        assert_eq!(field(pid, "Seccomp"), "2");
        assert_eq!(field(pid, "CapEff"), "0000000000000000");
        assert!(!field(pid, "Uid").split_whitespace().any(|id| id == "0"));
        let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
        assert_ne!(
            std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap(),
            ours
        );
    }
    engine.executor().shutdown();
}

#[test]
fn runs_of_a_worker_that_dies_start_again_on_another() {
    let (runtime, engine) = own(2, WORKER_RUNS);
    let before = workers();
    let source = "import time\ntime.sleep(1)\nprint('whole')";
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let run = assize_api::admit_run(&engine, &python(Wasi, source)).unwrap();
            let engine = Arc::clone(&engine);
            runtime.spawn(async move { engine.run(&run).await })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(400));
    let victim = *before.first().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(victim).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mut attempts = Vec::new();
    for run in runs {
        let outcome = runtime
            .block_on(run)
            .unwrap()
            .expect("no fault")
            .outcome
            .unwrap();
        assert_eq!(
            (outcome.end, outcome.stdout.data),
            (End::Exited(0), b"whole\n".to_vec())
        );
        attempts.push(outcome.attempts);
    }
    attempts.sort_unstable();
    // Half of them were on the one that died.
    assert_eq!(attempts, [1, 1, 2, 2]);
    engine.executor().shutdown();
}

#[test]
fn a_worker_is_replaced_when_it_has_served_its_time_and_nothing_is_lost() {
    let (runtime, engine) = own(1, 5);
    let (mut seen, mut served) = (workers(), 0);
    for _ in 0..23 {
        let run = assize_api::admit_run(&engine, &python(Wasi, "print(1)")).unwrap();
        let outcome = runtime
            .block_on(engine.run(&run))
            .expect("no fault")
            .outcome
            .unwrap();
        assert_eq!((outcome.end, outcome.attempts), (End::Exited(0), 1));
        served += 1;
        seen.extend(workers());
    }
    assert!(served == 23 && seen.len() >= 4, "{seen:?}");
    engine.executor().shutdown();
}
