//! Measures native runs from plan to outcome beside bare processes:
//! `cargo run --release -p assize-executor --example native -- [BLOCKS] [NAME]`.
//! Needs release builds of the keeper and the jail beside it.
//!
//! Ours and the bare process take turns in short blocks of one run, so that
//! what else the machine does falls on both alike. Without HTTP and without
//! judging: the part of a run that the executor and its cells cost.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use assize_executor::{
    Config, End, Executor, FileSource, Pack, Plan, Target, WORKER_RUNS, Warm, Warmth,
};
use assize_policies::Profile;

const BLOCK: usize = 16;

const STATIC: &str = "int main(void) { return 0; }\n";

/// Name, command in a cell, its file's name and contents, and the bare command.
type Case<'a> = (&'a str, Vec<&'a str>, &'a str, Vec<u8>, Vec<&'a str>);

fn main() {
    let mut args = std::env::args().skip(1);
    let blocks = args.next().and_then(|n| n.parse().ok()).unwrap_or(40);
    let only = args.next().unwrap_or_default();
    let nothing = compile();
    let executable = std::fs::read(&nothing).expect("a program");
    let python = ["/usr/bin/python3", "-s", "-B", "main.py"];
    let cases: [Case<'_>; 3] = [
        (
            "static",
            vec!["/work/main"],
            "main",
            executable,
            vec![nothing.to_str().expect("utf-8")],
        ),
        (
            "python",
            python.to_vec(),
            "main.py",
            b"print(1)\n".to_vec(),
            vec!["/usr/bin/python3", "-I", "-c", "print(1)"],
        ),
        (
            "bash",
            vec!["/usr/bin/bash", "main.sh"],
            "main.sh",
            b"exit 0\n".to_vec(),
            vec!["/usr/bin/bash", "-c", "exit 0"],
        ),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let executor = Executor::start(&config()).expect("an executor");
    let policy = Profile::shipped()
        .expect("profiles")
        .into_iter()
        .find(|p| p.name == "default")
        .map(Arc::new)
        .expect("the default profile");
    println!(
        "{:10} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "µs a run", "p10", "p50", "bare p10", "bare p50", "× p10"
    );
    for (name, argv, file, data, bare) in cases {
        if !name.contains(&only) {
            continue;
        }
        let files = [FileSource {
            path: file.to_owned(),
            data,
            executable: name == "static",
        }];
        let pack = Pack::new(&files).expect("a pack");
        let plan = || Plan {
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            env: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("PYTHONHASHSEED".into(), "0".into()),
            ],
            files: Some(pack.clone()),
            stdin: None,
            channel: None,
            report_bytes: 0,
            collect: Vec::new(),
            limits: policy.limits,
            policy: Arc::clone(&policy),
            target: Target::Native,
            warm: (name == "python").then(|| Warm {
                before: "".into(),
                program: Some("main.py".to_owned()),
            }),
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for block in 0..blocks + 2 {
            let one = || {
                let start = Instant::now();
                let outcome = runtime.block_on(executor.run(plan())).expect("a run");

                let said = String::from_utf8_lossy(&outcome.stderr.data);
                assert_eq!(outcome.end, End::Exited(0), "{said}");
                start.elapsed()
            };
            let a: Vec<_> = (0..BLOCK).map(|_| one()).collect();
            let b: Vec<_> = (0..BLOCK).map(|_| spawn(&bare)).collect();
            if block >= 2 {
                ours.extend(a);
                theirs.extend(b);
            }
        }
        let at = |times: &mut Vec<std::time::Duration>, part: usize| {
            times.sort_unstable();
            times[times.len() * part / 100].as_secs_f64() * 1e6
        };
        let (p10, bare10) = (at(&mut ours, 10), at(&mut theirs, 10));
        println!(
            "{name:10} {p10:9.0} {:9.0} {bare10:9.0} {:9.0} {:7.3}",
            at(&mut ours, 50),
            at(&mut theirs, 50),
            p10 / bare10
        );
    }
}

/// A program that does nothing, without a dynamic loader.
fn compile() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("assize-native-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let source = dir.join("main.c");
    std::fs::write(&source, STATIC).expect("a file");
    let out = dir.join("nothing");
    let mut cc = Command::new("cc");
    cc.args(["-static", "-O2", "-o"]).arg(&out).arg(&source);
    assert!(cc.status().is_ok_and(|s| s.success()), "cc -static works");
    out
}

fn spawn(argv: &[&str]) -> std::time::Duration {
    let start = Instant::now();
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).env_clear();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(command.status().is_ok_and(|s| s.success()));
    start.elapsed()
}

fn config() -> Config {
    let here = std::env::current_exe().expect("a path");
    let bin = here
        .parent()
        .and_then(Path::parent)
        .expect("target/release");
    Config {
        bin: bin.to_owned(),
        wasm: None,
        slots: 2,
        workers: 0,
        worker_runs: WORKER_RUNS,
        binds: Vec::new(),
        guest_files: Vec::new(),
        warmth: if std::env::var_os("COLD").is_some() {
            Warmth::Off
        } else {
            Warmth::Seen
        },
        without: Vec::new(),
        best_effort: false,
    }
}
