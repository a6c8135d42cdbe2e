//! Programs that go on from an interpreter which was started before them: they
//! are what they would have been, and it is out of their reach.

use std::path::Path;

use assize_executor::{
    Config, End, Executor, FileSource, Outcome, Pack, Plan, Sealed, WORKER_RUNS, Warm, Warmth,
};
use assize_tests::hostile::one_id;
use assize_tests::{binaries, plan};

fn executor(warmth: Warmth) -> Executor {
    Executor::start(&Config {
        bin: binaries(),
        wasm: None,
        slots: 1,
        workers: 0,
        worker_runs: WORKER_RUNS,
        binds: Vec::new(),
        guest_files: Vec::new(),
        warmth,
        without: Vec::new(),
        best_effort: false,
    })
    .expect("an executor")
}

fn program(source: &[u8], before: &str) -> Plan {
    let file = FileSource {
        path: "main.py".to_owned(),
        data: source.to_vec(),
        executable: false,
    };
    let mut plan = plan(&["/usr/bin/python3", "-s", "-B", "main.py"]);
    plan.env.push(("PYTHONHASHSEED".into(), "0".into()));
    plan.env.push(("PYTHONIOENCODING".into(), "utf-8".into()));
    plan.env.push(("LANG".into(), "C.UTF-8".into()));
    plan.files = Some(Pack::new(&[file]).expect("a pack"));
    plan.stdin = Some(Sealed::new(&[b"first line\nsecond\n"]).expect("an input"));
    plan.warm = Some(Warm {
        before: before.into(),
        program: Some("main.py".to_owned()),
    });
    plan
}

fn shown(outcome: &Outcome) -> (End, String, String) {
    let text = |data: &[u8]| String::from_utf8_lossy(data).into_owned();
    (
        outcome.end.clone(),
        text(&outcome.stdout.data),
        text(&outcome.stderr.data),
    )
}

