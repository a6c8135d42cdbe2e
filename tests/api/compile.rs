//! What is compiled once, as tenants see it.

use std::time::Duration;

use assize_api::Keys;
use assize_tests::server::Server;
use serde_json::{Value, json};

use crate::server;

// printf first | sha256sum, and so on.
const KEYS: [(&str, &str); 3] = [
    (
        "a",
        "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
    ),
    (
        "b",
        "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4",
    ),
    (
        "a",
        "b1e99324505bd32da0e1f85dcf5e19a09db0481e8a15f62c41eb320304a8e927",
    ),
];

#[test]
fn what_one_tenant_has_compiled_is_nothing_to_another() {
    let keys = KEYS.map(|(tenant, digest)| (tenant.to_owned(), digest.to_owned()));
    let keys = Keys::new(keys).unwrap();
    let server = Server::start_for(keys, 2, 16, Duration::from_secs(10));
    let request = json!({"language": "c", "code": "int main(void) { return 7; }"});
    let cached = |key: &str| {
        let answer = server.post_as(key, "/v1/runs", &request);
        assert_eq!((answer.status, &answer.body["exit_code"]), (200, &json!(7)));
        answer.body["compile"]["cached"].clone()
    };
    // Two keys of one tenant are one tenant.
    let seen = ["first", "second", "second", "third"].map(cached);
    assert_eq!(seen, [json!(false), json!(false), json!(true), json!(true)]);
}

#[test]
fn a_judgement_says_that_nothing_was_compiled_and_counts_its_runs_alone() {
    let judge = || {
        let request = json!({
            "language": "c",
            "code": "#include <stdio.h>\nint main(void) { int a; scanf(\"%d\", &a); printf(\"%d\\n\", a + 1); }",
            "tests": [{"stdin": "1\n", "stdout": "2\n"}, {"stdin": "5\n", "stdout": "6\n"}],
        });
        let answer = server().post("/v1/judgements", &request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let (first, second) = (judge(), judge());
    assert_eq!(first["compile"]["cached"], false);
    assert_eq!(second["compile"]["cached"], true);
    assert_eq!(second["compile"]["usage"], first["compile"]["usage"]);
    for body in [&first, &second] {
        let sum = |values: Vec<&Value>| values.into_iter().filter_map(Value::as_f64).sum::<f64>();
        let tests = body["tests"].as_array().unwrap();
        let of_tests = sum(tests.iter().map(|t| &t["usage"]["cpu_ms"]).collect());
        let difference = of_tests - body["usage"]["cpu_ms"].as_f64().unwrap();
        assert!(difference.abs() < 0.01, "{body}");
    }
    let metrics = server().text("/metrics");
    let value = |name: &str| {
        let line = metrics.lines().find_map(|l| l.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}"))
            .trim()
            .parse::<f64>()
            .unwrap()
    };
    assert!(value("assize_compile_cache_hits_total ") >= 1.0);
    assert!(value("assize_compile_cache_misses_total ") >= 1.0);
    assert!(value("assize_compile_cache_bytes ") > 1024.0);
    assert!(value("assize_compile_cache_bytes ") <= value("assize_compile_cache_capacity_bytes "));
    assert!(value("assize_compile_cache_entries ") >= 1.0);
    assert!(value("assize_compile_cache_evictions_total ") >= 0.0);
}

#[test]
fn modules_of_wasm_are_made_once_and_those_that_count_instructions_are_others() {
    let run = |deterministic: bool| {
        let request = json!({
            "language": "c", "backend": "wasi", "deterministic": deterministic,
            "code": "#include <stdio.h>\nint main(void) { puts(\"once\"); }",
        });
        let answer = server().post("/v1/runs", &request);
        assert_eq!(answer.body["stdout"]["text"], "once\n", "{}", answer.body);
        let counted = !answer.body["usage"]["instructions"].is_null();
        assert_eq!(counted, deterministic);
        answer.body["compile"]["cached"].clone()
    };
    let seen = [false, false, true, true].map(run);
    assert_eq!(seen, [json!(false), json!(true), json!(false), json!(true)]);
}
