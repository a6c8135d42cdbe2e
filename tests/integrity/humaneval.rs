//! HumanEval: 164 canonical solutions accepted, and nothing that is not one.

use std::io::Read;

use assize_judge::verdict::Verdict;
use assize_policies::LimitsRequest;
use assize_runtimes::BackendChoice;
use serde_json::Value;

use crate::{BACKENDS, engine, script};

fn problems() -> Vec<Value> {
    let path = std::env::var_os("ASSIZE_HUMANEVAL")
        .expect("ASSIZE_HUMANEVAL names no HumanEval.jsonl.gz; run `make test`");
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("the problems");
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("gzip");
    let problems: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON lines"))
        .collect();
    assert_eq!(problems.len(), 164);
    problems
}

/// Makes a completion for a problem.
type Complete = fn(&Value) -> String;

/// Judges every problem with what `complete` makes of it; four at a time.
fn grade(backend: BackendChoice, complete: Complete) -> Vec<(String, Verdict, String)> {
    let (runtime, engine) = engine();
    let problems = problems();
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(4));
    let tasks: Vec<_> = problems
        .iter()
        .map(|problem| {
            let text = |key: &str| problem[key].as_str().expect(key).to_owned();
            let imports: String = text("prompt")
                .lines()
                .filter(|l| l.starts_with("import ") || l.starts_with("from "))
                .map(|l| format!("{l}\n"))
                .collect();
            let tests = format!(
                "{imports}{}\ncheck({})\n",
                text("test"),
                text("entry_point")
            );
            let code = format!("{}{}\n", text("prompt"), complete(problem));
            let mut request = script(backend, &code, &tests);
            // Long enough for a debug build on a loaded machine; no canonical
            // solution needs more than a second natively.
            request.limits = LimitsRequest {
                cpu_ms: Some(20_000),
                wall_ms: Some(60_000),
                ..LimitsRequest::default()
            };
            let case = assize_api::admit_judgement(engine, &request).expect("a sound request");
            let (engine, room) = (std::sync::Arc::clone(engine), std::sync::Arc::clone(&room));
            let id = text("task_id");
            runtime.spawn(async move {
                let _room = room.acquire().await;
                let judged = engine.judge(&case).await.expect("no fault");
                (id, judged.verdict, judged.tests[0].detail.clone())
            })
        })
        .collect();
    tasks
        .into_iter()
        .map(|t| runtime.block_on(t).expect("no panic"))
        .collect()
}

fn canonical(problem: &Value) -> String {
    problem["canonical_solution"]
        .as_str()
        .expect("a solution")
        .to_owned()
}

#[test]
fn all_canonical_solutions_are_accepted() {
    for backend in BACKENDS {
        let failed: Vec<_> = grade(backend, canonical)
            .into_iter()
            .filter(|(_, verdict, _)| *verdict != Verdict::Accepted)
            .collect();
        assert!(failed.is_empty(), "{backend:?}: {failed:#?}");
    }
}

#[test]
fn no_stub_and_no_early_exit_is_accepted() {
    use Verdict::{RunTimeError, WrongAnswer};
    let bodies: [(&str, Complete, &[Verdict]); 3] = [
        (
            "stub",
            |_| "    return None\n".into(),
            &[WrongAnswer, RunTimeError],
        ),
        (
            "os._exit(0)",
            |_| "    import os\n    os._exit(0)\n".into(),
            &[RunTimeError],
        ),
        (
            "sys.exit(0)",
            |_| "    import sys\n    sys.exit(0)\n".into(),
            &[RunTimeError],
        ),
    ];
    for backend in BACKENDS {
        for (what, complete, honest) in bodies {
            for (id, verdict, detail) in grade(backend, complete) {
                assert!(
                    honest.contains(&verdict),
                    "{backend:?} {what} {id}: {verdict:?} {detail}"
                );
            }
        }
    }
}