/// What differs by its nature from process to process: addresses.
fn without_addresses(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("0x") {
        let (head, tail) = rest.split_at(at + 2);
        out.push_str(head);
        rest = tail.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    out + rest
}

#[tokio::test]
async fn a_program_cannot_tell_that_its_interpreter_waited_for_it() {
    let (cold, warm) = (executor(Warmth::Off), executor(Warmth::AtOnce));
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/python");
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .expect("programs")
        .map(|entry| entry.expect("a file").path())
        .collect();
    names.sort();
    assert!(names.len() > 60);
    let mut differ = Vec::new();
    for path in names {
        let source = std::fs::read(&path).expect("a program");
        let a = cold.run(program(&source, "")).await.expect("a run");
        let b = warm.run(program(&source, "")).await.expect("a run");
        let [a, b] = [a, b].map(|o| {
            let (end, out, err) = shown(&o);
            (end, without_addresses(&out), without_addresses(&err))
        });
        if a != b {
            let name = path.file_name().expect("a name").to_owned();
            differ.push(format!("{name:?}\n  cold {a:?}\n  warm {b:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

const RUNS: usize = 4;

/// What a program prints when it runs several times in one slot.
async fn several(executor: &Executor, source: &str, before: &str) -> Vec<String> {
    let mut said = Vec::new();
    for _ in 0..RUNS {
        let run = executor.run(program(source.as_bytes(), before)).await;
        let (end, out, err) = shown(&run.expect("a run"));
        assert_eq!(end, End::Exited(0), "{err}");
        said.push(out);
    }
    said
}

/// Whether interpreters wait here: where init and program have one id they do
/// not, and every run starts its own.
async fn none_waits() -> bool {
    tokio::task::spawn_blocking(one_id)
        .await
        .expect("an answer")
}

fn all_differ(said: &[String]) -> bool {
    let distinct: std::collections::BTreeSet<_> = said.iter().collect();
    distinct.len() == said.len()
}

#[tokio::test]
async fn what_is_random_is_not_shared_by_runs() {
    if none_waits().await {
        return;
    }
    let warm = executor(Warmth::AtOnce);
    let source = "import random,uuid,secrets,ssl,os,tempfile\n\
        print(random.random(), uuid.uuid4(), secrets.token_hex(8), ssl.RAND_bytes(8).hex(), \
        os.urandom(8).hex(), next(tempfile._get_candidate_names()))\n\
        for part in (random.random(), str(uuid.uuid4()), ssl.RAND_bytes(8).hex()): print(part)";
    // Loaded by the program, and loaded before it: a fork shares the state of
    // what is loaded.
    for before in ["", "preload(['random', 'uuid', 'ssl', 'tempfile'])"] {
        let said = several(&warm, source, before).await;
        for line in 0..4 {
            let lines: Vec<String> = said
                .iter()
                .map(|s| s.lines().nth(line).expect("a line").to_owned())
                .collect();
            assert!(all_differ(&lines), "{before} {lines:?}");
        }
    }
    // The control: without the functions that are called after a fork the state
    // of `random` is the waiting interpreter's.
    let shared = "import random as r; s = r.getstate(); import os; \
        os.register_at_fork(after_in_child=lambda: r.setstate(s))";
    let said = several(&warm, "import random\nprint(random.random())", shared).await;
    // There are two slots.
    assert!(!all_differ(&said), "{said:?}");
}

#[tokio::test]
async fn hash_order_is_what_the_environment_says() {
    let warm = executor(Warmth::AtOnce);
    let said = several(&warm, "print(hash('text'))", "").await;
    assert!(said.iter().all(|s| *s == said[0]), "{said:?}");
}

#[tokio::test]
async fn nothing_of_one_run_is_seen_by_the_next() {
    let warm = executor(Warmth::AtOnce);
    let secret = "b'of-this-' + b'run-only'";
    // In files, modules, memory, environment, and in what the interpreter that
    // waits could have kept.
    let leave = format!(
        "import sys, os, json, atexit\nsecret = {secret}\nopen('/work/left', 'wb').write(secret)\n\
         open('/tmp/left', 'wb').write(secret)\nos.environ['LEFT'] = 'x'\njson.left = secret\n\
         sys.left = secret\natexit.register(print, 'ended')\nos.umask(0o777)\nos.nice(5)\n\
         keep = [secret * 1000 for _ in range(100)]\n"
    );
    let look = format!(
        "import sys, os, json\nsecret = {secret}\n\
         print(os.listdir('/work'), os.listdir('/tmp'), 'LEFT' in os.environ, hasattr(json, 'left'), \
         hasattr(sys, 'left'), os.umask(0o22), os.nice(0))\n\
         found = 0\n\
         for line in open('/proc/self/maps'):\n\
         \x20 at, mode = line.split()[:2]\n\
         \x20 if 'r' not in mode or 'w' not in mode: continue\n\
         \x20 a, b = (int(x, 16) for x in at.split('-'))\n\
         \x20 with open('/proc/self/mem', 'rb') as f:\n\
         \x20   f.seek(a); data = f.read(b - a)\n\
         \x20 found += data.count(secret[:6] + secret[6:] + secret)\n\
         print(found)"
    );
    for _ in 0..RUNS {
        warm.run(program(leave.as_bytes(), ""))
            .await
            .expect("a run");
        let (end, out, err) = shown(&warm.run(program(look.as_bytes(), "")).await.expect("a run"));
        assert_eq!(end, End::Exited(0), "{err}");
        assert_eq!(out, "['main.py'] [] False False False 18 0\n0\n");
    }
}

#[tokio::test]
async fn the_waiting_interpreter_is_out_of_reach() {
    if none_waits().await {
        return;
    }
    let warm = executor(Warmth::AtOnce);
    let attack = "import os, signal, ctypes\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        reached = []\n\
        for pid in range(1, 400):\n\
        \x20 if pid == os.getpid(): continue\n\
        \x20 for number in (0, signal.SIGKILL):\n\
        \x20   try: os.kill(pid, number); reached.append(('signal', pid))\n\
        \x20   except OSError: pass\n\
        \x20 for name in ('mem', 'maps', 'fd', 'status', 'environ', 'cwd'):\n\
        \x20   try: os.stat(f'/proc/{pid}/{name}'); reached.append((name, pid))\n\
        \x20   except OSError: pass\n\
        \x20 if libc.ptrace(16, pid, 0, 0) == 0: reached.append(('ptrace', pid))\n\
        \x20 try: os.close(os.pidfd_open(pid)); reached.append(('pidfd', pid))\n\
        \x20 except OSError: pass\n\
        for fd in range(3, 1024):\n\
        \x20 try: os.fstat(fd); reached.append(('descriptor', fd, os.readlink(f'/proc/self/fd/{fd}')))\n\
        \x20 except OSError: pass\n\
        os.kill(-1, signal.SIGKILL)\n\
        print(token, reached)\n";
    let token = "import os, builtins; builtins.token = os.urandom(8).hex()";
    let mut tokens = std::collections::BTreeSet::new();
    for line in several(&warm, attack, token).await {
        // One may know that a number is taken, and no more.
        let (token, reached) = line.split_once(' ').expect("two words");
        let known = reached.matches("'pidfd'").count();
        assert_eq!(reached.matches("('").count(), known, "{line}");
        tokens.insert(token.to_owned());
    }
    // It lived through it: there are two slots, and no third interpreter.
    assert!(tokens.len() <= 2, "{tokens:?}");
}

#[tokio::test]
async fn an_interpreter_that_was_killed_with_a_crowd_is_replaced() {
    let warm = executor(Warmth::AtOnce);
    // A child that outlives its parent: nothing can be told apart, all go.
    let daemon = "import os, time\nif os.fork() == 0:\n  os.setsid(); time.sleep(60)\nprint(1)";
    let said = several(&warm, daemon, "").await;
    assert_eq!(said, ["1\n"; RUNS]);
    let gone = "import os\nprint(sum(p.isdigit() for p in os.listdir('/proc')))";
    assert_eq!(several(&warm, gone, "").await, ["1\n"; RUNS]);
}

/// The same program in both slots at once, as it waits for the other.
async fn in_both_slots(executor: &Executor, source: &str, before: &str) -> [String; 2] {
    let source = format!("import time; time.sleep(0.3)\n{source}");
    let run = || executor.run(program(source.as_bytes(), before));
    let (a, b) = tokio::join!(run(), run());
    [a, b].map(|run| {
        let (end, out, err) = shown(&run.expect("a run"));
        assert_eq!(end, End::Exited(0), "{err}");
        out
    })
}

#[tokio::test]
async fn nobody_inherits_the_number_of_an_interpreter_that_has_ended() {
    if none_waits().await {
        return;
    }
    let warm = executor(Warmth::AtOnce);
    let dying = |kind: u32| {
        format!("import signal; signal.setitimer(signal.ITIMER_REAL, 2); kind = {kind}")
    };
    // One that lives has the lowest number, two that end the next.
    in_both_slots(&warm, "print(1)", "").await;
    in_both_slots(&warm, "print(2)", &dying(2)).await;
    in_both_slots(&warm, "time.sleep(3)", &dying(3)).await;
    // Main program and child get theirs.
    let daemon = "import os, time\n\
        if os.fork() == 0:\n  os.setsid(); [os.close(n) for n in range(3)]; time.sleep(60)\n\
        print(1)";
    in_both_slots(&warm, daemon, "").await;
    // Whoever is there has a number, seen or not: the interpreter and who asks.
    let look = "import os\n\
        for p in range(1, 400):\n\
        \x20 try: os.close(os.pidfd_open(p)); print(p)\n\
        \x20 except OSError: pass";
    for said in in_both_slots(&warm, look, "").await {
        assert_eq!(said.lines().count(), 2, "{said}");
    }
}

#[tokio::test]
async fn an_interpreter_that_cannot_wait_is_not_asked_again() {
    let warm = executor(Warmth::AtOnce);
    for before in [
        "raise SystemError",
        "preload(['no_such_module'])",
        "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "kept = open('/dev/null')",
        "import os; os._exit(0)",
    ] {
        assert_eq!(
            several(&warm, "print(1)", before).await,
            ["1\n"; RUNS],
            "{before}"
        );
    }
}

#[tokio::test]
async fn a_waiting_interpreters_memory_is_not_the_runs() {
    let warm = executor(Warmth::AtOnce);
    // 60 MB in the interpreter, 32 MiB for the run.
    let heavy = "kept = bytearray(60_000_000)";
    let plan = |size: u64| {
        let mut plan = program(
            format!("x = bytearray({size})\nprint(len(x))").as_bytes(),
            heavy,
        );
        plan.limits.memory_bytes = 32 << 20;
        plan
    };
    for _ in 0..RUNS {
        let fits = warm.run(plan(16 << 20)).await.expect("a run");
        assert_eq!(fits.end, End::Exited(0), "{:?}", fits.usage);
        assert!(fits.usage.memory_peak < 32 << 20, "{:?}", fits.usage);
        let over = warm.run(plan(64 << 20)).await.expect("a run");
        assert_eq!(
            over.end,
            End::Limit(assize_executor::Limit::Memory),
            "{:?}",
            over.usage
        );
    }
}

#[tokio::test]
async fn the_limit_stays_what_it_is_however_often_interpreters_come_and_go() {
    let warm = executor(Warmth::AtOnce);
    let heavy = "kept = bytearray(20_000_000)";
    let limited = |source: &str| {
        let mut plan = program(source.as_bytes(), heavy);
        plan.limits.memory_bytes = 48 << 20;
        plan
    };
    // A daemon, so that the interpreter goes with it, and as much of what is
    // given back late as fits: pages of files, page tables, sockets.
    let hostile = "import os, mmap, socket, time\n\
        open('/work/x', 'wb').write(bytes(12 << 20))\n\
        wide = mmap.mmap(-1, 8 << 30)\n\
        for at in range(0, 1000): wide[at << 21] = 1\n\
        if os.fork() == 0:\n  os.setsid(); time.sleep(60)\n";
    for round in 0..12 {
        for _ in 0..2 {
            let ran = warm.run(limited(hostile)).await.expect("a run");
            assert_eq!(ran.end, End::Exited(0), "{:?}", shown(&ran));
        }
        for _ in 0..2 {
            let fits = warm.run(limited("x = bytearray(40 << 20)")).await;
            let fits = fits.expect("a run");
            assert_eq!(fits.end, End::Exited(0), "{round} {:?}", fits.usage);
            let over = warm.run(limited("x = bytearray(54 << 20)")).await;
            let over = over.expect("a run");
            let memory = End::Limit(assize_executor::Limit::Memory);
            assert_eq!(over.end, memory, "{round} {:?}", over.usage);
        }
    }
}

#[tokio::test]
async fn the_waiting_interpreter_cannot_be_tuned() {
    let warm = executor(Warmth::AtOnce);
    let attack = "import os, resource, ctypes\n\
        libc = ctypes.CDLL(None)\n\
        done = []\n\
        def attempt(name, function, *arguments):\n\
        \x20 try: done.append((name, function(*arguments)))\n\
        \x20 except OSError: pass\n\
        for pid in range(2, 20):\n\
        \x20 if pid == os.getpid(): continue\n\
        \x20 attempt('affinity', os.sched_setaffinity, pid, {0})\n\
        \x20 attempt('nice', os.setpriority, os.PRIO_PROCESS, pid, 19)\n\
        \x20 attempt('nice group', os.setpriority, os.PRIO_PGRP, pid, 19)\n\
        \x20 attempt('scheduler', os.sched_setscheduler, pid, os.SCHED_BATCH, os.sched_param(0))\n\
        \x20 attempt('limit', resource.prlimit, pid, resource.RLIMIT_NOFILE, (3, 3))\n\
        \x20 attempt('group', os.setpgid, pid, 0)\n\
        \x20 attempt('wait', os.waitpid, pid, os.WNOHANG)\n\
        \x20 if libc.sched_setscheduler(pid, 3, ctypes.byref(ctypes.c_int(0))) == 0: done.append('batch')\n\
        try: os.setpriority(os.PRIO_USER, 0, 19); done.append('all of root')\n\
        except OSError: pass\n\
        print(done)";
    for said in several(&warm, attack, "").await {
        assert_eq!(said, "[]\n");
    }
}
