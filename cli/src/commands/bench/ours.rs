//! Assize over HTTP.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::program::{Measure, timed};
use super::stats::Sample;

/// An agent that keeps its connection and reads refusals.
pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}

/// A run as the API takes it.
pub(super) fn program(language: &str, backend: &str, code: &str) -> Value {
    json!({"language": language, "backend": backend, "code": code})
}

/// Posts JSON and reads the answer.
pub(super) fn ask(agent: &ureq::Agent, url: &str, body: &str) -> Result<Value> {
    let mut answer = agent
        .post(url)
        .content_type("application/json")
        .send(body)?;
    let text = answer
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_string()?;
    Ok(serde_json::from_str(&text)?)
}

/// One request after the other over one connection.
pub(super) fn single(url: &str, request: &Value, stdout: &'static str, runs: usize) -> Measure {
    let (agent, url, body) = (agent(), format!("{url}/v1/runs"), request.to_string());
    Box::new(move || {
        let one = |_| {
            let start = Instant::now();
            let answer = ask(&agent, &url, &body)?;
            let wall = start.elapsed();
            said(&answer, stdout)?;
            Ok(Sample { wall, runs: 1 })
        };
        (0..runs).map(one).collect()
    })
}

/// Many programs in one request; the answers stream back as they come.
pub(super) fn batch(url: &str, request: &Value, stdout: &'static str, many: usize) -> Measure {
    let (agent, url) = (agent(), format!("{url}/v1/batches"));
    let body = format!("{request}\n").repeat(many);
    Box::new(move || {
        let (wall, lines) = answers(&agent, &url, &body)?;
        ensure!(lines.len() == many, "{} answers of {many}", lines.len());
        for answer in &lines {
            said(answer, stdout)?;
        }
        Ok(vec![Sample { wall, runs: many }])
    })
}

fn answers(agent: &ureq::Agent, url: &str, body: &str) -> Result<(Duration, Vec<Value>)> {
    let start = Instant::now();
    let answer = agent
        .post(url)
        .content_type("application/x-ndjson")
        .send(body)?;
    let reader = std::io::BufReader::new(answer.into_body().into_reader());
    let lines: Vec<String> = reader.lines().collect::<Result<_, _>>()?;
    let wall = start.elapsed();
    let parsed = lines.iter().map(|l| serde_json::from_str(l));
    Ok((wall, parsed.collect::<Result<_, _>>()?))
}

/// Judgements of cases, all in one batch; a number is about a test.
pub(super) fn judged(url: &str, case: &Value, cases: usize) -> Measure {
    let tests = case["tests"].as_array().map_or(0, Vec::len);
    let (agent, url) = (agent(), format!("{url}/v1/batches"));
    let body = format!("{case}\n").repeat(cases);
    Box::new(move || {
        let (wall, lines) = answers(&agent, &url, &body)?;
        ensure!(lines.len() == cases, "{} answers of {cases}", lines.len());
        lines.iter().try_for_each(accepted)?;
        let runs = cases * tests;
        Ok(vec![Sample { wall, runs }])
    })
}

/// One case after the other; `fresh` makes each one's source another, so that
/// nothing the server keeps of earlier ones helps.
pub(super) fn case(url: &str, case: &Value, fresh: bool) -> Measure {
    let tests = case["tests"].as_array().map_or(0, Vec::len);
    let (agent, url, mut case) = (agent(), format!("{url}/v1/judgements"), case.clone());
    let code = case["code"].as_str().unwrap_or_default().to_owned();
    let mut number = 0_u64;
    Box::new(move || {
        if fresh {
            number += 1;
            let stamp = std::process::id();
            case["code"] = json!(format!("{code}\n// {stamp}.{number}\n"));
        }
        let body = case.to_string();
        let mut answer = Value::Null;
        let sample = timed(tests, || {
            answer = ask(&agent, &url, &body)?;
            Ok(())
        })?;
        accepted(&answer)?;
        Ok(vec![sample])
    })
}

/// What one more test of a case costs: a case of many tests less one of a
/// single test, so that what is done once a case (compiling, the request) is
/// not in it.
pub(super) fn one_more(url: &str, case: &Value, tests: usize) -> Measure {
    let (agent, url) = (agent(), format!("{url}/v1/judgements"));
    let of = |tests: usize| {
        let test = |n| json!({"id": format!("{n}"), "stdin": "", "stdout": ""});
        let mut case = case.clone();
        case["tests"] = (0..tests).map(test).collect();
        case.to_string()
    };
    let (few, many) = (of(1), of(1 + tests));
    Box::new(move || {
        let took = |body: &str| {
            let start = Instant::now();
            let answer = ask(&agent, &url, body)?;
            let wall = start.elapsed();
            accepted(&answer).map(|()| wall)
        };
        let (one, all) = (took(&few)?, took(&many)?);
        let wall = all.saturating_sub(one);
        Ok(vec![Sample { wall, runs: tests }])
    })
}

fn accepted(answer: &Value) -> Result<()> {
    ensure!(
        answer["verdict"] == "accepted",
        "an unexpected verdict: {}",
        short(answer)
    );
    Ok(())
}

/// Whether the program ran and printed what it should.
pub(super) fn said(answer: &Value, stdout: &str) -> Result<()> {
    let printed = answer["stdout"]["text"].as_str();
    ensure!(
        answer["status"] == "finished" && printed == Some(stdout),
        "an unexpected answer: {}",
        short(answer)
    );
    Ok(())
}

fn short(answer: &Value) -> String {
    answer.to_string().chars().take(600).collect()
}
