//! What a verdict does not depend on: the order of tests, how many run at once,
//! whether cases came alone or together, and where an output was cut.

use std::io::{BufRead, BufReader};
use std::sync::OnceLock;
use std::time::Duration;

use assize_tests::server::Server;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::judge;

/// Does what its input says, so that a test decides how it is met.
const ACTOR: &str = "read what; case $what in\n\
    right) echo yes;;\n\
    wrong) echo no;;\n\
    half) printf 'yes'; exit 1;;\n\
    crash) kill -9 $$;;\n\
    spin) while :; do :; done;;\n\
    flood) while :; do echo yes; done;;\nesac";

const ACTS: [&str; 6] = ["right", "wrong", "half", "crash", "spin", "flood"];

/// A case with one test an act, in this order; each test is called by its
/// number before any reordering.
fn case(acts: &[&str], order: &[usize]) -> Value {
    let test = |&n: &usize| json!({"id": n.to_string(), "stdin": format!("{}\n", acts[n]), "stdout": "yes\n"});
    json!({
        "language": "bash", "code": ACTOR, "tests": order.iter().map(test).collect::<Vec<_>>(),
        "limits": {"cpu_ms": 300, "wall_ms": 60_000, "stdout_bytes": 10_000},
        "reward": {"scheme": "fraction"},
    })
}

/// A server with one case at a time, and one with four.
fn servers() -> &'static [Server; 2] {
    static SERVERS: OnceLock<[Server; 2]> = OnceLock::new();
    SERVERS.get_or_init(|| [1, 4].map(|n| Server::start(n, 64, Duration::from_secs(10))))
}

/// What must be the same: verdict, reward, and each test's verdict by its name.
#[derive(Debug, PartialEq)]
struct Said {
    verdict: String,
    reward: Option<f64>,
    tests: Vec<(String, String)>,
}

fn said(answer: &Value) -> Said {
    let text = |v: &Value| v.as_str().expect("text").to_owned();
    let tests = answer["tests"].as_array().expect("tests");
    let mut tests: Vec<_> = tests
        .iter()
        .map(|t| (text(&t["id"]), text(&t["verdict"])))
        .collect();
    tests.sort();
    Said {
        verdict: text(&answer["verdict"]),
        reward: answer["reward"].as_f64(),
        tests,
    }
}

fn alone(server: &Server, cases: &[Value]) -> Vec<Said> {
    let ask = |case| {
        let answer = server.post("/v1/judgements", case);
        assert_eq!(answer.status, 200, "{}", answer.body);
        said(&answer.body)
    };
    cases.iter().map(ask).collect()
}

fn together(server: &Server, cases: &[Value]) -> Vec<Said> {
    let url = format!("http://{}/v1/batches", server.address);
    let body = json!({ "cases": cases }).to_string();
    let response = ureq::post(&url)
        .header("content-type", "application/json")
        .send(body)
        .unwrap();
    let mut all: Vec<(u64, Said)> = BufReader::new(response.into_body().into_reader())
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .map(|answer| (answer["index"].as_u64().expect("an index"), said(&answer)))
        .collect();
    all.sort_by_key(|(index, _)| *index);
    assert_eq!(all.len(), cases.len());
    all.into_iter().map(|(_, said)| said).collect()
}

/// Acts of a case and an order for them.
fn acts() -> impl Strategy<Value = (Vec<&'static str>, Vec<usize>)> {
    let act = prop_oneof![3 => Just("right"), 3 => proptest::sample::select(&ACTS[..])];
    proptest::collection::vec(act, 1..5).prop_flat_map(|acts| {
        let order: Vec<usize> = (0..acts.len()).collect();
        (Just(acts), Just(order).prop_shuffle())
    })
}

/// The verdict of a test of this act, by the definition of the acts.
fn meant(act: &str) -> &'static str {
    match act {
        "right" => "accepted",
        "wrong" => "wrong_answer",
        "half" | "crash" => "run_time_error",
        "spin" => "time_limit_exceeded",
        _ => "output_limit_exceeded",
    }
}

proptest! {
    // Real runs: a few dozen a case.
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_the_same_alone_in_a_batch_and_with_one_or_four_at_once(
        drawn in proptest::collection::vec(acts(), 1..5),
    ) {
        let in_order: Vec<Value> = drawn.iter().map(|(acts, _)| {
            case(acts, &(0..acts.len()).collect::<Vec<_>>())
        }).collect();
        let want: Vec<Said> = drawn.iter().map(|(acts, _)| {
            let verdicts: Vec<&str> = acts.iter().map(|a| meant(a)).collect();
            let first = verdicts.iter().find(|v| **v != "accepted").unwrap_or(&"accepted");
            let passed = verdicts.iter().filter(|v| **v == "accepted").count();
            Said {
                verdict: (*first).to_owned(),
                reward: Some(passed as f64 / acts.len() as f64),
                tests: (0..).zip(&verdicts).map(|(n, v)| (n.to_string(), (*v).to_owned())).collect(),
            }
        }).collect();
        let [one, four] = servers();
        prop_assert_eq!(&alone(one, &in_order), &want);
        prop_assert_eq!(&together(one, &in_order), &want);
        prop_assert_eq!(&together(four, &in_order), &want);
        // In another order: the same but for which failure names the case.
        let moved: Vec<Value> = drawn.iter().map(|(acts, order)| case(acts, order)).collect();
        for ((got, want), (acts, order)) in together(four, &moved).iter().zip(&want).zip(&drawn) {
            prop_assert_eq!((&got.tests, got.reward), (&want.tests, want.reward));
            let first = order.iter().map(|&n| meant(acts[n])).find(|v| *v != "accepted");
            prop_assert_eq!(&got.verdict, first.unwrap_or("accepted"));
        }
    }

    /// What was wrong in full is never accepted for the part of it that was
    /// kept: under no checker, wherever it was cut, however it was written.
    #[test]
    fn a_cut_output_is_never_right(
        want in "[0-9]{1,40}",
        more in "[ 0-9\n]{0,40}",
        parts in 1usize..4,
        kept in 0usize..40,
        last in proptest::sample::select(&["", "; sleep 0.05", "; exit 1", "; exec 1>&-"][..]),
    ) {
        let output = format!("{want}{more}7");
        let kept = kept.clamp(1, output.len() - 1);
        let size = output.len().div_ceil(parts);
        let bytes = output.as_bytes().chunks(size);
        let pieces: Vec<String> = bytes.map(|c| format!("printf %s {:?}", String::from_utf8_lossy(c)).replace("\\n", "\n")).collect();
        let code = format!("{}{last}", pieces.join("; "));
        // Once where the kept part is just what is expected, once anywhere.
        for limit in [want.len(), kept] {
            for kind in ["tokens", "exact", "lines", "unordered", "json", "float", "kattis", "program"] {
                let mut request = json!({
                    "language": "bash", "code": code, "checker": {"kind": kind},
                    "tests": [{"stdin": "", "stdout": &output[..limit]}],
                    "limits": {"cpu_ms": 5000, "wall_ms": 60_000, "stdout_bytes": limit},
                });
                if kind == "program" {
                    // One that would accept anything.
                    request["checker"]["program"] = json!({"language": "bash", "code": "exit 42"});
                }
                let judged = judge(&request);
                prop_assert_eq!(judged.verdict.name(), "output_limit_exceeded", "{} {}", kind, code);
                prop_assert_eq!(judged.reward, Some(0.0));
            }
        }
    }
}
