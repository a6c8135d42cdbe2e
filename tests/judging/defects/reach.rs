//! Tests, expected values and graders within a candidate's reach.

use serde_json::json;

use super::{add, never_adds, prints, verdict};

/// EvalPlus@26d6d00 (`out == exp` in the candidate's process), human-eval@
/// 6d43fb9, LiveCodeBench@28fef95 by call, SandboxFusion@469de08 AutoEval (with
/// `append_flag` too) and ScaleBox@4bcfefd accept an object whose `__eq__`
/// says yes.
#[test]
fn an_object_that_equals_everything_equals_nothing() {
    for base in ["", "(int)", "(float)", "(str)", "(list)", "(dict)"] {
        never_adds(&format!(
            "class Yes{base}:\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    \
             __hash__ = lambda s: 42\ndef add(a, b):\n    return Yes()\n"
        ));
    }
    never_adds("from unittest.mock import ANY\ndef add(a, b):\n    return ANY\n");
}

/// human-eval@6d43fb9 and evalplus@26d6d00: `exec` in the process that holds
/// the result, which a walk over the frames finds and writes. ScaleBox@4bcfefd:
/// the worker's frames hold `result_conn` and `case.output`.
#[test]
fn a_walk_over_the_frames_finds_no_result_and_no_expected_value() {
    never_adds(
        "import sys, gc\n\
         def add(a, b):\n\
         \x20   f = sys._getframe()\n\
         \x20   while f:\n\
         \x20       for name, value in list(f.f_locals.items()):\n\
         \x20           if isinstance(value, list) and name in ('result', 'results', 'details', 'stat'):\n\
         \x20               value[:] = ['passed']\n\
         \x20           if name in ('expected', 'exp', 'want', 'returns', 'output', 'case', 'test'):\n\
         \x20               return getattr(value, 'output', value)\n\
         \x20           if hasattr(value, 'send') and 'conn' in name:\n\
         \x20               value.send([True])\n\
         \x20       f = f.f_back\n\
         \x20   return 0\n",
    );
    let looks = "import gc\n\
        def f():\n\
        \x20   want = int('918273644') + 1\n\
        \x20   for o in gc.get_objects():\n\
        \x20       if isinstance(o, dict) and want in list(o.values()): return want\n\
        \x20       if isinstance(o, (list, tuple)) and want in o: return want\n\
        \x20   return 0\n";
    let call = |code: &str| {
        json!({
            "language": "python", "code": code,
            "tests": [{"call": {"function": "f"}, "returns": 918_273_645}],
        })
    };
    assert_eq!(verdict(&call(looks)), "wrong_answer");
    // The control: it does find what is there.
    let planted = format!("mine = [int('918273644') + 1]\n{looks}");
    assert_eq!(verdict(&call(&planted)), "accepted");
}

/// `reliability_guard` of human-eval@6d43fb9, Mercury@a1e9720, evalplus@26d6d00
/// and LiveCodeBench@28fef95 sets `os.kill` and its like to `None` in the
/// process that runs candidate and tests; by its own words no sandbox. What is
/// patched there a candidate patches as well, and what it takes away honest
/// programs miss.
#[test]
fn patching_the_interpreter_changes_no_verdict_and_nothing_is_taken_away() {
    for code in [
        "import builtins\nbuiltins.AssertionError = KeyError\nbuiltins.all = lambda x: True\n",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None\n",
        "import sys\nsys.excepthook = lambda *a: None\nsys.modules['unittest'] = None\n",
        "import json, os\njson.dumps = lambda *a, **k: 'true'\nos.write = lambda *a: 1\n",
        "import signal\nsignal.signal = signal.setitimer = signal.alarm = lambda *a: None\n",
    ] {
        never_adds(&format!("{code}def add(a, b):\n    return 0\n"));
    }
    let honest = "import os, shutil, subprocess, sys, faulthandler\n\
        def add(a, b):\n\
        \x20   os.mkdir('d'); os.chdir('d'); open('x', 'w').close(); os.rename('x', 'y'); os.remove('y')\n\
        \x20   os.chdir('..'); shutil.rmtree('d')\n\
        \x20   child = subprocess.run([sys.executable, '-c', f'print({a} + {b})'], capture_output=True)\n\
        \x20   return int(child.stdout)\n";
    for request in add(honest) {
        assert_eq!(verdict(&request), "accepted", "{}", request["tests"]);
    }
}

