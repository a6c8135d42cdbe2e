//! The output matrix, and selection among candidates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{echo, server};

pub(crate) fn post(path: &str, body: &Value) -> Value {
    let answer = server().post(path, body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

pub(crate) fn refused(path: &str, body: &Value, code: &str, field: &str) {
    let answer = server().post(path, body);
    let error = &answer.body["error"];
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(error["code"], code, "{}", answer.body);
    assert_eq!(error["details"]["field"], field, "{}", answer.body);
}

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().filter_map(Value::as_str).collect()
}

/// A program in bash that computes `expression` of the number it reads.
fn computes(expression: &str) -> String {
    format!("read x; echo $(( {expression} ))")
}

const DICE: &str = "read x; [ $x = 2 ] && echo 4 || echo $RANDOM$RANDOM$RANDOM";

#[test]
fn a_matrix_says_what_each_program_did_and_who_did_the_same() {
    let body = post(
        "/v1/matrix",
        &json!({
            "language": "bash", "repeat": 2, "limits": {"cpu_ms": 300},
            "inputs": [{"id": "two", "stdin": "2\n"}, {"id": "five", "stdin": "5\n"}],
            "programs": [
                {"id": "twice", "code": computes("x * 2")},
                {"id": "dice", "code": DICE},
                {"id": "sum", "code": "read x; echo \"  $(( x + x ))\""},
                {"id": "crash", "code": "echo half; exit 3"},
                {"id": "square", "language": "python", "code": "print(int(input()) ** 2)"},
                {"id": "broken", "language": "c", "code": "int main(void) { return answer; }"},
                {"id": "loop", "code": "while :; do :; done"},
            ],
        }),
    );
    assert_eq!(names(&body["inputs"]), ["two", "five"]);
    assert_eq!(
        body["clusters"],
        json!([["twice", "sum"], ["crash"], ["square"], ["loop"]])
    );
    assert_eq!(body["unstable"], json!(["dice"]));
    assert_eq!(body["not_built"], json!(["broken"]));
    assert_eq!(body["unknown"], json!([]));
    let programs = body["programs"].as_array().unwrap();
    let statuses = |place: usize| -> Vec<&str> {
        let cells = programs[place]["cells"].as_array().unwrap();
        cells.iter().filter_map(|c| c["status"].as_str()).collect()
    };
    assert_eq!(statuses(0), ["finished"; 2]);
    assert_eq!(statuses(3), ["run_time_error"; 2]);
    assert_eq!(statuses(5), ["compile_error"; 2]);
    assert_eq!(statuses(6), ["time_limit_exceeded"; 2]);
    assert_eq!(programs[0]["cells"][1]["stdout"]["text"], "10\n");
    assert_eq!(programs[2]["cells"][1]["stdout"]["text"], "  10\n");
    assert_ne!(
        programs[0]["cells"][1]["digest"],
        programs[2]["cells"][1]["digest"]
    );
    // Alike but for white space.
    let class = |place: usize, input: usize| programs[place]["cells"][input]["class"].clone();
    assert_eq!(class(0, 1), class(2, 1));
    assert_ne!(class(0, 1), class(4, 1));
    assert_eq!(class(0, 0), class(4, 0));
    assert_eq!(programs[3]["cells"][0]["exit_code"], 3);
    assert_eq!(
        (&programs[0]["stable"], &programs[1]["stable"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(programs[5]["compile"]["succeeded"], false);
    assert!(body["incoherence"].as_f64().is_some_and(|i| i > 0.0));
}

#[test]
fn a_program_that_runs_once_is_not_called_stable() {
    let body = post(
        "/v1/matrix",
        &json!({
            "language": "bash", "inputs": [{"stdin": "7\n"}],
            "programs": [{"code": "cat"}, {"code": "cat; exit 0"}],
        }),
    );
    assert_eq!(body["clusters"], json!([["1", "2"]]));
    assert_eq!(body["programs"][0]["stable"], Value::Null);
    assert_eq!(body["incoherence"], 0.0);
}

/// Sixty candidates made from five known behaviours, and from what must not be
/// picked.
#[test]
fn alphacode_keeps_the_known_set_finds_five_clusters_and_picks_from_all() {
    let known = [
        ("double", computes("x * 2"), 20),
        ("add", computes("x + 2"), 12),
        ("square", computes("x * x"), 8),
        ("four", computes("4"), 5),
        ("minus", computes("6 - x"), 3),
    ];
    let others = [
        ("wrong", computes("x + 1"), 5),
        ("crash", "read x; echo 4; exit 1".to_owned(), 4),
        ("silent", "exit 0".to_owned(), 2),
        ("dice", DICE.to_owned(), 1),
    ];
    let mut candidates = Vec::new();
    // Dealt in turns, so that no cluster is a run of neighbours.
    for round in 0..20 {
        for (name, code, count) in others.iter().chain(&known) {
            if round < *count {
                candidates.push(json!({"id": format!("{name}-{round}"), "code": code}));
            }
        }
    }
    assert_eq!(candidates.len(), 60);
    let body = post(
        "/v1/select",
        &json!({
            "language": "bash", "strategy": "alphacode", "picks": 10, "candidates": candidates,
            "public_tests": [{"stdin": "2\n", "stdout": "4\n"}],
            "inputs": [{"stdin": "3\n"}, {"stdin": "7\n"}, {"stdin": "0\n"}],
        }),
    );
    let all = body["candidates"].as_array().unwrap();
    for candidate in all {
        let id = candidate["id"].as_str().unwrap();
        let expected = match id.split('-').next().unwrap() {
            "wrong" | "crash" | "silent" => "filtered",
            "dice" => "unstable",
            _ => "",
        };
        let outcome = candidate["outcome"].as_str().unwrap();
        if expected.is_empty() {
            assert!(matches!(outcome, "picked" | "kept"), "{candidate}");
        } else {
            assert_eq!(outcome, expected, "{candidate}");
        }
    }
    let clusters = body["clusters"].as_array().unwrap();
    let sizes: Vec<usize> = clusters
        .iter()
        .map(|c| c["members"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [20, 12, 8, 5, 3]);
    let picks: Vec<&str> = body["picks"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["id"].as_str())
        .collect();
    let kind = |id: &&str| id.split('-').next().unwrap_or_default().to_owned();
    assert_eq!(picks.len(), 10);
    let first: Vec<String> = picks[..5].iter().map(kind).collect();
    assert_eq!(first, ["double", "add", "square", "four", "minus"]);
    let kinds: BTreeSet<String> = picks.iter().map(kind).collect();
    assert_eq!(kinds.len(), 5);
}

#[test]
fn scores_choose_inside_a_cluster_and_ties_go_by_place() {
    let one = |id: &str, code: &str, score: f64| json!({"id": id, "code": code, "score": score});
    let body = post(
        "/v1/select",
        &json!({
            "language": "bash", "strategy": "alphacode", "picks": 2, "repeat": 1,
            "inputs": [{"stdin": "3\n"}],
            "candidates": [
                one("a", "cat", 0.2), one("b", "tac", 0.7), one("c", "echo 4", 0.99),
                one("d", "cat", 0.7), one("e", "exit 1", 1.0),
            ],
        }),
    );
    let ids: Vec<&Value> = body["picks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["id"])
        .collect();
    assert_eq!(ids, ["b", "c"]);
}

#[test]
fn codet_mbr_and_hybrid_pick_by_their_rules() {
    let program = |id: &str, code: &str| json!({"id": id, "code": code});
    let (twice, square, four) = (computes("x * 2"), computes("x * x"), computes("4"));
    let candidates = json!([
        program("four", &four),
        program("square", &square),
        program("twice", &twice),
        program("sum", &computes("x + x")),
    ]);
    let test = |stdin: &str, stdout: &str| json!({"stdin": stdin, "stdout": stdout});
    let body = post(
        "/v1/select",
        &json!({
            "language": "bash", "strategy": "codet", "candidates": candidates, "picks": 2,
            "tests": [test("2", "4"), test("3", "6"), test("3", "9"), test("5", "10")],
        }),
    );
    // Two pass the same three tests; the square passes two, the constant one.
    assert_eq!(body["clusters"][0]["members"], json!(["twice", "sum"]));
    let score = body["clusters"][0]["score"].as_f64().unwrap();
    assert!((score - 3.0 * 2.0_f64.sqrt()).abs() < 1e-9);
    assert_eq!(body["picks"][0]["id"], "twice");
    assert_eq!(body["picks"][1]["id"], "square");

    let body = post(
        "/v1/select",
        &json!({
            "language": "bash", "strategy": "mbr_exec", "candidates": candidates, "picks": 1,
            "inputs": [{"stdin": "2"}, {"stdin": "5"}],
        }),
    );
    assert_eq!(body["picks"][0]["id"], "twice");
    assert_eq!(body["picks"][0]["reason"], "differs from 2 of the other 3");

    let scored = |id: &str, code: &str, score: f64| json!({"id": id, "code": code, "score": score});
    let body = post(
        "/v1/select",
        &json!({
            "language": "bash", "strategy": "hybrid", "picks": 3, "top_n": 3,
            "candidates": [
                scored("unsure", &twice, 0.1), scored("square", &square, 0.9),
                scored("sure", &twice, 0.8), scored("four", &four, 0.95),
            ],
            "public_tests": [test("2", "4"), test("1", "2")],
            "tests": [test("3", "6"), test("3", "9"), test("5", "10")],
        }),
    );
    // The square and the constant break a regression test, so only their
    // scores count; the unsure one is outside the top three.
    let ids: Vec<&Value> = body["picks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["id"])
        .collect();
    assert_eq!(ids, ["sure", "four", "square"]);
    assert_eq!(body["candidates"][2]["score"], 2.8);
    assert_eq!(body["candidates"][0]["outcome"], "kept");
}

#[test]
fn function_tests_select_too() {
    let call = json!({"call": {"function": "add", "args": [19, 23]}, "returns": 42});
    let body = post(
        "/v1/select",
        &json!({
            "language": "python", "strategy": "codet", "tests": [call],
            "candidates": [
                {"code": "def add(a, b):\n    return a - b"},
                {"code": "def add(a, b):\n    return a + b"},
            ],
        }),
    );
    assert_eq!(body["picks"].as_array().unwrap().len(), 1);
    assert_eq!(body["picks"][0]["index"], 1);
}

#[test]
fn wrong_requests_are_refused_by_field() {
    let input = json!([{"stdin": "1"}]);
    let programs = json!([{"code": "cat"}]);
    let matrix = |change: Value| {
        let mut body = json!({"language": "bash", "programs": programs, "inputs": input});
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    let path = "/v1/matrix";
    refused(
        path,
        &matrix(json!({"programs": []})),
        "missing_field",
        "programs",
    );
    refused(
        path,
        &matrix(json!({"inputs": []})),
        "missing_field",
        "inputs",
    );
    refused(
        path,
        &matrix(json!({"repeat": 0})),
        "invalid_field",
        "repeat",
    );
    refused(
        path,
        &matrix(json!({"repeat": 5})),
        "invalid_field",
        "repeat",
    );
    refused(
        path,
        &matrix(json!({"colour": 1})),
        "unknown_field",
        "colour",
    );
    refused(
        path,
        &matrix(json!({"language": "klingon"})),
        "unknown_language",
        "language",
    );
    let own = json!({"programs": [{"code": "cat"}, {"code": "cat", "language": "klingon"}]});
    refused(
        path,
        &matrix(own),
        "unknown_language",
        "programs[1].language",
    );
    let both = json!({"programs": [{"code": "cat", "files": {"a": {"text": ""}}}]});
    refused(path, &matrix(both), "invalid_field", "programs[0].files");
    let scored = json!({"programs": [{"code": "cat", "score": 1}]});
    refused(path, &matrix(scored), "invalid_field", "programs[0].score");
    let twice = json!({"programs": [{"id": "a", "code": "cat"}, {"id": "a", "code": "cat"}]});
    refused(path, &matrix(twice), "duplicate_id", "programs[1].id");
    let many = vec![json!({"code": "cat"}); 1025];
    refused(
        path,
        &matrix(json!({"programs": many})),
        "too_many_programs",
        "programs",
    );
    let many = vec![json!({"stdin": ""}); 16_385];
    refused(
        path,
        &matrix(json!({"inputs": many})),
        "too_many_runs",
        "programs",
    );

    let path = "/v1/select";
    let test = json!([{"stdin": "1", "stdout": "1"}]);
    let select = |strategy: &str, more: Value| {
        let mut body = json!({"language": "bash", "candidates": programs, "strategy": strategy});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    refused(
        path,
        &select("vibes", json!({})),
        "unknown_strategy",
        "strategy",
    );
    refused(
        path,
        &select("alphacode", json!({})),
        "missing_field",
        "inputs",
    );
    refused(path, &select("codet", json!({})), "missing_field", "tests");
    refused(
        path,
        &select("codet", json!({"tests": test, "inputs": input})),
        "invalid_field",
        "inputs",
    );
    refused(
        path,
        &select("mbr_exec", json!({"inputs": input, "top_n": 1})),
        "invalid_field",
        "top_n",
    );
    refused(
        path,
        &select("hybrid", json!({"tests": test, "top_n": 1})),
        "missing_field",
        "candidates[0].score",
    );
    refused(
        path,
        &select("alphacode", json!({"inputs": input, "picks": 0})),
        "invalid_field",
        "picks",
    );
    let weights = json!({"tests": test, "test_weights": [1, 2]});
    refused(
        path,
        &select("codet", weights),
        "invalid_field",
        "test_weights",
    );
    let broken = json!({"inputs": input, "public_tests": [{"stdin": "1"}]});
    refused(
        path,
        &select("alphacode", broken),
        "invalid_field",
        "public_tests[0]",
    );
    let script = json!({"tests": [{"stdout": "1"}, {"script": "pass"}]});
    refused(
        path,
        &select("codet", script),
        "unsupported_test",
        "tests[1].script",
    );
}

#[test]
fn a_run_beside_a_long_matrix_is_answered() {
    let programs = vec![json!({"code": "sleep 0.05"}); 40];
    let body = json!({"language": "bash", "programs": programs, "inputs": [{"stdin": ""}]});
    let address = server().address;
    let matrix = std::thread::spawn(move || {
        let bytes = body.to_string();
        assize_tests::server::post_to(address, "/v1/matrix", bytes.as_bytes(), "application/json")
    });
    assert_eq!(server().post("/v1/runs", &echo()).status, 200);
    assert_eq!(matrix.join().unwrap().status, 200);
}
