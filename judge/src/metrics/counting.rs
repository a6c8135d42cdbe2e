//! Counting metrics over many samples of one task.

use super::{Undefined, mean, undefined};

/// pass@k: the chance that at least one of `k` samples drawn without
/// replacement from `n`, of which `c` are correct, is correct.
///
/// `1 − C(n−c, k) / C(n, k)` in the product form `1 − Π (1 − k/i)` for `i` from
/// `n−c+1` to `n` (Chen et al. 2021), which neither overflows nor cancels.
/// `None` where it is undefined: `k` is 0, `k > n` or `c > n`.
#[must_use]
pub fn pass_at_k(n: u64, c: u64, k: u64) -> Option<f64> {
    if k == 0 || k > n || c > n {
        return None;
    }
    if n - c < k {
        return Some(1.0);
    }
    let miss: f64 = (n - c + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Some(1.0 - miss)
}

/// The mean of pass@k over tasks given as `(n, c)`. `None` when there is no
/// task or when any has fewer than `k` samples: a mean over the rest would be
/// a different quantity under the same name.
#[must_use]
pub fn mean_pass_at_k(tasks: &[(u64, u64)], k: u64) -> Option<f64> {
    let each: Option<Vec<f64>> = tasks.iter().map(|&(n, c)| pass_at_k(n, c, k)).collect();
    let each = each.filter(|each| !each.is_empty())?;
    Some(each.iter().sum::<f64>() / each.len() as f64)
}

/// avg@k: the plain mean of what `k` independent runs scored (Skywork-OR1).
///
/// # Errors
/// Without runs, or when a score is not finite.
pub fn avg_at_k(scores: &[f64]) -> Result<f64, Undefined> {
    mean("scores", scores)
}

/// pass^k: the chance that all of `k` samples drawn without replacement from
/// `n`, of which `c` are correct, are correct: `C(c, k) / C(n, k)`, as
/// `Π (c − i)/(n − i)` for `i` below `k` (tau-bench).
///
/// `None` where it is undefined: `k` is 0, `k > n` or `c > n`.
#[must_use]
pub fn pass_hat_k(n: u64, c: u64, k: u64) -> Option<f64> {
    if k == 0 || k > n || c > n {
        return None;
    }
    if c < k {
        return Some(0.0);
    }
    Some((0..k).map(|i| (c - i) as f64 / (n - i) as f64).product())
}

/// n@k (AlphaCode, section 2.2 and appendix A.3): the chance that a problem is
/// solved with at most `n` submissions chosen at random from those of `k`
/// samples that pass the example tests, given that of `drawn` samples `passing`
/// passed them, and `solving` of those solve the problem.
///
/// The number `e` of the `k` that pass the examples is hypergeometric; `min(e,
/// n)` of them are submitted. So n@k is `Σ P(e) · pass@min(e, n)` over the
/// passing samples. With `n = k` and `passing = drawn` it is pass@k.
///
/// Takes time in proportion to `passing + n · solving`.
///
/// # Errors
/// When the counts contradict each other, or `n` or `k` is 0.
pub fn n_at_k(n: u64, k: u64, drawn: u64, passing: u64, solving: u64) -> Result<f64, Undefined> {
    if n == 0 || k == 0 {
        let field = if n == 0 { "n" } else { "k" };
        return Err(undefined(field, "must be at least 1"));
    }
    if k > drawn {
        return Err(undefined("k", format!("only {drawn} samples were drawn")));
    }
    if passing > drawn {
        let reason = format!("only {drawn} samples were drawn");
        return Err(undefined("passing", reason));
    }
    if solving > passing {
        let reason = format!("only {passing} samples pass the examples");
        return Err(undefined("solving", reason));
    }
    let least = k.saturating_sub(drawn - passing);
    let most = passing.min(k);
    // Weights of the hypergeometric distribution, outward from its mode, where
    // they are largest: neither factorials nor tails that underflow to 0 / 0.
    let mode = ((k + 1) as f64 * (passing + 1) as f64 / (drawn + 2) as f64) as u64;
    let mode = mode.clamp(least, most);
    // weight(e + 1) / weight(e)
    let up = |e: u64| {
        let chosen = (passing - e) as f64 / (e + 1) as f64;
        // Not negative: e is at least k − (drawn − passing).
        chosen * (k - e) as f64 / ((drawn - passing) + e + 1 - k) as f64
    };
    let (mut all, mut solved) = (0.0, 0.0);
    // Of the last number of submissions: it is n from e = n on.
    let mut known = (0, 0.0);
    let mut add = |e: u64, weight: f64| {
        let submitted = e.min(n);
        if submitted != known.0 {
            // Without a sample that passes the examples nothing is submitted.
            known = (
                submitted,
                pass_at_k(passing, solving, submitted).unwrap_or(0.0),
            );
        }
        all += weight;
        solved += weight * known.1;
    };
    let mut weight = 1.0;
    for e in mode..=most {
        add(e, weight);
        if e < most {
            weight *= up(e);
        }
        if weight == 0.0 {
            break;
        }
    }
    weight = 1.0;
    for e in (least..mode).rev() {
        weight /= up(e);
        add(e, weight);
        if weight == 0.0 {
            break;
        }
    }
    Ok(solved / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(got: Option<f64>, want: f64) {
        assert!((got.unwrap() - want).abs() < 1e-9, "{got:?} is not {want}");
    }

    #[test]
    fn published_values_are_met() {
        close(pass_at_k(10, 3, 1), 0.3);
        close(pass_at_k(10, 3, 5), 0.916_666_666_7);
        close(pass_at_k(200, 37, 10), 0.877_374_567_4);
        close(pass_at_k(5, 0, 3), 0.0);
        close(pass_at_k(3, 2, 3), 1.0);
    }

    #[test]
    fn undefined_cases_are_none() {
        assert_eq!(pass_at_k(3, 1, 0), None);
        assert_eq!(pass_at_k(3, 1, 4), None);
        assert_eq!(pass_at_k(3, 4, 1), None);
        assert_eq!(mean_pass_at_k(&[], 1), None);
        assert_eq!(mean_pass_at_k(&[(10, 5), (1, 1)], 2), None);
    }

    #[test]
    fn the_mean_weighs_tasks_equally() {
        close(
            mean_pass_at_k(&[(10, 3), (2, 2), (4, 0)], 1),
            (0.3 + 1.0) / 3.0,
        );
    }

    #[test]
    fn n_at_k_meets_its_fixtures() {
        for ((n, k, drawn, passing, solving), want) in [
            ((1, 5, 20, 8, 2), 0.237_229_102_167_18),
            ((10, 100, 1000, 120, 30), 0.939_060_802_746_12),
            ((10, 10, 10, 4, 1), 1.0),
        ] {
            let got = n_at_k(n, k, drawn, passing, solving).unwrap();
            assert!((got - want).abs() < 1e-12, "{got} is not {want}");
        }
    }

    #[test]
    fn n_at_k_refuses_counts_that_contradict_each_other() {
        for (counts, field) in [
            ((0, 1, 5, 2, 1), "n"),
            ((1, 0, 5, 2, 1), "k"),
            ((1, 6, 5, 2, 1), "k"),
            ((1, 2, 5, 6, 1), "passing"),
            ((1, 2, 5, 2, 3), "solving"),
        ] {
            let (n, k, drawn, passing, solving) = counts;
            let refused = n_at_k(n, k, drawn, passing, solving).unwrap_err();
            assert_eq!(refused.field, field, "{counts:?}");
        }
        assert_eq!(n_at_k(3, 4, 9, 0, 0), Ok(0.0));
    }

    #[test]
    fn all_of_k_and_the_mean_of_k() {
        close(pass_hat_k(10, 3, 1), 0.3);
        close(pass_hat_k(8, 6, 3), 20.0 / 56.0);
        close(pass_hat_k(5, 2, 3), 0.0);
        close(pass_hat_k(4, 4, 4), 1.0);
        assert_eq!(pass_hat_k(3, 1, 0), None);
        assert_eq!(pass_hat_k(3, 1, 4), None);
        assert_eq!(avg_at_k(&[1.0, 0.0, 0.5, 0.5]), Ok(0.5));
        assert!(avg_at_k(&[]).is_err() && avg_at_k(&[f64::NAN]).is_err());
    }

    proptest! {
        #[test]
        fn n_at_k_equals_counting_every_draw(
            n in 1u64..=4,
            (k, drawn, passing, solving) in (1u64..=8).prop_flat_map(|drawn| {
                let passing = (0..=drawn).prop_flat_map(|p| (Just(p), 0..=p));
                (1..=drawn.min(6), Just(drawn), passing)
            }).prop_map(|(k, drawn, (passing, solving))| (k, drawn, passing, solving)),
        ) {
            // Samples 0.. solve, then those that only pass the examples.
            let draws = (0u32..1 << drawn).filter(|d| u64::from(d.count_ones()) == k);
            let (mut sum, mut all) = (0.0, 0.0);
            for draw in draws {
                let shown = draw & ((1 << passing) - 1);
                let solves = u64::from((shown & ((1 << solving) - 1)).count_ones());
                let shown = u64::from(shown.count_ones());
                all += 1.0;
                sum += pass_at_k(shown, solves, shown.min(n)).unwrap_or(0.0);
            }
            prop_assert!((n_at_k(n, k, drawn, passing, solving).unwrap() - sum / all).abs() < 1e-12);
        }

        #[test]
        fn submitting_every_sample_is_pass_at_k(
            (drawn, k, c) in (1u64..400).prop_flat_map(|n| (Just(n), 1..=n.min(60), 0..=n)),
        ) {
            let want = pass_at_k(drawn, c, k).unwrap();
            prop_assert!((n_at_k(k, k, drawn, drawn, c).unwrap() - want).abs() < 1e-12);
        }

        #[test]
        fn all_of_k_equals_counting_every_draw(
            (n, c, k) in (1u64..=8).prop_flat_map(|n| (Just(n), 0..=n, 1..=n)),
        ) {
            let draws = (0u32..1 << n).filter(|draw| u64::from(draw.count_ones()) == k);
            let (mut hits, mut all) = (0.0, 0.0);
            for draw in draws {
                all += 1.0;
                if draw & !((1 << c) - 1) == 0 {
                    hits += 1.0;
                }
            }
            prop_assert!((pass_hat_k(n, c, k).unwrap() - hits / all).abs() < 1e-12);
        }

        #[test]
        fn it_equals_counting_every_draw(
            (n, c, k) in (1u64..=8).prop_flat_map(|n| (Just(n), 0..=n, 1..=n)),
        ) {
            let draws = (0u32..1 << n).filter(|draw| u64::from(draw.count_ones()) == k);
            let (mut hits, mut all) = (0.0, 0.0);
            for draw in draws {
                all += 1.0;
                if draw & ((1 << c) - 1) != 0 {
                    hits += 1.0;
                }
            }
            prop_assert!((pass_at_k(n, c, k).unwrap() - hits / all).abs() < 1e-12);
        }

        #[test]
        fn it_stays_a_probability_and_grows_with_c(
            (n, c, k) in (1u64..5000).prop_flat_map(|n| (Just(n), 0..n, 1..=n)),
        ) {
            let (less, more) = (pass_at_k(n, c, k).unwrap(), pass_at_k(n, c + 1, k).unwrap());
            prop_assert!((0.0..=1.0).contains(&less) && less <= more + 1e-12);
        }
    }
}
