//! What a run and a judgement answer.

use serde_json::{Value, json};

use crate::{add, echo, server};

fn run(body: &Value) -> Value {
    let answer = server().post("/v1/runs", body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn judge(body: &Value) -> Value {
    let answer = server().post("/v1/judgements", body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[test]
fn a_run_answers_everything_the_contract_names() {
    let body = run(&echo());
    assert_eq!(body["status"], "finished");
    assert_eq!(
        (&body["exit_code"], &body["signal"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(
        body["stdout"],
        json!({"text": "hello\n", "truncated": false, "bytes": 6})
    );
    assert_eq!(body["backend"], "native");
    assert_eq!(body["runtime"]["language"], "bash");
    assert!(
        body["runtime"]["digest"]
            .as_str()
            .is_some_and(|d| d.starts_with("sha256:"))
    );
    assert!(body["usage"]["cpu_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    assert!(
        body["usage"]["memory_peak_bytes"]
            .as_u64()
            .is_some_and(|b| b > 0)
    );
    let enforced: Vec<&str> = body["enforced"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for name in [
        "namespaces.pid",
        "namespaces.net",
        "cgroup.memory",
        "seccomp",
        "capabilities",
    ] {
        assert!(enforced.contains(&name), "{name} missing in {enforced:?}");
    }
    assert!(body["id"].as_str().is_some_and(|id| id.starts_with("run_")));
    assert_eq!(body["attempts"], 1);
}

#[test]
fn bytes_that_are_not_utf8_come_as_base64_and_whole() {
    let body = run(&json!({"language": "bash", "code": "printf 'a\\377\\000b'"}));
    assert_eq!(body["stdout"]["text"], Value::Null);
    assert_eq!(body["stdout"]["base64"], "Yf8AYg==");
    assert_eq!(body["stdout"]["bytes"], 4);
}

#[test]
fn output_over_the_limit_keeps_exactly_the_limit() {
    let body = run(&json!({
        "language": "python", "code": "while True: print('é' * 100)",
        "limits": {"stdout_bytes": 1001},
    }));
    assert_eq!(body["status"], "output_limit_exceeded");
    assert_eq!(body["details"]["limit"], "stdout_bytes");
    assert_eq!(body["stdout"]["truncated"], true);
    assert!(body["stdout"]["bytes"].as_u64().unwrap() > 1001);
    assert_eq!(
        body["stdout"]["text"]
            .as_str()
            .map(|t| t.len() <= 1001 && t.len() > 990),
        Some(true)
    );
}

#[test]
fn files_arguments_environment_and_collected_files_travel() {
    let body = run(&json!({
        "language": "python",
        "files": {
            "main.py": {"text": "import sys, os, lib.helper\nopen('out/r.txt','w').write(lib.helper.join(sys.argv[1:], os.environ['SEP']))"},
            "lib/helper.py": {"text": "def join(a, s): return s.join(a)"},
            "out/.keep": {"base64": ""},
        },
        "entry": "main.py", "args": ["a", "b c"], "env": {"SEP": "-"},
        "collect": ["out/r.txt", "none.txt", "out"],
    }));
    assert_eq!(body["exit_code"], 0, "{body}");
    assert_eq!(body["files"]["out/r.txt"]["text"], "a-b c");
    assert_eq!(body["files"]["none.txt"]["error"], "missing");
    assert_eq!(body["files"]["out"]["error"], "irregular");
}

#[test]
fn time_limits_say_which_one() {
    let cpu =
        run(&json!({"language": "bash", "code": "while :; do :; done", "limits": {"cpu_ms": 100}}));
    assert_eq!(
        (&cpu["status"], &cpu["details"]["limit"]),
        (&json!("time_limit_exceeded"), &json!("cpu_ms"))
    );
    let wall = run(&json!({"language": "bash", "code": "sleep 9", "limits": {"wall_ms": 100}}));
    assert_eq!(
        (&wall["status"], &wall["details"]["limit"]),
        (&json!("time_limit_exceeded"), &json!("wall_ms"))
    );
}

#[test]
fn signals_and_exit_statuses_are_told_apart() {
    let body = run(&json!({"language": "bash", "code": "kill -SEGV $$"}));
    assert_eq!(
        (&body["exit_code"], &body["signal"]),
        (&Value::Null, &json!(11))
    );
    let body = run(&json!({"language": "bash", "code": "exit 139"}));
    assert_eq!(
        (&body["exit_code"], &body["signal"]),
        (&json!(139), &Value::Null)
    );
}

#[test]
fn a_compile_error_carries_the_diagnostics() {
    let body = run(&json!({"language": "c", "code": "int main(void) { return answer; }"}));
    assert_eq!(body["status"], "compile_error");
    assert_eq!(body["compile"]["succeeded"], false);
    assert!(
        body["compile"]["stderr"]["text"]
            .as_str()
            .is_some_and(|t| t.contains("answer")),
        "{body}"
    );
}

#[test]
fn every_shipped_language_runs_a_program() {
    for (language, code) in [
        ("python", "print(input())"),
        (
            "c",
            "#include <stdio.h>\nint main(void){int c;while((c=getchar())!=EOF)putchar(c);return 0;}",
        ),
        (
            "cpp",
            "#include <iostream>\nint main(){std::cout<<std::cin.rdbuf();}",
        ),
        ("javascript", "process.stdin.pipe(process.stdout)"),
        ("bash", "cat"),
    ] {
        let case = json!({
            "language": language, "code": code,
            "tests": [{"stdin": "42\n", "stdout": "42"}, {"stdin": "x y\n", "stdout": "x  y"}],
        });
        let body = judge(&case);
        assert_eq!(body["verdict"], "accepted", "{language}: {body}");
        assert_eq!((&body["passed"], &body["reward"]), (&json!(2), &json!(1.0)));
    }
}

#[test]
fn a_judgement_tells_each_test_apart() {
    let body = judge(&json!({
        "language": "python",
        "code": "x = input()\nif x == 'loop':\n    while True: pass\nif x == 'die': 1/0\nprint(x)",
        "limits": {"cpu_ms": 300},
        "tests": [
            {"id": "good", "stdin": "1\n", "stdout": "1\n"},
            {"id": "wrong", "stdin": "2\n", "stdout": "3\n"},
            {"id": "slow", "stdin": "loop\n", "stdout": ""},
            {"id": "dead", "stdin": "die\n", "stdout": ""},
        ],
        "reward": {"scheme": "fraction"}, "group": "prompt-1",
    }));
    let verdicts: Vec<&str> = body["tests"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|t| t["verdict"].as_str())
        .collect();
    assert_eq!(
        verdicts,
        [
            "accepted",
            "wrong_answer",
            "time_limit_exceeded",
            "run_time_error"
        ]
    );
    assert_eq!(
        (&body["verdict"], &body["code"]),
        (&json!("wrong_answer"), &json!("WA"))
    );
    assert_eq!(
        (&body["passed"], &body["total"], &body["reward"]),
        (&json!(1), &json!(4), &json!(0.25))
    );
    assert_eq!(
        (&body["group"], &body["integrity"]),
        (&json!("prompt-1"), &json!("isolated"))
    );
}

#[test]
fn stopping_at_the_first_failure_never_earns_more() {
    let mut case = json!({
        "language": "bash", "code": "cat", "stop_on_first_failure": true,
        "reward": {"scheme": "fraction"},
        "tests": [{"stdout": "nope"}, {"stdin": "1", "stdout": "1"}],
    });
    let body = judge(&case);
    assert_eq!(
        (body["tests"].as_array().unwrap().len(), &body["reward"]),
        (1, &json!(0.0))
    );
    case["stop_on_first_failure"] = json!(false);
    assert_eq!(judge(&case)["reward"], 0.5);
}

#[test]
fn function_tests_compare_plain_data() {
    let body = judge(&add("def add(a, b):\n    return a + b"));
    assert_eq!(body["verdict"], "accepted", "{body}");
    let body = judge(&json!({
        "language": "python",
        "code": "def f(n):\n    print('noise')\n    return [1.5, (n, None), {'a': 2**70, 1: True}]",
        "tests": [{"call": {"function": "f", "args": ["x"]},
                   "returns": [1.5, ["x", null], {"a": 1180591620717411303424u128.to_string(), "1": true}]}],
    }));
    assert_eq!(
        body["verdict"], "wrong_answer",
        "a string is not a number: {body}"
    );
}

#[test]
fn the_server_tells_about_itself() {
    assert_eq!(server().get("/healthz").status, 200);
    let ready = server().get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.body);
    let runtimes = server().get("/v1/runtimes").body;
    let names: Vec<&str> = runtimes["runtimes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["language"].as_str())
        .collect();
    for language in ["python", "c", "cpp", "javascript", "bash"] {
        assert!(names.contains(&language), "{language} missing: {runtimes}");
    }
    let capabilities = server().get("/v1/capabilities").body;
    assert_eq!(capabilities["all_enforced"], true, "{capabilities}");
    let _ = run(&echo());
    let metrics = server().text("/metrics");
    assert!(
        metrics.contains("assize_runs_total{backend=\"native\",status=\"finished\"}"),
        "{metrics}"
    );
    assert!(metrics.contains("process_resident_memory_bytes"));
    assert!(server().text("/docs").contains("/v1/judgements"));
}

/// The committed document is what the server says. `make openapi` rewrites it.
#[test]
fn the_committed_openapi_document_is_current() {
    let committed = include_str!("../../docs/openapi.json");
    let served = server().text("/openapi.json");
    assert!(
        served == committed,
        "docs/openapi.json is stale: run `make openapi`"
    );
    let document: Value = serde_json::from_str(&served).unwrap();
    for path in ["/v1/runs", "/v1/judgements", "/v1/batches"] {
        assert!(document["paths"][path]["post"].is_object());
    }
}

#[test]
fn reward_schemes_go_by_name_and_channels_come_beside() {
    let case = |reward: Value| {
        json!({
            "language": "python", "code": "print(int(input()) * 2)", "reward": reward,
            "tests": [
                {"stdin": "1", "stdout": "2"}, {"stdin": "2", "stdout": "4"}, {"stdin": "333", "stdout": "0"},
            ],
        })
    };
    for (reward, expected) in [
        (json!({"scheme": "levels"}), -0.3),
        (json!({"scheme": "longest_k", "params": {"k": 1}}), 0.0),
        (
            json!({"scheme": "weighted", "params": {"weights": [1, 1, 2]}}),
            0.5,
        ),
        (
            json!({"scheme": "subtask_min", "params": {"subtasks": [[0, 1], [2]]}}),
            0.5,
        ),
    ] {
        let got = judge(&case(reward.clone()))["reward"].as_f64().unwrap();
        assert!((got - expected).abs() < 1e-9, "{reward}: {got}");
    }
    let body = judge(&case(json!({"scheme": "vector"})));
    assert_eq!(body["reward"], 0.0);
    assert_eq!(body["rewards"]["tests"], json!([1.0, 1.0, 0.0]));
    assert_eq!(
        (&body["rewards"]["compile"], &body["rewards"]["cost"]),
        (&json!(1.0), &json!(0.0))
    );
}
