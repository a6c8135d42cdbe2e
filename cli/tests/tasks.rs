//! `assize tasks check` on tasks of every kind of unsoundness, in real cells.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tasks")
        .join(name)
}

/// A file that is not there yet and goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("assize-tasks-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Exit status and standard output.
fn check(file: &Path, more: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_assize"))
        .args(["tasks", "check"])
        .arg(file)
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

fn json(file: &Path, more: &[&str]) -> (i32, Value) {
    let (status, text) = check(file, &[&["--json"], more].concat());
    (status, serde_json::from_str(&text).unwrap())
}

fn reasons(report: &Value) -> Vec<(&str, Value)> {
    let all = report["unsound"].as_array().unwrap();
    all.iter()
        .map(|t| (t["id"].as_str().unwrap(), t["reasons"].clone()))
        .collect()
}

#[test]
fn every_kind_of_unsoundness_is_told_from_the_others_and_from_our_failure() {
    let out = Scratch::new("sound");
    // A coin that falls the same way so often is no coin.
    let more = ["--runs", "40", "--out", out.0.to_str().unwrap()];
    let (status, report) = json(&fixture("tasks.jsonl"), &more);
    assert_eq!(
        reasons(&report),
        [
            ("gold fails", json!(["gold_fails"])),
            ("gold varies", json!(["gold_varies"])),
            ("stub passes", json!(["stub_passes"])),
            ("no gold", json!(["no_gold"])),
            ("refused", json!(["refused"])),
            ("7", json!(["gold_fails", "stub_passes"])),
        ]
    );
    let open = report["undecided"].as_array().unwrap();
    assert_eq!((open.len(), &open[0]["id"]), (1, &json!("undecided")));
    assert_eq!(
        (status, &report["tasks"], &report["sound"]),
        (1, &json!(10), &json!(3))
    );
    assert_eq!(report["reasons"]["gold_fails"], 2);
    let detail = |n: usize| report["unsound"][n]["detail"].as_str().unwrap();
    assert!(detail(0).starts_with("wrong_answer: "), "{report}");
    assert!(detail(4).contains("colour"), "{report}");
    let sound = std::fs::read_to_string(&out.0).unwrap();
    assert_eq!(sound, "sound\nsound/files\nsound/no stub\n");
}

#[test]
fn a_data_set_that_eval_reads_is_checked_with_its_own_solutions_and_stubs() {
    let (status, report) = json(&fixture("humaneval.jsonl"), &["--runs", "2"]);
    assert_eq!(
        reasons(&report),
        [
            ("T/1", json!(["stub_passes"])),
            ("T/2", json!(["gold_fails"])),
            ("T/3", json!(["no_gold"])),
        ]
    );
    assert_eq!(
        (status, &report["sound"], &report["runs"]),
        (1, &json!(1), &json!(2))
    );
    let (status, text) = check(&fixture("humaneval.jsonl"), &["--runs", "1"]);
    assert_eq!(status, 1);
    for said in [
        "stub_passes",
        "gold_fails",
        "no_gold",
        "1 of 4 tasks are sound, 3 unsound, 0 undecided",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn the_exit_status_tells_sound_undecided_and_bad_input_apart() {
    let lines = std::fs::read_to_string(fixture("tasks.jsonl")).unwrap();
    let with = |name: &str, keep: &[&str]| {
        let file = Scratch::new(name);
        let kept = lines
            .lines()
            .filter(|l| keep.iter().any(|k| l.contains(&format!("\"id\": \"{k}\""))));
        let text: String = kept.map(|l| format!("{l}\n")).collect();
        std::fs::write(&file.0, text).unwrap();
        file
    };
    let one = ["--runs", "1", "--cpu", "5s"];
    assert_eq!(check(&with("fine.jsonl", &["sound"]).0, &one).0, 0);
    assert_eq!(
        check(&with("open.jsonl", &["sound", "undecided"]).0, &one).0,
        3
    );
    assert_eq!(
        check(&with("both.jsonl", &["gold fails", "undecided"]).0, &one).0,
        1
    );
    let twice = Scratch::new("twice.jsonl");
    let first = lines.lines().next().unwrap();
    std::fs::write(&twice.0, format!("{first}\n{first}\n")).unwrap();
    assert_eq!(check(&twice.0, &one).0, 2);
    let code = Scratch::new("code.jsonl");
    std::fs::write(&code.0, first.replace("\"gold\"", "\"code\"")).unwrap();
    assert_eq!(check(&code.0, &one).0, 2);
    assert_eq!(check(Path::new("/nowhere"), &one).0, 2);
}
