use std::collections::BTreeSet;

use assize_judge::case::Integrity;
use serde_json::{Value, json};

use super::digests::OfRequest;
use super::*;
use crate::types::{RuntimeBody, TestBody, UsageBody};

fn request() -> JudgementRequest {
    let request = json!({
        "language": "python", "code": "def add(a, b):\n    return a + b\n",
        "tests": [{"call": {"function": "add", "args": [1, {"b": 2, "a": 1.0}]}, "returns": 3}],
        "limits": {"cpu_ms": 1000}, "receipt": true, "nonce": "42",
    });
    serde_json::from_value(request).unwrap()
}

fn body() -> JudgementBody {
    let test = TestBody {
        id: "1".into(),
        verdict: "accepted",
        detail: String::new(),
        score: None,
        integrity: Integrity::Isolated,
        subtests: Vec::new(),
        attempts: 1,
        usage: UsageBody::default(),
        stdout: None,
        stderr: None,
    };
    JudgementBody {
        id: "jdg_1".into(),
        verdict: "accepted",
        code: "AC",
        passed: 1,
        total: 1,
        tests: vec![test],
        reward: Some(1.0),
        rewards: None,
        integrity: Integrity::Isolated,
        compile: None,
        usage: UsageBody::default(),
        backend: "native",
        runtime: RuntimeBody {
            language: "python".into(),
            version: "3.11".into(),
            digest: "sha256:00".into(),
        },
        queued_ms: 0.0,
        group: None,
        suite: None,
        feedback: None,
        receipt: None,
    }
}

fn issued(signer: &Signer) -> Receipt {
    let digests = Digests {
        request: OfRequest::of(&request()),
        policy: super::digests::sha256(b"policy"),
        nonce: Some("42".into()),
    };
    issue(signer, digests, &body())
}

fn problems(receipt: &Receipt, key: &PublicKey) -> Vec<Problem> {
    let seen = BTreeSet::new();
    let (request, answer) = (request(), serde_json::to_value(body()).unwrap());
    let expected = Expected {
        key,
        nonce: Some("42"),
        request: Some(&request),
        answer: Some(&answer),
        seen: &seen,
    };
    verify(receipt, &expected)
}

#[test]
fn a_genuine_receipt_has_no_problem_and_survives_json() {
    let signer = Signer::generate().unwrap();
    let receipt = issued(&signer);
    assert_eq!(problems(&receipt, signer.public()), []);
    let text = serde_json::to_string(&receipt).unwrap();
    let again: Receipt = serde_json::from_str(&text).unwrap();
    assert_eq!(problems(&again, signer.public()), []);
}

/// Every field, the signature included, changed in every way that JSON allows.
#[test]
fn an_edit_of_any_field_is_detected() {
    let signer = Signer::generate().unwrap();
    let genuine = serde_json::to_value(issued(&signer)).unwrap();
    let names: Vec<String> = genuine.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names.len(), 15);
    for name in names {
        let edits = match &genuine[&name] {
            Value::Number(n) => vec![json!(n.as_u64().unwrap() + 1)],
            Value::String(text) => {
                let mut flipped = text.clone().into_bytes();
                let last = flipped.len() / 2;
                flipped[last] = if flipped[last] == b'a' { b'b' } else { b'a' };
                let flipped = String::from_utf8(flipped).unwrap();
                vec![
                    json!(format!("{text} ")),
                    json!(&text[1..]),
                    json!(flipped),
                    json!(""),
                ]
            }
            other => panic!("{name}: {other}"),
        };
        let optional = ["reward", "nonce"].contains(&name.as_str());
        for edit in edits.into_iter().chain(optional.then_some(Value::Null)) {
            let mut edited = genuine.clone();
            edited[&name] = edit.clone();
            let edited: Receipt = serde_json::from_value(edited).unwrap();
            let found = problems(&edited, signer.public());
            assert!(
                found.contains(&Problem::Edited),
                "{name} as {edit}: {found:?}"
            );
        }
    }
}

#[test]
fn what_moves_from_one_field_to_the_next_changes_the_signed_bytes() {
    let mut a = issued(&Signer::generate().unwrap());
    let mut b = a.clone();
    (a.verdict, a.reward) = ("accepted\nreward:1:1".into(), None);
    (b.verdict, b.reward) = ("accepted".into(), Some("1".into()));
    assert_ne!(a.signed_bytes(), b.signed_bytes());
    (a.nonce, b.nonce) = (None, Some("-".into()));
    b.clone_from(&Receipt {
        nonce: b.nonce.clone(),
        ..a.clone()
    });
    assert_ne!(a.signed_bytes(), b.signed_bytes());
}

