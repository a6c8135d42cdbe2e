//! What the order of tests changes, and what it does not.
//!
//! Unchanged, when every test ran: whether a case is accepted, our fault or
//! flaky; its reward by every scheme, where what a scheme says of tests by
//! number moves with them and no two inputs of `longest_k` are equally long.
//! Changed: only which failure names the case, which is the first one's.

use proptest::prelude::*;

use super::*;

/// Tests and an order for them.
fn tests() -> impl Strategy<Value = (Vec<Trial>, Vec<usize>)> {
    let verdict = prop_oneof![
        4 => Just(Verdict::Accepted),
        4 => proptest::sample::select(&Verdict::ALL[..]),
    ];
    proptest::collection::vec((verdict, any::<bool>()), 1..9).prop_flat_map(|drawn| {
        let trials: Vec<Trial> = (1..)
            .zip(drawn)
            .map(|(length, (verdict, violated))| Trial {
                verdict,
                input_bytes: length * 7919 % 97,
                violated,
            })
            .collect();
        let order: Vec<usize> = (0..trials.len()).collect();
        (Just(trials), Just(order).prop_shuffle())
    })
}

/// Each scheme for tests as they stand and for tests in another order: test
/// `order[n]` comes `n`th.
fn schemes(order: &[usize], k: usize) -> Vec<(Scheme, Scheme)> {
    let weight = |n: usize| 1.0 + (n * n) as f64;
    let place = |n: &usize| order.iter().position(|o| o == n).expect("all are there");
    let subtasks: Vec<Vec<usize>> = (0..order.len()).map(|n| vec![n, n / 2]).collect();
    let moved = |tests: &Vec<usize>| tests.iter().map(place).collect();
    let points: Vec<f64> = (0..order.len()).map(weight).collect();
    let same = [
        Scheme::Binary,
        Scheme::Fraction,
        Scheme::FractionPower { power: 4.0 },
        Scheme::Levels(CODE_RL),
        Scheme::Adaptive(CODE_RL),
        Scheme::LongestK { k },
        Scheme::CodeAndFormat {
            code: 2.0,
            format: 0.5,
            format_score: 0.5,
        },
        Scheme::Vector,
    ];
    let mut all: Vec<_> = same.into_iter().map(|s| (s.clone(), s)).collect();
    all.push((
        Scheme::Weighted {
            weights: (0..order.len()).map(weight).collect(),
        },
        Scheme::Weighted {
            weights: order.iter().map(|&n| weight(n)).collect(),
        },
    ));
    all.push((
        Scheme::SubtaskMin {
            subtasks: subtasks.clone(),
            points: points.clone(),
        },
        Scheme::SubtaskMin {
            subtasks: subtasks.iter().map(moved).collect(),
            points,
        },
    ));
    all
}

fn fold(trials: &[Trial]) -> Verdict {
    Verdict::fold(trials.iter().map(|t| t.verdict)).expect("there are tests")
}

proptest! {
    #[test]
    fn the_order_of_tests_changes_no_reward((trials, order) in tests(), k in 1usize..9) {
        let moved: Vec<Trial> = order.iter().map(|&n| trials[n]).collect();
        let pairs = schemes(&order, k);
        prop_assert_eq!(pairs.len(), NAMES.len());
        for (here, there) in pairs {
            let (a, b) = (here.reward(&trials, trials.len()), there.reward(&moved, moved.len()));
            let near = match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            prop_assert!(near, "{:?}: {:?} and {:?}", here, a, b);
            let sorted = |c: Option<Channels>| c.map(|mut c| {
                c.tests.sort_by(f64::total_cmp);
                c
            });
            let channels = |s: &Scheme, t: &[Trial]| sorted(s.channels(t, t.len()));
            prop_assert_eq!(channels(&here, &trials), channels(&there, &moved));
        }
    }

    #[test]
    fn the_order_of_tests_changes_only_which_failure_names_the_case((trials, order) in tests()) {
        let moved: Vec<Trial> = order.iter().map(|&n| trials[n]).collect();
        let (here, there) = (fold(&trials), fold(&moved));
        prop_assert_eq!(here == Verdict::Accepted, there == Verdict::Accepted);
        prop_assert_eq!(here.is_fault(), there.is_fault());
        prop_assert_eq!(here.is_conclusive(), there.is_conclusive());
        prop_assert!(trials.iter().any(|t| t.verdict == there));
    }

    /// Stopping at the first failure spares runs. It changes neither whether
    /// a case is accepted nor a binary reward, unless one of the tests it
    /// spared would have been our fault or flaky.
    #[test]
    fn stopping_early_changes_no_binary_reward((trials, _) in tests()) {
        let failed = trials.iter().position(|t| t.verdict != Verdict::Accepted);
        let ran = &trials[..failed.map_or(trials.len(), |at| at + 1)];
        prop_assert_eq!(fold(ran) == Verdict::Accepted, fold(&trials) == Verdict::Accepted);
        if trials.iter().all(|t| t.verdict.is_conclusive()) {
            prop_assert_eq!(fold(ran), fold(&trials));
            let reward = |t: &[Trial]| Scheme::Binary.reward(t, trials.len());
            prop_assert_eq!(reward(ran), reward(&trials));
        }
    }
}
