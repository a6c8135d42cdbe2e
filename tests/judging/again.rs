//! Tests that are tried again, and feedback.

use assize_judge::verdict::Verdict;
use serde_json::json;

use crate::{feedback, judge as judged};

#[test]
fn tries_that_disagree_about_acceptance_are_flaky_and_no_reward() {
    let coin = "import os\nprint(os.urandom(1)[0] % 2)\n";
    let request = json!({
        "language": "python", "code": coin, "reruns": 10,
        "tests": [{"stdin": "", "stdout": "1"}],
    });
    // Eleven equal coins are one in a thousand; three times, one in 10^9.
    let result = (0..3)
        .map(|_| judged(&request))
        .find(|r| r.verdict == Verdict::Flaky);
    let result = result.expect("a flaky verdict");
    assert_eq!(result.reward, None);
    assert!((2..=11).contains(&result.tests[0].attempts));
    assert!(
        result.tests[0].detail.contains("tries disagree"),
        "{}",
        result.tests[0].detail
    );
}

/// Or a program could mask its failures by varying them.
#[test]
fn failing_in_different_ways_is_failing() {
    let code = "import os\nn = os.urandom(1)[0] % 3\nif n == 0: raise ValueError\nif n == 1: os.abort()\nprint('no')\n";
    let request = json!({
        "language": "python", "code": code, "reruns": 8,
        "tests": [{"stdin": "", "stdout": "1"}],
    });
    let result = judged(&request);
    assert!([Verdict::WrongAnswer, Verdict::RunTimeError].contains(&result.verdict));
    assert_eq!(result.reward, Some(0.0));
    assert_eq!(result.tests[0].attempts, 9);
}

#[test]
fn a_test_that_passes_close_to_its_limit_is_tried_again() {
    // Burns CPU until 95 % of its limit is gone, then answers.
    let code = "import time\nwhile time.process_time() < 0.95: pass\nprint(1)\n";
    let request = json!({
        "language": "python", "code": code, "limits": {"cpu_ms": 1000, "wall_ms": 20_000},
        "tests": [{"stdin": "", "stdout": "1"}],
    });
    let result = judged(&request);
    let test = &result.tests[0];
    assert!(
        test.attempts == 2 || test.verdict == Verdict::TimeLimitExceeded,
        "{test:?}"
    );
    let calm =
        json!({"language": "python", "code": "print(1)", "tests": [{"stdin": "", "stdout": "1"}]});
    assert_eq!(judged(&calm).tests[0].attempts, 1);
    let wrong =
        json!({"language": "python", "code": "print(2)", "tests": [{"stdin": "", "stdout": "1"}]});
    assert_eq!(judged(&wrong).tests[0].attempts, 1);
}

#[test]
fn feedback_shows_public_tests_and_nothing_of_hidden_ones() {
    let code = "def f(x):\n    if x == 'open sesame': raise KeyError(x)\n    class Secret(Exception): pass\n    Secret.__name__ = str(x)\n    if x == 'Hidden9Error': raise Secret(x)\n    return x\n";
    let call = |x: &str, public: bool| json!({"call": {"function": "f", "args": [x]}, "returns": "y", "public": public});
    let request = json!({
        "language": "python", "code": code, "feedback": true,
        "tests": [call("shown", true), call("open sesame", false), call("Hidden9Error", false), call("y", false)],
    });
    let told = feedback(&request);
    assert_eq!(told["verdict"], "wrong_answer");
    assert_eq!(told["public"][0]["given"], "f(\"shown\")");
    assert!(
        told["public"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("want \"y\", got \"shown\"")
    );
    assert_eq!(
        told["hidden"],
        json!({"failed": 2, "ran": 3, "verdict": "run_time_error", "exception": "KeyError"})
    );
    let text = told.to_string();
    assert!(
        !text.contains("sesame") && !text.contains("Hidden9"),
        "{text}"
    );
}

#[test]
fn feedback_is_bounded_and_names_what_the_compiler_said() {
    let request = json!({
        "language": "c", "code": "int main(void) { return nothing; }", "feedback": true,
        "tests": [{"stdin": "", "stdout": ""}],
    });
    let told = feedback(&request);
    assert!(
        told["compiler"].as_str().unwrap().contains("nothing"),
        "{told}"
    );
    let long = "x".repeat(100_000);
    let request = json!({
        "language": "python", "code": "import sys\nprint(sys.stdin.read())\nprint(sys.stdin, file=sys.stderr)\nprint('\\x1b[31m' * 9999, file=sys.stderr)", "feedback": true,
        "tests": (0..20).map(|n| json!({"stdin": format!("{n}{long}"), "stdout": "no", "public": true})).collect::<Vec<_>>(),
    });
    let told = feedback(&request);
    assert_eq!(told["public"].as_array().unwrap().len(), 3);
    assert!(
        told.to_string().len() < 10_000,
        "{}",
        told.to_string().len()
    );
    assert!(!told.to_string().contains("\\u001b"));
}
