//! Handing files over, in both directions: a path that a program planted is
//! never followed.

use std::time::Duration;

use assize_executor::{
    Collect, CollectError, End, Executor, FileSource, Layer, Outcome, Pack, Plan,
};
use assize_tests::hostile::{hostile, on_one_slot, show};
use assize_tests::{alone, block_on, executor, limited, out, run, shell, with_files};

fn collecting(script: &str, paths: &[&str]) -> Plan {
    let collect = paths.iter().map(|path| Collect {
        path: (*path).to_owned(),
        max_bytes: 4096,
    });
    Plan {
        collect: collect.collect(),
        ..shell(script)
    }
}

// Not in /work itself, which is sticky: hosts with fs.protected_symlinks follow
// nobody else's link there.
const PLANT: &str = "echo secret > /tmp/secret; mkdir in; ln -s /tmp/secret in/link; \
                     ln -s /tmp in/dir; ln -s /proc/self/root in/magic";
const PLANTED: [&str; 4] = [
    "in/link",
    "in/dir/secret",
    "in/magic/tmp/secret",
    "../tmp/secret",
];

fn planted(executor: &Executor) -> Outcome {
    let outcome = run(executor, collecting(PLANT, &PLANTED));
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    outcome
}

#[test]
fn a_planted_path_leads_the_collector_nowhere() {
    alone!({
        let outcome = planted(&executor(2, &[]));
        for path in PLANTED {
            let got = &outcome.files[path];
            assert_eq!(got, &Err(CollectError::Irregular), "{path}");
        }
    });
}

#[test]
fn a_planted_path_leads_the_collector_nowhere_control() {
    alone!({
        let outcome = planted(&executor(2, &[Layer::Collect]));
        for path in PLANTED {
            let got = &outcome.files[path];
            assert_eq!(got, &Ok(b"secret\n".to_vec()), "{path}");
        }
        // Even a collector that follows stays in the cell's own world.
        let open = executor(2, &[Layer::Collect]);
        let script = "mkdir in; ln -s /etc/shadow in/a; ln -s /etc/passwd in/b";
        let outcome = run(&open, collecting(script, &["in/a", "in/b"]));
        assert_eq!(outcome.files["in/a"], Err(CollectError::Missing));
        let seen = outcome.files["in/b"].clone().expect("the cell's own");
        let hosts = std::fs::read("/etc/passwd").expect("the host's own");
        assert_ne!(seen, hosts, "the host's file was handed out");
    });
}

#[test]
fn a_pipe_does_not_hold_the_collector_control() {
    alone!({
        // The claim itself stands in files.rs: a FIFO is Irregular at once. A
        // collector that simply opens waits for a writer that never comes.
        let open = executor(2, &[Layer::Collect]);
        let plan = limited(collecting("mkfifo fifo", &["fifo"]), |l| l.wall_ms = 500);
        let held =
            block_on(async { tokio::time::timeout(Duration::from_secs(3), open.run(plan)).await });
        let ended = held.ok().map(|r| r.map(|o| show(&o)));
        assert!(ended.is_none(), "nothing held it: {ended:?}");
    });
}

/// What becomes of a run whose own file has the name of a link left behind.
fn writes_onto_bait(without: &[Layer]) -> (String, bool) {
    let executor = executor(2, without);
    let program = "slot=$(readlink /proc/self/ns/user); echo slot=$slot; \
                   [ -e /tmp/victim ] && echo followed; cat answer 2>/dev/null; exit 0";
    let (left, _) = on_one_slot(&executor, hostile("state", &["leave", "bait"]), || {
        shell(program)
    });
    assert!(out(&left).contains("left"), "{}", show(&left));
    // Both slots once more, now with a file of that name.
    let mut refused = false;
    let mut said = String::new();
    for _ in 0..4 {
        let plan = with_files(shell(program), &[("answer", b"mine\n")]);
        match block_on(executor.run(plan)) {
            Ok(outcome) => said.push_str(&out(&outcome)),
            Err(_) => refused = true,
        }
    }
    (said, refused)
}

#[test]
fn a_file_of_the_request_is_never_written_through_a_link() {
    alone!({
        let (said, refused) = writes_onto_bait(&[]);
        assert!(!refused && !said.contains("followed"), "{said}");
        assert_eq!(said.matches("mine").count(), 4, "{said}");
        // With the trees of the run before still there the link is met, and
        // still not followed: names are created, never opened.
        let (said, _) = writes_onto_bait(&[Layer::FreshTmp]);
        assert!(!said.contains("followed"), "{said}");
    });
}

#[test]
fn a_file_of_the_request_is_never_written_through_a_link_control() {
    alone!({
        assert!(!assize_tests::hostile::carried_over("bait", &[]));
        assert!(assize_tests::hostile::carried_over(
            "bait",
            &[Layer::FreshTmp]
        ));
    });
}

#[test]
fn names_of_files_that_lead_elsewhere_never_reach_a_cell() {
    let long = "x/".repeat(2048) + "x";
    for name in [
        "../../tmp/x",
        "/etc/passwd",
        "a/../b",
        "./a",
        "a//b",
        "",
        "a\0b",
        "..",
        ".",
        &long,
    ] {
        let file = FileSource {
            path: name.to_owned(),
            data: Vec::new(),
            executable: false,
        };
        assert!(Pack::new(&[file]).is_err(), "{name:?}");
    }
}
