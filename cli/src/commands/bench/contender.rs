//! Who runs against whom.

use std::io::BufRead as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use assize_executor::Backend;
use serde_json::{Value, json};

use super::stats::Sample;

/// One measurement after another, each of a few runs.
pub(super) type Measure = Box<dyn FnMut() -> Result<Vec<Sample>>>;

/// Ours and what it stands beside.
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) beside: String,
    pub(super) ours: Measure,
    pub(super) bare: Measure,
}

/// Runs of one block.
const RUNS: usize = 8;
/// Programs of one batch.
const BATCH: usize = 256;

const TRUE: &[&str] = &["/usr/bin/true"];
const PYTHON: &[&str] = &["/usr/bin/python3", "-I", "-c", "print(1)"];

/// Everything that this host can run, with what it needs for comparison.
pub(super) fn contenders(url: &str, languages: &[(String, Backend)]) -> Vec<Contender> {
    let has = |language: &str, backend| {
        languages
            .iter()
            .any(|(l, b)| l == language && *b == backend)
    };
    let mut all = Vec::new();
    let mut add = |name: &str, beside: &str, ours: Measure, bare: Measure| {
        all.push(Contender {
            name: name.to_owned(),
            beside: beside.to_owned(),
            ours,
            bare,
        });
    };
    let program = |language: &str, backend: &str, code: &str| json!({"language": language, "backend": backend, "code": code});
    for backend in [Backend::Wasi, Backend::Native] {
        let name = match backend {
            Backend::Wasi => "wasi",
            Backend::Native => "native",
        };
        if has("python", backend) {
            let request = program("python", name, "print(1)\n");
            let (one, many) = (single(url, &request, "1\n"), batch(url, &request, "1\n"));
            add(
                &format!("{name} python print(1), one over HTTP"),
                "python3 -I",
                one,
                bare(PYTHON),
            );
            add(
                &format!("{name} python print(1), in a batch"),
                "python3 -I",
                many,
                bare(PYTHON),
            );
        }
        let node = ["/usr/bin/node", "/usr/local/bin/node"];
        let node = node
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
        if let (true, Some(node)) = (has("javascript", backend), node) {
            let request = program("javascript", name, "console.log(1)\n");
            let (one, many) = (single(url, &request, "1\n"), batch(url, &request, "1\n"));
            let argv: &'static [&'static str] = Box::leak(Box::new([node, "-e", "console.log(1)"]));
            add(
                &format!("{name} javascript console.log(1), one over HTTP"),
                "node",
                one,
                bare(argv),
            );
            add(
                &format!("{name} javascript console.log(1), in a batch"),
                "node",
                many,
                bare(argv),
            );
        }
    }
    if has("bash", Backend::Native) {
        let one = single(url, &program("bash", "native", "exit 0\n"), "");
        add(
            "native bash exit 0, one over HTTP",
            "/usr/bin/true",
            one,
            bare(TRUE),
        );
    }
    all
}

/// posix_spawn and wait, output thrown away, one after the other.
fn bare(argv: &'static [&'static str]) -> Measure {
    Box::new(move || {
        let one = |_| {
            let start = Instant::now();
            let status = Command::new(argv[0])
                .args(&argv[1..])
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .with_context(|| argv[0].to_owned())?;
            let wall = start.elapsed();
            ensure!(status.success(), "{argv:?} ended with {status}");
            Ok(Sample { wall, runs: 1 })
        };
        (0..RUNS).map(one).collect()
    })
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}

/// One request after the other over one connection.
fn single(url: &str, request: &Value, stdout: &'static str) -> Measure {
    let (agent, url, body) = (agent(), format!("{url}/v1/runs"), request.to_string());
    Box::new(move || {
        let one = |_| {
            let start = Instant::now();
            let mut answer = agent
                .post(&url)
                .content_type("application/json")
                .send(&body)?;
            let answer = answer.body_mut().read_to_string()?;
            let wall = start.elapsed();
            said(&serde_json::from_str(&answer)?, stdout)?;
            Ok(Sample { wall, runs: 1 })
        };
        (0..RUNS).map(one).collect()
    })
}

/// Many programs in one request; the answers stream back as they come.
fn batch(url: &str, request: &Value, stdout: &'static str) -> Measure {
    let (agent, url) = (agent(), format!("{url}/v1/batches"));
    let body = format!("{request}\n").repeat(BATCH);
    Box::new(move || {
        let start = Instant::now();
        let answer = agent
            .post(&url)
            .content_type("application/x-ndjson")
            .send(&body)?;
        let reader = std::io::BufReader::new(answer.into_body().into_reader());
        let lines: Vec<String> = reader.lines().collect::<Result<_, _>>()?;
        let wall = start.elapsed();
        ensure!(lines.len() == BATCH, "{} answers of {BATCH}", lines.len());
        for line in &lines {
            said(&serde_json::from_str(line)?, stdout)?;
        }
        Ok(vec![Sample { wall, runs: BATCH }])
    })
}

/// Whether the program ran and printed what it should.
fn said(answer: &Value, stdout: &str) -> Result<()> {
    let printed = answer["stdout"]["text"].as_str();
    ensure!(
        answer["status"] == "finished" && printed == Some(stdout),
        "an unexpected answer: {answer}"
    );
    Ok(())
}
