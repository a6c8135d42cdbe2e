//! Wrong input of every kind gets a 4xx that names the field.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::{add, echo, server};

/// Posts `body` and expects a refusal of `field`.
fn refused(path: &str, body: &Value, status: u16, code: &str, field: &str) {
    let answer = server().post(path, body);
    let error = &answer.body["error"];
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(error["code"], code, "{}", answer.body);
    assert_eq!(error["details"]["field"], field, "{}", answer.body);
    assert!(
        error["request_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("req_"))
    );
    assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()));
}

fn with(mut base: Value, key: &str, value: Value) -> Value {
    base[key] = value;
    base
}

#[test]
fn unknown_fields_are_refused_by_name() {
    refused(
        "/v1/runs",
        &with(echo(), "colour", json!(1)),
        400,
        "unknown_field",
        "colour",
    );
    let limits = json!({"cpu": 1});
    refused(
        "/v1/runs",
        &with(echo(), "limits", limits),
        400,
        "unknown_field",
        "limits.cpu",
    );
    let tests = json!([{"stdout": "1", "weight": 2}]);
    let body = with(add(""), "tests", tests);
    refused(
        "/v1/judgements",
        &body,
        400,
        "unknown_field",
        "tests[0].weight",
    );
}

#[test]
fn unknown_names_are_refused() {
    let body = with(echo(), "language", json!("klingon"));
    refused("/v1/runs", &body, 400, "unknown_language", "language");
    let body = with(echo(), "policy", json!("anything_goes"));
    refused("/v1/runs", &body, 400, "unknown_policy", "policy");
    let body = with(echo(), "policy", json!("worker"));
    refused("/v1/runs", &body, 400, "unknown_policy", "policy");
    let body = with(echo(), "backend", json!("bare"));
    refused("/v1/runs", &body, 400, "invalid_field", "backend");
    let body = with(add(""), "checker", json!({"kind": "vibes"}));
    refused(
        "/v1/judgements",
        &body,
        400,
        "unknown_checker",
        "checker.kind",
    );
    let body = with(add(""), "reward", json!({"scheme": "generous"}));
    refused("/v1/judgements", &body, 400, "unknown_reward", "reward");
}

#[test]
fn absurd_limits_are_refused() {
    for (name, value) in [
        ("cpu_ms", json!(0)),
        ("cpu_ms", json!(u64::MAX)),
        ("memory_bytes", json!(1)),
        ("memory_bytes", json!(1u64 << 60)),
        ("processes", json!(0)),
        ("files", json!(0)),
        ("wall_ms", json!(1u64 << 50)),
    ] {
        let body = with(echo(), "limits", json!({ name: value }));
        refused(
            "/v1/runs",
            &body,
            400,
            "limit_out_of_range",
            &format!("limits.{name}"),
        );
    }
    for value in [
        json!(-1),
        json!(1.5),
        json!("2s"),
        json!(null),
        json!(1e300),
    ] {
        let body = with(echo(), "limits", json!({"cpu_ms": value}));
        let answer = server().post("/v1/runs", &body);
        // null is "not given".
        let status = if value.is_null() { 200 } else { 400 };
        assert_eq!(answer.status, status, "{value}: {}", answer.body);
        if status == 400 {
            assert_eq!(answer.body["error"]["details"]["field"], "limits.cpu_ms");
        }
    }
}

#[test]
fn what_this_host_cannot_do_is_422() {
    let body = with(echo(), "deterministic", json!(true));
    refused(
        "/v1/runs",
        &body,
        422,
        "unenforceable_limit",
        "deterministic",
    );
    let body = with(echo(), "backend", json!("wasi"));
    refused("/v1/runs", &body, 422, "unavailable_backend", "backend");
}

#[test]
fn tests_are_checked() {
    let tests = |tests: Value| with(add("x = 1"), "tests", tests);
    let path = "/v1/judgements";
    refused(path, &tests(json!([])), 400, "empty_tests", "tests");
    refused(path, &tests(json!([{}])), 400, "invalid_field", "tests[0]");
    let both = json!([{"stdout": "1", "script": "pass"}]);
    refused(path, &tests(both), 400, "invalid_field", "tests[0]");
    let call = json!([{"call": {"function": "f"}}]);
    refused(path, &tests(call), 400, "invalid_field", "tests[0].returns");
    let twice = json!([{"id": "a", "stdout": ""}, {"id": "a", "stdout": ""}]);
    refused(path, &tests(twice), 400, "duplicate_id", "tests[1].id");
    let mut body = tests(json!([{"script": "pass"}]));
    body["language"] = json!("bash");
    refused(path, &body, 400, "unsupported_test", "tests[0].script");
}

