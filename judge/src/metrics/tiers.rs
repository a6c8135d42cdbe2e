//! Levels of success within one task: base and plus tests, per-test codes, and
//! what a repository's tests say.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Undefined, undefined};
use crate::verdict::Verdict;

/// The two tiers of EvalPlus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tiers {
    /// Every original test passed.
    pub base: bool,
    /// Every original and every extra test passed: the reported "+" needs both
    /// (evalplus, `evaluate.py`). None when there are no extra tests.
    pub plus: Option<bool>,
}

/// EvalPlus's tiers from which tests passed.
///
/// # Errors
/// Without base tests.
pub fn evalplus(base: &[bool], extra: &[bool]) -> Result<Tiers, Undefined> {
    if base.is_empty() {
        return Err(undefined("base", "there are no tests"));
    }
    let passed = base.iter().all(|t| *t);
    let plus = (!extra.is_empty()).then(|| passed && extra.iter().all(|t| *t));
    Ok(Tiers { base: passed, plus })
}

/// EvalPlus's time limit of one input, in seconds, from what the reference
/// solution took: `max(4, 4 · t)`.
///
/// # Errors
/// When the time is not finite or negative.
pub fn evalplus_limit(reference_s: f64) -> Result<f64, Undefined> {
    Ok((4.0 * super::amount("reference_s", reference_s)?).max(4.0))
}

/// EvalPlus's time limit of all inputs of a task, in seconds: `min(60, Σ) + 1`.
///
/// # Errors
/// When a time is not finite or negative.
pub fn evalplus_task_limit(references_s: &[f64]) -> Result<f64, Undefined> {
    let limits: Result<Vec<f64>, Undefined> =
        references_s.iter().map(|t| evalplus_limit(*t)).collect();
    Ok(limits?.iter().sum::<f64>().min(60.0) + 1.0)
}

/// Whose per-test codes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codes {
    /// APPS: −2 compile, −1 runtime or time, false, true.
    Apps,
    /// LiveCodeBench: −2 wrong, −3 time, −4 runtime or compile, true.
    Livecodebench,
    /// SandboxFusion and verl: −4 compile, −3 time, −2 runtime, −1 their own
    /// failure, false, true.
    SandboxFusion,
}

impl Codes {
    /// The code of one test, as JSON: a number or a boolean.
    ///
    /// Our own failure is −1 where the scheme has a code for it and null where
    /// it has none: written as any other code it would be averaged as a
    /// failure of the program.
    #[must_use]
    pub fn of(self, verdict: Verdict) -> Value {
        use Verdict::{
            Accepted, CompileError, Flaky, JudgeError, MemoryLimitExceeded, OutputLimitExceeded,
            RunTimeError, SecurityViolation, TimeLimitExceeded, WrongAnswer,
        };
        match (self, verdict) {
            (Self::Apps | Self::Livecodebench | Self::SandboxFusion, Accepted) => json!(true),
            (Self::Apps | Self::SandboxFusion, WrongAnswer) => json!(false),
            (Self::Livecodebench, WrongAnswer) => json!(-2),
            (Self::Apps, CompileError) => json!(-2),
            (Self::Livecodebench | Self::SandboxFusion, CompileError) => json!(-4),
            (Self::Livecodebench | Self::SandboxFusion, TimeLimitExceeded) => json!(-3),
            (
                Self::Apps,
                TimeLimitExceeded | MemoryLimitExceeded | OutputLimitExceeded | RunTimeError
                | SecurityViolation,
            ) => json!(-1),
            (
                Self::Livecodebench,
                MemoryLimitExceeded | OutputLimitExceeded | RunTimeError | SecurityViolation,
            ) => json!(-4),
            (
                Self::SandboxFusion,
                MemoryLimitExceeded | OutputLimitExceeded | RunTimeError | SecurityViolation,
            ) => json!(-2),
            (Self::SandboxFusion, JudgeError | Flaky) => json!(-1),
            (Self::Apps | Self::Livecodebench, JudgeError | Flaky) => Value::Null,
        }
    }
}

/// Accuracy over problems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Accuracy {
    /// Share of problems whose every test passed (APPS: strict accuracy).
    pub strict: f64,
    /// Mean over problems of the share of tests that passed (APPS: test case
    /// average).
    pub average: f64,
    /// Problems counted.
    pub problems: usize,
    /// Problems left out: a test of theirs has no conclusive verdict.
    pub left_out: usize,
}

/// APPS's strict accuracy and test case average from the verdicts of each
/// problem's tests. A problem that did not compile has one verdict,
/// `compile_error`.
///
/// # Errors
/// When no problem is left to count, or one has no tests.
pub fn apps_accuracy(problems: &[Vec<Verdict>]) -> Result<Accuracy, Undefined> {
    let (mut strict, mut average, mut left_out) = (0.0, 0.0, 0);
    for (index, tests) in problems.iter().enumerate() {
        if tests.is_empty() {
            return Err(undefined(
                format!("problems[{index}]"),
                "there are no tests",
            ));
        }
        if tests.iter().any(|t| !t.is_conclusive()) {
            left_out += 1;
            continue;
        }
        let passed = tests.iter().filter(|t| **t == Verdict::Accepted).count();
        strict += f64::from(u8::from(passed == tests.len()));
        average += passed as f64 / tests.len() as f64;
    }
    let counted = problems.len() - left_out;
    if counted == 0 {
        return Err(undefined("problems", "there is none to count"));
    }
    Ok(Accuracy {
        strict: strict / counted as f64,
        average: average / counted as f64,
        problems: counted,
        left_out,
    })
}

