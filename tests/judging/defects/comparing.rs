//! Outputs and values: what is equal, and what only looks so.

use assize_judge::checker::{Checker, Kattis, Tolerance};
use serde_json::json;

use super::{prints, program, verdict};
use crate::judge_text;

/// Every rule, and its name in a request.
fn rules() -> [(Checker, &'static str); 7] {
    let near = Tolerance::new(1e-6, 1e-6).unwrap();
    [
        (Checker::Tokens, "tokens"),
        (Checker::Exact, "exact"),
        (Checker::Lines, "lines"),
        (Checker::Unordered, "unordered"),
        (Checker::Json, "json"),
        (Checker::Float(near), "float"),
        (Checker::Kattis(Kattis::default()), "kattis"),
    ]
}

fn equal(rule: Checker, want: &str, got: &str) -> bool {
    rule.check(want.as_bytes(), got.as_bytes()).is_ok()
}

/// open-r1@1416fa0 `code_reward` (and ml-diffucoder@f735e01): `zip` of the two
/// lists of lines stops with the shorter one. ScaleBox@4bcfefd
/// `sandbox/utils/testing.py`: the same, the check of the lengths commented
/// out; lines of junk after the right ones pass too.
#[test]
fn a_correct_prefix_and_extra_lines_are_wrong_under_every_checker() {
    for (rule, name) in rules() {
        for got in ["3\n", "3\n4\n", "3\n4\n5\njunk\n", ""] {
            assert!(!equal(rule, "3\n4\n5\n", got), "{name}: {got:?}");
            assert!(!equal(rule, got, "3\n4\n5\n"), "{name}: {got:?}");
        }
        let mut request = prints("print(3)", "3\n4\n5\n");
        request["checker"] = json!({"kind": name});
        // What JSON calls the expected output is the author's mistake to find,
        // and no output of the candidate's makes it right.
        assert_eq!(verdict(&request), "wrong_answer", "{name}");
        request["code"] = json!("print(3, 4, 5, 6, sep='\\n')");
        assert_eq!(verdict(&request), "wrong_answer", "{name}");
    }
    assert_eq!(
        verdict(&prints("print(3, 4, 5, sep='\\n')", "3\n4\n5\n")),
        "accepted"
    );
}

/// SandboxFusion@469de08 CommonOJ (`sandbox/utils/testing.py`): a relative
/// error of 1e-5 for integers too. verl@b178a3cd5 `prime_code/testing_util.py`:
/// `np.allclose`. SkyRL@a9564572e `fuzzy_equal` and CodeContests@fa7a4f8:
/// doubles, which have no odd numbers above 2^53; the latter reads integers
/// into 32 bits.
#[test]
fn integers_off_by_one_are_wrong_however_large_or_negative() {
    for (want, got) in [
        ("1000000007", "1000000008"),
        ("1000000", "999991"),
        ("100001", "100000"),
        ("9007199254740993", "9007199254740992"),
        ("-1000000007", "-1000000008"),
        ("-5", "-4"),
        ("7", "4294967303"),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567891",
        ),
    ] {
        for (rule, name) in rules() {
            assert!(!equal(rule, want, got), "{name}: {want} {got}");
            assert!(equal(rule, want, want), "{name}: {want}");
        }
        let mut request = prints(&format!("print({got})"), want);
        for kind in ["tokens", "float"] {
            request["checker"] = json!({"kind": kind});
            assert_eq!(verdict(&request), "wrong_answer", "{kind}: {want} {got}");
        }
        // As text: a document would make a double of what has thirty digits.
        let call = format!(
            r#"{{"language": "python", "code": "def f(): return {got}",
                "tests": [{{"call": {{"function": "f"}}, "returns": {want}}}],
                "checker": {{"kind": "float", "abs": 1e-6, "rel": 1e-5}}}}"#
        );
        let judged = judge_text(&call);
        assert_eq!(judged.verdict.name(), "wrong_answer", "{want} {got}");
    }
}

