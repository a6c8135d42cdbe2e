//! Whole problem packages: those of tests/fixtures/packages, each with
//! submissions that keep what their directories promise, and changed copies.

use std::path::{Path, PathBuf};
use std::process::Command;

use assize_judge::package::{Bench, Package, Report, Standing, TimeLimit};
use assize_judge::verdict::Verdict;
use serde_json::Value;

use crate::engine;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/packages")
        .join(name)
}

/// A copy of a fixture that a test may change.
struct Copy(PathBuf);

impl Copy {
    fn of(name: &str, purpose: &str) -> Self {
        fn copy(from: &Path, to: &Path) {
            std::fs::create_dir_all(to).unwrap();
            for entry in std::fs::read_dir(from).unwrap().flatten() {
                let target = to.join(entry.file_name());
                if entry.path().is_dir() {
                    copy(&entry.path(), &target);
                } else {
                    std::fs::copy(entry.path(), target).unwrap();
                }
            }
        }
        let dir = format!("assize-{name}-{purpose}-{}", std::process::id());
        let dir = std::env::temp_dir().join(dir);
        let _ = std::fs::remove_dir_all(&dir);
        copy(&fixture(name), &dir);
        Self(dir)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn remove(&self, path: &str) -> &Self {
        let path = self.0.join(path);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
        self
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn verify(path: &Path) -> Report {
    let (runtime, engine) = engine();
    let package = Package::read(path).unwrap();
    let policy = engine.profile("default").unwrap();
    runtime.block_on(async {
        let mut bench = Bench::open(engine, &package, policy).await.unwrap();
        bench.verify(&mut |_| {}).await.unwrap()
    })
}

/// Name, standing and detail of everything that is not as it should be.
fn off(report: &Report) -> Vec<(&str, Standing, &str)> {
    let rows = report.submissions.iter();
    rows.filter(|r| r.standing != Standing::Ok)
        .map(|r| (r.submission.as_str(), r.standing, r.detail.as_str()))
        .collect()
}

#[test]
fn every_fixture_is_what_it_promises() {
    for (name, submissions) in [("means", 5), ("summands", 6), ("guess", 6), ("shares", 4)] {
        let report = verify(&fixture(name));
        assert!(report.ok, "{name}: {report:?}");
        assert_eq!(report.submissions.len(), submissions, "{name}");
        assert_eq!(report.time_limit_s, Some(1.0), "{name}");
    }
}

#[test]
fn scores_of_groups_make_the_score_of_a_submission() {
    let report = verify(&fixture("shares"));
    let scores: Vec<_> = report
        .submissions
        .iter()
        .map(|r| (r.submission.as_str(), r.score, r.cases))
        .collect();
    let want = [
        ("divmod.py", Some(100.0), 4),
        ("long.c", Some(20.0), 4),
        // A group is left at its first failure; the next one is judged.
        ("swapped.py", None, 3),
        ("zero.py", None, 3),
    ];
    assert_eq!(scores, want);
}

#[test]
fn a_submission_in_the_wrong_directory_is_found() {
    let copy = Copy::of("means", "mislabelled");
    copy.write("submissions/accepted/floor.py", "print('Mean', 1)\n")
        .write(
            "submissions/wrong_answer/right.py",
            "n = int(input())\nprint('Mean', sum(map(int, input().split())) / n)\n",
        )
        .write(
            "submissions/run_time_error/broken.cpp",
            "int main() { return none; }\n",
        );
    let report = verify(&copy.0);
    assert!(!report.ok);
    let found: Vec<_> = off(&report).iter().map(|o| (o.0, o.1)).collect();
    let want = [
        ("floor.py", Standing::Mismatch),
        ("right.py", Standing::Mismatch),
        ("broken.cpp", Standing::Mismatch),
    ];
    assert_eq!(found, want, "{report:?}");
}

#[test]
fn inputs_that_no_validator_would_have_are_found() {
    let copy = Copy::of("means", "inputs");
    copy.write("data/secret/03-odd.in", "2\n1 2 3\n")
        .write("data/secret/03-odd.ans", "Mean 3\n");
    let report = verify(&copy.0);
    let [problem] = report.problems.as_slice() else {
        panic!("{:?}", report.problems);
    };
    assert!(
        problem.contains("data/secret/03-odd.in is not valid"),
        "{problem}"
    );
    assert!(problem.contains("numbers.py"), "{problem}");
    assert!(!report.ok);
}

#[test]
fn what_this_host_cannot_run_is_said_to_have_not_run() {
    let copy = Copy::of("shares", "unknown");
    copy.write("submissions/accepted/Main.cob", "STOP RUN.\n");
    let report = verify(&copy.0);
    assert!(!report.ok);
    let [(name, standing, detail)] = off(&report)[..] else {
        panic!("{:?}", off(&report));
    };
    assert_eq!((name, standing), ("Main.cob", Standing::NotRun));
    assert!(detail.contains("no runtime"), "{detail}");
}

#[test]
fn a_package_whose_validator_fails_has_judge_errors_and_no_wrong_answers() {
    let copy = Copy::of("guess", "validator");
    copy.write("output_validators/interactor.py", "raise SystemExit(1)\n");
    let report = verify(&copy.0);
    let verdicts: Vec<_> = report.submissions.iter().map(|r| r.verdict).collect();
    assert!(!report.ok);
    assert!(
        !verdicts.contains(&Some(Verdict::WrongAnswer)),
        "{verdicts:?}"
    );
    assert!(
        verdicts.contains(&Some(Verdict::JudgeError)),
        "{verdicts:?}"
    );
}

#[test]
fn a_custom_grader_decides_where_a_group_says_so() {
    let copy = Copy::of("shares", "grader");
    copy.write(
        "graders/half.py",
        "import sys\n\
         results = [line.split() for line in sys.stdin]\n\
         good = [float(score) for verdict, score in results if verdict == 'AC']\n\
         assert sys.argv[1:] == ['x']\n\
         print('AC' if good else 'WA', sum(good) / 2)\n",
    )
    .write(
        "data/secret/testdata.yaml",
        "on_reject: continue\ngrading: custom\ngrader_flags: x\nrange: 0 100\n",
    )
    // Inherited as everything else is; these groups are graded as before.
    .write(
        "data/secret/1-small/testdata.yaml",
        "on_reject: break\ngrading: default\naccept_score: 20\ngrader_flags: min\n",
    )
    .write(
        "data/secret/2-large/testdata.yaml",
        "on_reject: break\ngrading: default\naccept_score: 80\ngrader_flags: min\n",
    );
    let report = verify(&copy.0);
    let scores: Vec<_> = report.submissions.iter().map(|r| r.score).collect();
    assert_eq!(scores, [Some(50.0), Some(10.0), None, None], "{report:?}");
}

#[test]
fn included_files_take_the_place_of_a_submissions_own() {
    let copy = Copy::of("summands", "include");
    copy.write(
        "include/python3/splitting.py",
        "def split(n): return 2, n - 2\n",
    )
    .remove("submissions")
    .write(
        "submissions/accepted/parts/main.py",
        "from splitting import split\nprint(*split(int(input())))\n",
    )
    .write(
        "submissions/accepted/parts/splitting.py",
        "def split(n): return 0, 0\n",
    );
    let report = verify(&copy.0);
    assert!(report.ok, "{report:?}");
}

#[test]
fn a_submission_that_is_a_little_too_slow_is_told_from_one_that_is_much() {
    let (runtime, engine) = engine();
    let package = Package::read(&fixture("shares")).unwrap();
    let policy = engine.profile("default").unwrap();
    let slow = package
        .submissions
        .iter()
        .find(|s| s.source.name == "divmod.py");
    let mut source = slow.unwrap().source.clone();
    let wait = b"import time\nwhile time.process_time() < 0.3: pass\n";
    source.files[0].data.splice(0..0, wait.iter().copied());
    let judged = |limit| {
        let bench = async {
            let bench = Bench::open(engine, &package, policy).await.unwrap();
            bench.judge(&source, limit).await.unwrap()
        };
        runtime.block_on(bench).verdict
    };
    // It runs to its end either way, and is judged by the limit alone.
    let (seconds, cut) = (0.2, 20.0);
    assert_eq!(
        judged(TimeLimit { seconds, cut }),
        Verdict::TimeLimitExceeded
    );
    assert_eq!(judged(TimeLimit::of(cut)), Verdict::Accepted);
}

/// `assize judge` with these arguments: exit status and what it printed.
fn assize(args: &[&str]) -> (Option<i32>, String) {
    let program = assize_tests::binaries().join("assize");
    assert!(program.exists(), "build the workspace first (make build)");
    let output = Command::new(program)
        .arg("judge")
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

#[test]
fn the_command_line_says_it_in_a_table_in_json_and_by_its_exit_status() {
    let shares = fixture("shares");
    let shares = shares.to_str().unwrap();
    let (status, text) = assize(&["--problem", shares, "--verify", "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &report["ok"]), (Some(0), &Value::Bool(true)));
    assert_eq!(report["submissions"][1]["standing"], "ok");
    let (_, text) = assize(&["--problem", shares, "--verify"]);
    assert!(text.contains("long.c") && text.ends_with("OK\n"), "{text}");

    let copy = Copy::of("shares", "command");
    copy.write("submissions/accepted/wrong.py", "print(0, 0)\n");
    let (status, text) = assize(&["--problem", copy.0.to_str().unwrap(), "--verify"]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("MISMATCH") && text.ends_with("NOT OK\n"),
        "{text}"
    );

    let long = format!("{shares}/submissions/partially_accepted/long.c");
    let (status, text) = assize(&[&long, "--problem", shares, "--json"]);
    let judged: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, &judged["score"]),
        (Some(0), &Value::from(20.0)),
        "{text}"
    );
    let wrong = format!("{shares}/submissions/wrong_answer/swapped.py");
    assert_eq!(
        assize(&[&wrong, "--problem", shares, "--cpu", "1s"]).0,
        Some(1)
    );
    assert_eq!(
        assize(&[&wrong, "--problem", shares, "--checker", "exact"]).0,
        Some(2)
    );
    assert_eq!(
        assize(&[&wrong, "--problem", "/nonexistent", "--verify"]).0,
        Some(2)
    );
}
