//! Signed verdicts, from the server that gives them to whoever checks them.

use std::collections::BTreeSet;

use assize_api::receipt::{Expected, Problem, PublicKey, Receipt, Signer, verify};
use assize_api::types::JudgementRequest;
use serde_json::{Value, json};

use crate::{add, server};

fn asked(nonce: &str) -> Value {
    let mut case = add("def add(a, b):\n    return a + b");
    case["receipt"] = json!(true);
    case["nonce"] = json!(nonce);
    case
}

fn judge(case: &Value) -> Value {
    let answer = server().post("/v1/judgements", case);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn key() -> PublicKey {
    PublicKey::parse(&server().text("/v1/receipts/key")).unwrap()
}

fn check(answer: &Value, request: &Value, seen: &[&str]) -> Vec<Problem> {
    let receipt: Receipt = serde_json::from_value(answer["receipt"].clone()).unwrap();
    let request: JudgementRequest = serde_json::from_value(request.clone()).unwrap();
    let seen: BTreeSet<String> = seen.iter().map(|s| (*s).to_owned()).collect();
    let expected = Expected {
        key: &key(),
        nonce: None,
        request: Some(&request),
        answer: Some(answer),
        seen: &seen,
    };
    verify(&receipt, &expected)
}

#[test]
fn an_answer_comes_with_a_receipt_when_it_is_asked_for() {
    let request = asked("a");
    let answer = judge(&request);
    assert_eq!(check(&answer, &request, &[]), []);
    let receipt = &answer["receipt"];
    assert_eq!(
        (&receipt["id"], &receipt["verdict"], &receipt["reward"]),
        (&answer["id"], &json!("accepted"), &json!("1.0"))
    );
    assert_eq!(receipt["nonce"], "a");
    let plain = judge(&add("def add(a, b):\n    return a + b"));
    assert_eq!(plain.get("receipt"), None);
}

#[test]
fn failures_and_compile_errors_are_signed_too() {
    let mut wrong = asked("b");
    wrong["code"] = json!("def add(a, b):\n    return a - b");
    let answer = judge(&wrong);
    assert_eq!(answer["receipt"]["verdict"], "wrong_answer");
    assert_eq!(check(&answer, &wrong, &[]), []);
    let broken = json!({
        "language": "c", "code": "int main(void) { return answer; }", "receipt": true,
        "tests": [{"stdout": ""}],
    });
    let answer = judge(&broken);
    assert_eq!(answer["receipt"]["verdict"], "compile_error");
    assert_eq!(check(&answer, &broken, &[]), []);
}

#[test]
fn another_verdict_another_question_and_a_second_use_are_detected() {
    let request = asked("c");
    let genuine = judge(&request);
    let mut flattered = genuine.clone();
    flattered["receipt"]["verdict"] = json!("wrong_answer");
    flattered["verdict"] = json!("wrong_answer");
    assert!(check(&flattered, &request, &[]).contains(&Problem::Edited));
    let mut around = genuine.clone();
    around["passed"] = json!(0);
    let outcome = Problem::Answer { part: "outcome" };
    assert_eq!(check(&around, &request, &[]), [outcome]);
    let mut other = request.clone();
    other["tests"][0]["returns"] = json!(43);
    let tests = Problem::Request { part: "tests" };
    assert_eq!(check(&genuine, &other, &[]), [tests]);
    assert_eq!(check(&genuine, &asked("d"), &[]), [Problem::Nonce]);
    let id = genuine["id"].as_str().unwrap();
    assert_eq!(check(&genuine, &request, &[id]), [Problem::Replayed]);
}

#[test]
fn the_same_submission_gets_the_same_digests_and_another_id() {
    let request = asked("e");
    let (a, b) = (judge(&request), judge(&request));
    for part in [
        "code", "tests", "grading", "policy", "runtime", "outcome", "key_id",
    ] {
        let digest = a["receipt"][part].as_str().unwrap();
        assert_eq!(digest, b["receipt"][part], "{part}");
        assert!(digest.contains(':'), "{part}");
    }
    assert_ne!(a["receipt"]["id"], b["receipt"]["id"]);
    let mut limited = request.clone();
    limited["limits"] = json!({"cpu_ms": 1500});
    let c = judge(&limited);
    // What was granted is signed beside what was asked for.
    assert_ne!(a["receipt"]["policy"], c["receipt"]["policy"]);
    assert_ne!(a["receipt"]["grading"], c["receipt"]["grading"]);
}

#[test]
fn receipts_come_with_batches() {
    let body = json!({"cases": [asked("f"), asked("g")]});
    let url = format!("http://{}/v1/batches", server().address);
    let mut response = ureq::post(&url)
        .header("content-type", "application/json")
        .send(body.to_string().as_bytes())
        .unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        let request = asked(["f", "g"][answer["index"].as_u64().unwrap() as usize]);
        assert_eq!(check(&answer, &request, &[]), []);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn a_nonce_without_a_receipt_and_one_too_long_are_refused() {
    let refused = |case: &Value| {
        let answer = server().post("/v1/judgements", case);
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(answer.body["error"]["details"]["field"], "nonce");
    };
    let mut alone = asked("h");
    alone["receipt"] = json!(false);
    refused(&alone);
    refused(&asked(&"x".repeat(257)));
    refused(&asked(""));
}

#[test]
fn the_key_is_published_and_says_how_long_it_lasts() {
    let answer = server().get("/v1/receipts/key").body;
    assert_eq!(answer["algorithm"], "Ed25519");
    assert_eq!(answer["ephemeral"], true);
    let key = key();
    assert_eq!(answer["key_id"], key.id());
    let pem = answer["pem"].as_str().unwrap();
    assert_eq!(PublicKey::parse(pem).unwrap(), key);
}

#[test]
fn a_program_cannot_read_the_key() {
    let name = format!("assize-receipts-{}.pem", std::process::id());
    let path = std::env::temp_dir().join(name);
    let pem = Signer::generate().unwrap().to_pem().unwrap();
    std::fs::write(&path, pem).unwrap();
    // Readable by everybody, so that only the cell stands between.
    let shown = path.display();
    let code = format!(
        "cat {shown}; find / -name '*.pem' -path '*assize*' 2>/dev/null; \
         grep -l 'PRIVATE[ ]KEY' -r /tmp /work /etc /assize 2>/dev/null; true"
    );
    let body =
        json!({"language": "bash", "code": code, "limits": {"cpu_ms": 5000, "wall_ms": 20_000}});
    let answer = server().post("/v1/runs", &body);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(answer.body["status"], "finished", "{}", answer.body);
    assert_eq!(answer.body["stdout"]["text"], "", "{}", answer.body);
}
