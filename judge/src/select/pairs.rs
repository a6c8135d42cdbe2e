//! Preference pairs from verdicts.

use crate::metrics::{Undefined, undefined};
use crate::verdict::Verdict;

/// What is known of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Its verdict.
    pub verdict: Verdict,
    /// Tests that passed.
    pub passed: usize,
    /// Tests there are.
    pub total: usize,
}

/// Places of two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The better one.
    pub chosen: usize,
    /// The worse one.
    pub rejected: usize,
}

/// The thresholds of AceCoder's pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AceCoder {
    /// The chosen one's share of tests passed is above this.
    pub chosen_above: f64,
    /// The rejected one's is above this.
    pub rejected_above: f64,
    /// They are further apart than this.
    pub margin: f64,
}

impl Default for AceCoder {
    fn default() -> Self {
        Self {
            chosen_above: 0.8,
            rejected_above: 0.0,
            margin: 0.4,
        }
    }
}

impl Fact {
    /// Refuses facts that contradict themselves: an answer is accepted when
    /// every test passed, of which there is one at least, and only then.
    ///
    /// # Errors
    /// When they do.
    pub fn check(self) -> Result<Self, Undefined> {
        let Self {
            verdict,
            passed,
            total,
        } = self;
        if total == 0 {
            return Err(undefined("total", "there are no tests"));
        }
        if passed > total {
            return Err(undefined("passed", format!("is more than total, {total}")));
        }
        if (verdict == Verdict::Accepted) != (passed == total) && verdict.is_conclusive() {
            let reason = format!("{verdict} contradicts {passed} of {total} tests passed");
            return Err(undefined("verdict", reason));
        }
        Ok(self)
    }

    fn share(self) -> f64 {
        self.passed as f64 / self.total as f64
    }

    fn full_pass(self) -> bool {
        self.verdict == Verdict::Accepted && self.total > 0 && self.passed == self.total
    }

    fn genuine_fail(self) -> bool {
        self.verdict.is_conclusive() && self.verdict != Verdict::Accepted
    }
}

/// DPO pairs of one prompt's answers: every answer that passed everything with
/// every one that genuinely failed. An answer of which we know nothing
/// (`judge_error`, `flaky`) is in no pair.
///
/// In turns, so that the first `n` pairs use as many answers as they can: each
/// chosen one with another rejected one, then the next round.
pub fn dpo(facts: &[Fact]) -> impl Iterator<Item = Pair> + use<> {
    let places = |good: fn(Fact) -> bool| -> Vec<usize> {
        (0..facts.len()).filter(|p| good(facts[*p])).collect()
    };
    let (chosen, rejected) = (places(Fact::full_pass), places(Fact::genuine_fail));
    // With no chosen one there are no rounds, so no index is taken modulo 0.
    let rounds = if chosen.is_empty() { 0 } else { rejected.len() };
    (0..rounds).flat_map(move |round| {
        let rejected = rejected.clone();
        let turn = move |(place, chosen): (usize, usize)| Pair {
            chosen,
            rejected: rejected[(round + place) % rejected.len()],
        };
        chosen.clone().into_iter().enumerate().map(turn)
    })
}

