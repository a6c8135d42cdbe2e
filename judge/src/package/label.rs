//! Whether a submission keeps the promise of its directory.

use super::bench::Judged;
use super::grading::code;
use super::metadata::Format;
use super::programs::Label;
use crate::verdict::Verdict;

/// Checks a promise. `best` is the score that is as good as it gets. The
/// format knows AC, WA, TLE and RTE; a program that is ended for its memory,
/// its output or what it tried has crashed, as far as labels go.
///
/// # Errors
/// With what the promise asks for and what came instead.
pub(super) fn keeps(
    label: Label,
    format: Format,
    judged: &Judged,
    best: f64,
) -> Result<(), String> {
    let verdict = judged.verdict;
    if matches!(verdict, Verdict::JudgeError | Verdict::CompileError) {
        return Err(format!("it should be {}", label.name()));
    }
    let got = code(verdict);
    let (permitted, required): (&[&str], &[&str]) = match label {
        Label::Accepted => (&["AC"], &[]),
        Label::PartiallyAccepted => {
            return match judged.score {
                Some(score) if verdict == Verdict::Accepted && score != best => Ok(()),
                Some(score) if verdict == Verdict::Accepted => {
                    Err(format!("its score, {score}, is all there is to get"))
                }
                Some(_) | None => Err("it should be accepted with a score".to_owned()),
            };
        }
        Label::WrongAnswer => (&["AC", "WA"], &["WA"]),
        Label::TimeLimitExceeded => (&["AC", "TLE"], &["TLE"]),
        Label::RunTimeError => (&["AC", "RTE"], &["RTE"]),
        Label::Rejected => (&["AC", "WA", "TLE", "RTE"], &["WA", "TLE", "RTE"]),
        Label::BruteForce => (&["AC", "TLE", "RTE"], &["TLE", "RTE"]),
    };
    if format == Format::Legacy && label != Label::Accepted {
        // What its grader makes of it, as the format's own tools have it:
        // where judging stops early, nothing else is known.
        let kept = required.contains(&got);
        return kept.then_some(()).ok_or_else(|| should(required, got));
    }
    let codes: Vec<&str> = judged.cases.iter().map(|c| code(c.verdict)).collect();
    // An accepted submission may fail where its grader lets it (legacy).
    if label == Label::Accepted && format == Format::Legacy {
        let kept = got == "AC";
        return kept.then_some(()).ok_or_else(|| should(permitted, got));
    }
    if let Some(other) = codes.iter().find(|c| !permitted.contains(c)) {
        return Err(should(permitted, other));
    }
    if !required.is_empty() && !codes.iter().any(|c| required.contains(c)) {
        return Err(should(required, "AC"));
    }
    Ok(())
}

fn should(wanted: &[&str], got: &str) -> String {
    format!("it should be {}, not {got}", wanted.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::CaseResult;
    use Verdict::{Accepted, MemoryLimitExceeded, RunTimeError, TimeLimitExceeded, WrongAnswer};

    fn judged(verdict: Verdict, score: Option<f64>, cases: &[Verdict]) -> Judged {
        let case = |&verdict: &Verdict| CaseResult {
            id: String::new(),
            verdict,
            detail: String::new(),
            score: None,
            cpu_ms: 0.0,
            memory_peak_bytes: 0,
        };
        Judged {
            verdict,
            score,
            detail: String::new(),
            cases: cases.iter().map(case).collect(),
            groups: Vec::new(),
        }
    }

    fn holds(label: Label, format: Format, of: &Judged) -> bool {
        keeps(label, format, of, 100.0).is_ok()
    }

    #[test]
    fn legacy_labels_are_about_the_verdict_of_the_whole() {
        let wrong = judged(WrongAnswer, None, &[Accepted, WrongAnswer, RunTimeError]);
        assert!(holds(Label::WrongAnswer, Format::Legacy, &wrong));
        assert!(!holds(Label::RunTimeError, Format::Legacy, &wrong));
        assert!(!holds(Label::Accepted, Format::Legacy, &wrong));
        let memory = judged(MemoryLimitExceeded, None, &[MemoryLimitExceeded]);
        assert!(holds(Label::RunTimeError, Format::Legacy, &memory));
    }

    #[test]
    fn newer_labels_are_about_every_test_case() {
        let mixed = judged(WrongAnswer, None, &[Accepted, WrongAnswer, RunTimeError]);
        assert!(!holds(Label::WrongAnswer, Format::New, &mixed));
        assert!(holds(Label::Rejected, Format::New, &mixed));
        let wrong = judged(WrongAnswer, None, &[Accepted, WrongAnswer]);
        assert!(holds(Label::WrongAnswer, Format::New, &wrong));
        assert!(!holds(Label::BruteForce, Format::New, &wrong));
        let slow = judged(TimeLimitExceeded, None, &[Accepted, TimeLimitExceeded]);
        assert!(holds(Label::BruteForce, Format::New, &slow));
        let fine = judged(Accepted, None, &[Accepted]);
        assert!(!holds(Label::Rejected, Format::New, &fine));
        assert!(holds(Label::Accepted, Format::New, &fine));
    }

    #[test]
    fn partially_accepted_is_accepted_with_less_than_all_points() {
        let with = |score| judged(Accepted, Some(score), &[Accepted]);
        assert!(holds(Label::PartiallyAccepted, Format::Legacy, &with(40.0)));
        assert!(!holds(
            Label::PartiallyAccepted,
            Format::Legacy,
            &with(100.0)
        ));
        let wrong = judged(WrongAnswer, None, &[WrongAnswer]);
        assert!(!holds(Label::PartiallyAccepted, Format::Legacy, &wrong));
    }

    #[test]
    fn what_never_ran_or_was_never_judged_keeps_no_promise() {
        for label in Label::ALL {
            for verdict in [Verdict::CompileError, Verdict::JudgeError] {
                for format in [Format::Legacy, Format::New] {
                    assert!(!holds(label, format, &judged(verdict, None, &[])));
                }
            }
        }
    }
}
