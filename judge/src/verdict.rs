//! What a trial came to, and how the verdicts of tests become that of a case.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The verdict on one test or on a whole case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Ran and passed.
    Accepted,
    /// Ran to its end with a wrong result.
    WrongAnswer,
    /// Used more time than allowed.
    TimeLimitExceeded,
    /// Used more memory than allowed.
    MemoryLimitExceeded,
    /// Wrote more than allowed.
    OutputLimitExceeded,
    /// Crashed, raised, or ended before its work was done.
    RunTimeError,
    /// Could not be compiled.
    CompileError,
    /// Tried what its policy forbids.
    SecurityViolation,
    /// We failed. Says nothing about the program.
    JudgeError,
    /// Repeated runs disagree. Says nothing about the program.
    Flaky,
}

impl Verdict {
    /// Every verdict, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::WrongAnswer,
        Self::TimeLimitExceeded,
        Self::MemoryLimitExceeded,
        Self::OutputLimitExceeded,
        Self::RunTimeError,
        Self::CompileError,
        Self::SecurityViolation,
        Self::JudgeError,
        Self::Flaky,
    ];

    /// The name used in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::WrongAnswer => "wrong_answer",
            Self::TimeLimitExceeded => "time_limit_exceeded",
            Self::MemoryLimitExceeded => "memory_limit_exceeded",
            Self::OutputLimitExceeded => "output_limit_exceeded",
            Self::RunTimeError => "run_time_error",
            Self::CompileError => "compile_error",
            Self::SecurityViolation => "security_violation",
            Self::JudgeError => "judge_error",
            Self::Flaky => "flaky",
        }
    }

    /// The short code, as contest systems print it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Accepted => "AC",
            Self::WrongAnswer => "WA",
            Self::TimeLimitExceeded => "TLE",
            Self::MemoryLimitExceeded => "MLE",
            Self::OutputLimitExceeded => "OLE",
            Self::RunTimeError => "RTE",
            Self::CompileError => "CE",
            Self::SecurityViolation => "SV",
            Self::JudgeError => "JE",
            Self::Flaky => "FL",
        }
    }

    /// Whether this is our failure and not the program's.
    #[must_use]
    pub fn is_fault(self) -> bool {
        self.rank() == Rank::Fault
    }

    /// Whether this says anything about the program. A reward exists only
    /// where it does.
    #[must_use]
    pub fn is_conclusive(self) -> bool {
        matches!(self.rank(), Rank::Pass | Rank::Fail)
    }

    fn rank(self) -> Rank {
        match self {
            Self::Accepted => Rank::Pass,
            Self::WrongAnswer
            | Self::TimeLimitExceeded
            | Self::MemoryLimitExceeded
            | Self::OutputLimitExceeded
            | Self::RunTimeError
            | Self::CompileError
            | Self::SecurityViolation => Rank::Fail,
            Self::Flaky => Rank::Flaky,
            Self::JudgeError => Rank::Fault,
        }
    }

    /// The verdict of a case from those of its tests, in test order: a fault
    /// or a flaky test dominates, else the first test that did not pass
    /// decides. No tests, no verdict: an empty list is never acceptance.
    #[must_use]
    pub fn fold(tests: impl IntoIterator<Item = Self>) -> Option<Self> {
        tests.into_iter().reduce(|case, test| {
            if test.rank() > case.rank() {
                test
            } else {
                case
            }
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How strongly a test's verdict claims the case's. All failures are equal:
/// the first one in test order stands.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Pass,
    Fail,
    Flaky,
    Fault,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_and_short_codes_are_those_of_the_contract() {
        let want = "accepted AC wrong_answer WA time_limit_exceeded TLE memory_limit_exceeded MLE \
                    output_limit_exceeded OLE run_time_error RTE compile_error CE \
                    security_violation SV judge_error JE flaky FL";
        let got: Vec<_> = Verdict::ALL
            .iter()
            .map(|v| format!("{v} {}", v.code()))
            .collect();
        assert_eq!(
            got.join(" "),
            want.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        for verdict in Verdict::ALL {
            let json = serde_json::to_string(&verdict).unwrap();
            assert_eq!(json, format!("\"{verdict}\""));
            assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
        }
    }

    #[test]
    fn the_first_failure_in_test_order_decides() {
        use Verdict::*;
        assert_eq!(
            Verdict::fold([Accepted, TimeLimitExceeded, WrongAnswer]),
            Some(TimeLimitExceeded)
        );
        assert_eq!(
            Verdict::fold([WrongAnswer, SecurityViolation, Accepted]),
            Some(WrongAnswer)
        );
        assert_eq!(Verdict::fold([Accepted, Accepted]), Some(Accepted));
    }

    #[test]
    fn faults_and_flakiness_dominate_every_failure() {
        use Verdict::*;
        assert_eq!(Verdict::fold([WrongAnswer, Flaky, Accepted]), Some(Flaky));
        assert_eq!(
            Verdict::fold([JudgeError, WrongAnswer, Flaky]),
            Some(JudgeError)
        );
        assert_eq!(
            Verdict::fold([Flaky, WrongAnswer, JudgeError]),
            Some(JudgeError)
        );
    }

    #[test]
    fn an_empty_case_has_no_verdict() {
        assert_eq!(Verdict::fold([]), None);
    }

    #[test]
    fn only_judge_error_is_a_fault_and_only_two_are_inconclusive() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.is_fault(), verdict == Verdict::JudgeError);
            let silent = matches!(verdict, Verdict::JudgeError | Verdict::Flaky);
            assert_eq!(verdict.is_conclusive(), !silent);
        }
    }
}
