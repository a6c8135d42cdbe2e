//! Controls of the limits: the limit is the layer, so the control is the same
//! bounded attack with that limit lifted. It must succeed.

use std::time::Duration;

use assize_executor::{Collect, End, Limit, Outcome};
use assize_tests::hostile::{hostile, shared, show};
use assize_tests::{limited, out, python, run, shell};

const MIB: u64 = 1 << 20;

/// With room for everything that the attacks on 32 MiB want.
fn roomy(args: &[&str]) -> Outcome {
    let plan = limited(hostile("memory", args), |l| {
        l.memory_bytes = 256 * MIB;
        l.disk_bytes = 256 * MIB;
        l.cpu_ms = 10_000;
        l.wall_ms = 30_000;
    });
    run(shared(), plan)
}

#[test]
fn memory_of_every_kind_is_had_when_the_limit_is_lifted() {
    let attacks: [&[&str]; 9] = [
        &["anon", "64"],
        &["file", "64", "/work/f"],
        &["file", "64", "/tmp/f"],
        &["file", "64", "/dev/shm/f"],
        &["memfd", "64"],
        &["sysv", "64"],
        &["stack", "64"],
        &["child", "64"],
        &["tables", "64"],
    ];
    for attack in attacks {
        let outcome = roomy(attack);
        assert_eq!(
            outcome.end,
            End::Exited(0),
            "{attack:?}: {}",
            show(&outcome)
        );
        let said = out(&outcome);
        assert!(
            ["got it\n", "child 0\n"].contains(&said.as_str()),
            "{}",
            show(&outcome)
        );
        let peak = outcome.usage.memory_peak;
        assert!(peak >= 60 * MIB, "{attack:?}: {}", show(&outcome));
    }
}

#[test]
fn unread_bytes_in_sockets_and_pipes_are_had_when_the_limit_is_lifted() {
    for attack in [["sockets", "64", "unix"], ["pipes", "64", ""]] {
        let outcome = roomy(&attack);
        let said = out(&outcome);
        let queued = said.trim().strip_prefix("queued ").map(str::parse::<u64>);
        let queued = queued.and_then(Result::ok);
        assert!(queued.is_some_and(|q| q > 40 * MIB), "{}", show(&outcome));
    }
}

#[test]
fn two_hundred_processes_are_had_when_the_limit_is_lifted() {
    for attack in ["zombies", "threads"] {
        let plan = limited(hostile("processes", &[attack, "200"]), |l| {
            l.processes = 400
        });
        let outcome = run(shared(), plan);
        assert_eq!(out(&outcome), "200 all\n", "{}", show(&outcome));
        assert!(outcome.violations.is_empty(), "{}", show(&outcome));
    }
}

#[test]
fn cpu_time_spread_over_processes_is_had_when_the_limit_is_lifted() {
    for how in ["threads", "children", "orphans", "churn"] {
        let burn = |cpu_ms| {
            let plan = limited(hostile("burn", &[how, "4", "150"]), |l| {
                l.cpu_ms = cpu_ms;
                l.wall_ms = 20_000;
            });
            run(shared(), plan)
        };
        // No single one of the four reaches 300 ms; together they do.
        let held = burn(300);
        assert_eq!(held.end, End::Limit(Limit::Cpu), "{how}: {}", show(&held));
        let lifted = burn(5000);
        assert_eq!(lifted.end, End::Exited(0), "{how}: {}", show(&lifted));
        assert_eq!(out(&lifted), "done\n");
        let used = lifted.usage.cpu;
        assert!(used >= Duration::from_millis(595), "{}", show(&lifted));
    }
}

#[test]
fn a_nap_is_had_when_the_wall_limit_is_lifted() {
    let nap = |wall_ms| {
        let plan = limited(hostile("processes", &["nap", "400"]), |l| {
            l.wall_ms = wall_ms
        });
        run(shared(), plan)
    };
    let held = nap(150);
    assert_eq!(held.end, End::Limit(Limit::Wall), "{}", show(&held));
    assert_eq!(out(&held), "");
    let lifted = nap(10_000);
    assert_eq!(lifted.end, End::Exited(0), "{}", show(&lifted));
    assert_eq!(out(&lifted), "rested\n");
}

#[test]
fn asking_signals_are_really_not_heard() {
    // Why only SIGKILL will do: the attack on every other signal works.
    let outcome = run(shared(), hostile("processes", &["deaf"]));
    assert_eq!(out(&outcome), "asked alive\ntold 9\n", "{}", show(&outcome));
}

#[test]
fn output_over_the_limit_is_whole_when_the_limit_is_lifted() {
    let plan = limited(hostile("output", &["exact", "100001"]), |l| {
        l.stdout_bytes = 1 << 20;
    });
    let outcome = run(shared(), plan);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    assert_eq!(outcome.stdout.data.len(), 100_001);
}

#[test]
fn files_and_disk_are_had_when_their_limits_are_lifted() {
    let fill = "for n in range(1000): open(f'/tmp/{n}', 'w').close()\nprint('all')";
    let plan = limited(python(fill), |l| l.files = 4000);
    assert_eq!(out(&run(shared(), plan)), "all\n");
    let outcome = roomy(&["file", "32", "/tmp/f"]);
    assert_eq!(out(&outcome), "got it\n", "{}", show(&outcome));
    // All of it in memory: nothing of a run ever lies on the host's disk.
    let outcome = run(shared(), shell("stat -f -c %T /work /tmp /dev/shm"));
    assert_eq!(out(&outcome), "tmpfs\ntmpfs\ntmpfs\n", "{}", show(&outcome));
}

#[test]
fn a_sparse_file_is_handed_back_when_its_limit_is_lifted() {
    let mut plan = shell("truncate -s 1025 g");
    plan.collect = vec![Collect {
        path: "g".into(),
        max_bytes: 4096,
    }];
    let outcome = run(shared(), plan);
    let got = outcome.files["g"].as_ref().map(Vec::len);
    assert_eq!(got, Ok(1025), "{}", show(&outcome));
}
