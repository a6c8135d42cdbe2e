//! A corpus of reward hacks: each gets its honest verdict in every mode and on
//! every backend that takes its kind of task.

mod checkers;

use std::collections::BTreeMap;

use assize_api::types::JudgementRequest;
use assize_judge::case::Judgement;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::judge;

const MANIFEST: &str = include_str!("../fixtures/hacks/manifest.json");
const TASKS: &str = include_str!("../fixtures/hacks/tasks.json");

#[derive(Deserialize)]
struct Hack {
    id: String,
    kind: String,
    category: String,
    language: String,
    task: String,
    mode: String,
    code: Option<String>,
    files: Option<BTreeMap<String, String>>,
    acceptable_verdicts: Vec<String>,
    must_never: Vec<String>,
}

/// Languages whose runtimes this project ships and every test host has.
const STDIO: [&str; 4] = ["python", "c", "cpp", "bash"];

/// Honest programs that need what wasm has not: a device's name and a process.
/// `backend: "auto"` is for them; asked for `wasi` by name they fail there.
const NATIVE_ONLY: [&str; 2] = ["z05_dev_stdin", "z09_subprocess"];

/// One way to put a hack on trial.
struct Trial {
    name: String,
    request: Value,
}

fn corpus() -> (Vec<Hack>, BTreeMap<String, Value>) {
    let hacks = serde_json::from_str(MANIFEST).expect("the manifest");
    (hacks, serde_json::from_str(TASKS).expect("the tasks"))
}

/// Visible and hidden tests, in this order.
fn examples(task: &Value) -> impl Iterator<Item = &Value> {
    ["visible", "hidden"]
        .into_iter()
        .filter_map(|kind| task[kind].as_array())
        .flatten()
}

/// The arguments of an example; one is too long to be written out.
fn arguments(example: &Value) -> Value {
    match example["args_gen"].as_str() {
        None => example["args"].clone(),
        Some("[[i%1000 for i in range(200000)], 999]") => {
            json!([(0..200_000).map(|i| i % 1000).collect::<Vec<u32>>(), 999])
        }
        Some(other) => panic!("nobody knows how to make {other}"),
    }
}

/// Tolerance of a task's numbers; none where they are compared exactly.
fn tolerance(task: &Value) -> Option<f64> {
    let compare = task["compare"].as_str().unwrap_or_default();
    let digits = compare.split("1e-").nth(1)?;
    let digits = digits.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(|n: i32| 10f64.powi(-n))
}

fn base(hack: &Hack, task: &Value, backend: &str, tests: Vec<Value>) -> Value {
    let cpu_ms = task["time_limit_s"].as_f64().unwrap_or(2.0) * 1000.0;
    let checker = match tolerance(task) {
        Some(abs) => json!({"kind": "float", "abs": abs, "rel": 0.0, "integers": true}),
        None => json!({"kind": "tokens"}),
    };
    let mut request = json!({
        "language": hack.language, "code": hack.code, "backend": backend, "tests": tests,
        "limits": {"cpu_ms": cpu_ms as u64, "wall_ms": 5000, "processes": 32},
        "stop_on_first_failure": true,
    });
    // A repository is what the task has, with what the candidate put over it;
    // the tests are the task's and never files of the candidate's.
    if hack.mode == "repo" {
        let texts =
            |files: &Value| serde_json::from_value::<BTreeMap<String, String>>(files.clone());
        let mut files = texts(&task["files"]).expect("files");
        files.extend(hack.files.clone().expect("files"));
        let files: BTreeMap<_, _> = files
            .into_iter()
            .map(|(path, text)| (path, json!({"text": text})))
            .collect();
        request["entry"] = json!(if hack.language == "python" {
            "calc/ops.py"
        } else {
            "src/slug.js"
        });
        request["files"] = json!(files);
        request.as_object_mut().expect("an object").remove("code");
    }
    // Function tests compare values; only a tolerance changes how.
    if hack.mode == "stdio" || tolerance(task).is_some() {
        request["checker"] = checker;
    }
    request
}

fn python(value: &Value) -> String {
    // JSON is Python but for three words.
    value
        .to_string()
        .replace("true", "True")
        .replace("false", "False")
        .replace("null", "None")
}

/// The task as a test script, the way HumanEval and MBPP write them.
fn script(task: &Value, function: &str) -> String {
    let mut lines = vec!["import math".to_owned(), "def near(a, b, t):\n    if isinstance(b, list):\n        return isinstance(a, list) and len(a) == len(b) and all(near(x, y, t) for x, y in zip(a, b))\n    return isinstance(a, (int, float)) and not isinstance(a, bool) and abs(a - b) <= t".to_owned()];
    for example in examples(task) {
        let args = match example["args_gen"].as_str() {
            Some(expression) => format!("*{expression}"),
            None => format!("*{}", python(&example["args"])),
        };
        let expected = python(&example["expected"]);
        lines.push(match tolerance(task) {
            Some(t) => format!("assert near({function}({args}), {expected}, {t})"),
            None => format!("assert {function}({args}) == {expected}"),
        });
    }
    lines.join("\n")
}

/// The same for JavaScript.
fn javascript(task: &Value, function: &str) -> String {
    let mut lines = vec!["const assert = require('node:assert');".to_owned()];
    for example in examples(task) {
        let (args, expected) = (arguments(example), &example["expected"]);
        lines.push(format!(
            "assert.deepStrictEqual({function}(...{args}), {expected});"
        ));
    }
    lines.join("\n")
}

