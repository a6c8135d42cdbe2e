//! Interactive problems: candidate and interactor in a cell each.

use serde_json::{Value, json};

use crate::{judge, only, refused};

/// Guess a number between 1 and 1000 in ten tries.
const GUESS: &str = r#"
import sys
secret = int(open(sys.argv[1]).read())
def end(status, message):
    open(sys.argv[3] + "judgemessage.txt", "w").write(message)
    sys.exit(status)
for _ in range(10):
    line = sys.stdin.readline()
    if not line:
        end(43, "it gave up")
    if not line.strip().isdigit():
        end(43, "not a number")
    guess = int(line)
    print("correct" if guess == secret else "lower" if secret < guess else "higher", flush=True)
    if guess == secret:
        end(42, "")
end(43, "ten tries")
"#;

const SEARCH: &str = r#"
low, high = 1, 1000
while True:
    guess = (low + high) // 2
    print(guess, flush=True)
    said = input()
    if said == "correct":
        break
    low, high = (low, guess - 1) if said == "lower" else (guess + 1, high)
"#;

fn case(code: &str, interactor: Value) -> Value {
    json!({
        "language": "python", "code": code, "tests": [{"stdin": "731\n"}],
        "interactor": interactor,
    })
}

fn kattis(code: &str) -> Value {
    json!({"language": "python", "code": code})
}

/// Verdict and detail of a candidate that plays the guessing game.
fn play(code: &str) -> (String, String) {
    let mut request = case(code, kattis(GUESS));
    request["limits"] = json!({"cpu_ms": 1000, "wall_ms": 60_000});
    let judged = judge(&request);
    let (verdict, detail, _) = only(&judged);
    (verdict.to_owned(), detail.to_owned())
}

fn said(verdict: &str, detail: &str) -> (String, String) {
    (verdict.to_owned(), detail.to_owned())
}

#[test]
fn the_two_talk_and_the_interactor_decides() {
    assert_eq!(play(SEARCH), said("accepted", ""));
    let all = "for n in range(1, 1001):\n    print(n, flush=True)\n    input()";
    assert_eq!(play(all), said("wrong_answer", "ten tries"));
}

#[test]
fn a_compiled_pair_in_the_testlib_convention_talks_too() {
    let interactor = r#"
        #include <fstream>
        #include <iostream>
        int main(int argc, char** argv) {
            std::ifstream input(argv[1]);
            std::ofstream log(argv[2]);
            if (argc < 4 || !log || !std::ifstream(argv[3])) return 3;
            int n, sum;
            input >> n;
            for (int i = 0; i < n; i++) {
                std::cout << i << " " << i + 1 << std::endl;
                if (!(std::cin >> sum)) { std::cerr << "no answer"; return 2; }
                if (sum != 2 * i + 1) { std::cerr << "wrong sum"; return 1; }
            }
            std::cout << -1 << std::endl;
            return 0;
        }"#;
    let candidate = |sum: &str| {
        format!(
            "#include <stdio.h>\n\
             int main(void) {{ int a, b; while (scanf(\"%d\", &a) == 1 && a >= 0) {{ \
             scanf(\"%d\", &b); printf(\"%d\\n\", {sum}); fflush(stdout); }} return 0; }}"
        )
    };
    let judged = |sum: &str| {
        let mut request = case(
            &candidate(sum),
            json!({"language": "cpp", "code": interactor, "convention": "testlib"}),
        );
        request["language"] = json!("c");
        request["tests"] = json!([{"stdin": "2000\n"}]);
        request["limits"] = json!({"cpu_ms": 20_000, "wall_ms": 120_000});
        let judged = judge(&request);
        let (verdict, detail, _) = only(&judged);
        (verdict.to_owned(), detail.to_owned())
    };
    assert_eq!(judged("a + b"), said("accepted", ""));
    assert_eq!(judged("a - b"), said("wrong_answer", "wrong sum"));
}

#[test]
fn a_rejection_stands_whatever_the_candidate_does_once_it_is_alone() {
    // It reads on, finds the end, raises.
    let stubborn = "print('x', flush=True)\ninput()\ninput()";
    assert_eq!(play(stubborn), said("wrong_answer", "not a number"));
    // It writes on until the pipe breaks.
    let loud = "import sys\nwhile True:\n    sys.stdout.write('x\\n'); sys.stdout.flush()";
    assert_eq!(play(loud), said("wrong_answer", "not a number"));
    // It computes on until its time is up.
    let lost = "print('x', flush=True)\nwhile True: pass";
    assert_eq!(play(lost), said("wrong_answer", "not a number"));
}

#[test]
fn a_candidate_that_failed_first_has_failed() {
    let crash = "print(500, flush=True)\ninput()\nraise SystemExit(3)";
    assert_eq!(play(crash).0, "run_time_error");
    let forever = "print(500, flush=True)\ninput()\nwhile True: pass";
    assert_eq!(
        play(forever),
        said("time_limit_exceeded", "CPU time ran out")
    );
    let greedy = "print(500, flush=True)\ninput()\nx = bytearray(1 << 30)\nx = bytes(x)";
    assert_eq!(play(greedy).0, "memory_limit_exceeded");
    // Even where its interactor cannot cope with that.
    let interactor = "import sys\nprint('go', flush=True)\nint(input())";
    let judged = judge(&case("input()\nraise SystemExit(3)", kattis(interactor)));
    assert_eq!(only(&judged).0, "run_time_error");
}

