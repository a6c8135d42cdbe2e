//! Time: all CPU counts, whoever burns it, and nothing outlasts its limit.

use std::time::Duration;

use assize_executor::{End, Limit, Outcome};
use assize_tests::hostile::{hostile, shared, show, survivors};
use assize_tests::{alone, executor, limited, run};

/// Runs under 300 ms of CPU time and 20 s of wall time.
fn burn(args: &[&str]) -> Outcome {
    let plan = limited(hostile("processes", args), |l| {
        l.cpu_ms = 300;
        l.wall_ms = 20_000;
    });
    run(shared(), plan)
}

#[track_caller]
fn reached_the_cpu_limit(outcome: &Outcome) {
    assert_eq!(outcome.end, End::Limit(Limit::Cpu), "{}", show(outcome));
    let cpu = outcome.usage.cpu;
    let fair = Duration::from_millis(300)..Duration::from_millis(900);
    assert!(fair.contains(&cpu), "{}", show(outcome));
}

#[test]
fn an_endless_loop_meets_the_cpu_limit() {
    reached_the_cpu_limit(&burn(&["spin"]));
}

#[test]
fn ignoring_every_signal_does_not_help() {
    reached_the_cpu_limit(&burn(&["stubborn"]));
}

#[test]
fn threads_share_one_cpu_limit() {
    reached_the_cpu_limit(&burn(&["spin-threads", "4"]));
}

#[test]
fn children_share_one_cpu_limit() {
    reached_the_cpu_limit(&burn(&["spin-children", "4"]));
}

#[test]
fn orphans_share_one_cpu_limit() {
    reached_the_cpu_limit(&burn(&["spin-orphans", "4"]));
}

#[test]
fn children_that_come_and_go_are_counted() {
    reached_the_cpu_limit(&burn(&["churn"]));
}

#[test]
fn chains_of_orphans_do_not_keep_the_init_from_obeying() {
    reached_the_cpu_limit(&burn(&["chains", "30"]));
}

#[test]
fn a_parent_that_ends_well_cannot_hide_what_its_children_used() {
    let outcome = burn(&["hidden", "250"]);
    assert_eq!(outcome.end, End::Limit(Limit::Cpu), "{}", show(&outcome));
}

#[test]
fn the_same_work_within_the_limit_is_no_limit() {
    let outcome = burn(&["hidden", "20"]);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
}

#[test]
fn sleeping_meets_the_wall_limit() {
    alone!({
        let executor = executor(2, &[]);
        for how in ["sleep", "close", "vfork"] {
            let sleeper = limited(hostile("processes", &[how]), |l| l.wall_ms = 250);
            let outcome = run(&executor, sleeper);
            assert_eq!(outcome.end, End::Limit(Limit::Wall), "{}", show(&outcome));
            let wall = outcome.usage.wall;
            let fair = Duration::from_millis(250)..Duration::from_millis(1500);
            assert!(fair.contains(&wall), "{how}: {}", show(&outcome));
            assert_eq!(survivors(), [], "{how}");
        }
    });
}
