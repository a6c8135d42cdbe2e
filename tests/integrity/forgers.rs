//! Candidates that lie about what they did. None of them sees an expected
//! value, and none of them can make a wrong program right.

use assize_api::types::{CallSpec, JudgementRequest, TestSpec};
use assize_judge::verdict::Verdict;
use assize_policies::LimitsRequest;
use serde_json::value::RawValue;

use crate::{BACKENDS, judge, script};

const TEST: &str = "def check(candidate):\n    assert candidate(19, 23) == 42\n    assert candidate(1, 2) == 3\ncheck(add)\n";

/// The same candidate against a script test and a call test, on both backends.
fn both_ways(what: &str, code: &str, honest: &[Verdict]) {
    for backend in BACKENDS {
        let mut scripted = script(backend, code, TEST);
        let raw = |s: &str| RawValue::from_string(s.to_owned()).unwrap();
        let call = CallSpec {
            function: "add".into(),
            args: vec![raw("19"), raw("23")],
            kwargs: Default::default(),
        };
        let test = TestSpec {
            call: Some(call),
            returns: Some(raw("42")),
            ..TestSpec::default()
        };
        let called = JudgementRequest {
            tests: vec![test],
            ..scripted.clone()
        };
        scripted.tests[0].names = Some(vec!["add".into()]);
        for mut request in [scripted, called] {
            request.limits = LimitsRequest {
                wall_ms: Some(20_000),
                ..LimitsRequest::default()
            };
            let judged = judge(&request);
            let kind = if request.tests[0].script.is_some() {
                "script"
            } else {
                "call"
            };
            let detail = &judged.tests[0].detail;
            assert!(
                honest.contains(&judged.verdict),
                "{what} ({kind}, {backend:?}): {:?} {detail}",
                judged.verdict
            );
            if judged.verdict != Verdict::Accepted {
                assert_eq!(
                    judged.reward,
                    Some(0.0),
                    "{what}: a program's failure earns 0, not null"
                );
            }
        }
    }
}

const WA: Verdict = Verdict::WrongAnswer;
const RTE: Verdict = Verdict::RunTimeError;

#[test]
fn an_honest_function_is_accepted() {
    both_ways(
        "honest",
        "def add(a, b):\n    print('noise')\n    return a + b\n",
        &[Verdict::Accepted],
    );
}

#[test]
fn objects_that_claim_equality_are_equal_to_nothing() {
    let yes = "class Yes{base}:\n    def __eq__(s, o): return True\n    def __ne__(s, o): return False\n    def __hash__(s): return 42\ndef add(a, b): return Yes({value})\n";
    for (base, value) in [
        ("", ""),
        ("(int)", "7"),
        ("(float)", "7.0"),
        ("(str)", "'x'"),
        ("(list)", "[]"),
        ("(tuple)", "()"),
    ] {
        both_ways(
            base,
            &yes.replace("{base}", base).replace("{value}", value),
            &[WA],
        );
    }
}

#[test]
fn leaving_early_is_no_success() {
    for code in [
        "import sys\nsys.exit(0)\n",
        "import os\nos._exit(0)\n",
        "def add(a, b):\n    raise SystemExit(0)\n",
        "def add(a, b):\n    import os\n    os._exit(0)\n",
        "import atexit, os\natexit.register(lambda: os._exit(0))\nraise ValueError\n",
        "quit()\n",
    ] {
        both_ways(code, code, &[RTE]);
    }
}

#[test]
fn raising_what_the_tests_raise_is_no_assertion_of_theirs() {
    both_ways(
        "assertion",
        "def add(a, b):\n    raise AssertionError('passed')\n",
        &[RTE],
    );
    both_ways(
        "keyboard",
        "def add(a, b):\n    raise KeyboardInterrupt\n",
        &[RTE],
    );
    both_ways("missing", "def sub(a, b):\n    return a - b\n", &[RTE]);
    both_ways("syntax", "def add(a, b)\n    return a + b\n", &[RTE]);
}

#[test]
fn patching_the_grader_patches_only_the_candidates_own_process() {
    for code in [
        "import builtins\nbuiltins.AssertionError = Exception\nbuiltins.check = lambda *a: None\ndef add(a, b): return 0\n",
        "import sys\nclass M(dict):\n    pass\nsys.modules['json'] = None\nsys.modules['_assize_plain'] = None\ndef add(a, b): return 0\n",
        "import gc, types\nfor o in gc.get_objects():\n    if isinstance(o, types.FunctionType) and o.__name__ in ('check', 'equals', 'judge'):\n        o.__code__ = (lambda *a: True).__code__\ndef add(a, b): return 0\n",
        "import sys\nsys.setprofile(None)\ndef tracer(*a): return tracer\nsys.settrace(tracer)\ndef add(a, b): return 0\n",
    ] {
        both_ways(code, code, &[WA, RTE]);
    }
}

#[test]
fn forged_frames_on_the_channel_are_allegations_like_any_other() {
    // Natively the channel's way out is descriptor 3; a wasm guest has its own way in.
    for frame in [
        "{\"id\": 1, \"value\": 42}",
        "{\"outcome\": \"passed\", \"message\": \"\", \"type\": null, \"line\": null, \"calls\": 2}",
        "{\"ready\": true}",
        "[]",
        "nonsense",
    ] {
        let code = format!(
            "import struct\nframe = {frame:?}.encode()\ntry:\n    import _assize\n    send = _assize.send\nexcept ImportError:\n    import os\n    send = lambda f: os.write(3, struct.pack('<I', len(f)) + f)\nfor _ in range(3):\n    send(frame)\ndef add(a, b):\n    return 0\n"
        );
        both_ways(frame, &code, &[WA, RTE]);
    }
    let huge = "import os, struct\ntry:\n    import _assize\n    _assize.send(b'[' * (17 << 20))\nexcept ImportError:\n    os.write(3, struct.pack('<I', 0xffffffff))\ndef add(a, b):\n    return 0\n";
    both_ways("a lying length", huge, &[WA, RTE]);
}

