//! Checkers of the author's in a cell of their own.

use serde_json::{Value, json};

use crate::{judge, only, refused};

/// Accepts any two summands of the input's number. As the Kattis format has
/// it, and strict with what it is given.
const SUMMANDS: &str = r#"
import os, sys
source, answer, feedback = sys.argv[1:4]
assert feedback.endswith("/") and os.path.isdir(feedback)
want = int(open(source).read())
assert open(answer).read() in ("", "any\n")
def end(status, message):
    open(feedback + "judgemessage.txt", "w").write(message)
    sys.exit(status)
try:
    a, b = map(int, sys.stdin.read().split())
except ValueError:
    end(43, "not two numbers")
end(42 if a + b == want else 43, f"{a} + {b} is not {want}")
"#;

/// The same problem, as testlib's programs would: argv, exit status, message.
const SUMMANDS_TESTLIB: &str = r#"
#include <fstream>
#include <iostream>
#include <string>
int quit(int status, const std::string& message) {
    std::cerr << message << std::endl;
    return status;
}
int main(int argc, char** argv) {
    if (argc < 4) return quit(3, "FAIL three arguments");
    std::ifstream input(argv[1]), output(argv[2]), answer(argv[3]);
    long want, a, b;
    std::string more;
    if (!(input >> want) || !answer) return quit(3, "FAIL no input");
    if (!(output >> a >> b) || output >> more) return quit(2, "wrong output format: two numbers");
    if (a + b != want) return quit(1, "wrong answer: the sum differs");
    if (argc > 4) return quit(7, "points 0.5 half of it");
    return quit(0, "ok");
}
"#;

fn case(code: &str, checker: Value) -> Value {
    json!({
        "language": "python", "code": code, "tests": [{"stdin": "10\n"}],
        "checker": {"kind": "program", "program": checker},
    })
}

fn kattis(code: &str) -> Value {
    json!({"language": "python", "code": code})
}

fn testlib(code: &str) -> Value {
    json!({"language": "cpp", "code": code, "convention": "testlib"})
}

#[test]
fn a_kattis_validator_decides_by_its_exit_status_and_says_why() {
    let tried = |code| {
        let judged = judge(&case(code, kattis(SUMMANDS)));
        let (verdict, detail, score) = only(&judged);
        (verdict, detail.to_owned(), score)
    };
    assert_eq!(tried("print(3, 7)"), ("accepted", String::new(), None));
    assert_eq!(tried("print(4, 6)").0, "accepted");
    let wrong = ("wrong_answer", "3 + 8 is not 10".to_owned(), None);
    assert_eq!(tried("print(3, 8)"), wrong);
    assert_eq!(tried("pass").1, "not two numbers");
}

#[test]
fn a_testlib_checker_decides_by_its_exit_status_and_says_why() {
    let request = |code| case(code, testlib(SUMMANDS_TESTLIB));
    for (code, verdict, detail) in [
        ("print(3, 7)", "accepted", ""),
        (
            "print(3, 8)",
            "wrong_answer",
            "wrong answer: the sum differs",
        ),
        (
            "print(3)",
            "wrong_answer",
            "wrong output format: two numbers",
        ),
        (
            "print(3, 7, 0)",
            "wrong_answer",
            "wrong output format: two numbers",
        ),
    ] {
        let judged = judge(&request(code));
        assert_eq!(only(&judged), (verdict, detail, None), "{code}");
    }
}

#[test]
fn points_count_only_against_full_points() {
    let with = |full: Option<f64>| {
        let mut checker = testlib(SUMMANDS_TESTLIB);
        checker["args"] = json!(["half"]);
        if let Some(full) = full {
            checker["full_points"] = json!(full);
        }
        judge(&case("print(3, 7)", checker))
    };
    assert_eq!(only(&with(Some(0.5))), ("accepted", "", Some(0.5)));
    let partial = with(Some(1.0));
    assert_eq!(
        (only(&partial).0, only(&partial).2),
        ("wrong_answer", Some(0.5))
    );
    let unknown = with(None);
    assert_eq!(only(&unknown).0, "judge_error");
    assert!(
        only(&unknown).1.contains("full_points"),
        "{:?}",
        only(&unknown)
    );
    assert_eq!(unknown.reward, None);
}

