//! Verdicts say exactly what happened, from the kernel's own records.

use std::time::Duration;

use assize_executor::{End, Limit, Outcome};
use assize_tests::attack::inhabitants;
use assize_tests::hostile::{hostile, shared, show};
use assize_tests::{alone, executor, limited, out, run};

const MIB: u64 = 1 << 20;

fn under(mib: u64, args: &[&str]) -> Outcome {
    let plan = limited(hostile("memory", args), |l| {
        l.memory_bytes = mib * MIB;
        l.disk_bytes = 256 * MIB;
        l.cpu_ms = 5000;
        l.wall_ms = 20_000;
    });
    run(shared(), plan)
}

#[test]
fn page_tables_of_memory_that_is_not_there_count() {
    // 32 GiB of addresses, one byte read in every 2 MiB: no page of its own,
    // and 64 MiB of tables.
    let outcome = under(32, &["tables", "64"]);
    assert_eq!(outcome.end, End::Limit(Limit::Memory), "{}", show(&outcome));
}

/// The kernel frees page tables a moment after the process that had them.
#[test]
fn page_tables_of_one_run_are_not_on_the_next_ones_account() {
    alone!({
        let executor = executor(1, &[]);
        let tables = |mib: &str| {
            let plan = limited(hostile("memory", &["tables", mib]), |l| {
                l.memory_bytes = 32 * MIB;
            });
            run(&executor, plan)
        };
        for round in 0..20 {
            let over = tables("64");
            assert_eq!(over.end, End::Limit(Limit::Memory), "{}", show(&over));
            let within = tables("16");
            assert_eq!(within.end, End::Exited(0), "{round}: {}", show(&within));
        }
    });
}

#[test]
fn limits_of_four_eight_and_sixteen_mib_hold_for_every_kind_of_memory() {
    let attacks: [&[&str]; 7] = [
        &["anon", "64"],
        &["file", "64", "/tmp/f"],
        &["file", "64", "/dev/shm/f"],
        &["memfd", "64"],
        &["sysv", "64"],
        &["child", "64"],
        &["tables", "64"],
    ];
    for mib in [4, 8, 16] {
        let fine = under(mib, &["ok"]);
        assert_eq!(fine.end, End::Exited(0), "{mib}: {}", show(&fine));
        for attack in attacks {
            let outcome = under(mib, attack);
            let end = End::Limit(Limit::Memory);
            assert_eq!(outcome.end, end, "{mib} {attack:?}: {}", show(&outcome));
            assert!(!out(&outcome).contains("got it"), "{}", show(&outcome));
            let peak = outcome.usage.memory_peak;
            assert!(peak <= (mib + 1) * MIB, "{mib}: {}", show(&outcome));
        }
    }
}

#[test]
fn half_of_a_small_limit_can_be_used() {
    for mib in [4, 8, 16] {
        let half = (mib / 2).to_string();
        let outcome = under(mib, &["anon", &half]);
        assert_eq!(outcome.end, End::Exited(0), "{mib}: {}", show(&outcome));
        let peak = outcome.usage.memory_peak;
        let fair = mib / 2 * MIB..=mib * MIB;
        assert!(fair.contains(&peak), "{mib}: {}", show(&outcome));
    }
}

#[test]
fn the_peak_is_this_runs_own() {
    alone!({
        let executor = executor(1, &[]);
        let using = |mib: &str| {
            let plan = limited(hostile("memory", &["anon", mib]), |l| {
                l.memory_bytes = 256 * MIB;
            });
            let outcome = run(&executor, plan);
            assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
            outcome.usage.memory_peak
        };
        for mib in [100_u64, 10, 60, 1] {
            let peak = using(&mib.to_string());
            let fair = mib * MIB..(mib + 4) * MIB;
            assert!(fair.contains(&peak), "{mib} MiB: {peak}");
        }
    });
}

