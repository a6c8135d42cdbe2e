//! Leaks: a server that is gone, however it went, leaves nothing on its host.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use assize_executor::End;
use assize_tests::hostile::{
    cell_processes, cgroup_dirs, eventually, hostile, in_own_process, show,
};
use assize_tests::{alone, block_on, executor, limited, run, shell};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

fn mounts() -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    mounts.lines().count()
}

/// Enough to use each slot dozens of times; `ASSIZE_LEAK_RUNS` asks for more.
fn runs() -> u32 {
    let asked = std::env::var("ASSIZE_LEAK_RUNS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(150)
}

#[test]
fn cells_leave_nothing_behind() {
    alone!({
        let server = std::process::id();
        // The first runtime of a process opens descriptors that it keeps.
        block_on(async {});
        let before = (descriptors(), mounts());
        let cells = executor(2, &[]);
        assert!(!cgroup_dirs(server).is_empty(), "looked in the wrong place");
        assert!(
            !cell_processes(server).is_empty(),
            "looked for the wrong uids"
        );
        let quick = |plan| {
            limited(plan, |l| {
                l.cpu_ms = 50;
                l.wall_ms = 150;
                l.memory_bytes = 16 << 20;
                l.processes = 16;
                l.stdout_bytes = 1000;
            })
        };
        for n in 0..runs() {
            let plan = match n % 10 {
                0 => hostile("processes", &["daemon"]),
                1 => hostile("processes", &["segv"]),
                2 => hostile("processes", &["zombies", "10"]),
                3 => hostile("processes", &["spin-orphans", "3"]),
                4 => hostile("processes", &["stop"]),
                5 => hostile("memory", &["sysv", "64"]),
                6 => hostile("output", &["flood", "1"]),
                7 => hostile("state", &["leave", "tcp"]),
                8 => hostile("state", &["leave", "tmp"]),
                _ => shell("exit 3"),
            };
            let _ = run(&cells, quick(plan));
        }
        assert_eq!(run(&cells, shell("exit 3")).end, End::Exited(3));
        cells.shutdown();
        assert_eq!(cell_processes(server), []);
        assert_eq!(cgroup_dirs(server), Vec::<std::path::PathBuf>::new());
        drop(cells);
        // One more: the sealed empty input that all runs of a process share.
        // The thread that watched the keeper may be a moment from its end.
        eventually(Duration::from_secs(5), "every descriptor is closed", || {
            descriptors() == before.0 + 1
        });
        assert_eq!(mounts(), before.1);
    });
}

const SERVER: &str = "ASSIZE_TEST_SERVER";

#[test]
fn killing_the_server_takes_its_cells_with_it() {
    fn here() {}
    if std::env::var_os(SERVER).is_some() {
        serve_until_killed();
    }
    let mut server = in_own_process(std::any::type_name_of_val(&here), SERVER)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts again");
    let pid = server.id();
    let said = BufReader::new(server.stdout.take().expect("a pipe"));
    let ready = said
        .lines()
        .map_while(Result::ok)
        .any(|l| l.contains("cells ready"));
    assert!(ready, "the server did not start");
    eventually(Duration::from_secs(10), "the run has begun", || {
        let programs = cell_processes(pid);
        programs
            .iter()
            .filter(|p| p.what.starts_with("processes"))
            .count()
            == 1
    });
    assert!(!cgroup_dirs(pid).is_empty(), "looked in the wrong place");
    // SIGKILL: no handler, no destructor.
    server.kill().expect("our own child");
    server.wait().expect("our own child");
    let limit = Duration::from_secs(5);
    eventually(limit, "no process of a cell is left", || {
        cell_processes(pid).is_empty()
    });
    eventually(limit, "no cgroup of a cell is left", || {
        cgroup_dirs(pid).is_empty()
    });
}

/// The other side: an executor in the middle of a long run.
fn serve_until_killed() {
    let cells = executor(2, &[]);
    // A pair takes both slots, so both are built before anybody is killed: a
    // slot that is only half made is swept by the next server.
    let (a, b) = block_on(cells.run_pair(shell("true"), shell("true")));
    assert!(a.is_ok() && b.is_ok());
    println!("cells ready");
    let sleeper = limited(hostile("processes", &["sleep"]), |l| l.wall_ms = 30_000);
    let outcome = block_on(cells.run(sleeper));
    panic!("nobody killed us: {:?}", outcome.map(|o| show(&o)));
}
