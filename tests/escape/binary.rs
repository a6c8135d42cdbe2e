//! The jail's own binary and the server's own descriptors: nothing of the
//! machinery around a cell can be had inside it.

use std::process::{Command, Stdio};

use assize_executor::{End, Executor, FileSource, Layer, Outcome, Pack, Plan};
use assize_tests::hostile::{hostile, show};
use assize_tests::{alone, binaries, executor, out, plan, python, run, shell};

/// A script whose interpreter is whatever binary is being replaced: at that
/// moment the init's fork, so the jail (the way of CVE-2019-5736).
fn interpreted_by_the_jail(executor: &Executor) -> Outcome {
    let file = FileSource {
        path: "script".into(),
        data: b"#!/proc/self/exe\n".to_vec(),
        executable: true,
    };
    let mut plan = plan(&["/work/script"]);
    plan.files = Some(Pack::new(&[file]).expect("a plain name"));
    run(executor, plan)
}

#[test]
fn the_jails_own_binary_is_no_interpreter() {
    alone!({
        let before = std::fs::read(binaries().join("assize-jail")).expect("the jail");
        // 126: found, but not to be executed.
        let outcome = interpreted_by_the_jail(&executor(2, &[]));
        assert_eq!(outcome.end, End::Exited(126), "{}", show(&outcome));
        // Without Landlock the kernel executes it.
        let outcome = interpreted_by_the_jail(&executor(2, &[Layer::Landlock]));
        assert_ne!(outcome.end, End::Exited(126), "{}", show(&outcome));
        let after = std::fs::read(binaries().join("assize-jail")).expect("the jail");
        assert!(before == after, "the jail's binary was changed");
    });
}

#[test]
fn a_program_cannot_write_the_file_it_runs_from() {
    alone!({
        let executor = executor(2, &[]);
        let write = "import os\nfor f in ('/proc/self/exe', '/usr/bin/python3', '/proc/self/map_files'):\n\
                     \x20 try: os.open(f, os.O_WRONLY); print('open')\n\
                     \x20 except OSError as e: print(e.errno)";
        let said = out(&run(&executor, python(write)));
        // The files are root's and root is nobody here; the mounts are
        // read-only; Landlock grants no writing; what runs is busy.
        assert_eq!(said.lines().count(), 3, "{said}");
        assert!(!said.contains("open"), "{said}");
    });
}

#[test]
fn a_descriptor_that_the_server_leaks_stops_at_the_jail() {
    alone!({
        // Shell redirection makes it inheritable: this test once more, as the
        // child of a shell that has descriptor 57 open.
        const INSIDE: &str = "ASSIZE_TEST_LEAKED";
        if std::env::var_os(INSIDE).is_none() {
            let exe = std::env::current_exe().expect("a path");
            let output = Command::new("/bin/sh")
                .arg("-c")
                .arg("exec 7</etc/passwd; exec \"$0\" --exact \"$1\" --nocapture")
                .arg(exe)
                .arg("binary::a_descriptor_that_the_server_leaks_stops_at_the_jail")
                .env(INSIDE, "1")
                .stdin(Stdio::null())
                .output()
                .expect("a shell");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("leak judged"), "{said}");
            assert!(output.status.success(), "{said}");
            return;
        }
        // The control: any other child of this process has it.
        let list = "import os\nfor f in range(3, 64):\n\
                    \x20 try: os.fstat(f); print(f)\n\
                    \x20 except OSError: pass";
        let bare = Command::new("/usr/bin/python3")
            .args(["-c", list])
            .output()
            .expect("python3");
        let bare = String::from_utf8_lossy(&bare.stdout).into_owned();
        assert!(
            bare.lines().any(|l| l == "7"),
            "it is not inherited: {bare:?}"
        );
        let outcome = run(&executor(2, &[]), python(list));
        assert_eq!(out(&outcome), "", "{}", show(&outcome));
        println!("leak judged");
    });
}

#[test]
fn a_working_directory_is_not_inherited() {
    alone!({
        // The control: another child of this process has this one's.
        let bare = Command::new("/bin/pwd").arg("-P").output().expect("pwd");
        let here = std::env::current_dir().expect("a working directory");
        assert_eq!(
            String::from_utf8_lossy(&bare.stdout).trim_end(),
            here.to_string_lossy()
        );
        let outcome = run(&executor(2, &[]), shell("readlink /proc/self/cwd; pwd -P"));
        assert_eq!(out(&outcome), "/work\n/work\n");
    });
}

#[test]
fn a_file_of_the_host_that_everybody_may_read_is_absent() {
    alone!({
        let name = format!("assize-test-{}", std::process::id());
        let secret = std::env::temp_dir().join(name);
        std::fs::write(&secret, "secret").expect("a temporary file");
        let path = secret.display().to_string();
        // The control: any process that is in no cell reads it.
        let bare = Command::new("/bin/cat").arg(&secret).output().expect("cat");
        assert_eq!(bare.stdout, b"secret");
        let ways = format!(
            "cat {path} /proc/1/root{path} /proc/self/root{path} ../../..{path} /box{path} 2>/dev/null; \
             find / -xdev -name 'assize-test-*' 2>/dev/null; echo end"
        );
        let outcome = run(&executor(2, &[]), shell(&ways));
        let _ = std::fs::remove_file(&secret);
        assert_eq!(out(&outcome), "end\n", "{}", show(&outcome));
    });
}

#[test]
fn crashes_leave_no_dump() {
    alone!({
        let dump = || hostile("processes", &["dump"]);
        assert_eq!(out(&run(&executor(2, &[]), dump())), "nothing\n");
        // With a handler behind a pipe the control would wake it on the host.
        let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern");
        if pattern.is_ok_and(|p| !p.starts_with('|') && !p.starts_with('/')) {
            let open = executor(2, &[Layer::Rlimits, Layer::Seccomp, Layer::Landlock]);
            let said = out(&run(&open, dump()));
            let hard = std::fs::read_to_string("/proc/self/limits").expect("/proc");
            let hard = hard.lines().find(|l| l.starts_with("Max core"));
            if hard.is_some_and(|l| l.split_whitespace().nth(5) != Some("0")) {
                assert_eq!(said, "dumped\n");
            } else {
                println!("this process may dump nothing itself: the control is left out");
            }
        } else {
            println!("a handler or another directory takes dumps here: the control is left out");
        }
    });
}

#[test]
fn timers_are_limited() {
    alone!({
        let timers = |n: &str| -> Plan { hostile("processes", &["timers", n]) };
        let held = out(&run(&executor(2, &[]), timers("2000")));
        assert!(held.ends_with("EAGAIN\n"), "{held}");
        let open = executor(2, &[Layer::Rlimits]);
        assert_eq!(out(&run(&open, timers("2000"))), "2000 all\n");
    });
}

#[test]
fn arguments_have_a_size_that_the_kernel_limits() {
    alone!({
        let executor = executor(2, &[]);
        let long = run(&executor, hostile("processes", &["argv", "8000"]));
        assert_eq!(out(&long), "E2BIG\n", "{}", show(&long));
        // Six megabytes are the kernel's own most, whatever the stack limit.
        let short = run(&executor, hostile("processes", &["argv", "240"]));
        assert_eq!(short.end, End::Exited(8), "{}", show(&short));
    });
}
