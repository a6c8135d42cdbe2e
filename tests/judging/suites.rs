//! Submissions that are test suites, and predictions.

use assize_judge::case::{Integrity, Suite};
use assize_judge::verdict::Verdict;
use serde_json::{Value, json};

use crate::{judge as judged, refused};

const GOLD: &str = "def clamp(x, low, high):\n    return max(low, min(high, x))\n";
const MUTANTS: [&str; 5] = [
    "def clamp(x, low, high):\n    return min(high, x)\n",
    "def clamp(x, low, high):\n    return max(low, x)\n",
    "def clamp(x, low, high):\n    return x\n",
    "def clamp(x, low, high):\n    while x > high: pass\n    return max(low, x)\n",
    // Differs for floats only, which no suite here tries.
    "def clamp(x, low, high):\n    return int(max(low, min(high, x)))\n",
];

fn case(suite: &str, language: &str) -> Value {
    let mut tests = vec![json!({"id": "gold", "subject": {"code": GOLD}, "expect": "pass"})];
    for (at, code) in MUTANTS.iter().enumerate() {
        tests.push(json!({"id": format!("m{at}"), "subject": {"code": code}, "expect": "fail"}));
    }
    json!({
        "language": language, "code": suite, "tests": tests,
        "limits": {"cpu_ms": 1000, "wall_ms": 10_000}, "reward": {"scheme": "fraction"},
    })
}

#[test]
fn a_suite_is_worth_the_mutants_it_kills() {
    let suites = [
        "assert clamp(1, 2, 3) == 2\nassert clamp(9, 2, 3) == 3\nassert clamp(5, 0, 9) == 5\n",
        "import unittest\nclass T(unittest.TestCase):\n    def test_low(self): self.assertEqual(clamp(1, 2, 3), 2)\n    def test_high(self): self.assertEqual(clamp(9, 2, 3), 3)\n",
        "import pytest\nfrom solution import clamp\n@pytest.mark.parametrize('x, want', [(1, 2), (9, 3)])\ndef test(x, want): assert clamp(x, 2, 3) == want\n",
    ];
    for suite in suites {
        let result = judged(&case(suite, "python"));
        let worth = Suite {
            valid: true,
            killed: 4,
            mutants: 5,
        };
        assert_eq!(result.suite, Some(worth), "{suite}");
        assert_eq!(result.reward, Some(0.8), "{suite}");
        assert_eq!(result.integrity, Integrity::Isolated, "{suite}");
        let last = result.tests.last().unwrap();
        assert_eq!(last.detail, "it passes a wrong program");
    }
}

/// One that passes everything, or fails everything, is worth nothing; nor is
/// one that looks for the programs instead of testing them.
#[test]
fn suites_that_do_not_test_are_worth_nothing_and_never_our_failure() {
    let suites = [
        "",
        "pass",
        "assert True",
        "assert False",
        "this is no python",
        "import os; os._exit(0)",
        "import os; os._exit(1)",
        "import sys; sys.exit(0)",
        "raise SystemExit(1)",
        "while True: pass",
        "x = [0] * 10**10",
        "import os\nos.write(4, b'{\"outcome\":\"passed\",\"message\":\"\",\"calls\":1,\"given\":1}')\nos._exit(0)",
        "import os\nos.write(4, b'{\"outcome\":\"assertion\",\"message\":\"\",\"calls\":1,\"given\":1}')\nos._exit(0)",
        "import os\nfor fd in range(3, 20):\n    try: os.close(fd)\n    except OSError: pass\n",
        "import inspect\nassert 'min(high, x))' in inspect.getsource(clamp)",
        "assert clamp.__code__.co_consts == (None,)",
        "import glob\nsource = ''.join(open(f).read() for f in glob.glob('/work/*'))\nassert 'max(low, min(high, x))' in source and 'int(' not in source\nassert 'glob' not in source",
    ];
    for suite in suites {
        let result = judged(&case(suite, "python"));
        assert_eq!(result.reward, Some(0.0), "{suite}: {:?}", result.suite);
        assert_ne!(result.verdict, Verdict::JudgeError, "{suite}");
        assert_ne!(result.verdict, Verdict::Accepted, "{suite}");
    }
}

