//! Predictions about a program: data that trusted code looks at, in a cell.

use assize_executor::{End, Fault, Outcome, Sealed};
use assize_runtimes::Role;
use serde::Deserialize;
use serde_json::json;

use crate::case::{Prediction, Submission};
use crate::engine::{limit_verdict, not_accepted};
use crate::trials::{Trials, Tried};
use crate::verdict::Verdict;

/// Most bytes of the report.
const REPORT_BYTES: u64 = 16 << 10;

#[derive(Debug, Deserialize)]
struct Report {
    outcome: String,
    message: String,
}

/// Looks at the submission's one file.
pub(crate) async fn look(trials: &Trials<'_>, prediction: &Prediction) -> Result<Tried, Fault> {
    let host = |e: String| Fault::Host(e);
    let Submission {
        program,
        limits,
        policy,
        ..
    } = &*trials.submission;
    let file = program.files.iter().find(|f| f.path == program.entry);
    let Some(text) = file.and_then(|f| std::str::from_utf8(&f.data).ok()) else {
        let detail = "the prediction is not UTF-8 text".to_owned();
        return Ok(Tried::without_run(Verdict::WrongAnswer, detail));
    };
    let mut config = json!(prediction);
    config["text"] = json!(text);
    let mut plan = trials
        .runnable
        .plan(Role::Predict, *limits, policy, &[])
        .map_err(|e| host(e.to_string()))?;
    let sealed = Sealed::new(&[config.to_string().as_bytes()]);
    plan.stdin = Some(sealed.map_err(|e| host(e.to_string()))?);
    plan.report_bytes = REPORT_BYTES;
    let outcome = trials.engine.executor().run(plan).await?;
    let (verdict, detail) = verdict(&outcome);
    Ok(Tried::from((verdict, detail, outcome)))
}

fn verdict(outcome: &Outcome) -> (Verdict, String) {
    // A predicted input may be one on which the program never ends.
    if let Some(verdict) = limit_verdict(&outcome.end) {
        return (verdict, not_accepted(outcome));
    }
    let report = serde_json::from_slice::<Report>(&outcome.report.data).ok();
    let report = report.filter(|_| matches!(outcome.end, End::Exited(0)));
    let Some(Report { outcome, message }) = report else {
        // So deep or long that the interpreter died of it.
        let detail = format!("{} while it was looked at", not_accepted(outcome));
        return (Verdict::RunTimeError, detail);
    };
    let message: String = message.chars().flat_map(char::escape_debug).collect();
    match outcome.as_str() {
        "passed" => (Verdict::Accepted, String::new()),
        "wrong" => (Verdict::WrongAnswer, message),
        "not_literal" => (Verdict::WrongAnswer, format!("not a literal: {message}")),
        _ => (
            Verdict::JudgeError,
            format!("the program itself failed: {message}"),
        ),
    }
}