/// AceCoder's pairs by pass rate `s`: `s_i > 0.8`, `s_j > 0` and `s_i > s_j +
/// 0.4`. A rejected one that passes nothing is left out on purpose: it is too
/// easy to tell apart.
pub fn acecoder(facts: &[Fact], thresholds: AceCoder) -> impl Iterator<Item = Pair> + use<'_> {
    let known = |p: &usize| facts[*p].verdict.is_conclusive() && facts[*p].total > 0;
    let better = move |i: usize, j: usize| {
        let (chosen, rejected) = (facts[i].share(), facts[j].share());
        // 1 − 0.6 is a little more than 0.4 in binary; a margin met exactly is
        // not met.
        chosen > thresholds.chosen_above
            && rejected > thresholds.rejected_above
            && chosen - rejected > thresholds.margin + 1e-9
    };
    (0..facts.len()).filter(known).flat_map(move |i| {
        let others = (0..facts.len()).filter(known);
        others.filter(move |j| better(i, *j)).map(move |j| Pair {
            chosen: i,
            rejected: j,
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Verdict::*;

    fn fact(verdict: Verdict, passed: usize) -> Fact {
        Fact {
            verdict,
            passed,
            total: 10,
        }
    }

    fn listed(pairs: impl Iterator<Item = Pair>) -> Vec<(usize, usize)> {
        pairs.map(|p| (p.chosen, p.rejected)).collect()
    }

    #[test]
    fn pairs_are_of_a_full_pass_and_a_genuine_fail() {
        let facts = [
            fact(Accepted, 10),
            fact(WrongAnswer, 9),
            fact(JudgeError, 0),
            fact(Flaky, 9),
            fact(Accepted, 10),
            fact(CompileError, 0),
        ];
        assert_eq!(listed(dpo(&facts)), [(0, 1), (4, 5), (0, 5), (4, 1)]);
    }

    #[test]
    fn without_both_kinds_there_is_no_pair() {
        assert!(listed(dpo(&[fact(Accepted, 10), fact(JudgeError, 0)])).is_empty());
        assert!(listed(dpo(&[fact(WrongAnswer, 1), fact(Flaky, 1)])).is_empty());
        assert!(listed(dpo(&[])).is_empty());
    }

    #[test]
    fn acecoder_needs_a_high_rate_a_margin_and_a_rejected_one_that_passes_something() {
        let facts = [
            fact(Accepted, 10),
            fact(WrongAnswer, 9),
            fact(WrongAnswer, 8),
            fact(WrongAnswer, 6),
            fact(WrongAnswer, 5),
            fact(WrongAnswer, 0),
            fact(JudgeError, 1),
        ];
        // 10 beats 5 but not 6 (a margin of exactly 0.4) or 0; 9 does not beat
        // 5 (exactly 0.4); 8 is not above 0.8.
        assert_eq!(listed(acecoder(&facts, AceCoder::default())), [(0, 4)]);
        let more = [
            fact(Accepted, 10),
            fact(WrongAnswer, 9),
            fact(WrongAnswer, 4),
        ];
        let got = listed(acecoder(&more, AceCoder::default()));
        assert_eq!(got, [(0, 2), (1, 2)]);
    }

    #[test]
    fn facts_that_contradict_themselves_are_refused() {
        assert!(fact(Accepted, 9).check().is_err());
        assert!(fact(WrongAnswer, 10).check().is_err());
        assert!(fact(WrongAnswer, 11).check().is_err());
        let none = Fact {
            total: 0,
            ..fact(Accepted, 0)
        };
        assert!(none.check().is_err());
        for sound in [
            fact(Accepted, 10),
            fact(CompileError, 0),
            fact(JudgeError, 10),
        ] {
            assert!(sound.check().is_ok());
        }
    }

    fn any_fact() -> impl Strategy<Value = Fact> {
        (0..Verdict::ALL.len(), 0usize..=4).prop_map(|(verdict, passed)| {
            let verdict = Verdict::ALL[verdict];
            let passed = if verdict == Accepted {
                4
            } else {
                passed.min(3)
            };
            Fact {
                verdict,
                passed,
                total: 4,
            }
        })
    }

    proptest! {
        #[test]
        fn every_pair_occurs_once_and_none_knows_nothing(facts in prop::collection::vec(any_fact(), 0..12)) {
            let mut got = listed(dpo(&facts));
            got.sort_unstable();
            let mut want = Vec::new();
            for (i, a) in facts.iter().enumerate() {
                for (j, b) in facts.iter().enumerate() {
                    let fails = b.verdict != Accepted && b.verdict.is_conclusive();
                    if a.verdict == Accepted && fails {
                        want.push((i, j));
                    }
                }
            }
            prop_assert_eq!(got, want);
        }
    }
}
