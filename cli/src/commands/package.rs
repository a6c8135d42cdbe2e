//! `assize judge … --problem DIR`, where DIR is a problem package.

use std::path::Path;

use anyhow::Result;
use assize_executor::FileSource;
use assize_judge::engine::Engine;
use assize_judge::package::{
    Bench, BenchError, Judged, Package, PackageError, Report, Row, Source, Standing, TimeLimit,
};
use assize_judge::verdict::Verdict;
use serde_json::json;

use crate::args::{self, Host};
use crate::{Usage, setup, show, status};

pub(crate) async fn judge(host: &Host, args: &args::Judge) -> Result<u8> {
    if args.checker.is_some() {
        let message = "--checker: the package says itself how outputs are compared";
        return Err(Usage(message.to_owned()).into());
    }
    let package = Package::read(&args.problem).map_err(usage)?;
    let engine = setup::engine(host, 1).await?;
    let result = if args.verify {
        verify(&engine, &package, args).await
    } else {
        one(&engine, &package, args).await
    };
    setup::shut_down(&engine).await;
    result
}

fn usage(error: PackageError) -> Usage {
    Usage(error.to_string())
}

/// What is wrong with a package is the caller's to know, not our failure.
fn bench_error(error: BenchError) -> anyhow::Error {
    match error {
        BenchError::Package(what) => Usage(what).into(),
        BenchError::Fault(fault) => fault.into(),
    }
}

async fn open<'a>(
    engine: &'a Engine,
    package: &'a Package,
    args: &args::Judge,
) -> Result<Bench<'a>> {
    let name = args.program.policy.as_deref().unwrap_or("default");
    let policy = engine
        .profile(name)
        .ok_or_else(|| Usage(format!("--policy: unknown policy {name:?}")))?;
    Bench::open(engine, package, policy)
        .await
        .map_err(bench_error)
}

async fn one(engine: &Engine, package: &Package, args: &args::Judge) -> Result<u8> {
    let options = &args.program;
    for (given, name) in [
        (options.language.is_some(), "language"),
        (options.backend.is_some(), "backend"),
        (options.wall.is_some(), "wall"),
        (options.memory.is_some(), "memory"),
    ] {
        if given {
            let message = format!("--{name} is not for problem packages, which say it themselves");
            return Err(Usage(message).into());
        }
    }
    let source = source(args.file.as_deref().unwrap_or(Path::new("")))?;
    let bench = open(engine, package, args).await?;
    let known = match options.cpu {
        Some(ms) => Some(ms as f64 / 1e3),
        None => bench.time_limit().await.map_err(bench_error)?,
    };
    let seconds = known.ok_or_else(|| {
        Usage("no time limit is given, and no accepted submission to find one by: use --cpu".into())
    })?;
    let judged = bench.judge(&source, TimeLimit::of(seconds)).await;
    let judged = judged.map_err(bench_error)?;
    if args.json {
        let body = json!({
            "problem": package.metadata.name, "time_limit_s": seconds,
            "verdict": judged.verdict, "code": judged.verdict.code(),
            "score": judged.score, "detail": judged.detail,
            "tests": judged.cases, "groups": judged.groups, "notes": package.notes,
        });
        println!("{body}");
    } else {
        print(&judged, seconds);
        notes(&package.notes);
    }
    Ok(match judged.verdict {
        Verdict::Accepted => status::DONE,
        Verdict::JudgeError => status::FAULT,
        _ => status::FAILED,
    })
}

/// The program as a package would have it: a file, or a directory of files.
fn source(path: &Path) -> Result<Source> {
    let unread = |e: &dyn std::fmt::Display| Usage(format!("{}: {e}", path.display()));
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| unread(&"not a file"))?;
    let mut files = Vec::new();
    let mut take = |path: &Path| -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.push(FileSource {
            path: name.into_owned(),
            data: std::fs::read(path).map_err(|e| unread(&e))?,
            executable: false,
        });
        Ok(())
    };
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(|e| unread(&e))? {
            let entry = entry?.path();
            if entry.is_file() {
                take(&entry)?;
            }
        }
    } else {
        take(path)?;
    }
    Ok(Source { name, files })
}

async fn verify(engine: &Engine, package: &Package, args: &args::Judge) -> Result<u8> {
    let mut bench = open(engine, package, args).await?;
    // The table comes at the end; until then, who waits sees how far we are.
    let mut told = |row: &Row| {
        if !args.json {
            eprintln!(
                "{}/{}: {}",
                row.label,
                row.submission,
                standing(row.standing)
            );
        }
    };
    let mut report = bench.verify(&mut told).await.map_err(bench_error)?;
    if args.allow_missing {
        let fine = |r: &Row| r.standing != Standing::Mismatch;
        report.ok = report.problems.is_empty() && report.submissions.iter().all(fine);
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        table(&report);
    }
    Ok(if report.ok {
        status::DONE
    } else {
        status::FAILED
    })
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Ok => "OK",
        Standing::Mismatch => "MISMATCH",
        Standing::NotRun => "NOT RUN",
    }
}

fn score(score: Option<f64>) -> String {
    score.map_or(String::new(), |score| score.to_string())
}

fn table(report: &Report) {
    let header = [
        "submission",
        "label",
        "verdict",
        "score",
        "time",
        "",
        "detail",
    ];
    let mut table = show::table(&header);
    for row in &report.submissions {
        table.add_row(vec![
            show::harmless(&row.submission).into(),
            row.label.into(),
            row.verdict.map_or("-", Verdict::name).into(),
            show::right(score(row.score)),
            show::right(format!("{:.3} s", row.slowest_ms / 1e3)),
            standing(row.standing).into(),
            show::harmless(&row.detail).into(),
        ]);
    }
    println!("{table}");
    let limit = report
        .time_limit_s
        .map_or("no time limit".to_owned(), |s| format!("time limit {s} s"));
    println!("\n{}: {limit}", show::harmless(&report.problem));
    for problem in &report.problems {
        println!("problem: {}", show::harmless(problem));
    }
    notes(&report.notes);
    println!("{}", if report.ok { "OK" } else { "NOT OK" });
}

fn notes(notes: &[String]) {
    for note in notes {
        println!("note: {}", show::harmless(note));
    }
}

fn print(judged: &Judged, seconds: f64) {
    let mut table = show::table(&["test", "verdict", "score", "cpu", "memory", "detail"]);
    for case in &judged.cases {
        table.add_row(vec![
            show::harmless(&case.id).into(),
            case.verdict.name().into(),
            show::right(score(case.score)),
            show::right(format!("{:.1} ms", case.cpu_ms)),
            show::right(show::size(case.memory_peak_bytes)),
            show::harmless(&case.detail).into(),
        ]);
    }
    println!("{table}");
    let points = judged
        .score
        .map_or(String::new(), |s| format!(", score {s}"));
    println!(
        "\n{} ({}){points}, time limit {seconds} s{}",
        judged.verdict,
        judged.verdict.code(),
        match judged.detail.as_str() {
            "" => String::new(),
            why => format!(": {}", show::harmless(why)),
        }
    );
}