/// SandboxFusion@469de08 and verl@b178a3cd5 `prime_code`: a float on the line
/// makes the whole line approximate. EvalPlus@26d6d00: `atol` becomes 1e-6 at
/// the first float and stays so for every value after it.
#[test]
fn an_integer_beside_a_float_stays_exact() {
    let near = Checker::Float(Tolerance::new(1e-6, 1e-6).unwrap());
    assert!(equal(near, "0.5 1000000007", "0.5000001 1000000007"));
    assert!(!equal(near, "0.5 1000000007", "0.5000001 1000000008"));
    let checker = json!({"kind": "float", "abs": 1e-6, "rel": 1e-6});
    let mut request = prints("print(0.5000001, 1000000008)", "0.5 1000000007\n");
    request["checker"] = checker.clone();
    assert_eq!(verdict(&request), "wrong_answer");
    for (value, honest) in [
        ("[0.5000001, 10000000]", "accepted"),
        ("[0.5000001, 10000001]", "wrong_answer"),
    ] {
        let call = json!({
            "language": "python", "code": format!("def f(): return {value}"),
            "tests": [{"call": {"function": "f"}, "returns": [0.5, 10_000_000]}],
            "checker": checker,
        });
        assert_eq!(verdict(&call), honest, "{value}");
    }
}

/// APPS (and TACO, which took its grader): one comparison after the other until
/// one accepts, sets of lines and of tokens among them. LiveCodeBench's
/// ancestors did the same.
#[test]
fn order_and_repetition_count_unless_the_task_says_otherwise() {
    let wrong = ["2\n1\n2\n", "1\n2\n", "1\n1\n2\n", "1\n2\n2\n2\n"];
    for (rule, name) in rules() {
        assert!(equal(rule, "1\n2\n2\n", "1\n2\n2\n") || name == "json");
        for got in wrong {
            let reordered = name == "unordered" && got == wrong[0];
            assert_eq!(equal(rule, "1\n2\n2\n", got), reordered, "{name}: {got:?}");
        }
    }
    let request = prints("print(2, 1, sep='\\n')", "1\n2\n2\n");
    assert_eq!(verdict(&request), "wrong_answer");
}

/// SandboxFusion@469de08 lower-cases each line and CodeContests@fa7a4f8 each
/// token: `abc` is `ABC`, whatever the task.
#[test]
fn letters_keep_their_case_unless_the_task_says_otherwise() {
    for (rule, name) in rules() {
        for (want, got) in [("YES", "yes"), ("abc", "ABC"), ("NaN", "nan")] {
            assert_eq!(
                equal(rule, want, got),
                name == "kattis",
                "{name}: {want} {got}"
            );
        }
    }
    assert_eq!(verdict(&prints("print('ABC')", "abc\n")), "wrong_answer");
}

/// Right answers turned away. verl@b178a3cd5 `sandbox_fusion` and
/// NeMo-Skills@0b012df8: a space at the end of a line, or a CRLF in what is
/// expected. SandboxFusion@469de08: two spaces for one, and `1.0 2.0` for
/// `1.00 2.00` where it would take `1.0` for `1.00`.
#[test]
fn spaces_that_nobody_sees_fail_no_right_answer() {
    for code in [
        "print('1 2 \\n3')",
        "print('1  2\\n3')",
        "print('\\n1 2\\n3\\n\\n')",
        "print('1 2\\r\\n3', end='')",
    ] {
        for want in ["1 2\n3\n", "1 2\r\n3\r\n", "1 2\n3"] {
            assert_eq!(verdict(&prints(code, want)), "accepted", "{code} {want:?}");
        }
    }
    let mut floats = prints("print('1.0 2.0')", "1.00 2.00\n");
    floats["checker"] = json!({"kind": "float"});
    assert_eq!(verdict(&floats), "accepted");
    floats["code"] = json!("print('1.0 2.1')");
    assert_eq!(verdict(&floats), "wrong_answer");
}

/// SandboxFusion@469de08: output that is not UTF-8 becomes the text
/// "[DecodeError] …", so that two different ones are equal.
#[test]
fn bytes_that_are_no_text_are_compared_as_bytes() {
    let writes = |bytes: &str| format!("import sys; sys.stdout.buffer.write(b'{bytes}')");
    for want in ["\u{fffd}\n", "[DecodeError]\n", "\u{ff}\n", ""] {
        for kind in ["tokens", "exact", "lines", "unordered", "json", "float"] {
            let mut request = prints(&writes("\\xff\\n"), want);
            request["checker"] = json!({"kind": kind});
            assert_eq!(verdict(&request), "wrong_answer", "{kind}: {want:?}");
        }
    }
    assert_eq!(
        verdict(&prints(&writes("\\xc3\\xbf\\n"), "\u{ff}\n")),
        "accepted"
    );
    assert_ne!(Checker::Exact.check(b"\xff", b"\xfe"), Ok(()));
}

