//! Test scripts that need live objects, in the candidate's own interpreter.
//!
//! Nothing in a process that the candidate shares is a secret from it for
//! certain. What makes a report believable here stands in
//! `runtimes/guest/python/shared.py`; what this side adds is that a process
//! which ends without the nonce it was given has proven nothing.

use assize_executor::{Executor, Fault, Outcome, Sealed};
use assize_runtimes::Role;
use serde::Deserialize;
use serde_json::json;

use crate::case::Integrity;
use crate::engine::{limit_verdict, not_accepted};
use crate::script::{REPORT_BYTES, Reported, Trial, subtests};
use crate::trials::Tried;
use crate::verdict::Verdict;

#[derive(Debug, Deserialize)]
struct Report {
    nonce: String,
    /// What the candidate changed of the tests' own tools.
    tampered: Option<String>,
    tests: Vec<Reported>,
}

/// Runs a script beside the candidate.
pub(crate) async fn run(trial: &Trial<'_>) -> Result<Tried, Fault> {
    let submission = trial.submission;
    let nonce = nonce()?;
    let config = json!({
        "nonce": nonce,
        "script": trial.script,
        "names": trial.names,
        "entry": submission.program.entry,
        "path": "assize_test.py",
        "report": 4,
    });
    let mut plan = trial.plan(trial.candidate, Role::Shared, submission.limits)?;
    let config = config.to_string();
    plan.stdin = Some(Sealed::new(&[config.as_bytes()]).map_err(|e| Fault::Host(e.to_string()))?);
    plan.report_bytes = REPORT_BYTES;
    let executor: &Executor = trial.executor;
    let outcome = executor.run(plan).await?;
    let report = serde_json::from_slice::<Report>(&outcome.report.data).ok();
    let report = report.filter(|r| same(&r.nonce, &nonce));
    let subtests = report
        .as_ref()
        .map_or_else(Vec::new, |r| subtests(&r.tests));
    let (verdict, detail) = verdict(&outcome, report);
    Ok(Tried {
        verdict,
        detail,
        score: None,
        integrity: Integrity::Shared,
        subtests,
        outcome: Some(outcome),
    })
}

/// 128 bits that were never used before.
fn nonce() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Fault::Host(e.to_string()))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Without saying by its duration how much of a guess was right.
fn same(a: &str, b: &str) -> bool {
    let differs = a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y));
    a.len() == b.len() && differs == 0
}

fn verdict(outcome: &Outcome, report: Option<Report>) -> (Verdict, String) {
    if let Some(verdict) = limit_verdict(&outcome.end) {
        return (verdict, not_accepted(outcome));
    }
    let Some(report) = report else {
        let how = not_accepted(outcome);
        return (
            Verdict::RunTimeError,
            format!("{how} before its tests were over"),
        );
    };
    if let Some(what) = report.tampered {
        let what: String = what
            .chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect();
        let detail = format!("it changed {what}, which its tests rely on");
        return (Verdict::RunTimeError, detail);
    }
    let mut ran = report
        .tests
        .iter()
        .filter(|t| t.status != "skipped")
        .peekable();
    if ran.peek().is_none() {
        let detail = "the test script tested nothing".to_owned();
        return (Verdict::JudgeError, detail);
    }
    let Some(first) = ran.find(|t| t.status != "passed") else {
        return (Verdict::Accepted, String::new());
    };
    let clip = |s: &str| -> String { s.chars().take(300).flat_map(char::escape_debug).collect() };
    let detail = format!("{}: {}", clip(&first.name), clip(&first.message));
    match first.status.as_str() {
        "failed" => (Verdict::WrongAnswer, detail),
        // Of a suite, a test that ended with an exception is a test that failed.
        "error" if first.name != "script" => (Verdict::WrongAnswer, detail),
        // Before the candidate had a say, and whatever it is.
        "broken" => (
            Verdict::JudgeError,
            format!("the test script itself failed: {detail}"),
        ),
        _ => (Verdict::RunTimeError, detail),
    }
}
