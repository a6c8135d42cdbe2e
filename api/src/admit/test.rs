//! The tests of a judgement.

use assize_judge::case::{Gold, Place, Submission, Test, TestKind, json};
use assize_judge::rows::{Cell, Row};
use assize_runtimes::Runtime;
use assize_runtimes::manifest::{Dialect, Harness};

use super::alone::alone;
use super::{Refusal, refuse};
use crate::types::TestSpec;

/// Where a script may run; `apart` when the case asks for nothing less.
fn place(asked: Option<&str>, apart: bool, runtime: &Runtime) -> Result<Place, String> {
    match asked {
        None if apart => Ok(Place::Apart),
        None => Ok(Place::Auto),
        Some("isolated") => Ok(Place::Apart),
        Some("shared") if apart => Err("require_integrity asks for isolated".into()),
        Some("shared") if !runtime.has_shared_mode() => Err(format!(
            "{} on this backend has no shared mode",
            runtime.manifest.language
        )),
        Some("shared") => Ok(Place::Beside),
        Some(_) => Err("must be \"isolated\" or \"shared\"".into()),
    }
}

/// Who decides on the tests of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decider {
    /// A rule of ours.
    Rule,
    /// A program of the author's that looks at what the candidate printed.
    Checker,
    /// One that talks with it.
    Interactor,
    /// We compare rows.
    Rows,
}

/// Checks one test; `apart` when test scripts must run in a cell of their own.
pub(super) fn test(
    index: usize,
    spec: &TestSpec,
    submission: &Submission,
    apart: bool,
    decider: Decider,
) -> Result<Test, Refusal> {
    let at = |name: &str| format!("tests[{index}].{name}");
    let bad = |name: &str, message: &str| refuse("invalid_field", at(name), message);
    let runtime = &submission.runtime;
    let id = spec.id.clone().unwrap_or_else(|| (index + 1).to_string());
    if spec.subject.is_some() || spec.expect.is_some() || spec.prediction.is_some() {
        let kind = alone(index, spec, decider, submission, apart)?;
        return Ok(Test {
            id,
            kind,
            public: spec.public,
        });
    }
    match (&spec.database, decider == Decider::Rows) {
        (Some(database), true) => {
            let kind = query(index, spec, &database.script, runtime)?;
            return Ok(Test {
                id,
                kind,
                public: spec.public,
            });
        }
        (Some(_), false) => return Err(bad("database", "is for the sqlite checker")),
        (None, true) => return Err(bad("database", "is missing; the sqlite checker needs one")),
        (None, false) => {}
    }
    if spec.query.is_some() || spec.rows.is_some() {
        return Err(bad("database", "is missing; queries and rows need one"));
    }
    match (spec.file.is_some(), runtime.runs()) {
        (true, true) => return Err(bad("file", "is for the language output")),
        (false, false) => return Err(bad("file", "is missing; nothing of this language runs")),
        (true, false) | (false, true) => {}
    }
    if decider == Decider::Interactor && !runtime.runs() {
        return Err(bad(
            "file",
            "nothing runs that could talk with an interactor",
        ));
    }
    let function = spec.call.is_some() || spec.script.is_some();
    if function && decider != Decider::Rule {
        let message = "function tests have neither a checker program nor an interactor";
        return Err(refuse("invalid_field", format!("tests[{index}]"), message));
    }
    let author = matches!(decider, Decider::Checker | Decider::Interactor);
    let bare = author && !function;
    let stdout = spec.stdout.clone().or(bare.then(String::new));
    let kinds = [stdout.is_some(), spec.call.is_some(), spec.script.is_some()];
    if kinds.iter().filter(|k| **k).count() != 1 {
        let message = "give exactly one of stdout, call (with returns) and script";
        return Err(refuse("invalid_field", format!("tests[{index}]"), message));
    }
    let plain = spec.stdin.is_none();
    if (spec.call.is_some() || spec.script.is_some()) && !plain {
        return Err(bad("stdin", "only program tests have an input"));
    }
    if spec.returns.is_some() && spec.call.is_none() {
        return Err(bad("returns", "only call tests return something"));
    }
    if spec.names.is_some() && spec.script.is_none() {
        return Err(bad("names", "only script tests name what they use"));
    }
    if spec.integrity.is_some() && spec.script.is_none() {
        return Err(bad("integrity", "only script tests have a choice"));
    }
    if (spec.call.is_some() || spec.script.is_some()) && !runtime.has_harness() {
        let field = if spec.call.is_some() {
            "call"
        } else {
            "script"
        };
        let message = format!("{} has no function tests yet", runtime.manifest.language);
        return Err(refuse("unsupported_test", at(field), message));
    }
    let kind = if let Some(stdout) = stdout {
        let stdin = spec.stdin.clone().unwrap_or_default().into_bytes();
        let stdout = stdout.into_bytes();
        match spec.file.clone() {
            None => TestKind::Program { stdin, stdout },
            Some(file) => TestKind::Output {
                file,
                stdin,
                stdout,
            },
        }
    } else if let Some(script) = &spec.script {
        TestKind::Script {
            script: script.clone(),
            names: spec.names.clone(),
            place: place(spec.integrity.as_deref(), apart, runtime)
                .map_err(|m| bad("integrity", &m))?,
        }
    } else if let Some(call) = &spec.call {
        let returns = spec
            .returns
            .as_ref()
            .ok_or_else(|| bad("returns", "is missing"))?;
        let mut args = Vec::with_capacity(call.args.len());
        for (n, raw) in call.args.iter().enumerate() {
            args.push(json(raw).map_err(|e| bad(&format!("call.args[{n}]"), &e))?);
        }
        let keywords = |h: &Harness| h.dialect == Dialect::Python;
        if !call.kwargs.is_empty() && !runtime.manifest.harness.as_ref().is_some_and(keywords) {
            let message = "this language has no keyword arguments";
            return Err(bad("call.kwargs", message));
        }
        let mut kwargs = Vec::with_capacity(call.kwargs.len());
        for (name, raw) in &call.kwargs {
            let value = json(raw).map_err(|e| bad(&format!("call.kwargs.{name}"), &e))?;
            kwargs.push((name.clone(), value));
        }
        let returns = json(returns).map_err(|e| bad("returns", &e))?;
        TestKind::Call {
            function: call.function.clone(),
            args,
            kwargs,
            returns,
        }
    } else {
        return Err(refuse(
            "invalid_field",
            format!("tests[{index}]"),
            "no kind of test",
        ));
    };
    Ok(Test {
        id,
        kind,
        public: spec.public,
    })
}

