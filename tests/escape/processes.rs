//! Processes: how many, how long, and that none is left.

use std::time::{Duration, Instant};

use assize_executor::{End, Layer, Limit};
use assize_tests::hostile::{
    CellProcess, cell_processes, eventually, hostile, shared, show, survivors,
};
use assize_tests::{alone, block_on, executor, limited, out, run};

#[test]
fn a_fork_bomb_stays_under_its_limit_and_leaves_nobody() {
    alone!({
        let executor = executor(2, &[]);
        let bomb = limited(hostile("processes", &["bomb"]), |l| {
            l.processes = 32;
            l.cpu_ms = 400;
            l.wall_ms = 3000;
        });
        let outcome = run(&executor, bomb);
        assert!(
            matches!(outcome.end, End::Limit(Limit::Cpu | Limit::Wall)),
            "{}",
            show(&outcome)
        );
        let refused = outcome.violations.iter().find(|v| v.kind == "processes");
        assert!(refused.is_some_and(|v| v.count > 0), "{}", show(&outcome));
        assert!(
            outcome.usage.processes_peak.is_none_or(|p| p <= 32),
            "{}",
            show(&outcome)
        );
        assert_eq!(survivors(), []);
    });
}

#[test]
fn threads_count_as_processes() {
    let threads = limited(hostile("processes", &["threads", "100"]), |l| {
        l.processes = 16;
    });
    let outcome = run(shared(), threads);
    assert_eq!(out(&outcome), "15 EAGAIN\n", "{}", show(&outcome));
}

#[test]
fn zombies_count_until_they_are_reaped_and_are_gone_afterwards() {
    alone!({
        let executor = executor(2, &[]);
        for _ in 0..4 {
            let zombies = limited(hostile("processes", &["zombies", "100"]), |l| {
                l.processes = 16;
            });
            let outcome = run(&executor, zombies);
            assert_eq!(out(&outcome), "15 EAGAIN\n", "{}", show(&outcome));
            assert_eq!(survivors(), []);
        }
    });
}

#[test]
fn a_daemon_that_holds_stdout_is_dead_before_the_verdict() {
    alone!({
        let executor = executor(2, &[]);
        let start = Instant::now();
        let outcome = run(&executor, hostile("processes", &["daemon"]));
        assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
        assert_eq!(out(&outcome), "parent leaves\n");
        assert_eq!(survivors(), []);
        assert!(start.elapsed() < Duration::from_secs(3), "the reply hung");
    });
}

#[test]
fn a_daemon_that_holds_stdout_is_dead_before_the_verdict_control() {
    alone!({
        let executor = executor(2, &[Layer::Sweep]);
        let outcome = run(&executor, hostile("processes", &["daemon"]));
        assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
        let left = survivors();
        let alive = left.iter().filter(|p| !p.what.ends_with("(Z)"));
        assert_eq!(alive.count(), 1, "{left:?}");
        // The leash still holds what the sweep did not.
        drop(executor);
        assert_eq!(survivors(), []);
    });
}

#[test]
fn a_child_given_to_the_init_is_not_mistaken_for_the_program() {
    let outcome = run(shared(), hostile("processes", &["sibling"]));
    assert_eq!(outcome.end, End::Exited(7), "{}", show(&outcome));
    assert_eq!(out(&outcome), "ppid 1\n");
}

#[test]
fn a_stopped_program_meets_the_wall_limit() {
    let stopped = limited(hostile("processes", &["stop"]), |l| l.wall_ms = 300);
    let outcome = run(shared(), stopped);
    assert_eq!(outcome.end, End::Limit(Limit::Wall), "{}", show(&outcome));
    assert!(outcome.usage.wall < Duration::from_secs(3));
}

#[test]
fn a_program_that_kills_everything_it_sees_kills_only_itself() {
    for _ in 0..4 {
        // kill(-1) spares its caller and, being another uid, the init.
        let outcome = run(shared(), hostile("processes", &["kill-all"]));
        assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
        assert_eq!(outcome.attempts, 1);
    }
}