#[test]
fn a_validator_that_fails_is_never_the_candidates_wrong_answer() {
    for (code, why) in [
        ("import sys; sys.exit(0)", "status 0"),
        ("import sys; sys.exit(1)", "status 1"),
        ("raise ValueError('no such thing')", "no such thing"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("while True: pass", "CPU time ran out"),
        ("x = 'a' * (1 << 33)", "memory"),
        (
            "import sys; open(sys.argv[3] + 'score.txt', 'w').write('much'); sys.exit(42)",
            "score.txt",
        ),
    ] {
        let mut checker = kattis(code);
        // Only what each is about is scarce, however busy the host is.
        checker["limits"] = match why {
            "CPU time ran out" => json!({"cpu_ms": 500, "wall_ms": 120_000}),
            "memory" => json!({"cpu_ms": 30_000, "wall_ms": 120_000, "memory_bytes": 48 << 20}),
            _ => json!({"cpu_ms": 30_000, "wall_ms": 120_000}),
        };
        let judged = judge(&case("print(3, 7)", checker));
        let (verdict, detail, _) = only(&judged);
        assert_eq!(verdict, "judge_error", "{code}");
        assert!(
            detail.contains(why) || detail.to_lowercase().contains(why),
            "{detail}"
        );
        assert_eq!(
            (judged.verdict.name(), judged.reward),
            ("judge_error", None)
        );
    }
    let fail = "int main() { return 3; }";
    assert_eq!(only(&judge(&case("pass", testlib(fail)))).0, "judge_error");
}

#[test]
fn a_checker_that_does_not_compile_is_a_judge_error_and_says_so() {
    let judged = judge(&case(
        "print(3, 7)",
        testlib("int main() { return nothing; }"),
    ));
    let (verdict, detail, _) = only(&judged);
    assert_eq!((verdict, judged.reward), ("judge_error", None));
    assert!(
        detail.starts_with("the checker cannot be built"),
        "{detail}"
    );
    assert!(detail.contains("nothing"), "{detail}");
    // Whose program does not compile either has a verdict of its own.
    let mut request = case("int main( {", testlib("int main( {"));
    request["language"] = json!("cpp");
    assert_eq!(judge(&request).verdict.name(), "compile_error");
}

#[test]
fn a_candidate_that_fails_never_reaches_the_checker() {
    let always = kattis("import sys; sys.exit(42)");
    for (code, verdict) in [
        ("print(3, 7); raise SystemExit(1)", "run_time_error"),
        ("while True: pass", "time_limit_exceeded"),
        ("while True: print('x' * 10000)", "output_limit_exceeded"),
    ] {
        let mut request = case(code, always.clone());
        request["limits"] = json!({"cpu_ms": 500, "stdout_bytes": 100_000});
        assert_eq!(only(&judge(&request)).0, verdict, "{code}");
    }
}

#[test]
fn what_the_candidate_printed_reaches_the_checker_as_bytes_and_whole() {
    let code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 3000 + b'--help\\n')";
    let checker = "import sys\n\
        data = sys.stdin.buffer.read()\n\
        assert sys.argv[4:] == ['--flag', 'a b'], sys.argv\n\
        sys.exit(42 if data == bytes(range(256)) * 3000 + b'--help\\n' else 43)";
    let mut program = kattis(checker);
    program["args"] = json!(["--flag", "a b"]);
    assert_eq!(only(&judge(&case(code, program))), ("accepted", "", None));
}

#[test]
fn a_message_is_bounded_and_escaped() {
    let checker = "import sys\n\
        open(sys.argv[3] + 'judgemessage.txt', 'wb').write(sys.stdin.buffer.read())\n\
        sys.exit(43)";
    let code = "print('\\x1b[2J\\nverdict: accepted' + 'x' * 5000)";
    let judged = judge(&case(code, kattis(checker)));
    let (verdict, detail, _) = only(&judged);
    assert_eq!(verdict, "wrong_answer");
    assert!(detail.starts_with("\\u{1b}[2J\\nverdict"), "{detail}");
    assert!(
        detail.len() < 1000 && !detail.contains('\n'),
        "{}",
        detail.len()
    );
    let huge = "print('x' * 200_000)";
    let judged = judge(&case(huge, kattis(checker)));
    assert_eq!(only(&judged).1, "its message is too long to be shown");
    let link = "import os, sys\n\
        path = sys.argv[3] + 'judgemessage.txt'\n\
        os.unlink(path); os.symlink(sys.argv[1], path); sys.exit(43)";
    assert_eq!(only(&judge(&case("pass", kattis(link)))).1, "");
}

#[test]
fn a_score_stands_beside_the_verdict() {
    let checker = "import sys\n\
        open(sys.argv[3] + 'score.txt', 'w').write('12.5\\n')\n\
        sys.exit(42)";
    assert_eq!(
        only(&judge(&case("pass", kattis(checker)))),
        ("accepted", "", Some(12.5))
    );
}