/// What one test of a repository came to, in SWE-bench's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TestStatus {
    /// It passed.
    Passed,
    /// It failed, as it was expected to.
    Xfail,
    /// It failed.
    Failed,
    /// It broke.
    Error,
    /// It was skipped.
    Skipped,
    /// It is not in the report.
    Missing,
}

/// SWE-bench's resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolved {
    /// Every fail-to-pass test passes and every pass-to-pass test still does.
    Full,
    /// Some fail-to-pass tests pass, and every pass-to-pass test still does.
    Partial,
    /// Neither.
    No,
}

/// Whether an instance is resolved (SWE-bench, `grading.py`): passed and xfail
/// pass; failed, error and missing fail; a skipped test fails where it was to be
/// mended and counts as kept where it passed before, since else skipping the
/// tests would mend them. A list without tests counts as passed.
///
/// # Errors
/// When there are no tests at all: nothing would resolve everything.
pub fn swebench(
    fail_to_pass: &[TestStatus],
    pass_to_pass: &[TestStatus],
) -> Result<Resolved, Undefined> {
    if fail_to_pass.is_empty() && pass_to_pass.is_empty() {
        return Err(undefined("fail_to_pass", "there are no tests"));
    }
    let passes = |s: &TestStatus| matches!(s, TestStatus::Passed | TestStatus::Xfail);
    let mended = fail_to_pass.iter().filter(|s| passes(s)).count();
    let kept = pass_to_pass
        .iter()
        .all(|s| passes(s) || *s == TestStatus::Skipped);
    Ok(match (kept, mended) {
        (true, n) if n == fail_to_pass.len() => Resolved::Full,
        (true, 1..) => Resolved::Partial,
        (true, 0) | (false, _) => Resolved::No,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::*;

    #[test]
    fn plus_needs_the_base_tests_too() {
        let tiers = |base: &[bool], extra: &[bool]| {
            let t = evalplus(base, extra).unwrap();
            (t.base, t.plus)
        };
        assert_eq!(tiers(&[true, true], &[true]), (true, Some(true)));
        assert_eq!(tiers(&[true, true], &[true, false]), (true, Some(false)));
        assert_eq!(tiers(&[true, false], &[true]), (false, Some(false)));
        assert_eq!(tiers(&[true], &[]), (true, None));
        assert!(evalplus(&[], &[true]).is_err());
    }

    #[test]
    fn limits_come_from_the_reference_time_and_have_a_floor() {
        assert_eq!(evalplus_limit(0.1), Ok(4.0));
        assert_eq!(evalplus_limit(3.0), Ok(12.0));
        assert_eq!(evalplus_task_limit(&[0.1, 3.0]), Ok(17.0));
        assert_eq!(evalplus_task_limit(&[20.0]), Ok(61.0));
        assert!(evalplus_limit(f64::NAN).is_err() && evalplus_limit(-1.0).is_err());
    }

    #[test]
    fn every_verdict_has_its_code() {
        let codes = |codes: Codes| -> Vec<Value> {
            [
                CompileError,
                RunTimeError,
                TimeLimitExceeded,
                WrongAnswer,
                Accepted,
                JudgeError,
            ]
            .map(|v| codes.of(v))
            .to_vec()
        };
        assert_eq!(
            json!(codes(Codes::Apps)),
            json!([-2, -1, -1, false, true, null])
        );
        assert_eq!(
            json!(codes(Codes::Livecodebench)),
            json!([-4, -4, -3, -2, true, null])
        );
        assert_eq!(
            json!(codes(Codes::SandboxFusion)),
            json!([-4, -2, -3, false, true, -1])
        );
    }

    #[test]
    fn accuracy_is_strict_and_average_over_problems() {
        let got = apps_accuracy(&[
            vec![Accepted, Accepted],
            vec![Accepted, WrongAnswer, Accepted, RunTimeError],
            vec![CompileError],
            vec![Accepted, JudgeError],
        ])
        .unwrap();
        assert!((got.strict - 1.0 / 3.0).abs() < 1e-12);
        assert!((got.average - 0.5).abs() < 1e-12);
        assert_eq!((got.problems, got.left_out), (3, 1));
        assert!(apps_accuracy(&[]).is_err());
        assert!(apps_accuracy(&[vec![JudgeError]]).is_err());
        assert!(apps_accuracy(&[vec![]]).is_err());
    }

    #[test]
    fn five_patches_are_told_apart() {
        use TestStatus::{Error, Failed, Missing, Passed, Skipped, Xfail};
        let resolved = |f2p: &[TestStatus], p2p: &[TestStatus]| swebench(f2p, p2p).unwrap();
        let gold = resolved(&[Passed, Xfail], &[Passed, Skipped]);
        assert_eq!(gold, Resolved::Full);
        assert_eq!(resolved(&[Passed, Failed], &[Passed]), Resolved::Partial);
        assert_eq!(resolved(&[Passed, Passed], &[Failed]), Resolved::No);
        assert_eq!(resolved(&[Passed, Passed], &[Missing]), Resolved::No);
        assert_eq!(resolved(&[Skipped, Skipped], &[Passed]), Resolved::No);
        assert_eq!(resolved(&[Skipped, Passed], &[Passed]), Resolved::Partial);
        assert_eq!(resolved(&[Error], &[Passed]), Resolved::No);
        assert!(swebench(&[], &[]).is_err());
    }
}