#[test]
fn the_candidate_cannot_reach_the_tests_or_the_report() {
    // It collects whatever it can see but its own source, and would answer
    // with the expected value if that were anywhere.
    let code = r"
import os, sys
seen = ' '.join(sys.argv) + repr(dict(os.environ))
for root in ('/work', '/tmp', '/dev/shm', '/proc/self'):
    for where, dirs, files in os.walk(root):
        dirs[:] = [d for d in dirs if d not in ('task', 'fd', 'map_files', 'ns', 'net', 'attr')]
        for name in files:
            if name != 'main.py' and name not in ('mem', 'pagemap'):
                try:
                    seen += open(os.path.join(where, name), errors='replace').read(100000)
                except (OSError, ValueError):
                    pass
known = 'assert candidate' in seen
def add(a, b):
    return a + b if known else 0
";
    both_ways("prying", code, &[WA]);
}

#[test]
fn endless_loops_and_greed_have_their_own_verdicts() {
    let slow = "def add(a, b):\n    while True: pass\n";
    let greedy = "def add(a, b):\n    x = []\n    while True: x.append(bytearray(1 << 20))\n";
    for backend in BACKENDS {
        for (code, honest) in [
            (slow, Verdict::TimeLimitExceeded),
            (greedy, Verdict::MemoryLimitExceeded),
        ] {
            let mut request = script(backend, code, TEST);
            request.limits = LimitsRequest {
                cpu_ms: Some(500),
                memory_bytes: Some(64 << 20),
                ..LimitsRequest::default()
            };
            // Time until memory is full counts too.
            if honest == Verdict::MemoryLimitExceeded {
                request.limits.cpu_ms = Some(10_000);
            }
            let judged = judge(&request);
            assert_eq!(
                judged.verdict, honest,
                "{backend:?}: {}",
                judged.tests[0].detail
            );
        }
    }
}

#[test]
fn a_broken_test_script_is_our_fault_and_earns_nothing() {
    for backend in BACKENDS {
        for tests in [
            "def check(:\n",
            "import no_such_module\n",
            "raise ValueError\n",
        ] {
            let judged = judge(&script(backend, "def add(a, b): return a + b\n", tests));
            assert_eq!(judged.verdict, Verdict::JudgeError, "{backend:?} {tests}");
            assert_eq!(judged.reward, None);
        }
    }
}

/// A candidate must not be able to look like a broken test: its reward would
/// be null instead of 0.
#[test]
fn a_candidate_cannot_choose_to_be_our_fault() {
    for backend in BACKENDS {
        for (what, code, tests) in [
            (
                "a result too large to print",
                "def add(l):\n    return 'A' * 3000000\n",
                "r = add([1])\nprint('got', r)\nassert r == 3\n",
            ),
            (
                "a result larger than the output limit",
                "def add(l):\n    return '\u{1f600}' * 9000\n",
                "r = add([1])\nprint('got', r)\nassert r == 3\n",
            ),
            (
                "results too large to print as bytes",
                "def add(l):\n    return 'A' * 3000000\n",
                "import sys\nr = add([1])\nsys.stdout.buffer.write(r.encode())\nassert r == 3\n",
            ),
            (
                "a report too large to send",
                "def add(l):\n    raise ValueError('\u{1f600}' * 400)\n",
                "import unittest\nclass T(unittest.TestCase): pass\nfor i in range(900):\n    setattr(T, f'test_{i}', lambda self: self.assertEqual(add([1]), 3))\n",
            ),
            ("a missing constant", "x = 1\n", "assert len(PRIMES) == 5\n"),
            (
                "a constant that is a function",
                "def PRIMES(): pass\n",
                "assert len(PRIMES) == 5\n",
            ),
            (
                "a missing argument",
                "def f(x):\n    return 3\n",
                "assert f(1) == 3 and f(CONF) == 3\n",
            ),
            (
                "the end of an iteration",
                "def add(l):\n    raise StopIteration\n",
                "assert all(map(lambda x: add(x[0]) == x[1], [([1], 1), ([2], 2)]))\n",
            ),
        ] {
            let mut request = script(backend, code, tests);
            request.limits.stdout_bytes = Some(100);
            let judged = judge(&request);
            let detail = &judged.tests[0].detail;
            assert!(
                matches!(judged.verdict, Verdict::WrongAnswer | Verdict::RunTimeError),
                "{what} ({backend:?}): {:?} {detail}",
                judged.verdict
            );
            assert_eq!(judged.reward, Some(0.0), "{what}");
        }
    }
}

#[test]
fn a_script_that_never_uses_the_program_accepts_nothing() {
    for backend in BACKENDS {
        let tests = "def check(candidate):\n    assert candidate(1) == 2\n";
        let judged = judge(&script(backend, "def add(x): return 0\n", tests));
        assert_eq!(judged.verdict, Verdict::JudgeError, "{backend:?}");
    }
}
