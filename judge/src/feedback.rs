//! What a model may be told about its failure, to try again.
//!
//! Bounded, and silent about hidden tests: of those only how many failed and how
//! the first one did. No message of an exception, because a message quotes data
//! (`KeyError: 'the hidden input'`), and no line of it, because a program can
//! choose by its input where it fails.

use serde::Serialize;

use crate::case::{Case, Judgement, Test, TestKind, TestResult};
use crate::checker::quote;
use crate::verdict::Verdict;

/// Most failed public tests that are shown.
const SHOWN: usize = 3;
/// Most characters of each text.
const CHARS: usize = 600;
/// Most characters of what a compiler said.
const COMPILER: usize = 2000;

/// Feedback on a judgement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feedback {
    /// The verdict.
    pub verdict: Verdict,
    /// One sentence.
    pub summary: String,
    /// What the compiler said, when it refused the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// The first public tests that failed.
    pub public: Vec<Shown>,
    /// The hidden tests, if any failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
}

/// A public test that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// Its name.
    pub id: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// What it gave to the program: input, call or script.
    pub given: String,
    /// Why it failed.
    pub detail: String,
    /// The end of what the program wrote to standard error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

/// What may be known of hidden tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hidden {
    /// How many failed, of those that ran.
    pub failed: usize,
    /// How many ran.
    pub ran: usize,
    /// The first failure's verdict.
    pub verdict: Verdict,
    /// The class of its exception, if it is one of the language itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<&'static str>,
}

/// Feedback on a case that was judged.
#[must_use]
pub fn of(case: &Case, judged: &Judgement) -> Feedback {
    let refused = judged.compile.as_ref().filter(|c| !c.succeeded);
    let compiler = refused.map(|report| {
        let said = [&report.outcome.stderr.data[..], &report.outcome.stdout.data];
        head(&String::from_utf8_lossy(&said.concat()), COMPILER)
    });
    let pairs = || case.tests.iter().zip(&judged.tests);
    let failed = |r: &TestResult| r.verdict != Verdict::Accepted;
    let public = pairs()
        .filter(|(t, r)| t.public && failed(r))
        .take(SHOWN)
        .map(|(t, r)| shown(t, r))
        .collect();
    let ran: Vec<&TestResult> = pairs().filter(|(t, _)| !t.public).map(|p| p.1).collect();
    let hidden = ran.iter().find(|r| failed(r)).map(|first| Hidden {
        failed: ran.iter().filter(|r| failed(r)).count(),
        ran: ran.len(),
        verdict: first.verdict,
        exception: exception(first),
    });
    let summary = match judged.verdict {
        Verdict::Accepted => "every test passed".to_owned(),
        Verdict::CompileError => "the program does not compile".to_owned(),
        Verdict::JudgeError | Verdict::Flaky => {
            "nothing is known about the program; try again".to_owned()
        }
        other => format!(
            "{}: {} of {} tests passed",
            other.name().replace('_', " "),
            judged.passed,
            judged.total
        ),
    };
    Feedback {
        verdict: judged.verdict,
        summary,
        compiler,
        public,
        hidden,
    }
}

fn shown(test: &Test, result: &TestResult) -> Shown {
    let text = |bytes: &[u8]| quote(bytes, CHARS);
    let given = match &test.kind {
        TestKind::Program { stdin, .. } | TestKind::Output { stdin, .. } => text(stdin),
        TestKind::Call {
            function,
            args,
            kwargs,
            ..
        } => {
            let named = kwargs.iter().map(|(k, v)| format!("{k}={}", v.show()));
            let all: Vec<String> = args.iter().map(|a| a.show()).chain(named).collect();
            head(&format!("{function}({})", all.join(", ")), CHARS)
        }
        TestKind::Query { database, .. } => head(database, CHARS),
        TestKind::Subject { .. } => String::new(),
        TestKind::Prediction(prediction) => head(&prediction.program, CHARS),
        TestKind::Script { script, .. } => head(script, CHARS),
    };
    let outcome = result.outcome.as_ref();
    let stderr = outcome.map_or(String::new(), |o| tail(&o.stderr.data));
    Shown {
        id: head(&test.id, 100),
        verdict: result.verdict,
        given,
        detail: head(&result.detail, CHARS),
        stderr,
    }
}

/// Exceptions of Python and JavaScript themselves. Others are named by the
/// program, and a program that names them after its input would make feedback
/// tell what it is there to hide.
const EXCEPTIONS: &str = "ArithmeticError AssertionError AttributeError BufferError EOFError \
    EvalError Exception FileNotFoundError FloatingPointError ImportError IndentationError \
    IndexError KeyError LookupError MemoryError ModuleNotFoundError NameError \
    NotImplementedError OSError OverflowError PermissionError RangeError RecursionError \
    ReferenceError RuntimeError StopIteration SyntaxError SystemError TabError TimeoutError \
    TypeError URIError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError \
    ValueError ZeroDivisionError Error";

/// The class of an exception at the front of a detail: `ValueError: …`.
fn exception(result: &TestResult) -> Option<&'static str> {
    let detail = result.detail.strip_prefix("while it was loaded: ");
    let name = detail.unwrap_or(&result.detail).split(':').next()?;
    let known = |k: &&str| result.verdict == Verdict::RunTimeError && *k == name;
    EXCEPTIONS.split_whitespace().find(known)
}

fn head(text: &str, chars: usize) -> String {
    let mut kept: String = text.chars().take(chars).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept.retain(|c| c == '\n' || c == '\t' || !c.is_control());
    kept
}

fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(CHARS);
    head(&String::from_utf8_lossy(&bytes[from..]), CHARS)
}
