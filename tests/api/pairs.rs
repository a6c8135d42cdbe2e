//! Preference pairs and ranks.

use serde_json::{Value, json};

use crate::add;
use crate::selection::{post, refused};

#[test]
fn pairs_are_made_of_what_is_known() {
    let fact = |id: &str, verdict: &str, passed: u64, log_prob: f64| {
        json!({"id": id, "group": "p", "verdict": verdict, "passed": passed, "total": 4,
               "log_prob": log_prob})
    };
    let body = post(
        "/v1/pairs",
        &json!({"answers": [
            fact("good", "accepted", 4, -2.0), fact("near", "wrong_answer", 3, -1.0),
            fact("lost", "judge_error", 0, -1.0), fact("flaky", "flaky", 3, -1.0),
            fact("broken", "compile_error", 0, -1.5), fact("slow", "time_limit_exceeded", 2, -9.0),
        ]}),
    );
    let group = &body["groups"][0];
    assert_eq!(group["group"], "p");
    assert_eq!(
        group["pairs"],
        json!([
            {"chosen": "good", "rejected": "near"},
            {"chosen": "good", "rejected": "broken"},
            {"chosen": "good", "rejected": "slow"},
        ])
    );
    assert_eq!(group["order"], json!(["good", "near", "slow", "broken"]));
    let ranks: Vec<&Value> = group["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["rank"])
        .collect();
    assert_eq!(json!(ranks), json!([3, 2, null, null, 0, 1]));
    // near over good 1, broken over good 0.5, broken over slow 7.5.
    assert_eq!(group["ranking_loss"], 9.0);
    let body = post(
        "/v1/pairs",
        &json!({"scheme": "acecoder", "answers": [
            {"verdict": "accepted", "passed": 10, "total": 10},
            {"verdict": "wrong_answer", "passed": 5, "total": 10},
            {"verdict": "wrong_answer", "passed": 6, "total": 10},
            {"verdict": "wrong_answer", "passed": 0, "total": 10},
        ]}),
    );
    assert_eq!(
        body["groups"][0]["pairs"],
        json!([{"chosen": "1", "rejected": "2"}])
    );
    assert_eq!(body["groups"][0]["ranking_loss"], Value::Null);
}

#[test]
fn cases_are_judged_and_paired_by_group() {
    let case = |group: &str, code: &str| {
        let mut case = add(code);
        case["group"] = json!(group);
        case
    };
    let body = post(
        "/v1/pairs",
        &json!({"cases": [
            case("a", "def add(a, b):\n    return a + b"),
            case("b", "def add(a, b):\n    return a + b"),
            case("a", "def add(a, b):\n    return a * b"),
            case("a", "def add(a, b):\n    raise ValueError"),
        ]}),
    );
    let groups = body["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(
        groups[0]["pairs"],
        json!([{"chosen": "1", "rejected": "3"}, {"chosen": "1", "rejected": "4"}])
    );
    assert_eq!(groups[0]["order"], json!(["1", "3", "4"]));
    assert_eq!(groups[1]["pairs"], json!([]));
}

#[test]
fn facts_that_make_no_sense_are_refused_by_field() {
    let path = "/v1/pairs";
    refused(path, &json!({}), "invalid_field", "answers");
    let lie = json!({"answers": [{"verdict": "accepted", "passed": 1, "total": 2}]});
    refused(path, &lie, "invalid_field", "answers[0].verdict");
    let none = json!({"answers": [{"verdict": "wrong_answer", "passed": 0, "total": 0}]});
    refused(path, &none, "invalid_field", "answers[0].total");
    let odd = json!({"answers": [{"verdict": "great", "passed": 0, "total": 1}]});
    refused(path, &odd, "invalid_field", "answers[0].verdict");
    let above =
        json!({"answers": [{"verdict": "wrong_answer", "passed": 0, "total": 1, "log_prob": 1}]});
    refused(path, &above, "invalid_field", "answers[0].log_prob");
    let mut case = add("x = 1");
    case["tests"] = json!([]);
    refused(
        path,
        &json!({"cases": [add("x = 1"), case]}),
        "empty_tests",
        "cases[1].tests",
    );
}
