//! Wrong verdicts that other graders give, each as a test of what is right.
//!
//! The name of a test is the right claim; the comment above it names the
//! systems, at the commits that were read or run, and what they do instead.
//! docs/integrity.md has the same as a table, and a tidy test holds the two
//! together.

mod comparing;
mod faults;
mod leaving;
mod limits;
mod reach;
mod state;

use assize_judge::case::Judgement;
use serde_json::{Value, json};

use crate::judge;

/// A program in a language on one input.
fn program(language: &str, code: &str, stdin: &str, stdout: &str) -> Value {
    json!({
        "language": language, "code": code,
        "tests": [{"stdin": stdin, "stdout": stdout}],
        "limits": {"cpu_ms": 10_000, "wall_ms": 60_000},
    })
}

/// A Python program without input.
fn prints(code: &str, stdout: &str) -> Value {
    program("python", code, "", stdout)
}

/// A Python function under each kind of test that takes one: a call, and test
/// scripts as bare asserts, `unittest` and `pytest`, apart from the candidate
/// or beside it. Each asks that `add(19, 23)` is 42.
fn add(code: &str) -> Vec<Value> {
    let assertion = "assert add(19, 23) == 42";
    let unittest = "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(19, 23), 42)\nunittest.main()";
    let pytest = "def test_add():\n    assert add(19, 23) == 42";
    let tests = [
        json!({"call": {"function": "add", "args": [19, 23]}, "returns": 42}),
        json!({"script": assertion, "integrity": "isolated"}),
        json!({"script": assertion, "integrity": "shared"}),
        json!({"script": unittest, "integrity": "shared"}),
        json!({"script": pytest, "integrity": "isolated"}),
    ];
    let request = |test: Value| {
        json!({
            "language": "python", "code": code, "tests": [test],
            "limits": {"cpu_ms": 10_000, "wall_ms": 60_000},
        })
    };
    tests.into_iter().map(request).collect()
}

/// The verdict of a case, whose reward must say the same: 1 only where every
/// test passed, 0 where the program failed, and nothing where we did.
fn verdict(request: &Value) -> &'static str {
    let judged = judge(request);
    let name = consistent(&judged);
    if name == "judge_error" {
        let why: Vec<_> = judged.tests.iter().map(|t| &t.detail).collect();
        eprintln!("judge_error: {why:?}");
    }
    name
}

fn consistent(judged: &Judgement) -> &'static str {
    let name = judged.verdict.name();
    let all = judged.passed == judged.total && judged.tests.len() == judged.total;
    assert_eq!(name == "accepted", all, "{name}");
    let reward = match name {
        "accepted" => Some(1.0),
        "judge_error" | "flaky" => None,
        _ => Some(0.0),
    };
    assert_eq!(judged.reward, reward, "{name}");
    name
}

/// Asserts that a function passes no test of [`add`] and is never our failure,
/// where a right one passes them all.
fn never_adds(code: &str) {
    for mut request in add(code) {
        // One that took away its own way to answer is waited for.
        request["limits"]["wall_ms"] = json!(5_000);
        let found = verdict(&request);
        let honest = ["wrong_answer", "run_time_error", "time_limit_exceeded"];
        assert!(
            honest.contains(&found),
            "{found}: {code}\n{}",
            request["tests"]
        );
    }
}

/// The control of [`never_adds`].
#[test]
fn a_right_function_passes_every_kind_of_test() {
    for request in add("def add(a, b):\n    print('noise')\n    return a + b\n") {
        assert_eq!(verdict(&request), "accepted", "{}", request["tests"]);
    }
}
