//! Files: what may be written, what may be handed back, and what cleaning up
//! after a run costs.

use std::time::Duration;

use assize_executor::{Collect, CollectError, End, Executor, Layer, Outcome, Plan};
use assize_tests::hostile::{hostile, one_id, shared, show};
use assize_tests::{alone, executor, limited, out, python, run, shell};

/// Runs a script and asks for these files, up to 1 KiB each.
fn collected(script: &str, paths: &[&str]) -> Outcome {
    let collect = paths.iter().map(|path| Collect {
        path: (*path).to_owned(),
        max_bytes: 1024,
    });
    let plan = Plan {
        collect: collect.collect(),
        ..shell(script)
    };
    run(shared(), plan)
}

#[test]
fn a_plain_file_is_handed_back() {
    let outcome = collected("mkdir d; echo yes > d/f; chmod 000 d/f d", &["d/f"]);
    assert_eq!(
        outcome.files["d/f"],
        Ok(b"yes\n".to_vec()),
        "{}",
        show(&outcome)
    );
}

#[test]
fn links_pipes_and_directories_are_not_handed_back() {
    let script = "ln -s /etc/passwd link; ln -s /proc/1/environ link2; ln -s /etc dir; \
                  mkfifo fifo; mkdir real; ln -s real inside; echo x > real/f; \
                  ln -s /proc/self/root magic; ln -s loop loop";
    let irregular = [
        "link",
        "link2",
        "dir/passwd",
        "fifo",
        "real",
        "inside/f",
        "magic/etc/passwd",
        "loop",
    ];
    let outcome = collected(script, &irregular);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    for path in irregular {
        let got = &outcome.files[path];
        assert_eq!(got, &Err(CollectError::Irregular), "{path}");
    }
    assert!(
        outcome.usage.wall < Duration::from_secs(3),
        "a pipe held us"
    );
}

#[test]
fn names_that_lead_out_of_the_working_directory_are_not_handed_back() {
    let paths = [
        "../etc/passwd",
        "/etc/passwd",
        "a/../../etc/passwd",
        "",
        ".",
    ];
    let outcome = collected("mkdir a", &paths);
    for path in paths {
        assert!(outcome.files[path].is_err(), "{path:?}");
    }
}

#[test]
fn a_missing_file_is_missing() {
    let outcome = collected("echo x > f", &["gone", "f/below", "no/where"]);
    for path in ["gone", "f/below", "no/where"] {
        let got = &outcome.files[path];
        assert_eq!(got, &Err(CollectError::Missing), "{path}");
    }
}

#[test]
fn a_sparse_terabyte_is_too_large() {
    let outcome = collected("truncate -s 1T f; truncate -s 1025 g", &["f", "g"]);
    for path in ["f", "g"] {
        let got = &outcome.files[path];
        assert_eq!(got, &Err(CollectError::TooLarge), "{}", show(&outcome));
    }
}

#[test]
fn only_the_runs_own_trees_can_be_written() {
    // Its own file it could write, were the root not read-only.
    let passwd = if one_id() { "EROFS" } else { "EACCES" };
    for (probe, errno) in [
        ("wroot", "EROFS"),
        ("wusr", "EROFS"),
        ("wetc", "EROFS"),
        ("wdev", "EROFS"),
        ("wpasswd", passwd),
        ("rmwork", "EROFS"),
        ("null_times", "EROFS"),
    ] {
        let outcome = run(shared(), hostile("probe", &[probe]));
        let expected = format!("{probe}\tDENIED {errno}\n");
        assert_eq!(out(&outcome), expected, "{}", show(&outcome));
    }
}

#[test]
fn only_the_runs_own_trees_can_be_written_control() {
    alone!({
        // The init's uid owns the root, so only the mount can refuse it.
        let owner = [Layer::ProgramUid, Layer::Landlock];
        let probe = |executor: &Executor, name| out(&run(executor, hostile("probe", &[name])));
        let held = executor(2, &owner);
        assert_eq!(probe(&held, "wroot"), "wroot\tDENIED EROFS\n");
        assert_eq!(probe(&held, "wdev"), "wdev\tDENIED EROFS\n");
        drop(held);
        let open = executor(2, &[Layer::ProgramUid, Layer::Landlock, Layer::ReadOnly]);
        assert!(probe(&open, "wroot").contains("ALLOWED"));
        assert!(probe(&open, "wdev").contains("ALLOWED"));
    });
}

#[test]
fn landlock_withholds_what_permissions_would_show() {
    let outcome = run(shared(), hostile("probe", &["rootdir"]));
    assert_eq!(out(&outcome), "rootdir\tDENIED EACCES\n");
}

#[test]
fn landlock_withholds_what_permissions_would_show_control() {
    alone!({
        let executor = executor(2, &[Layer::Landlock]);
        let outcome = run(&executor, hostile("probe", &["rootdir"]));
        assert!(out(&outcome).contains("ALLOWED"), "{}", show(&outcome));
    });
}

#[test]
fn files_are_limited_in_number() {
    let fill = "import os\nn = 0\ntry:\n  while n < 10000:\n    open(f'/tmp/{n}', 'w').close(); n += 1\nexcept OSError as e:\n  print(n, e.errno)";
    let plan = limited(python(fill), |l| l.files = 500);
    let outcome = run(shared(), plan);
    // 28 is ENOSPC; main.py is one of the five hundred.
    assert_eq!(out(&outcome), "499 28\n", "{}", show(&outcome));
}

/// After `mess`, every slot's next runs are fast and find nothing.
fn cleans_up_after(mess: Plan) {
    let executor = executor(2, &[]);
    let outcome = run(&executor, mess);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    for _ in 0..6 {
        let next = run(
            &executor,
            shell("ls -A /work /tmp /dev/shm; echo x > /work/x"),
        );
        assert_eq!(next.end, End::Exited(0), "{}", show(&next));
        assert_eq!(next.attempts, 1, "a slot was lost");
        assert_eq!(out(&next), "/dev/shm:\n\n/tmp:\n\n/work:\n");
        assert!(next.usage.wall < Duration::from_secs(2), "{}", show(&next));
    }
}

#[test]
fn a_deep_tree_is_cleaned_up() {
    alone!({
        let deep =
            "import os\nfor d in range(3000):\n  os.mkdir('d'); os.chdir('d')\nprint('deep')";
        cleans_up_after(python(deep));
    });
}

#[test]
fn unreadable_files_are_cleaned_up() {
    alone!({
        let script = "mkdir -p a/b/c; echo x > a/b/c/f; chmod 000 a/b/c/f a/b/c a/b a; \
                      mkdir /tmp/t; chmod 000 /tmp/t; chmod 000 /work 2>/dev/null; exit 0";
        cleans_up_after(shell(script));
    });
}

#[test]
fn thousands_of_files_are_cleaned_up() {
    alone!({
        let many = "for n in range(4000): open(f'/tmp/{n}', 'w').close()";
        cleans_up_after(python(many));
    });
}

#[test]
fn a_program_that_cannot_be_executed_is_no_fault_of_ours() {
    let file = assize_executor::FileSource {
        path: "broken".into(),
        data: b"\x7fELF and nothing else".to_vec(),
        executable: true,
    };
    let mut plan = assize_tests::plan(&["/work/broken"]);
    plan.files = Some(assize_executor::Pack::new(&[file]).expect("a plain name"));
    let result = assize_tests::block_on(shared().run(plan));
    assert!(result.is_ok(), "{result:?}");
}
