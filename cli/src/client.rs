//! A small client of our own API: one batch, answers as they come.

use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

/// Posts `cases` as NDJSON and hands each answer to `each`.
pub(crate) fn batch<T: Serialize>(
    server: &str,
    key: Option<&str>,
    cases: &[T],
    mut each: impl FnMut(Value),
) -> Result<()> {
    let mut body = Vec::new();
    for case in cases {
        serde_json::to_writer(&mut body, case)?;
        body.push(b'\n');
    }
    let url = format!("{}/v1/batches", server.trim_end_matches('/'));
    // A refusal is a document to read, not an exception.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent
        .post(&url)
        .header("content-type", "application/x-ndjson");
    if let Some(key) = key {
        request = request.header("authorization", &format!("Bearer {key}"));
    }
    let mut response = request
        .send(&body[..])
        .with_context(|| format!("{url} does not answer"))?;
    if response.status() != 200 {
        let status = response.status();
        let text = response.body_mut().read_to_string().unwrap_or_default();
        bail!("{url} answered {status}: {text}");
    }
    let mut answered = 0;
    for line in BufReader::new(response.into_body().into_reader()).lines() {
        let answer: Value = serde_json::from_str(&line.context("the answers broke off")?)?;
        answered += 1;
        each(answer);
    }
    if answered != cases.len() {
        bail!(
            "{answered} answers to {} cases: the server went away",
            cases.len()
        );
    }
    Ok(())
}