#[test]
fn an_invented_receipt_is_told_by_its_key() {
    let (signer, other) = (Signer::generate().unwrap(), Signer::generate().unwrap());
    let foreign = issued(&other);
    let found = problems(&foreign, signer.public());
    let key_id = other.public().id().to_owned();
    assert_eq!(found, [Problem::Invented { key_id }, Problem::Edited]);
    // Under our key's name.
    let mut posing = foreign;
    posing.key_id = signer.public().id().to_owned();
    posing.signature = other.sign(&posing.signed_bytes());
    assert_eq!(problems(&posing, signer.public()), [Problem::Edited]);
}

#[test]
fn a_receipt_is_good_once_and_for_its_challenge() {
    let signer = Signer::generate().unwrap();
    let receipt = issued(&signer);
    let check = |nonce: Option<&str>, seen: &[&str]| {
        let seen: BTreeSet<String> = seen.iter().map(|s| (*s).to_owned()).collect();
        let expected = Expected {
            key: signer.public(),
            nonce,
            request: None,
            answer: None,
            seen: &seen,
        };
        verify(&receipt, &expected)
    };
    assert_eq!(check(Some("42"), &["jdg_0"]), []);
    assert_eq!(check(None, &[]), []);
    assert_eq!(check(Some("43"), &[]), [Problem::Nonce]);
    assert_eq!(check(Some("42"), &["jdg_1"]), [Problem::Replayed]);
}

#[test]
fn a_receipt_for_another_submission_names_what_differs() {
    let signer = Signer::generate().unwrap();
    let receipt = issued(&signer);
    let seen = BTreeSet::new();
    let check = |change: fn(&mut JudgementRequest)| {
        let mut request = request();
        change(&mut request);
        let expected = Expected {
            key: signer.public(),
            nonce: None,
            request: Some(&request),
            answer: None,
            seen: &seen,
        };
        verify(&receipt, &expected)
    };
    let request = |part| vec![Problem::Request { part }];
    assert_eq!(check(|_| ()), []);
    assert_eq!(check(|r| r.group = Some("g".into())), []);
    assert_eq!(check(|r| r.code = Some("pass".into())), request("code"));
    assert_eq!(check(|r| r.language = "pypy".into()), request("code"));
    assert_eq!(check(|r| r.entry = Some("a.py".into())), request("code"));
    assert_eq!(
        check(|r| r.tests[0].id = Some("x".into())),
        request("tests")
    );
    assert_eq!(check(|r| r.tests.clear()), request("tests"));
    assert_eq!(check(|r| r.limits.cpu_ms = Some(1)), request("grading"));
    assert_eq!(
        check(|r| r.checker.kind = "exact".into()),
        request("grading")
    );
    assert_eq!(
        check(|r| r.policy = Some("strict".into())),
        request("grading")
    );
    assert_eq!(
        check(|r| r.reward.scheme = "fraction".into()),
        request("grading")
    );
    assert_eq!(
        check(|r| r.stop_on_first_failure = true),
        request("grading")
    );
    assert_eq!(check(|r| r.nonce = Some("43".into())), [Problem::Nonce]);
}

#[test]
fn the_same_request_written_differently_is_the_same() {
    let text = r#"{"nonce":"42", "receipt":true, "limits":{"cpu_ms":1000},
        "tests":[{"returns":3,"call":{"args":[ 1, {"a":1.0,"b":2} ],"function":"\u0061dd"}}],
        "code":"def add(a, b):\n    return a + b\n", "language":"python"}"#;
    let again: JudgementRequest = serde_json::from_str(text).unwrap();
    assert_eq!(OfRequest::of(&again), OfRequest::of(&request()));
}

#[test]
fn an_answer_edited_around_its_receipt_is_detected() {
    let signer = Signer::generate().unwrap();
    let receipt = issued(&signer);
    let seen = BTreeSet::new();
    let check = |path: &str, value: Value| {
        let mut answer = serde_json::to_value(body()).unwrap();
        *answer.pointer_mut(path).unwrap() = value;
        let expected = Expected {
            key: signer.public(),
            nonce: None,
            request: None,
            answer: Some(&answer),
            seen: &seen,
        };
        verify(&receipt, &expected)
    };
    let answer = |part| vec![Problem::Answer { part }];
    assert_eq!(check("/queued_ms", json!(9)), []);
    assert_eq!(check("/id", json!("jdg_2")), answer("id"));
    assert_eq!(check("/verdict", json!("wrong_answer")), answer("verdict"));
    assert_eq!(check("/reward", json!(0.5)), answer("reward"));
    assert_eq!(check("/reward", Value::Null), answer("reward"));
    assert_eq!(check("/integrity", json!("shared")), answer("integrity"));
    assert_eq!(check("/passed", json!(0)), answer("outcome"));
    assert_eq!(check("/tests/0/verdict", json!("flaky")), answer("outcome"));
    assert_eq!(check("/tests", json!([])), answer("outcome"));
    assert_eq!(
        check("/runtime/digest", json!("sha256:01")),
        answer("runtime")
    );
    assert_eq!(check("/backend", json!("wasi")), answer("runtime"));
}