/// SandboxFusion@469de08 `append_flag`: the random word that must be printed at
/// the end stands in the program's own source, which it reads and prints.
#[test]
fn nothing_to_be_printed_stands_where_the_candidate_reads() {
    let reads = "import os, sys\n\
        seen = []\n\
        for top in ('/work', '/tmp', '/proc/self', '/dev/shm'):\n\
        \x20   for where, dirs, files in os.walk(top):\n\
        \x20       dirs[:] = [d for d in dirs if d not in ('task', 'map_files', 'ns', 'net', 'attr')]\n\
        \x20       for name in files:\n\
        \x20           if name in ('mem', 'pagemap', 'clear_refs'): continue\n\
        \x20           try: seen.append(open(os.path.join(where, name), errors='replace').read(100000))\n\
        \x20           except (OSError, ValueError): pass\n\
        seen = ' '.join(seen + sys.argv + [repr(dict(os.environ))])\n";
    let found = format!(
        "{reads}word = ''.join(['quet', 'zal'])\nprint(word if word in seen else 'nothing')"
    );
    assert_eq!(verdict(&prints(&found, "quetzal\n")), "wrong_answer");
    // The control: it does find what is there.
    let planted = format!("open('/tmp/x', 'w').write(''.join(['quet', 'zal']))\n{found}");
    assert_eq!(verdict(&prints(&planted, "quetzal\n")), "accepted");
    never_adds(&format!(
        "{reads}def add(a, b):\n    return 42 if ''.join(['add(19,', ' 23)']) in seen else 0\n"
    ));
}

/// open-r1@1416fa0 through Piston: `checker.py` lies in the program's own
/// directory, writable, and prints the score. TRL@f2cd57710's opencode example
/// and the tasks of terminal-bench issues 1127 and 1416 run their verifier in
/// the agent's directory.
#[test]
fn a_program_cannot_rewrite_its_checker_or_the_answer() {
    let checker =
        "import sys\nsys.exit(42 if sys.stdin.read() == open(sys.argv[2]).read() else 43)";
    let request = |code: &str| {
        let mut request = prints(code, "42\n");
        request["checker"] =
            json!({"kind": "program", "program": {"language": "python", "code": checker}});
        request
    };
    assert_eq!(verdict(&request("print(42)")), "accepted");
    for code in [
        "for name in ('checker.py', 'main.py', 'correct_output.txt', 'grader_config', 'input.txt'):\n    open(name, 'w').write('import sys; print(1); sys.exit(42)')",
        "import os\nos.makedirs('.judge/feedback', exist_ok=True)\nfor name in ('answer', 'input', 'output', 'feedback/score.txt'):\n    open('.judge/' + name, 'w').write('')",
        "import os\nfor name in ('sitecustomize.py', 'usercustomize.py', 'sys.py'):\n    open(name, 'w').write('import os; os._exit(42)')\nos.environ['PYTHONSTARTUP'] = 'sys.py'",
        "print(1)",
        "import os\nif os.fork() == 0:\n    import time\n    os.setsid(); time.sleep(1); open('main.py', 'w').write('import sys; sys.exit(42)')",
    ] {
        assert_eq!(verdict(&request(code)), "wrong_answer", "{code}");
    }
}

/// open-r1@1416fa0 reads "MemoryError" on standard error as a memory limit,
/// "Resource temporarily unavailable" as an overloaded server and SIGKILL as a
/// time limit; SkyRL@a9564572e tries again where it finds "RLIMIT_NPROC".
#[test]
fn what_a_program_says_of_itself_chooses_no_verdict() {
    for words in [
        "MemoryError",
        "Resource temporarily unavailable",
        "RLIMIT_NPROC",
        "SandboxError: internal error",
        "TimeoutExpired",
        "judge_error",
    ] {
        let code =
            format!("import sys; sys.stderr.write({words:?}); print({words:?}); sys.exit(1)");
        assert_eq!(verdict(&prints(&code, "42\n")), "run_time_error", "{words}");
        let code = format!("import sys; sys.stderr.write({words:?}); print(41)");
        assert_eq!(verdict(&prints(&code, "42\n")), "wrong_answer", "{words}");
        let code = format!("import sys; sys.stderr.write({words:?}); print(42)");
        assert_eq!(verdict(&prints(&code, "42\n")), "accepted", "{words}");
    }
    never_adds("def add(a, b):\n    raise MemoryError('Resource temporarily unavailable')\n");
    let killed = "import os; print(42, flush=True); os.kill(os.getpid(), 9)";
    assert_eq!(verdict(&prints(killed, "42\n")), "run_time_error");
    assert_eq!(
        verdict(&prints("raise MemoryError", "42\n")),
        "run_time_error"
    );
}