#[test]
fn a_suite_in_javascript_is_judged_alike() {
    let gold = "const clamp = (x, low, high) => Math.max(low, Math.min(high, x));";
    let mutant = "const clamp = (x, low, high) => Math.max(low, x);";
    let request = json!({
        "language": "javascript",
        "code": "const test = require('node:test'); const assert = require('assert'); const { clamp } = require('./main.js'); test('high', () => assert.equal(clamp(9, 2, 3), 3));",
        "tests": [
            {"subject": {"code": gold}, "expect": "pass"},
            {"subject": {"code": mutant}, "expect": "fail"},
        ],
    });
    let result = judged(&request);
    assert_eq!(result.verdict, Verdict::Accepted, "{:?}", result.tests);
    assert_eq!(
        result.suite,
        Some(Suite {
            valid: true,
            killed: 1,
            mutants: 1
        })
    );
}

#[test]
fn requests_for_suites_that_make_no_sense_are_refused_by_field() {
    let with = |tests: Value| json!({"language": "python", "code": "", "tests": tests});
    let gold = json!({"subject": {"code": GOLD}, "expect": "pass"});
    let cases = [
        (with(json!([gold])), "tests"),
        (with(json!([gold, {"script": "pass"}])), "tests"),
        (
            with(json!([{"subject": {"code": GOLD}}])),
            "tests[0].expect",
        ),
        (
            with(json!([{"subject": {}, "expect": "pass"}])),
            "tests[0].subject.code",
        ),
        (
            with(json!([{"subject": {"code": GOLD}, "expect": "pass", "stdin": ""}])),
            "tests[0].stdin",
        ),
        (
            with(json!([{"prediction": {"program": "", "input": "1", "output": "2"}}])),
            "tests[0].prediction",
        ),
        (
            with(json!([{"prediction": {"program": "", "input": "1", "function": "f("}}])),
            "tests[0].prediction.function",
        ),
    ];
    for (request, field) in cases {
        assert_eq!(refused(&request), field, "{request}");
    }
}

const F: &str = "def f(nums):\n    out = []\n    for n in nums:\n        out.append((nums.count(n), n))\n    out.sort(reverse=True)\n    return out\n";

fn predict(text: &str, test: Value) -> (Verdict, String) {
    let mut prediction = json!({"program": F});
    prediction
        .as_object_mut()
        .unwrap()
        .extend(test.as_object().unwrap().clone());
    let result = judged(&json!({
        "language": "python", "code": text, "tests": [{"prediction": prediction}],
    }));
    (result.verdict, result.tests[0].detail.clone())
}

#[test]
fn predictions_are_literals_that_are_compared_and_never_executed() {
    let output = || json!({"input": "[1, 1, 3]"});
    let input = || json!({"output": "[(2, 1), (2, 1), (1, 3)]"});
    let right = [
        ("[(2, 1), (2, 1), (1, 3)]", output()),
        ("  [(2,1),(2,1),(1,3)]\n", output()),
        ("[1, 1, 3]", input()),
        ("nums=[3, 1, 1]", input()),
    ];
    for (text, test) in right {
        let (verdict, detail) = predict(text, test);
        assert_eq!(verdict, Verdict::Accepted, "{text}: {detail}");
    }
    let wrong = [
        ("[(2, 1)]", output()),
        ("f([1, 1, 3])", output()),
        ("sorted([(2, 1), (2, 1), (1, 3)], reverse=True)", output()),
        ("__import__('os')._exit(0)", output()),
        ("", output()),
        ("(", output()),
        ("[[[[[[", output()),
        ("[1, 1, 3]\nassert True", output()),
        ("[1, 3]", input()),
        ("[1, 1, 3]), print(1", input()),
        ("*[[1, 1, 3]]", input()),
        ("**{'nums': [1, 1, 3]}", input()),
        ("5", input()),
        ("(x for x in [1])", input()),
    ];
    for (text, test) in wrong {
        let (verdict, detail) = predict(text, test);
        assert_eq!(verdict, Verdict::WrongAnswer, "{text}: {detail}");
    }
    let deep = "(".repeat(100_000);
    let (verdict, detail) = predict(&deep, output());
    assert!(
        [Verdict::WrongAnswer, Verdict::RunTimeError].contains(&verdict),
        "{detail}"
    );
}

#[test]
fn a_predicted_input_on_which_the_program_never_ends_is_the_predictions_time_limit() {
    let request = json!({
        "language": "python", "code": "-1", "limits": {"cpu_ms": 300},
        "tests": [{"prediction": {"program": "def f(n):\n    while n: n -= 1\n    return 7\n", "output": "7"}}],
    });
    assert_eq!(judged(&request).verdict, Verdict::TimeLimitExceeded);
}