fn trials(hack: &Hack, task: &Value) -> Vec<Trial> {
    let mut trials = Vec::new();
    let everywhere = hack.language == "python"
        && hack.mode != "repo"
        && !NATIVE_ONLY.contains(&hack.id.as_str());
    let backends: &[&str] = if everywhere {
        &["native", "wasi"]
    } else {
        &["native"]
    };
    for backend in backends {
        let mut add = |kind: &str, tests: Vec<Value>| {
            trials.push(Trial {
                name: format!("{} ({kind}, {backend})", hack.id),
                request: base(hack, task, backend, tests),
            });
        };
        match (hack.mode.as_str(), hack.language.as_str()) {
            ("repo", "python") => {
                let test = task["files"]["tests/test_ops.py"].as_str().expect("tests");
                let calls = task["hidden_calls"].as_array().expect("hidden calls");
                let line = |call: &Value| match call[2].as_str() {
                    Some(raised) => format!(
                        "    with pytest.raises({}): {}(*{})",
                        &raised[1..],
                        call[0].as_str().expect("a name"),
                        python(&call[1])
                    ),
                    None => format!(
                        "    assert {}(*{}) == {}",
                        call[0].as_str().expect("a name"),
                        python(&call[1]),
                        python(&call[2])
                    ),
                };
                let body: Vec<String> = calls.iter().map(line).collect();
                let hidden = format!(
                    "import pytest\nfrom calc import add, div, mean\ndef test_hidden():\n{}\n",
                    body.join("\n")
                );
                add(
                    "repository",
                    [test, hidden.as_str()]
                        .map(|s| json!({"script": s, "integrity": "shared"}))
                        .to_vec(),
                );
            }
            ("repo", "javascript") => {
                let test = task["files"]["test/slug.test.js"].as_str().expect("tests");
                let calls = task["hidden_calls"].as_array().expect("hidden calls");
                let call =
                    |c: &Value| json!({"call": {"function": "", "args": c[1]}, "returns": c[2]});
                let mut tests: Vec<Value> = calls.iter().map(call).collect();
                tests.insert(0, json!({"script": test}));
                add("repository", tests);
            }
            ("stdio", language) if STDIO.contains(&language) => {
                let test = |e: &Value| json!({"stdin": e["stdin"], "stdout": e["expected"]});
                add("program", examples(task).map(test).collect());
            }
            ("checker", language) if STDIO.contains(&language) => {
                let test = |e: &Value| json!({"stdin": e["stdin"], "stdout": e["expected"]});
                let request = base(hack, task, backend, examples(task).map(test).collect());
                let name = format!("{} (checker, {backend})", hack.id);
                trials.extend(checkers::trials(&request, &name));
            }
            ("function", "javascript") => {
                let function = task["entry"].as_str().expect("an entry");
                let call = |e: &Value| json!({"call": {"function": function, "args": arguments(e)}, "returns": e["expected"]});
                add("call", examples(task).map(call).collect());
                add(
                    "script",
                    vec![json!({"script": javascript(task, function)})],
                );
            }
            ("function", "python") => {
                let function = task["entry"].as_str().expect("an entry");
                let call = |e: &Value| json!({"call": {"function": function, "args": arguments(e)}, "returns": e["expected"]});
                add("call", examples(task).map(call).collect());
                add("script", vec![json!({"script": script(task, function)})]);
                if *backend == "native" {
                    add(
                        "shared",
                        vec![json!({"script": script(task, function), "integrity": "shared"})],
                    );
                }
            }
            _ => {}
        }
    }
    trials
}

/// What is wrong with a judgement, if anything is.
fn complaint(hack: &Hack, judged: &Judgement) -> Option<String> {
    let verdict = match judged.verdict.name() {
        "run_time_error" => "runtime_error",
        "judge_error" => "system_error",
        other => other,
    };
    let details: Vec<&str> = judged.tests.iter().map(|t| t.detail.as_str()).collect();
    let escaped = judged.tests.iter().any(|t| {
        let said = t.outcome.as_ref().map(|o| o.stdout.data.as_slice());
        said.is_some_and(|s| s.windows(7).any(|w| w == b"ESCAPED"))
    });
    if escaped && hack.category.starts_with("L-") {
        return Some("printed ESCAPED".to_owned());
    }
    let wrong = hack.must_never.iter().any(|v| v == verdict)
        || !hack.acceptable_verdicts.iter().any(|v| v == verdict);
    wrong.then(|| {
        format!(
            "{verdict}, honest is {:?}: {details:?}",
            hack.acceptable_verdicts
        )
    })
}

/// Every program of the corpus that a mode of ours takes, by part: the test
/// runner gives each part a process of its own.
fn part(of: usize, parts: usize) {
    let (hacks, tasks) = corpus();
    let (mut tried, mut wrong) = (0, Vec::new());
    for hack in hacks.iter().skip(of).step_by(parts) {
        for trial in trials(hack, &tasks[&hack.task]) {
            let request: JudgementRequest =
                serde_json::from_value(trial.request).expect("a sound request");
            let judged = judge(&request);
            tried += 1;
            if let Some(complaint) = complaint(hack, &judged) {
                wrong.push(format!("{} [{}]: {complaint}", trial.name, hack.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 30, "{tried} trials");
}

#[test]
fn every_hack_gets_its_honest_verdict_first_half() {
    part(0, 2);
}

#[test]
fn every_hack_gets_its_honest_verdict_second_half() {
    part(1, 2);
}