#[test]
fn the_candidate_sees_nothing_of_the_checker_or_the_answer() {
    let code = "import os\n\
        found = [os.path.join(d, f) for d, _, fs in os.walk('/work') for f in fs]\n\
        print(3, 7) if found == ['/work/main.py'] else print(found)";
    assert_eq!(only(&judge(&case(code, kattis(SUMMANDS)))).0, "accepted");
}

#[test]
fn each_test_has_a_fresh_cell_for_its_checker() {
    let checker = "import os, sys\n\
        seen = os.path.exists('/tmp/seen') or os.path.exists('seen')\n\
        open('/tmp/seen', 'w'); open('seen', 'w')\n\
        sys.exit(43 if seen else 42)";
    let mut request = case("pass", kattis(checker));
    request["tests"] = json!([{"stdin": "1"}, {"stdin": "2"}, {"stdin": "3", "stdout": "x"}]);
    let judged = judge(&request);
    assert_eq!((judged.verdict.name(), judged.passed), ("accepted", 3));
}

#[test]
fn what_a_test_brings_does_not_count_against_the_checkers_limits() {
    let code = "print('7' * 3_000_000)";
    let checker = "import sys\n\
        sys.exit(42 if len(sys.stdin.read()) == 3_000_001 and \
        len(open(sys.argv[1]).read()) == 9_000_000 else 43)";
    let mut program = kattis(checker);
    program["limits"] = json!({"disk_bytes": 65536, "files": 8, "memory_bytes": 64 << 20});
    let mut request = case(code, program);
    request["limits"] = json!({"stdout_bytes": 4 << 20});
    request["tests"] = json!([{"stdin": "8".repeat(9_000_000)}]);
    assert_eq!(only(&judge(&request)), ("accepted", "", None));
}

#[test]
fn a_checker_of_several_files_finds_its_own() {
    let program = json!({
        "language": "python", "entry": "check.py",
        "files": {
            "check.py": {"text": "import sys, rules\nsys.exit(rules.decide(sys.stdin.read()))"},
            "rules.py": {"text": "def decide(text): return 42 if text == 'x\\n' else 43"},
        },
    });
    assert_eq!(only(&judge(&case("print('x')", program))).0, "accepted");
}

#[test]
fn the_kattis_rule_takes_its_flags() {
    let request = |flags: Value, printed: &str| {
        json!({
            "language": "bash", "code": format!("echo {printed}"),
            "tests": [{"stdin": "", "stdout": "Yes 1000\n"}],
            "checker": {"kind": "kattis", "flags": flags},
        })
    };
    assert_eq!(only(&judge(&request(json!([]), "YES 1000"))).0, "accepted");
    let flags = json!(["case_sensitive", "float_tolerance", "1e-3"]);
    assert_eq!(
        only(&judge(&request(flags.clone(), "Yes 1e3"))).0,
        "accepted"
    );
    assert_eq!(only(&judge(&request(flags, "YES 1e3"))).0, "wrong_answer");
    assert_eq!(refused(&request(json!(["strict"]), "x")), "checker.flags");
}

#[test]
fn refusals_name_the_field_below_the_program() {
    let with = |change: fn(&mut Value)| {
        let mut request = case("pass", kattis("pass"));
        change(&mut request);
        refused(&request)
    };
    for (change, field) in [
        (
            (|r| r["checker"]["program"]["language"] = json!("cobol")) as fn(&mut Value),
            "checker.program.language",
        ),
        (
            |r| r["checker"]["program"]["convention"] = json!("icpc"),
            "checker.program.convention",
        ),
        (
            |r| r["checker"]["program"]["limits"] = json!({"cpu_ms": 1u64 << 50}),
            "checker.program.limits.cpu_ms",
        ),
        (
            |r| r["checker"]["program"]["full_points"] = json!(1),
            "checker.program.full_points",
        ),
        (
            |r| r["checker"]["program"]["args"] = json!(["a\u{0}"]),
            "checker.program.args",
        ),
        (
            |r| {
                r["checker"]["program"] = json!({"language": "python",
                    "files": {".judge/x.py": {"text": ""}}})
            },
            "checker.program.files",
        ),
        (
            |r| r["checker"] = json!({"kind": "program"}),
            "checker.program",
        ),
        (|r| r["checker"]["kind"] = json!("exact"), "checker.program"),
        (|r| r["tests"] = json!([{"script": "f()"}]), "tests[0]"),
    ] {
        assert_eq!(with(change), field);
    }
}