#[test]
fn a_run_nobody_waits_for_is_killed() {
    alone!({
        let executor = executor(2, &[]);
        block_on(async {
            let sleeper = limited(hostile("processes", &["sleep"]), |l| l.wall_ms = 60_000);
            let waiting = executor.run(sleeper);
            let gone = tokio::time::timeout(Duration::from_millis(500), waiting).await;
            assert!(gone.is_err(), "it ended by itself");
        });
        let limit = Duration::from_secs(5);
        eventually(limit, "the abandoned run is dead", || {
            survivors().is_empty()
        });
        let next = run(&executor, hostile("processes", &["exit", "4"]));
        assert_eq!(next.end, End::Exited(4));
    });
}

#[test]
fn signals_and_statuses_are_told_apart() {
    let cases = [
        ("segv", "0", End::Signaled(11)),
        ("abrt", "0", End::Signaled(6)),
        ("fpe", "0", End::Signaled(8)),
        ("ill", "0", End::Signaled(4)),
        ("exit", "134", End::Exited(134)),
        ("exit", "136", End::Exited(136)),
        ("exit", "137", End::Exited(137)),
        ("exit", "139", End::Exited(139)),
        ("exit", "159", End::Exited(159)),
        ("raise", "9", End::Signaled(9)),
        ("raise", "15", End::Signaled(15)),
    ];
    for (what, n, end) in cases {
        let outcome = run(shared(), hostile("processes", &[what, n]));
        assert_eq!(outcome.end, end, "{what} {n}: {}", show(&outcome));
    }
}

#[test]
fn sigxcpu_that_a_program_sends_itself_is_no_cpu_limit() {
    let outcome = run(shared(), hostile("processes", &["raise", "24"]));
    assert_eq!(outcome.end, End::Signaled(24), "{}", show(&outcome));
}

#[test]
fn a_real_time_signal_is_a_signal_like_any_other() {
    for signal in [34, 50, 64] {
        let plan = hostile("processes", &["raise", &signal.to_string()]);
        let result = block_on(shared().run(plan));
        let outcome = result.expect("the program's doing, not a fault of ours");
        assert_eq!(outcome.end, End::Signaled(signal), "{}", show(&outcome));
        assert_eq!(outcome.attempts, 1, "a slot was lost");
    }
}

#[test]
fn orphans_ended_by_any_signal_are_reaped() {
    let result = block_on(shared().run(hostile("processes", &["orphan-rt"])));
    let outcome = result.expect("the program's doing, not a fault of ours");
    assert_eq!(outcome.end, End::Exited(6), "{}", show(&outcome));
    assert_eq!(outcome.attempts, 1, "a slot was lost");
}

#[test]
fn one_process_is_enough_to_run() {
    let plan = limited(hostile("processes", &["exit", "3"]), |l| l.processes = 1);
    let outcome = run(shared(), plan);
    assert_eq!(outcome.end, End::Exited(3), "{}", show(&outcome));
}

#[test]
fn a_cell_lost_in_the_middle_of_a_run_is_replaced_and_the_run_repeated() {
    alone!({
        let executor = executor(2, &[]);
        let sleeper = limited(hostile("processes", &["sleep"]), |l| l.wall_ms = 1500);
        let server = std::process::id();
        let outcome = std::thread::scope(|scope| {
            let running = scope.spawn(|| block_on(executor.run(sleeper)));
            let limit = Duration::from_secs(5);
            let named = |p: &&CellProcess| p.program && p.what.starts_with("processes");
            let mut program = None;
            eventually(limit, "the run has begun", || {
                program = cell_processes(server).iter().find(named).map(|p| p.pid);
                program.is_some()
            });
            // The parent of our own program is the init of our own cell.
            let stat = format!("/proc/{}/stat", program.unwrap_or_default());
            let stat = std::fs::read_to_string(stat).expect("a running program");
            let init = stat.split_whitespace().nth(3).expect("a parent").to_owned();
            let init_is_ours = |p: &CellProcess| !p.program && p.pid.to_string() == init;
            assert!(cell_processes(server).iter().any(init_is_ours));
            let killed = std::process::Command::new("kill")
                .args(["-9", &init])
                .status();
            assert!(killed.is_ok_and(|s| s.success()));
            running.join().expect("no panic")
        });
        let outcome = outcome.expect("another cell ran it");
        assert_eq!(outcome.end, End::Limit(Limit::Wall), "{}", show(&outcome));
        assert_eq!(outcome.attempts, 2);
    });
}