#[test]
fn scores_and_subtests_are_part_of_the_outcome_where_there_are_any() {
    let outcome = |change: Value| {
        let mut answer = serde_json::to_value(body()).unwrap();
        for (key, value) in change.as_object().unwrap() {
            answer["tests"][0][key] = value.clone();
        }
        let tests = answer["tests"].as_array().unwrap();
        super::digests::outcome_of(tests, &answer["passed"], &answer["total"], true)
    };
    let plain = super::digests::outcome(&body());
    assert_eq!(outcome(json!({"detail": "x", "subtests": []})), plain);
    let passed = json!({"subtests": [{"name": "a", "verdict": "accepted", "detail": ""}]});
    let failed = json!({"subtests": [{"name": "a", "verdict": "wrong_answer", "detail": ""}]});
    assert_ne!(outcome(passed.clone()), plain);
    assert_ne!(outcome(passed), outcome(failed));
    assert_ne!(
        outcome(json!({"score": 0.5})),
        outcome(json!({"score": 0.6}))
    );
}

/// The bytes of docs/receipts.md.
#[test]
fn the_signed_bytes_are_the_documented_ones() {
    let receipt = Receipt {
        version: VERSION.into(),
        id: "jdg_1".into(),
        key_id: "ed25519:00".into(),
        time_ms: 1_700_000_000_000,
        code: "sha256:c0".into(),
        tests: "sha256:7e".into(),
        grading: "sha256:9a".into(),
        policy: "sha256:b0".into(),
        runtime: "sha256:a0".into(),
        outcome: "sha256:0c".into(),
        verdict: "accepted".into(),
        reward: None,
        integrity: "isolated".into(),
        nonce: Some("é".into()),
        signature: String::new(),
    };
    let want = "assize-receipt-1\nid:5:jdg_1\nkey_id:10:ed25519:00\ntime_ms:13:1700000000000\n\
                code:9:sha256:c0\ntests:9:sha256:7e\ngrading:9:sha256:9a\npolicy:9:sha256:b0\n\
                runtime:9:sha256:a0\noutcome:9:sha256:0c\nverdict:8:accepted\nreward:-\n\
                integrity:8:isolated\nnonce:2:é\n";
    assert_eq!(receipt.signed_bytes(), want.as_bytes());
}

#[test]
fn keys_are_stored_and_read_and_what_is_none_is_refused() {
    let signer = Signer::generate().unwrap();
    assert!(signer.ephemeral());
    let pem = signer.to_pem().unwrap();
    let pem = std::str::from_utf8(pem.as_ref()).unwrap();
    let stored = Signer::from_pem(pem).unwrap();
    assert_eq!(stored.public(), signer.public());
    assert!(!stored.ephemeral());
    let public = signer.public();
    let answer = json!({"public_key": public.base64()}).to_string();
    for text in [public.pem(), public.base64(), answer] {
        assert_eq!(PublicKey::parse(&text).as_ref(), Ok(public));
    }
    // The last is a point of small order, under which anything verifies.
    let weak = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for text in ["", "AAAA", "{}", "-----BEGIN PUBLIC KEY-----", pem, weak] {
        assert_eq!(PublicKey::parse(text), Err(KeyError::Public), "{text}");
    }
    assert!(Signer::from_pem(&public.pem()).is_err());
    // Nothing secret is ever printed.
    assert!(!format!("{signer:?}").contains("secret"));
}

/// RFC 8032, test 2: the curve and the encoding are the usual ones.
#[test]
fn signatures_are_those_of_rfc_8032() {
    let unhex = |text: &str| -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        pairs
            .map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap())
            .collect()
    };
    let base64 = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    let key = unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    let signature = unhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    let key = PublicKey::parse(&base64(&key)).unwrap();
    assert!(key.signed(&[0x72], &base64(&signature)));
    assert!(!key.signed(&[0x73], &base64(&signature)));
}
