//! Checkers for the tasks of the corpus that have more than one right answer,
//! one in each convention.

use assize_api::types::JudgementRequest;
use serde_json::{Value, json};

use super::{Trial, base, corpus, examples};
use crate::judge;

/// One token, decimal, in range, and only then a question of primes.
const KATTIS: &str = r"
import re, sys
n = int(open(sys.argv[1]).read())
tokens = sys.stdin.buffer.read().split()
if len(tokens) != 1 or not re.fullmatch(rb'[1-9][0-9]{0,6}', tokens[0]):
    sys.exit(43)
p = int(tokens[0])
prime = p > 1 and all(p % d for d in range(2, int(p ** 0.5) + 1))
sys.exit(42 if n <= p <= 2 * n and prime else 43)
";

const TESTLIB: &str = r#"
#include <fstream>
#include <iterator>
#include <string>
int main(int argc, char** argv) {
    if (argc < 4) return 3;
    std::ifstream input(argv[1]), output(argv[2], std::ios::binary);
    long n;
    if (!(input >> n) || !output) return 3;
    std::string said((std::istreambuf_iterator<char>(output)), {});
    const std::string space(" \t\r\n\v\f");
    size_t from = said.find_first_not_of(space), to = said.find_last_not_of(space);
    if (from == std::string::npos || to - from >= 7) return 2;
    long p = 0;
    for (size_t i = from; i <= to; i++) {
        if (said[i] < (i == from ? '1' : '0') || said[i] > '9') return 2;
        p = 10 * p + (said[i] - '0');
    }
    if (p < n || p > 2 * n || p < 2) return 1;
    for (long d = 2; d * d <= p; d++) if (p % d == 0) return 1;
    return 0;
}
"#;

/// A hack or an answer before each of the two checkers.
pub(super) fn trials(request: &Value, name: &str) -> Vec<Trial> {
    let checkers = [
        json!({"language": "python", "code": KATTIS, "convention": "kattis"}),
        json!({"language": "cpp", "code": TESTLIB, "convention": "testlib"}),
    ];
    let trial = |program: Value| {
        let mut request = request.clone();
        let name = format!("{name}, {}", program["convention"]);
        request["checker"] = json!({"kind": "program", "program": program});
        Trial { name, request }
    };
    checkers.map(trial).into()
}

/// Else every hack would fail whatever it did.
#[test]
fn both_checkers_accept_every_right_answer_and_no_other() {
    let (hacks, tasks) = corpus();
    let hack = hacks.iter().find(|h| h.task == "anyprime").expect("a hack");
    let task = &tasks["anyprime"];
    let tests = || -> Vec<Value> {
        let test = |e: &Value| json!({"stdin": e["stdin"], "stdout": e["expected"]});
        examples(task).map(test).collect()
    };
    let reference = task["reference"]["python"].as_str().expect("a reference");
    // A prime, but the greatest in range instead of the least.
    let other = "n = int(input())\np = 2 * n\nwhile any(p % d == 0 for d in range(2, int(p ** .5) + 1)): p -= 1\nprint(p)";
    for (code, honest) in [
        (reference, "accepted"),
        (other, "accepted"),
        ("print(int(input()) + 3)", "wrong_answer"),
        (
            "n = int(input())\nprint(2 if n == 1 else 11 if n == 8 else 999983)",
            "wrong_answer",
        ),
        ("print(2, 11, 1000003)", "wrong_answer"),
        ("print('+11')", "wrong_answer"),
        ("print('')", "wrong_answer"),
    ] {
        let mut request = base(hack, task, "native", tests());
        request["language"] = json!("python");
        request["code"] = json!(code);
        for trial in trials(&request, code) {
            let request: JudgementRequest = serde_json::from_value(trial.request).expect("sound");
            assert_eq!(judge(&request).verdict.name(), honest, "{}", trial.name);
        }
    }
}