/// SandboxFusion@469de08 (issue 62): 400 kB of output is cut to 219,264
/// characters without a word, so the right answer is wrong. NeMo-Skills: cut
/// after 1,000 characters, with "<output cut>" behind. Piston@0a844d0: killed
/// after 1,024 bytes. MultiPL-E in bigcode-evaluation-harness@8fc5bae6: 2,048.
#[test]
fn a_long_output_is_compared_to_its_last_byte() {
    let long = format!("{}1\n", "7".repeat(400_000));
    let code = |last: u8| format!("print('7' * 400_000 + '{last}')");
    assert_eq!(verdict(&prints(&code(1), &long)), "accepted");
    assert_eq!(verdict(&prints(&code(2), &long)), "wrong_answer");
    let lines = "1\n".repeat(100_000);
    assert_eq!(
        verdict(&prints("print('1\\n' * 100_000)", &lines)),
        "accepted"
    );
    assert_eq!(
        verdict(&prints("print('1\\n' * 99_999)", &lines)),
        "wrong_answer"
    );
}

/// SandboxFusion@469de08 (issue 62) again: what was kept of a cut output is
/// compared, and `Success` stands beside it.
#[test]
fn a_cut_output_is_an_output_limit_even_where_its_rest_is_right() {
    for kept in [1, 2, 100, 4096] {
        let want = "7".repeat(kept);
        let mut request = prints(&format!("print('7' * {}, end='')", kept + 1), &want);
        request["limits"]["stdout_bytes"] = json!(kept);
        for kind in [
            "tokens",
            "exact",
            "lines",
            "unordered",
            "json",
            "float",
            "kattis",
        ] {
            request["checker"] = json!({"kind": kind});
            assert_eq!(verdict(&request), "output_limit_exceeded", "{kind} {kept}");
        }
        let fits = prints(&format!("print('7' * {kept}, end='')"), &want);
        assert_eq!(verdict(&fits), "accepted", "{kept}");
    }
}

/// Piston@0a844d0 adds a line's end to an input without one. LiveCodeBench@
/// 28fef95 runs programs in its own process with a stand-in for standard input:
/// `for line in sys.stdin`, a second `buffer.readline()`, `os.read(0)`,
/// `stdout.buffer.write` and `global` in a nested function all fail there.
#[test]
fn standard_streams_are_real_and_the_input_is_as_it_was_given() {
    for code in [
        "import sys\nfor line in sys.stdin: print(int(line) + 1)",
        "import sys\nread = sys.stdin.buffer.readline\nprint(int(read()) + 1)\nprint(int(read()) + 1)",
        "import os\nfor n in os.read(0, 99).split(): os.write(1, b'%d\\n' % (int(n) + 1))",
        "import sys\nsys.stdout.buffer.write(b'2\\n3\\n')",
        "def main():\n    def step():\n        global n\n        n = int(input())\n        print(n + 1)\n    step(); step()\nmain()",
        "print(*(int(n) + 1 for n in open('/dev/stdin')))",
        "import sys, fileinput\nfor line in fileinput.input(): print(int(line) + 1)",
    ] {
        for stdin in ["1\n2\n", "1\n2"] {
            assert_eq!(
                verdict(&program("python", code, stdin, "2\n3\n")),
                "accepted",
                "{code}"
            );
        }
    }
    let whole = "import sys; print(repr(sys.stdin.read()))";
    for stdin in ["x", "x\n", "\n", "", "a\r\nb"] {
        let want = format!("{}\n", format!("{stdin:?}").replace('"', "'"));
        let mut request = program("python", whole, stdin, &want);
        request["checker"] = json!({"kind": "exact"});
        assert_eq!(verdict(&request), "accepted", "{stdin:?}");
    }
}
