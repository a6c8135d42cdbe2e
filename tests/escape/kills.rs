//! SIGKILL at any moment, to any of the processes that hold cells: nothing is
//! left once a server has started again on this host.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use assize_executor::Executor;
use assize_tests::hostile::{cell_processes, cgroup_dirs, eventually, hostile, in_own_process};
use assize_tests::{alone, block_on, executor, limited, run, shell};

const SERVER: &str = "ASSIZE_TEST_KILLED";

/// Enough to meet most steps; `ASSIZE_KILL_RUNS` asks for more.
fn kills() -> u64 {
    let asked = std::env::var("ASSIZE_KILL_RUNS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(40)
}

/// SplitMix64: the same sequence every time, so that a failure's number is
/// enough to find its moment again.
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Children of a process, by the name they were started under.
fn children(parent: u32, name: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((head, tail)) = stat.rsplit_once(')') else {
            continue;
        };
        let is_child = tail.split_whitespace().nth(1) == Some(parent.to_string().as_str());
        if is_child && head.ends_with(name) {
            found.extend(entry.file_name().to_string_lossy().parse::<u32>());
        }
    }
    found
}

/// Whom the n-th kill meets: server, keeper, a warden or an init. None when it
/// does not exist yet.
fn victim(server: u32, n: u64) -> (&'static str, Option<u32>) {
    let pick = |from: Vec<u32>| (!from.is_empty()).then(|| from[(n / 4) as usize % from.len()]);
    let keeper = children(server, "assize-keeper").first().copied();
    let warden = || pick(children(keeper?, "assize-jail"));
    match n % 4 {
        0 => ("server", Some(server)),
        1 => ("keeper", keeper),
        2 => ("warden", warden()),
        _ => (
            "init",
            warden().and_then(|w| pick(children(w, "assize-jail"))),
        ),
    }
}

fn kill(pid: u32) {
    // It may have ended in the meantime.
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).output();
}

fn ended(server: &mut Child, limit: Duration, what: &str) {
    eventually(limit, what, || {
        server.try_wait().expect("our own child").is_some()
    });
}

fn mounts() -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    mounts.lines().count()
}

#[test]
fn whoever_is_killed_whenever_nothing_is_left_after_a_restart() {
    fn here() {}
    if std::env::var_os(SERVER).is_some() {
        serve();
        return;
    }
    let before = mounts();
    let mut servers = Vec::new();
    let mut met = [0u32; 4];
    for n in 0..kills() {
        let mut server = in_own_process(std::any::type_name_of_val(&here), SERVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test binary starts again");
        let pid = server.id();
        servers.push(pid);
        std::thread::sleep(Duration::from_micros(random(n) % 120_000));
        let (who, victim) = victim(pid, n);
        kill(victim.unwrap_or(pid));
        let whole = victim.is_none() || who == "server";
        met[if whole { 0 } else { (n % 4) as usize }] += 1;
        if !whole && who != "keeper" {
            // The server replaces the cell, serves on, and stops when told.
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(server.stdin.take());
        let what = format!("kill {n} ({who}): the server ends");
        ended(&mut server, Duration::from_secs(20), &what);
        let what = format!("kill {n} ({who}): no process of a cell is left");
        eventually(Duration::from_secs(10), &what, || {
            cell_processes(pid).is_empty()
        });
    }
    println!(
        "killed: {} servers, {} keepers, {} wardens, {} inits",
        met[0], met[1], met[2], met[3]
    );
    // A restart sweeps what the killed could not.
    let again = executor(2, &[]);
    assert_eq!(
        run(&again, shell("exit 0")).end,
        assize_executor::End::Exited(0)
    );
    again.shutdown();
    drop(again);
    let left: Vec<PathBuf> = servers.iter().flat_map(|pid| cgroup_dirs(*pid)).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    assert_eq!(mounts(), before);
}

/// The other side: cells at work until standard input ends, the keeper does,
/// or we are killed.
fn serve() {
    let cells = Arc::new(executor(2, &[]));
    let watched = Arc::clone(&cells);
    std::thread::spawn(move || {
        block_on(watched.keeper_lost());
        leave();
    });
    for _ in 0..2 {
        let cells = Arc::clone(&cells);
        std::thread::spawn(move || work(&cells));
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    cells.shutdown();
    leave();
}

fn work(cells: &Executor) {
    for n in 0.. {
        let plan = match n % 4 {
            0 => hostile("processes", &["daemon"]),
            1 => hostile("processes", &["zombies", "5"]),
            2 => hostile("processes", &["spin-orphans", "2"]),
            _ => shell("echo x > /tmp/x; sleep 0.01"),
        };
        let quick = limited(plan, |l| {
            l.cpu_ms = 30;
            l.wall_ms = 60;
        });
        let _ = block_on(cells.run(quick));
    }
}

/// Without unwinding or waiting for the other threads.
fn leave() -> ! {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_server_whose_keeper_is_killed_notices_and_its_cells_end() {
    alone!({
        let server = std::process::id();
        let cells = executor(2, &[]);
        // Both slots at once, so that neither is only half made: the group of
        // a jail that was never started is for the next server to sweep.
        let (a, b) = block_on(cells.run_pair(shell("exit 0"), shell("exit 0")));
        assert!(a.is_ok() && b.is_ok());
        let keeper = children(server, "assize-keeper");
        assert_eq!(keeper.len(), 1);
        kill(keeper[0]);
        block_on(cells.keeper_lost());
        drop(cells);
        let limit = Duration::from_secs(5);
        eventually(limit, "no process of a cell is left", || {
            cell_processes(server).is_empty()
        });
        eventually(limit, "no cgroup is left", || {
            cgroup_dirs(server).is_empty()
        });
    });
}