/// A query on a database.
fn query(
    index: usize,
    spec: &TestSpec,
    script: &str,
    runtime: &Runtime,
) -> Result<TestKind, Refusal> {
    let at = |name: &str| format!("tests[{index}].{name}");
    let bad = |name: &str, message: &str| refuse("invalid_field", at(name), message);
    if !runtime.queries() {
        return Err(bad("database", "is for the language sql"));
    }
    let others = [
        ("stdin", spec.stdin.is_some()),
        ("stdout", spec.stdout.is_some()),
        ("call", spec.call.is_some()),
        ("script", spec.script.is_some()),
        ("file", spec.file.is_some()),
        ("names", spec.names.is_some()),
        ("returns", spec.returns.is_some()),
    ];
    if let Some((name, _)) = others.iter().find(|o| o.1) {
        return Err(bad(name, "a test on a database has query or rows only"));
    }
    let gold = match (&spec.query, &spec.rows) {
        (Some(query), None) => Gold::Query(query.clone()),
        (None, Some(rows)) => {
            let row = |(n, row): (usize, &Vec<_>)| {
                let cells: Result<Row, String> = row.iter().map(Cell::from_json).collect();
                cells.map_err(|e| bad(&format!("rows[{n}]"), &e))
            };
            Gold::Rows(rows.iter().enumerate().map(row).collect::<Result<_, _>>()?)
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(bad("query", "give exactly one of query and rows"));
        }
    };
    Ok(TestKind::Query {
        database: script.to_owned(),
        gold,
    })
}
