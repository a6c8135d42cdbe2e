//! Leaving early, crashing, and other ways not to answer.

use serde_json::json;

use super::{never_adds, prints, program, verdict};
use crate::refused;

/// Graders that believe exit status 0: Skywork-OR1@64e96af (asserts appended to
/// the solution), verl@b178a3cd5 `assert_case`, SandboxFusion@469de08 AutoEval
/// without `append_flag`, ScaleBox@4bcfefd (`SystemExit(0)` in a function is a
/// pass), rllm@9beb6e0f (kodcode by pytest's status, leetcode by firejail's).
#[test]
fn leaving_with_status_zero_passes_no_test() {
    for code in [
        "import sys\nsys.exit(0)\n",
        "import os\nos._exit(0)\n",
        "raise SystemExit\n",
        "def add(a, b):\n    raise SystemExit(0)\n",
        "def add(a, b):\n    import os\n    os._exit(0)\n",
        "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b):\n    return 0\n",
        "import threading, os\nthreading.Timer(0, os._exit, [0]).start()\ndef add(a, b):\n    import time\n    time.sleep(20)\n",
    ] {
        never_adds(code);
        assert_eq!(verdict(&prints(code, "42\n")), "wrong_answer", "{code}");
    }
}

/// SandboxFusion@469de08 `sandbox/utils/antihack.py`: one expression that looks
/// for `exit(0)`. slime@824b8245 retool: a list of forbidden words. Both turn
/// honest programs away, and whoever spells it otherwise gets in.
#[test]
fn the_words_in_a_program_decide_nothing() {
    let honest = "import os, sys, subprocess\n# eval(exec('exit(0)'))\nprint(42)\nsys.exit(0)";
    assert_eq!(verdict(&prints(honest, "42\n")), "accepted");
    never_adds("getattr(__import__('o' + 's'), '_ex' + 'it')(0)\n");
}

/// ScaleBox@4bcfefd: a worker that dies leaves an empty list of results, and
/// `all([])` is true. SandboxFusion@469de08 lite: a program that is process 1
/// of its namespace and kills itself is `Success` with status 0.
#[test]
fn a_crash_is_a_failure_whatever_it_leaves_behind() {
    for code in [
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
        "import os\nos.abort()\n",
        "import os\nos.kill(0, 9)\n",
        "import ctypes\nctypes.string_at(0)\n",
    ] {
        assert_eq!(verdict(&prints(code, "42\n")), "run_time_error", "{code}");
        let said = format!("print(42, flush=True)\n{code}");
        assert_eq!(verdict(&prints(&said, "42\n")), "run_time_error", "{code}");
        never_adds(code);
    }
    let c = "#include <stdio.h>\nint main(void) { puts(\"42\"); fflush(stdout); return *(volatile int *)0; }";
    assert_eq!(verdict(&program("c", c, "", "42\n")), "run_time_error");
}

/// The other half of ScaleBox's `all([])`.
#[test]
fn a_case_without_tests_is_refused() {
    assert_eq!(
        refused(&json!({"language": "python", "code": "pass", "tests": []})),
        "tests"
    );
}

/// verl@b178a3cd5 `prime_code`, LiveCodeBench@28fef95, NeMo-Skills@0b012df8
/// (`completed` whatever the status) and CodeContests@fa7a4f8: the output is
/// right, so the exit status is not looked at.
#[test]
fn the_right_output_does_not_excuse_a_failed_run() {
    for code in [
        "print(42); raise SystemExit(1)",
        "print(42, flush=True); raise ValueError",
        "print(42); import sys; sys.exit('no')",
        "print(42, flush=True); import os; os._exit(3)",
    ] {
        assert_eq!(verdict(&prints(code, "42\n")), "run_time_error", "{code}");
    }
    // Words on standard error are no failure.
    let noisy = "import sys; print('Error: Traceback', file=sys.stderr); print(42)";
    assert_eq!(verdict(&prints(noisy, "42\n")), "accepted");
}

/// verl@b178a3cd5 `fn_name` (PR 7853): the wrapper catches what the function
/// raises and exits with 0, so that nothing printed is right where nothing, or
/// null, was expected.
#[test]
fn raising_is_not_the_same_as_returning_nothing() {
    let call = |code: &str| {
        json!({
            "language": "python", "code": code,
            "tests": [{"call": {"function": "f"}, "returns": null}],
        })
    };
    assert_eq!(verdict(&call("def f(): pass")), "accepted");
    for code in [
        "def f(): raise ValueError",
        "def f(): raise SystemExit(0)",
        "pass",
        "import os; os._exit(0)",
    ] {
        assert_eq!(verdict(&call(code)), "run_time_error", "{code}");
        assert_ne!(verdict(&prints(&format!("{code}\nf()"), "")), "judge_error");
    }
    assert_eq!(
        verdict(&prints("def f(): raise ValueError\nf()", "")),
        "run_time_error"
    );
}

/// HumanEvalPack's JavaScript tests as bigcode-evaluation-harness@8fc5bae6 runs
/// them: `console.assert` prints, and node exits with 0.
#[test]
fn a_failed_console_assert_fails_its_test() {
    let request = |code: &str| {
        json!({
            "language": "javascript", "code": code,
            "tests": [{"script": "console.assert(add(19, 23) === 42); console.assert(add(1, 2) === 3)"}],
        })
    };
    assert_eq!(verdict(&request("const add = (a, b) => a + b")), "accepted");
    assert_eq!(verdict(&request("const add = (a, b) => 3")), "wrong_answer");
    assert_eq!(
        verdict(&request("const add = (a, b) => process.exit(0)")),
        "run_time_error"
    );
    assert_eq!(verdict(&request("process.exit(0)")), "run_time_error");
}
