//! What one run leaves for the next, and what runs at the same time share.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{consistent, prints, program, verdict};
use crate::{engine, judge};

/// ScaleBox@4bcfefd: six tests in one worker, in which `builtins.N` counts up.
/// NeMo-Skills@0b012df8: sessions of one interpreter.
#[test]
fn no_test_finds_anything_of_the_one_before() {
    let marks = "import builtins, os\n\
        seen = [getattr(builtins, 'N', 0)]\n\
        builtins.N = 1\n\
        for path in ('/tmp/x', '/work/x', '/dev/shm/x'):\n\
        \x20   seen.append(os.path.exists(path))\n\
        \x20   try: open(path, 'w').close()\n\
        \x20   except OSError: pass\n\
        seen = sum(seen)\n";
    let mut request = prints(
        &format!("{marks}print(seen, int(os.path.exists('/tmp/x')))"),
        "0 1\n",
    );
    let test = request["tests"][0].clone();
    request["tests"] = json!(vec![test; 4]);
    assert_eq!(verdict(&request), "accepted");
    let call = json!({"call": {"function": "f"}, "returns": 0});
    for language in ["python", "javascript"] {
        let code = match language {
            "python" => format!("{marks}def f(): return seen"),
            _ => "const fs = require('fs'); let seen = (globalThis.N ?? 0) + fs.existsSync('/tmp/x');\n\
                  globalThis.N = 1; fs.writeFileSync('/tmp/x', ''); function f() { return seen; }"
                .to_owned(),
        };
        let request = json!({"language": language, "code": code, "tests": [call, call, call]});
        assert_eq!(verdict(&request), "accepted", "{language}");
    }
}

/// Arguments of every process of this host.
fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let read = |p: std::fs::DirEntry| std::fs::read(p.path().join("cmdline")).ok();
    processes
        .filter_map(read)
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

/// rllm@9beb6e0f: `process.join(timeout)` ends the child and none of its
/// descendants. SandboxFusion@469de08: what calls `setsid` survives the request
/// and the timeout.
#[test]
fn no_descendant_survives_a_verdict_or_speaks_for_the_next_run() {
    let mark = format!("86400.{}", std::process::id());
    let spawn = format!(
        "for i in 1 2 3; do setsid sleep {mark} & done; (setsid sh -c 'sleep {mark}; echo 42' &) ;"
    );
    let late = "setsid sh -c 'while :; do echo 42 >> /tmp/said; done' &";
    for (end, honest) in [
        ("while :; do :; done", "time_limit_exceeded"),
        ("echo 41", "wrong_answer"),
        ("exit 3", "run_time_error"),
        ("kill -9 $$", "run_time_error"),
        ("echo 42", "accepted"),
    ] {
        let mut request = program("bash", &format!("{spawn} {late} {end}"), "", "42\n");
        if honest == "time_limit_exceeded" {
            request["limits"] = json!({"cpu_ms": 500});
        }
        assert_eq!(verdict(&request), honest, "{end}");
        let left: Vec<String> = command_lines()
            .into_iter()
            .filter(|l| l.contains(&mark))
            .collect();
        assert!(left.is_empty(), "{end}: {left:?}");
        let others = "cat /tmp/said 2>/dev/null; set -- /proc/[0-9]*; for p; do tr '\\0' ' ' < $p/cmdline; done | grep -c 86400";
        assert_eq!(
            verdict(&program("bash", &format!("{others}; true"), "", "0\n")),
            "accepted"
        );
    }
}

/// Cases at once, each on a task of its own.
fn together(requests: &[Value]) -> Vec<&'static str> {
    let (runtime, engine) = engine();
    let cases = requests.iter().map(|request| {
        let request = serde_json::from_value(request.clone()).unwrap();
        assize_api::admit_judgement(engine, &request).expect("a sound request")
    });
    let tasks: Vec<_> = cases
        .map(|case| {
            let engine = Arc::clone(engine);
            runtime.spawn(async move { engine.judge(&case).await.expect("no fault") })
        })
        .collect();
    let judged = tasks
        .into_iter()
        .map(|task| runtime.block_on(task).unwrap());
    judged.map(|j| consistent(&j)).collect()
}

/// SandboxFusion PR 45 and issue 42: the first that runs out of memory takes
/// the others with it. Piston issue 535: all three ends are SIGKILL.
#[test]
fn neighbours_of_a_failing_case_keep_their_own_verdicts() {
    let mut kinds = [
        (
            "x = []\nwhile True: x.append(bytearray(1 << 20))",
            "memory_limit_exceeded",
        ),
        ("while True: print('x' * 10000)", "output_limit_exceeded"),
        ("while True: pass", "time_limit_exceeded"),
        (
            "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
            "time_limit_exceeded",
        ),
        ("import os; os.kill(os.getpid(), 9)", "run_time_error"),
        ("import time; time.sleep(0.3); print(42)", "accepted"),
    ]
    .map(|(code, honest)| {
        let mut request = prints(code, "42\n");
        request["limits"] = json!({"cpu_ms": 1000, "wall_ms": 60_000, "memory_bytes": 96 << 20});
        (request, honest)
    })
    .to_vec();
    // To fill that much memory may take longer than a second of a busy host.
    kinds[0].0["limits"]["cpu_ms"] = json!(30_000);
    // What it is about is time, and its children have memory of their own.
    kinds[3].0["limits"]["memory_bytes"] = json!(1u64 << 30);
    kinds.extend(kinds.clone());
    let (requests, honest): (Vec<Value>, Vec<&str>) = kinds.into_iter().unzip();
    assert_eq!(together(&requests), honest);
}

/// SandboxFusion@469de08: right programs of 0.4 s CPU time under a limit of 2 s
/// are all `TimeLimitExceeded` from sixteen requests on, for nothing queues and
/// the limit is wall time (verl issue 3478 and others report the same).
/// EffiBench@d29e43b and Mercury@a1e9720 measure wall time in shared pools.
#[test]
fn right_programs_are_right_however_many_run_at_once() {
    let code = "import time\nwhile time.process_time() < 0.4: pass\nprint(42)";
    let mut request = prints(code, "42\n");
    request["limits"]["cpu_ms"] = json!(2000);
    assert_eq!(together(&vec![request; 16]), ["accepted"; 16]);
}

/// The other half: what is measured is the CPU time of the program and of all
/// its children, not what the clock on the wall says.
#[test]
fn a_waiting_program_uses_no_cpu_time_and_a_childs_is_counted() {
    let mut request = prints("import time; time.sleep(1.5); print(42)", "42\n");
    request["limits"]["cpu_ms"] = json!(1000);
    let judged = judge(&request);
    assert_eq!(consistent(&judged), "accepted");
    assert!(judged.usage.cpu < judged.usage.wall, "{:?}", judged.usage);
    let child = "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n        while True: pass\nos.wait(); print(42)";
    let mut request = prints(child, "42\n");
    request["limits"]["cpu_ms"] = json!(500);
    assert_eq!(verdict(&request), "time_limit_exceeded");
}

/// SandboxFusion issue 50 and verl issue 4074: writing the input of a program
/// that reads none of it is a `SandboxError`.
#[test]
fn input_that_nobody_reads_breaks_nothing() {
    let long = "7\n".repeat(2 << 20);
    for code in [
        "print(42)",
        "import os; os.close(0); print(42)",
        "import sys; sys.stdin.readline(); print(42)",
    ] {
        assert_eq!(
            verdict(&program("python", code, &long, "42\n")),
            "accepted",
            "{code}"
        );
    }
}
