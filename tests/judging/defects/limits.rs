//! Limits: that they hold, what they are called, and what they leave alone.

use serde_json::json;

use super::{prints, verdict};
use crate::judge;

/// Graders that read what was printed before they killed the program, which
/// SandboxFusion@469de08 keeps of a run that timed out; and NeMo-RL@7ea279ab
/// `code_environment`, whose in-process `exec` has no time limit at all.
#[test]
fn a_right_output_before_a_timeout_passes_nothing() {
    for (code, limits) in [
        (
            "print(42, flush=True)\nwhile True: pass",
            json!({"cpu_ms": 500}),
        ),
        (
            "print(42, flush=True)\nimport time; time.sleep(600)",
            json!({"wall_ms": 1500}),
        ),
        (
            "import os, sys\nprint(42, flush=True)\nos.close(1)\nwhile True: pass",
            json!({"cpu_ms": 500}),
        ),
    ] {
        let mut request = prints(code, "42\n");
        request["limits"] = limits;
        assert_eq!(verdict(&request), "time_limit_exceeded", "{code}");
    }
}

/// open-r1@1416fa0: one `TimeoutExpired` ends the script that runs all tests,
/// and with it what the others had earned.
#[test]
fn a_test_that_runs_out_of_time_costs_only_itself() {
    let code = "n = int(input())\nwhile n == 2: pass\nprint(n)";
    let tests: Vec<_> = (1..=4)
        .map(|n| json!({"stdin": format!("{n}\n"), "stdout": format!("{n}\n")}))
        .collect();
    let mut request = json!({
        "language": "python", "code": code, "tests": tests, "limits": {"cpu_ms": 500},
        "reward": {"scheme": "fraction"},
    });
    let judged = judge(&request);
    assert_eq!(
        (judged.verdict.name(), judged.passed, judged.reward),
        ("time_limit_exceeded", 3, Some(0.75))
    );
    request["reward"] = json!({"scheme": "binary"});
    assert_eq!(verdict(&request), "time_limit_exceeded");
}

/// SandboxFusion@469de08 lite ignores `memory_limit_MB` (a GB under a limit of
/// 200 MB is `Success`). Piston issue 535 cannot tell memory from time from
/// output: all are SIGKILL, which a program can also send itself.
#[test]
fn each_limit_holds_and_has_a_verdict_of_its_own() {
    for (code, honest) in [
        (
            "x = bytearray(1 << 30); x[::4096] = b'x' * len(x[::4096]); print(42)",
            "memory_limit_exceeded",
        ),
        ("while True: pass", "time_limit_exceeded"),
        ("print('x' * (16 << 20))", "output_limit_exceeded"),
        ("import os; os.kill(os.getpid(), 9)", "run_time_error"),
        (
            "x = bytearray(64 << 20); x[::4096] = b'x' * len(x[::4096]); print(42)",
            "accepted",
        ),
    ] {
        let mut request = prints(code, "42\n");
        request["limits"] = json!({"cpu_ms": 3000, "wall_ms": 60_000, "memory_bytes": 200 << 20});
        assert_eq!(verdict(&request), honest, "{code}");
    }
}

/// SandboxFusion@469de08: the memory limit is `RLIMIT_STACK` too, so that each
/// thread reserves all of it and `import numpy` fails under every limit; verl
/// asks for 1,024 MB by default. bigcodebench and bigcode-evaluation-harness@
/// 8fc5bae6 set the same three.
#[test]
fn threads_start_under_every_memory_limit() {
    let code = "import threading\n\
        done = []\n\
        threads = [threading.Thread(target=done.append, args=(n,)) for n in range(16)]\n\
        for t in threads: t.start()\n\
        for t in threads: t.join()\n\
        print(len(done))";
    for mib in [64, 256, 1024] {
        let mut request = prints(code, "16\n");
        request["limits"]["memory_bytes"] = json!(mib << 20);
        assert_eq!(verdict(&request), "accepted", "{mib} MiB");
    }
}
