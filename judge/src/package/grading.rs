//! How the results of a group's parts become the group's.

use crate::verdict::Verdict;

/// The result of a test or of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Graded {
    /// Its verdict.
    pub verdict: Verdict,
    /// Its score; counts in scoring problems only.
    pub score: f64,
}

/// The default grader of the legacy format, as its flags set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grader {
    verdict: VerdictMode,
    score: ScoreMode,
    /// Leaves the samples out; only at the root.
    pub ignore_sample: bool,
    accept_if_any: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum VerdictMode {
    #[default]
    WorstError,
    FirstError,
    AlwaysAccept,
}

/// How scores are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScoreMode {
    /// Their sum.
    #[default]
    Sum,
    /// Their mean.
    Avg,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl Grader {
    /// Reads `grader_flags`.
    ///
    /// # Errors
    /// With the flag that the default grader does not have.
    pub fn from_flags<S: AsRef<str>>(flags: &[S]) -> Result<Self, String> {
        let mut grader = Self::default();
        for flag in flags {
            match flag.as_ref() {
                // no_errors is what the oldest packages call it.
                "worst_error" | "no_errors" => grader.verdict = VerdictMode::WorstError,
                "first_error" => grader.verdict = VerdictMode::FirstError,
                "always_accept" => grader.verdict = VerdictMode::AlwaysAccept,
                "sum" => grader.score = ScoreMode::Sum,
                "avg" => grader.score = ScoreMode::Avg,
                "min" => grader.score = ScoreMode::Min,
                "max" => grader.score = ScoreMode::Max,
                "ignore_sample" => grader.ignore_sample = true,
                "accept_if_any_accepted" => grader.accept_if_any = true,
                other => return Err(other.to_owned()),
            }
        }
        Ok(grader)
    }

    /// Puts the parts of a group together. No parts are an accepted group
    /// without points.
    #[must_use]
    pub fn grade(self, parts: &[Graded]) -> Graded {
        let accepted = |part: &Graded| part.verdict == Verdict::Accepted;
        let fault = parts.iter().find(|p| p.verdict.is_fault());
        let verdict = if let Some(fault) = fault {
            fault.verdict
        } else if self.accept_if_any && parts.iter().any(accepted) {
            Verdict::Accepted
        } else {
            let mut errors = parts.iter().map(|p| p.verdict);
            let found = match self.verdict {
                VerdictMode::AlwaysAccept => None,
                VerdictMode::FirstError => errors.find(|v| *v != Verdict::Accepted),
                VerdictMode::WorstError => errors.min_by_key(|v| badness(*v)),
            };
            found.unwrap_or(Verdict::Accepted)
        };
        Graded {
            verdict,
            score: self.score.of(parts),
        }
    }
}

impl ScoreMode {
    /// Puts scores together; none are nothing.
    #[must_use]
    pub fn of(self, parts: &[Graded]) -> f64 {
        let scores = parts.iter().map(|p| p.score);
        if parts.is_empty() {
            return 0.0;
        }
        match self {
            Self::Sum => scores.sum(),
            Self::Avg => scores.sum::<f64>() / parts.len() as f64,
            Self::Min => scores.fold(f64::INFINITY, f64::min),
            Self::Max => scores.fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The order of the default grader: JE, IF, RTE, MLE, TLE, OLE, WA, AC. Ours
/// that it does not know stand beside what they are most like.
fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::JudgeError | Verdict::Flaky => 0,
        Verdict::CompileError | Verdict::SecurityViolation => 1,
        Verdict::RunTimeError => 2,
        Verdict::MemoryLimitExceeded => 3,
        Verdict::TimeLimitExceeded => 4,
        Verdict::OutputLimitExceeded => 5,
        Verdict::WrongAnswer => 6,
        Verdict::Accepted => 7,
    }
}

/// What a custom grader is told of a part, and tells us: the codes of the
/// format, which has fewer verdicts than we have.
#[must_use]
pub fn code(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "AC",
        Verdict::WrongAnswer => "WA",
        Verdict::TimeLimitExceeded => "TLE",
        Verdict::RunTimeError
        | Verdict::MemoryLimitExceeded
        | Verdict::OutputLimitExceeded
        | Verdict::SecurityViolation
        | Verdict::CompileError => "RTE",
        Verdict::JudgeError | Verdict::Flaky => "JE",
    }
}

/// Reads what a custom grader printed: one code and one number.
#[must_use]
pub fn answer(printed: &[u8]) -> Option<Graded> {
    let text = std::str::from_utf8(printed).ok()?;
    let mut words = text.split_whitespace();
    let (verdict, score, None) = (words.next()?, words.next()?, words.next()) else {
        return None;
    };
    let verdict = [
        Verdict::Accepted,
        Verdict::WrongAnswer,
        Verdict::TimeLimitExceeded,
        Verdict::RunTimeError,
    ]
    .into_iter()
    .find(|v| code(*v) == verdict)?;
    let score = score.parse().ok().filter(|s: &f64| s.is_finite())?;
    Some(Graded { verdict, score })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Accepted, RunTimeError, TimeLimitExceeded, WrongAnswer};

    fn parts(list: &[(Verdict, f64)]) -> Vec<Graded> {
        let one = |&(verdict, score)| Graded { verdict, score };
        list.iter().map(one).collect()
    }

    fn grade(flags: &[&str], list: &[(Verdict, f64)]) -> (Verdict, f64) {
        let graded = Grader::from_flags(flags).unwrap().grade(&parts(list));
        (graded.verdict, graded.score)
    }

    const MIXED: [(Verdict, f64); 4] = [
        (Accepted, 10.0),
        (WrongAnswer, 0.0),
        (RunTimeError, 2.0),
        (TimeLimitExceeded, 0.0),
    ];

    #[test]
    fn the_worst_error_is_by_the_graders_order_and_the_first_by_the_tests() {
        assert_eq!(grade(&[], &MIXED), (RunTimeError, 12.0));
        assert_eq!(grade(&["first_error"], &MIXED).0, WrongAnswer);
        assert_eq!(grade(&["always_accept"], &MIXED).0, Accepted);
        assert_eq!(grade(&["accept_if_any_accepted"], &MIXED).0, Accepted);
        assert_eq!(
            grade(&["accept_if_any_accepted"], &MIXED[1..]).0,
            RunTimeError
        );
        assert_eq!(grade(&[], &[]), (Accepted, 0.0));
    }

    #[test]
    fn scores_are_put_together_as_the_last_flag_says() {
        assert_eq!(grade(&["avg"], &MIXED).1, 3.0);
        assert_eq!(grade(&["min"], &MIXED).1, 0.0);
        assert_eq!(grade(&["min", "max"], &MIXED).1, 10.0);
        assert_eq!(Grader::from_flags(&["median"]), Err("median".to_owned()));
    }

    #[test]
    fn a_fault_dominates_even_where_everything_is_accepted() {
        let list = [(Accepted, 1.0), (Verdict::JudgeError, 0.0)];
        for flags in [&["always_accept"][..], &["accept_if_any_accepted"], &[]] {
            assert_eq!(grade(flags, &list).0, Verdict::JudgeError);
        }
    }

    #[test]
    fn a_custom_graders_answer_is_one_code_and_one_number() {
        let graded = answer(b"AC 12.5\n").unwrap();
        assert_eq!((graded.verdict, graded.score), (Accepted, 12.5));
        for text in ["", "AC", "AC x", "AC 1 2", "JE 0", "accepted 1", "AC nan"] {
            assert_eq!(answer(text.as_bytes()), None, "{text:?}");
        }
    }
}
