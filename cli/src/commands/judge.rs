//! `assize judge FILE --problem …`: one program against tests.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use assize_api::types::{CheckerSpec, JudgementBody, JudgementRequest, TestSpec};
use assize_api::{admit_judgement, present};
use assize_judge::engine::Engine;

use crate::args::{Host, Judge};
use crate::commands::package;
use crate::{Usage, commands, dataset, setup, show, status};

pub(crate) async fn judge(host: &Host, args: &Judge) -> Result<u8> {
    if args.problem.join("problem.yaml").exists() {
        return package::judge(host, args).await;
    }
    if args.verify {
        let message = "there is no problem.yaml; only problem packages can be verified";
        return Err(Usage(format!("{}: {message}", args.problem.display())).into());
    }
    let tests = tests(&args.problem)?;
    let engine = setup::engine(host, 1).await?;
    let result = try_judge(&engine, args, tests).await;
    setup::shut_down(&engine).await;
    let body = result?;
    if args.json {
        println!("{}", serde_json::to_string(&body)?);
    } else {
        print(&body);
    }
    Ok(match body.verdict {
        "accepted" => status::DONE,
        "judge_error" => status::FAULT,
        _ => status::FAILED,
    })
}

async fn try_judge(engine: &Engine, args: &Judge, tests: Vec<TestSpec>) -> Result<JudgementBody> {
    let file = args.file.as_deref().unwrap_or(Path::new(""));
    let run = commands::request(engine.registry(), file, &args.program)?;
    let request = JudgementRequest {
        language: run.language,
        code: run.code,
        files: run.files,
        deterministic: run.deterministic,
        backend: run.backend,
        policy: run.policy,
        limits: run.limits,
        tests,
        checker: args
            .checker
            .as_ref()
            .map_or_else(CheckerSpec::default, |kind| CheckerSpec {
                kind: kind.clone(),
                ..CheckerSpec::default()
            }),
        ..JudgementRequest::default()
    };
    let case = admit_judgement(engine, &request).map_err(|e| Usage(e.to_string()))?;
    let judged = engine.judge(&case).await?;
    Ok(present::judgement(
        "jdg_local".into(),
        &judged,
        Duration::ZERO,
        None,
    ))
}

/// Tests from a JSONL file, or from pairs of files in a directory.
fn tests(path: &Path) -> Result<Vec<TestSpec>> {
    if !path.is_dir() {
        return dataset::lines(path);
    }
    let mut tests = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let input = entry?.path();
        if input.extension().is_none_or(|e| e != "in") {
            continue;
        }
        let answer = ["ans", "out"].map(|e| input.with_extension(e));
        let answer = answer.iter().find(|p| p.exists()).ok_or_else(|| {
            Usage(format!(
                "{}: there is no .ans or .out file beside it",
                input.display()
            ))
        })?;
        let read = |p: &Path| {
            std::fs::read_to_string(p).map_err(|e| Usage(format!("{}: {e}", p.display())))
        };
        let id = input.file_stem().map(|s| s.to_string_lossy().into_owned());
        let (stdin, stdout) = (Some(read(&input)?), Some(read(answer)?));
        tests.push(TestSpec {
            id,
            stdin,
            stdout,
            ..TestSpec::default()
        });
    }
    if tests.is_empty() {
        return Err(Usage(format!("{}: no .in files", path.display())).into());
    }
    tests.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(tests)
}

fn print(body: &JudgementBody) {
    if let Some(compile) = body.compile.as_ref().filter(|c| !c.succeeded) {
        eprint!(
            "{}",
            show::harmless(compile.stderr.text.as_deref().unwrap_or_default())
        );
    }
    let mut table = show::table(&["test", "verdict", "cpu", "memory", "detail"]);
    for test in &body.tests {
        table.add_row(vec![
            test.id.clone().into(),
            test.verdict.into(),
            show::right(format!("{:.1} ms", test.usage.cpu_ms)),
            show::right(show::size(test.usage.memory_peak_bytes)),
            show::harmless(&test.detail).into(),
        ]);
    }
    println!("{table}");
    let reward = body.reward.map_or("none".to_owned(), |r| r.to_string());
    println!(
        "\n{} ({}): {} of {} tests, reward {reward}",
        body.verdict, body.code, body.passed, body.total
    );
}