#[test]
fn memory_can_not_escape_into_swap() {
    alone!({
        // A host without swap cannot show the attack, but it can show that
        // the limit on swap is set while a run lasts.
        let executor = executor(1, &[]);
        let plan = limited(hostile("processes", &["nap", "1000"]), |l| {
            l.memory_bytes = 32 * MIB;
        });
        let server = std::process::id();
        let checked = std::thread::scope(|scope| {
            let running = scope.spawn(|| run(&executor, plan));
            assize_tests::hostile::eventually(Duration::from_secs(5), "the run has begun", || {
                !inhabitants().is_empty()
            });
            let mut checked = 0;
            let mut dirs = assize_tests::hostile::cgroup_dirs(server);
            while let Some(dir) = dirs.pop() {
                for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                    if entry.path().is_dir() {
                        dirs.push(entry.path());
                    }
                }
                let number = |file: &str| {
                    let text = std::fs::read_to_string(dir.join(file)).ok()?;
                    text.trim().parse::<u64>().ok()
                };
                let ours = |file| number(file).filter(|m| *m < 64 * MIB);
                if let (Some(memory), Some(both)) = (
                    ours("memory.limit_in_bytes"),
                    number("memory.memsw.limit_in_bytes"),
                ) {
                    // The limit of both together is the limit of memory.
                    assert_eq!(both, memory, "{}", dir.display());
                    checked += 1;
                }
                if let (Some(_), Some(swap)) = (ours("memory.max"), number("memory.swap.max")) {
                    assert_eq!(swap, 0, "{}", dir.display());
                    checked += 1;
                }
            }
            assert_eq!(running.join().expect("no panic").end, End::Exited(0));
            checked
        });
        let swaps = std::fs::read_to_string("/proc/swaps").expect("/proc");
        if checked == 0 && swaps.lines().count() <= 1 {
            println!("no swap and no account of it on this host: the check is left out");
        } else {
            assert!(checked > 0, "no limit on swap while a run lasts");
        }
    });
}

#[test]
fn a_cpu_limit_is_reached_when_it_is_decided() {
    for cpu_ms in [50, 100, 250, 600] {
        let limit = |args: &[&str]| {
            let plan = limited(hostile("processes", args), |l| {
                l.cpu_ms = cpu_ms;
                l.wall_ms = 20_000;
            });
            run(shared(), plan)
        };
        let over = limit(&["spin"]);
        assert_eq!(over.end, End::Limit(Limit::Cpu), "{}", show(&over));
        let used = over.usage.cpu;
        assert!(used >= Duration::from_millis(cpu_ms), "{}", show(&over));
        // Two children, each with a third: within, and left in peace.
        let within = limit(&["hidden", &(cpu_ms / 3).to_string()]);
        assert_eq!(within.end, End::Exited(0), "{cpu_ms}: {}", show(&within));
    }
}

#[test]
fn every_signal_a_program_can_die_of_is_told() {
    let cases = [
        ("bus", "0", End::Signaled(7)),
        ("trap", "0", End::Signaled(5)),
        ("raise", "1", End::Signaled(1)),
        ("raise", "2", End::Signaled(2)),
        ("raise", "3", End::Signaled(3)),
        ("raise", "13", End::Signaled(13)),
        ("raise", "14", End::Signaled(14)),
        ("raise", "25", End::Signaled(25)),
        ("exit", "0", End::Exited(0)),
        ("exit", "1", End::Exited(1)),
        ("exit", "124", End::Exited(124)),
        ("exit", "126", End::Exited(126)),
        ("exit", "127", End::Exited(127)),
        ("exit", "152", End::Exited(152)),
        ("exit", "255", End::Exited(255)),
    ];
    for (what, n, end) in cases {
        let outcome = run(shared(), hostile("processes", &[what, n]));
        assert_eq!(outcome.end, end, "{what} {n}: {}", show(&outcome));
    }
}

#[test]
fn the_most_processes_at_once_are_counted() {
    alone!({
        let executor = executor(1, &[]);
        let outcome = run(&executor, hostile("processes", &["zombies", "20"]));
        assert_eq!(out(&outcome), "20 all\n", "{}", show(&outcome));
        match outcome.usage.processes_peak {
            Some(peak) => assert_eq!(peak, 21, "{}", show(&outcome)),
            None => println!("this kernel keeps no pids.peak: the count is left out"),
        }
    });
}

#[test]
fn a_program_stopped_under_ptrace_meets_the_wall_limit() {
    alone!({
        let traced = || limited(hostile("processes", &["traced"]), |l| l.wall_ms = 300);
        let held = run(&executor(2, &[]), traced());
        assert_eq!(held.end, End::Limit(Limit::Wall), "{}", show(&held));
        assert_eq!(out(&held), "refused\n");
        // Even where tracing is possible.
        let open = executor(2, &[assize_executor::Layer::Seccomp]);
        let outcome = run(&open, traced());
        assert_eq!(outcome.end, End::Limit(Limit::Wall), "{}", show(&outcome));
        assert_eq!(out(&outcome), "traced\n");
        assert_eq!(inhabitants(), Vec::<String>::new());
    });
}

#[test]
fn work_that_outlives_its_parent_ends_with_the_run() {
    alone!({
        let leave = || hostile("burn", &["leave", "4", "3000"]);
        let executor_all = executor(2, &[]);
        let outcome = run(&executor_all, leave());
        assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
        assert_eq!(inhabitants(), Vec::<String>::new());
        drop(executor_all);
        let open = executor(2, &[assize_executor::Layer::Sweep]);
        let outcome = run(&open, leave());
        assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
        assert_eq!(inhabitants().len(), 4);
    });
}
