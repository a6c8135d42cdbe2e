//! `assize receipt verify` on a receipt that a server once gave: it stays
//! genuine for later versions, and nothing changed about it does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/receipts")
        .join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture(name)).unwrap()).unwrap()
}

/// A file of our own, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("assize-receipt-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn of(name: &str, document: &Value) -> Self {
        let scratch = Self::new(name);
        std::fs::write(&scratch.0, document.to_string()).unwrap();
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Exit status and the JSON it printed.
fn verify(receipt: &Path, more: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_assize"))
        .args(["receipt", "verify", "--json"])
        .arg(receipt)
        .args(more)
        .output()
        .unwrap();
    let said = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), said)
}

fn key() -> String {
    fixture("key.json").display().to_string()
}

fn problems(said: &Value) -> Vec<&str> {
    let all = said["problems"].as_array().unwrap();
    all.iter().filter_map(|p| p["problem"].as_str()).collect()
}

#[test]
fn a_receipt_of_version_1_stays_genuine() {
    let request = fixture("request.json").display().to_string();
    let more = ["--key", &key(), "--request", &request];
    let (status, said) = verify(&fixture("answer.json"), &more);
    assert_eq!((status, &said["genuine"]), (0, &json!(true)), "{said}");
    assert_eq!(said["verdict"], "accepted");
    // The receipt alone, and the key in its other forms.
    let alone = Scratch::of("alone", &read("answer.json")["receipt"]);
    let base64 = read("key.json")["public_key"].as_str().unwrap().to_owned();
    assert_eq!(verify(&alone.0, &["--key", &base64]).0, 0);
    let pem = Scratch::new("pem");
    std::fs::write(&pem.0, read("key.json")["pem"].as_str().unwrap()).unwrap();
    let path = pem.0.display().to_string();
    assert_eq!(verify(&alone.0, &["--key", &path]).0, 0);
}

#[test]
fn every_field_of_the_receipt_is_held_by_the_signature() {
    let receipt = read("answer.json")["receipt"].clone();
    for (name, value) in receipt.as_object().unwrap() {
        let mut edited = receipt.clone();
        edited[name] = match value {
            Value::Number(n) => json!(n.as_u64().unwrap() + 1),
            other => json!(format!("{}x", other.as_str().unwrap())),
        };
        let edited = Scratch::of(&format!("edited-{name}"), &edited);
        let (status, said) = verify(&edited.0, &["--key", &key()]);
        assert_eq!(status, 1, "{name}: {said}");
        assert!(problems(&said).contains(&"edited"), "{name}: {said}");
    }
}

#[test]
fn an_edited_answer_another_key_and_another_request_are_told_apart() {
    let mut answer = read("answer.json");
    answer["reward"] = json!(0.5);
    let answer = Scratch::of("answer", &answer);
    let (status, said) = verify(&answer.0, &["--key", &key()]);
    assert_eq!((status, problems(&said)), (1, vec!["answer"]));
    // RFC 8032's, which signed nothing here.
    let other = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let (status, said) = verify(&fixture("answer.json"), &["--key", other]);
    assert_eq!((status, problems(&said)), (1, vec!["invented", "edited"]));
    let mut request = read("request.json");
    request["code"] = json!("def add(a, b):\n    return 42\n");
    let request = Scratch::of("request", &request);
    let path = request.0.display().to_string();
    let (status, said) = verify(
        &fixture("answer.json"),
        &["--key", &key(), "--request", &path],
    );
    assert_eq!((status, problems(&said)), (1, vec!["request"]));
}

#[test]
fn a_receipt_is_taken_once_and_only_for_its_nonce() {
    let seen = Scratch::new("seen");
    let path = seen.0.display().to_string();
    let more = ["--key", &key(), "--seen", &path, "--remember"];
    // One that is not genuine is not remembered.
    let wrong = [&more[..], &["--nonce", "another"]].concat();
    let (status, said) = verify(&fixture("answer.json"), &wrong);
    assert_eq!((status, problems(&said)), (1, vec!["nonce"]));
    assert_eq!(verify(&fixture("answer.json"), &more).0, 0);
    let (status, said) = verify(&fixture("answer.json"), &more);
    assert_eq!((status, problems(&said)), (1, vec!["replayed"]));
    let ids = std::fs::read_to_string(&seen.0).unwrap();
    assert_eq!(ids.lines().count(), 1);
}

#[test]
fn what_is_no_receipt_or_no_key_is_bad_input() {
    assert_eq!(verify(&fixture("request.json"), &["--key", &key()]).0, 2);
    assert_eq!(verify(&fixture("answer.json"), &["--key", "AAAA"]).0, 2);
    assert_eq!(verify(Path::new("/nowhere"), &["--key", &key()]).0, 2);
    let mut more = read("answer.json")["receipt"].clone();
    more["note"] = json!("trust me");
    let more = Scratch::of("more", &more);
    assert_eq!(verify(&more.0, &["--key", &key()]).0, 2);
}
