//! Advantages within a group: how much better one answer to a prompt was than
//! the others.

/// How a group's rewards become advantages. Rewards that are null stay null
/// and count for nobody's mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Advantage {
    /// None are computed.
    #[default]
    None,
    /// `(r − mean) / (std + 1e-6)`, std with n − 1; a group of one: `r / (1 +
    /// 1e-6)` (verl's `compute_grpo_outcome_advantage`).
    Grpo,
    /// `r − mean` (Dr. GRPO; a group of one: `r`).
    DrGrpo,
    /// `r − mean of the others` (RLOO; a group of one: `r`).
    Rloo,
}

/// No way to compute advantages has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown advantage {0:?}, known are none, grpo, dr_grpo and rloo")]
pub struct UnknownAdvantage(String);

impl Advantage {
    /// The one called `name` in requests.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, UnknownAdvantage> {
        match name {
            "none" => Ok(Self::None),
            "grpo" => Ok(Self::Grpo),
            "dr_grpo" => Ok(Self::DrGrpo),
            "rloo" => Ok(Self::Rloo),
            _ => Err(UnknownAdvantage(name.chars().take(100).collect())),
        }
    }

    /// Advantages of one group, in the order of its rewards. All `None` for
    /// [`Advantage::None`].
    #[must_use]
    pub fn of(self, rewards: &[Option<f64>]) -> Vec<Option<f64>> {
        let known: Vec<f64> = rewards.iter().flatten().copied().collect();
        let n = known.len() as f64;
        let sum: f64 = known.iter().sum();
        // A lone reward is compared with nothing.
        let alone = known.len() < 2;
        let mean = if alone { 0.0 } else { sum / n };
        let std = if alone {
            1.0
        } else {
            let squares: f64 = known.iter().map(|r| (r - mean).powi(2)).sum();
            (squares / (n - 1.0)).sqrt()
        };
        let one = |r: f64| match self {
            Self::None => None,
            Self::Grpo => Some((r - mean) / (std + 1e-6)),
            Self::DrGrpo => Some(r - mean),
            Self::Rloo if alone => Some(r),
            Self::Rloo => Some(n / (n - 1.0) * (r - mean)),
        };
        rewards.iter().map(|reward| reward.and_then(one)).collect()
    }

    /// Whether a group teaches anything: two known rewards that differ. A group
    /// of zero variance has advantages of 0 and is what DAPO's dynamic sampling
    /// filters out.
    #[must_use]
    pub fn informative(rewards: &[Option<f64>]) -> bool {
        let mut known = rewards.iter().flatten();
        let Some(first) = known.next() else {
            return false;
        };
        known.any(|r| (r - first).abs() > f64::EPSILON)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(got: &[Option<f64>], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got.unwrap() - want).abs() < 1e-6, "{got:?} is not {want}");
        }
    }

    fn some(rewards: &[f64]) -> Vec<Option<f64>> {
        rewards.iter().copied().map(Some).collect()
    }

    #[test]
    fn published_values_are_met() {
        let group = some(&[1.0, 0.0, 0.0, 1.0]);
        let a = 0.866_023_9;
        close(&Advantage::Grpo.of(&group), &[a, -a, -a, a]);
        close(&Advantage::DrGrpo.of(&group), &[0.5, -0.5, -0.5, 0.5]);
        let b = 2.0 / 3.0;
        close(&Advantage::Rloo.of(&group), &[b, -b, -b, b]);
        close(&Advantage::Grpo.of(&some(&[1.0])), &[1.0 / 1.000_001]);
    }

    #[test]
    fn a_fault_is_masked_and_moves_nobody() {
        let with = [Some(1.0), None, Some(0.0)];
        let without = [Some(1.0), Some(0.0)];
        for advantage in [Advantage::Grpo, Advantage::DrGrpo, Advantage::Rloo] {
            let (a, b) = (advantage.of(&with), advantage.of(&without));
            assert_eq!((a[0], a[1], a[2]), (b[0], None, b[1]));
        }
    }

    #[test]
    fn groups_without_variance_teach_nothing() {
        assert!(!Advantage::informative(&some(&[1.0, 1.0])));
        assert!(!Advantage::informative(&[Some(1.0), None]));
        assert!(!Advantage::informative(&[]));
        assert!(Advantage::informative(&some(&[0.0, 1.0])));
        close(&Advantage::Grpo.of(&some(&[1.0, 1.0])), &[0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn rloo_is_the_reward_less_the_mean_of_the_others(rewards in prop::collection::vec(-2.0f64..2.0, 2..20)) {
            let got = Advantage::Rloo.of(&some(&rewards));
            let sum: f64 = rewards.iter().sum();
            for (r, a) in rewards.iter().zip(got) {
                let others = (sum - r) / (rewards.len() as f64 - 1.0);
                prop_assert!((a.unwrap() - (r - others)).abs() < 1e-9);
            }
        }

        #[test]
        fn advantages_of_a_group_sum_to_zero(rewards in prop::collection::vec(-2.0f64..2.0, 2..20)) {
            for advantage in [Advantage::Grpo, Advantage::DrGrpo, Advantage::Rloo] {
                let sum: f64 = advantage.of(&some(&rewards)).iter().flatten().sum();
                prop_assert!(sum.abs() < 1e-6);
            }
        }
    }
}
