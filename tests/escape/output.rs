//! Output: bounded, whole up to its bound, and never a way to hold us up.

use std::time::Duration;

use assize_executor::{End, Limit, Outcome};
use assize_tests::hostile::{hostile, shared, show};
use assize_tests::{limited, out, run, shell};

fn quick(args: &[&str]) -> Outcome {
    let plan = limited(hostile("output", args), |l| {
        l.cpu_ms = 500;
        l.wall_ms = 2000;
        l.stdout_bytes = 100_000;
        l.stderr_bytes = 5000;
    });
    run(shared(), plan)
}

#[test]
fn endless_stdout_is_ended_and_exactly_the_limit_is_kept() {
    let outcome = quick(&["flood", "1"]);
    let end = End::Limit(Limit::Output);
    assert_eq!(outcome.end, end, "{}", show(&outcome));
    assert_eq!(outcome.stdout.data.len(), 100_000);
    assert!(outcome.stdout.data.iter().all(|b| *b == b'x'));
    assert!(outcome.stdout.truncated());
}

#[test]
fn output_of_exactly_the_limit_is_whole() {
    let outcome = quick(&["exact", "100000"]);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    assert_eq!(outcome.stdout.total, 100_000);
    let outcome = quick(&["exact", "100001"]);
    let end = End::Limit(Limit::Output);
    assert_eq!(outcome.end, end, "{}", show(&outcome));
    assert_eq!(outcome.stdout.data.len(), 100_000);
}

#[test]
fn endless_stderr_is_truncated_and_only_time_ends_it() {
    let outcome = quick(&["flood", "2"]);
    assert!(
        matches!(outcome.end, End::Limit(Limit::Cpu | Limit::Wall)),
        "{}",
        show(&outcome)
    );
    assert_eq!(outcome.stderr.data.len(), 5000);
    assert!(outcome.stderr.truncated());
}

#[test]
fn writing_faster_than_we_read_does_not_stop_the_clock() {
    // Half a second of CPU time and 100 kB are granted. A reader that empties
    // a pipe before it looks at anything else never comes back to look.
    for _ in 0..6 {
        let stderr = quick(&["firehose", "2"]);
        let end = End::Limit(Limit::Cpu);
        assert_eq!(stderr.end, end, "{}", show(&stderr));
        let late = Duration::from_millis(800);
        assert!(stderr.usage.cpu < late, "{}", show(&stderr));
        let stdout = quick(&["firehose", "1"]);
        let end = End::Limit(Limit::Output);
        assert_eq!(stdout.end, end, "{}", show(&stdout));
        assert!(stdout.stdout.total < 64 << 20, "{}", show(&stdout));
    }
}

#[test]
fn what_a_program_wrote_before_it_ended_is_not_lost() {
    for _ in 0..5 {
        let plan = limited(hostile("output", &["burst", "1"]), |l| {
            l.stdout_bytes = 4 << 20;
        });
        let outcome = run(shared(), plan);
        assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
        // What the pipe took, it also gave; how large it may grow is the
        // kernel's decision.
        assert!(outcome.stdout.total >= 65_536, "{}", show(&outcome));
        assert_eq!(outcome.stdout.total, outcome.stdout.data.len() as u64);
    }
}

#[test]
fn closed_streams_are_just_silent() {
    let outcome = quick(&["closed"]);
    assert_eq!(outcome.end, End::Exited(5), "{}", show(&outcome));
    assert_eq!((outcome.stdout.total, outcome.stderr.total), (0, 0));
}

#[test]
fn every_byte_arrives_as_it_was() {
    let outcome = quick(&["bytes"]);
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(outcome.stdout.data, all, "{}", show(&outcome));
}

#[test]
fn a_program_that_takes_its_output_back_harms_only_itself() {
    let outcome = quick(&["steal"]);
    assert!(
        matches!(outcome.end, End::Exited(0 | 4)),
        "{}",
        show(&outcome)
    );
    let said = out(&outcome);
    assert!(said.is_empty() || said == "said\n", "{said:?}");
}

#[test]
fn streams_can_be_opened_by_their_names_and_not_read() {
    let script = "echo one > /dev/stdout; echo two > /dev/stderr; \
                  cat < /proc/self/fd/1 2>/dev/null || echo unread";
    let outcome = run(shared(), shell(script));
    assert_eq!(out(&outcome), "one\nunread\n", "{}", show(&outcome));
    assert!(
        outcome.stderr.data.starts_with(b"two\n"),
        "{}",
        show(&outcome)
    );
}