#[test]
fn file_names_cannot_leave_the_working_directory() {
    for name in ["/etc/passwd", "../x", "a/../../b", "", "a//b", "a\u{0}b"] {
        let files = json!({name: {"text": "x"}, "main.sh": {"text": "true"}});
        let body = json!({"language": "bash", "files": files});
        refused("/v1/runs", &body, 400, "invalid_files", "files");
    }
    let body = json!({"language": "bash", "files": {"a.sh": {"text": "x", "base64": "eA=="}}});
    refused("/v1/runs", &body, 400, "invalid_field", "files.a.sh");
    let body = json!({"language": "bash", "files": {"a.sh": {"base64": "***"}}});
    refused(
        "/v1/runs",
        &body,
        400,
        "invalid_base64",
        "files.a.sh.base64",
    );
    let body =
        json!({"language": "bash", "files": {"a": {"text": ""}, "b": {"text": ""}}, "entry": "c"});
    refused("/v1/runs", &body, 400, "invalid_files", "entry");
    let body = with(echo(), "collect", json!(["../../etc/shadow"]));
    refused("/v1/runs", &body, 400, "invalid_field", "collect[0]");
}

#[test]
fn a_batch_names_the_case_and_the_field() {
    let cases = json!({"cases": [echo(), with(echo(), "limits", json!({"cpu_ms": -1}))]});
    refused(
        "/v1/batches",
        &cases,
        400,
        "invalid_field",
        "cases[1].limits.cpu_ms",
    );
    let cases = json!({"cases": [echo(), with(add(""), "tests", json!([]))]});
    refused("/v1/batches", &cases, 400, "empty_tests", "cases[1].tests");
    refused(
        "/v1/batches",
        &json!({"cases": []}),
        400,
        "empty_batch",
        "cases",
    );
}

#[test]
fn bodies_that_are_no_json_are_refused() {
    for (body, code) in [
        (&b"{\"language\":\"bash\",\"co"[..], "invalid_json"),
        (b"", "invalid_json"),
        (
            b"{\"language\":\"bash\",\"code\":\"\xff\xfe\"}",
            "invalid_utf8",
        ),
        (
            b"{\"language\":\"bash\",\"code\":\"\"} trailing",
            "invalid_json",
        ),
    ] {
        let answer = server().post_bytes("/v1/runs", body, "application/json");
        assert_eq!(answer.status, 400, "{body:?}");
        assert_eq!(answer.body["error"]["code"], code, "{}", answer.body);
        assert_eq!(answer.body["error"]["details"]["field"], "body");
    }
    let answer = server().post_bytes("/v1/runs", b"[]", "application/json");
    assert_eq!(answer.status, 400, "{}", answer.body);
    // Nesting deep enough to overflow a careless parser's stack.
    let deep = "[".repeat(200_000);
    let answer = server().post_bytes("/v1/runs", deep.as_bytes(), "application/json");
    assert_eq!(answer.status, 400);
}

#[test]
fn a_body_that_does_not_say_it_is_json_is_refused() {
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let answer = server().post_bytes("/v1/runs", echo().to_string().as_bytes(), kind);
        assert_eq!(answer.status, 415, "{kind}: {}", answer.body);
        assert_eq!(answer.body["error"]["details"]["field"], "content-type");
    }
    let kind = "application/json; charset=utf-8";
    let answer = server().post_bytes("/v1/runs", echo().to_string().as_bytes(), kind);
    assert_eq!(answer.status, 200);
}

/// The length is announced; the server says no without reading a hundred
/// megabytes first.
#[test]
fn a_hundred_megabytes_are_refused() {
    let mut stream = TcpStream::connect(server().address).unwrap();
    let head = "POST /v1/runs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 104857600\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..100 {
        // The server may close early: that is the point.
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 413"), "{text:.200}");
    assert!(text.contains("body_too_large"), "{text}");
}

#[test]
fn unknown_paths_and_methods_are_refused_in_the_same_shape() {
    let answer = server().get("/v2/everything");
    assert_eq!(
        (answer.status, &answer.body["error"]["code"]),
        (404, &json!("not_found"))
    );
    let answer = server().get("/v1/runs");
    assert_eq!(
        (answer.status, &answer.body["error"]["code"]),
        (405, &json!("method_not_allowed"))
    );
}
