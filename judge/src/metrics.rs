//! Counting metrics over many samples of one task.

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

    proptest! {
        #[test]
        fn it_equals_counting_every_draw(n in 1u64..=8, c in 0u64..=8, k in 1u64..=8) {
            prop_assume!(c <= n && k <= n);
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
        fn it_stays_a_probability_and_grows_with_c(n in 1u64..5000, c in 0u64..5000, k in 1u64..5000) {
            prop_assume!(c < n && k <= n);
            let (less, more) = (pass_at_k(n, c, k).unwrap(), pass_at_k(n, c + 1, k).unwrap());
            prop_assert!((0.0..=1.0).contains(&less) && less <= more + 1e-12);
        }
    }
}
