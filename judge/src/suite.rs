//! Submissions that are test suites: they must pass sound programs and fail
//! wrong ones.
//!
//! The roles are those of a test script turned round: the suite runs on the
//! test side and the programs, the author's, on the other, so that a suite sees
//! what functions return and never their source. A suite can forge its report;
//! that helps nothing, because it does not know which program it faces.

use assize_executor::Fault;
use assize_runtimes::{Built, Program};

use crate::case::{Case, Place, Submission, Suite, TestKind, TestResult};
use crate::reward::Trial as Rewarded;
use crate::script;
use crate::trials::{Trials, Tried};
use crate::verdict::Verdict;

/// Runs the suite against one program.
pub(crate) async fn run(
    trials: &Trials<'_>,
    program: &Program,
    sound: bool,
    place: Place,
) -> Result<Tried, Fault> {
    let submission = &*trials.submission;
    let entry = &submission.program.entry;
    let file = submission.program.files.iter().find(|f| f.path == *entry);
    let Some(suite) = file.and_then(|f| std::str::from_utf8(&f.data).ok()) else {
        let detail = "the suite is not UTF-8 text".to_owned();
        return Ok(Tried::without_run(Verdict::WrongAnswer, detail));
    };
    let subject = Submission {
        program: program.clone(),
        ..submission.clone()
    };
    let runnable = match trials.engine.build(&subject).await? {
        Built::Ready { runnable, .. } => runnable,
        Built::Refused(report) => {
            let detail = format!("the program to be tested: {}", report.reason());
            return Ok(Tried::without_run(Verdict::JudgeError, detail));
        }
    };
    let trial = script::Trial {
        executor: trials.engine.executor(),
        submission: &subject,
        candidate: &runnable,
        script: suite,
        names: None,
        known: &trials.engine.known,
        hostile: true,
    };
    let tried = trial.run(place).await?;
    // What the suite itself broke is its failure, never ours: a fault of ours
    // has left this function above.
    let passed = match tried.verdict {
        Verdict::Accepted => true,
        Verdict::JudgeError => tried.detail == script::NEVER_USED,
        Verdict::WrongAnswer
        | Verdict::TimeLimitExceeded
        | Verdict::MemoryLimitExceeded
        | Verdict::OutputLimitExceeded
        | Verdict::RunTimeError
        | Verdict::CompileError
        | Verdict::SecurityViolation
        | Verdict::Flaky => false,
    };
    let (verdict, detail) = match (sound, passed) {
        (true, true) => (Verdict::Accepted, String::new()),
        (false, false) => (Verdict::Accepted, String::new()),
        (true, false) => {
            let detail = format!("it fails a sound program: {}", tried.detail);
            (Verdict::WrongAnswer, detail)
        }
        (false, true) => {
            let detail = "it passes a wrong program".to_owned();
            (Verdict::WrongAnswer, detail)
        }
    };
    Ok(Tried {
        verdict,
        detail,
        ..tried
    })
}

/// What a suite is worth; none for other submissions. Nothing is known while a
/// test is missing or without verdict.
pub(crate) fn worth(case: &Case, results: &[TestResult]) -> Option<Suite> {
    let mut suite = Suite {
        valid: true,
        killed: 0,
        mutants: 0,
    };
    let mut any = false;
    for (at, test) in case.tests.iter().enumerate() {
        let TestKind::Subject { sound, .. } = &test.kind else {
            continue;
        };
        any = true;
        let accepted = results
            .get(at)
            .is_some_and(|r| r.verdict == Verdict::Accepted);
        if *sound {
            suite.valid &= accepted;
        } else {
            suite.mutants += 1;
            suite.killed += usize::from(accepted);
        }
    }
    any.then_some(suite)
}

/// Tests of a suite that are no part of its reward: the sound programs.
pub(crate) fn unrewarded(case: &Case) -> usize {
    let sound = |t: &&crate::case::Test| matches!(t.kind, TestKind::Subject { sound: true, .. });
    case.tests.iter().filter(sound).count()
}

/// The trials that a suite's reward is made of: those of the wrong programs, and
/// none passed where it fails a sound one. A suite that passes everything is
/// thus worth as little as one that fails everything.
pub(crate) fn rewarded(case: &Case, ran: Vec<Rewarded>) -> Vec<Rewarded> {
    let sound = |at: usize| {
        let TestKind::Subject { sound, .. } = &case.tests[at].kind else {
            return None;
        };
        Some(*sound)
    };
    if !(0..case.tests.len()).any(|at| sound(at).is_some()) {
        return ran;
    }
    let passed = |at: usize| ran.get(at).is_some_and(|t| t.verdict == Verdict::Accepted);
    let valid = (0..case.tests.len()).all(|at| sound(at) != Some(true) || passed(at));
    let unknown = ran.iter().any(|t| !t.verdict.is_conclusive());
    let mut kept = Vec::new();
    for (at, mut trial) in ran.into_iter().enumerate() {
        if sound(at) == Some(true) && !unknown {
            continue;
        }
        if trial.verdict == Verdict::Accepted && !valid {
            trial.verdict = Verdict::WrongAnswer;
        }
        kept.push(trial);
    }
    kept
}
