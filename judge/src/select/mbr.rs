//! MBR-exec: the candidate that differs from the fewest others.
//!
//! Shi et al. 2022: minimum Bayes risk over execution results, with loss 1
//! where two programs differ on any of the shared inputs: `argmin_p Σ_q
//! 1[out(p) ≠ out(q)]`.

use std::collections::HashMap;
use std::hash::Hash;

/// Candidates by risk, the lowest first and equal ones by place, each with how
/// many of the others differ from it. One with an unknown output takes no part.
#[must_use]
pub fn mbr_exec<K: Eq + Hash>(rows: &[Vec<Option<K>>]) -> Vec<(usize, usize)> {
    let known: Vec<(usize, Vec<&K>)> = rows
        .iter()
        .enumerate()
        .filter_map(|(place, row)| {
            Some((
                place,
                row.iter().map(Option::as_ref).collect::<Option<_>>()?,
            ))
        })
        .collect();
    let mut alike: HashMap<&[&K], usize> = HashMap::new();
    for (_, row) in &known {
        *alike.entry(row).or_default() += 1;
    }
    let risk = |row: &Vec<&K>| known.len() - alike.get(row.as_slice()).copied().unwrap_or(0);
    let mut ranked: Vec<(usize, usize)> = known.iter().map(|(p, row)| (*p, risk(row))).collect();
    ranked.sort_by_key(|(place, risk)| (*risk, *place));
    ranked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_majority_has_the_least_risk() {
        let rows = [[1, 1], [1, 2], [1, 2], [3, 3]].map(|r| r.map(Some).to_vec());
        assert_eq!(mbr_exec(&rows), [(1, 2), (2, 2), (0, 3), (3, 3)]);
    }

    #[test]
    fn what_is_unknown_takes_no_part() {
        let rows = [vec![Some(1)], vec![None], vec![Some(1)], vec![Some(2)]];
        assert_eq!(mbr_exec(&rows), [(0, 1), (2, 1), (3, 2)]);
        assert!(mbr_exec::<u8>(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn risk_is_the_sum_over_the_others(
            rows in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.9, 0u8..3), 2), 0..20),
        ) {
            let got = mbr_exec(&rows);
            for (place, risk) in &got {
                let others = rows.iter().filter(|r| r.iter().all(Option::is_some));
                prop_assert_eq!(*risk, others.filter(|r| **r != rows[*place]).count());
            }
            prop_assert!(got.windows(2).all(|w| (w[0].1, w[0].0) < (w[1].1, w[1].0)));
        }
    }
}