#[test]
fn a_candidate_that_leaves_early_is_the_interactors_to_judge() {
    assert_eq!(
        play("print(500, flush=True)"),
        said("wrong_answer", "it gave up")
    );
    assert_eq!(play("pass"), said("wrong_answer", "it gave up"));
    let generous = "import sys\nprint('x' * 1000000, flush=True)\nsys.stdin.read()\nsys.exit(42)";
    assert_eq!(only(&judge(&case("pass", kattis(generous)))).0, "accepted");
}

#[test]
fn two_that_wait_for_each_other_are_found_out() {
    let (verdict, detail) = play("input()\nprint(500, flush=True)");
    assert_eq!(verdict, "time_limit_exceeded");
    assert!(detail.starts_with("deadlock"), "{detail}");
    // The usual reason: nobody flushed.
    let (verdict, detail) = play("import sys\nprint(500)\nsys.stdin.readline()");
    assert_eq!(verdict, "time_limit_exceeded");
    assert!(detail.starts_with("deadlock"), "{detail}");
}

#[test]
fn one_that_works_while_the_other_waits_is_no_deadlock() {
    let slow = "import sys, time\n\
        end = time.process_time() + 1.6\n\
        while time.process_time() < end: pass\n\
        print('done', flush=True)\n\
        sys.exit(42 if sys.stdin.readline() == 'done\\n' else 43)";
    let mut request = case("print(input())", kattis(slow));
    request["limits"] = json!({"cpu_ms": 1000, "wall_ms": 60000});
    assert_eq!(only(&judge(&request)), ("accepted", "", None));
}

#[test]
fn an_interactor_that_fails_is_never_the_candidates_wrong_answer() {
    for (code, why) in [
        ("raise ValueError('mine')", "mine"),
        ("import sys; sys.exit(0)", "status 0"),
        ("import os; os.kill(os.getpid(), 11)", "signal 11"),
        ("while True: pass", "CPU time"),
    ] {
        let mut interactor = kattis(code);
        interactor["limits"] = json!({"cpu_ms": 500});
        let judged = judge(&case("import sys\nsys.stdin.read()", interactor));
        let (verdict, detail, _) = only(&judged);
        assert_eq!(
            (verdict, judged.reward),
            ("judge_error", None),
            "{code}: {detail}"
        );
        assert!(detail.contains(why), "{detail}");
    }
}

#[test]
fn what_a_candidate_prints_is_bounded_and_shown() {
    let drain = "import sys\nsys.stdin.read()\nsys.exit(43)";
    let mut request = case("while True: print('x' * 1000)", kattis(drain));
    request["limits"] = json!({"cpu_ms": 5000, "stdout_bytes": 200_000});
    let judged = judge(&request);
    assert_eq!(only(&judged).0, "output_limit_exceeded");
    let printed = &judged.tests[0].outcome.as_ref().unwrap().stdout;
    assert!(printed.total > 200_000 && printed.data.len() <= 64 << 10);
    let judged = judge(&case("print('seen')", kattis(drain)));
    assert_eq!(
        judged.tests[0].outcome.as_ref().unwrap().stdout.data,
        b"seen\n"
    );
}

#[test]
fn a_candidate_cannot_read_what_is_for_its_interactor_nor_the_input() {
    // Its own streams open anew in their own direction only; the input file is
    // in the other cell.
    let code = "import os, sys\n\
        def refused(path, flags):\n\
        \x20   try: os.close(os.open(path, flags)); return False\n\
        \x20   except OSError: return True\n\
        ok = refused('/dev/stdout', os.O_RDONLY) and refused('/dev/stdin', os.O_WRONLY)\n\
        ok = ok and refused('/proc/self/fd/1', os.O_RDWR) and not os.path.exists('/work/.judge')\n\
        print('yes' if ok else 'no', flush=True)";
    let interactor = "import sys; sys.exit(42 if sys.stdin.readline() == 'yes\\n' else 43)";
    assert_eq!(only(&judge(&case(code, kattis(interactor)))).0, "accepted");
}

#[test]
fn large_amounts_go_both_ways_at_once() {
    let interactor = "import os, sys, threading\n\
        data = b'0123456789abcde\\n' * 100000\n\
        def feed(): sys.stdout.buffer.write(data); sys.stdout.buffer.flush(); os.close(1)\n\
        threading.Thread(target=feed).start()\n\
        sys.exit(42 if sys.stdin.buffer.read() == data else 43)";
    let code = "import shutil, sys\nshutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)";
    let mut request = case(code, kattis(interactor));
    request["limits"] = json!({"stdout_bytes": 4 << 20});
    assert_eq!(only(&judge(&request)), ("accepted", "", None));
}

#[test]
fn refusals_name_the_field() {
    let mut request = case(SEARCH, kattis(GUESS));
    request["checker"] = json!({"kind": "exact"});
    assert_eq!(refused(&request), "checker");
    let mut request = case(SEARCH, kattis(GUESS));
    request["tests"] = json!([{"script": "f()"}]);
    assert_eq!(refused(&request), "tests[0]");
    let request = case(SEARCH, json!({"language": "cobol", "code": ""}));
    assert_eq!(refused(&request), "interactor.language");
}
