//! AlphaCode's clusters of behaviour, and AlphaCode 2's choice inside them.
//!
//! Li et al. 2022, section 4.6: candidates that passed the public tests run on
//! generated inputs, those with the same outputs are taken for one program, and
//! submissions are taken from each cluster in turn, the largest first.

use std::collections::HashMap;
use std::hash::Hash;

use super::high_first;

/// What became of the candidates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clusters {
    /// Candidates that did the same on every input: the largest cluster first,
    /// equally large ones by their first member. Members are in order of place.
    pub clusters: Vec<Vec<usize>>,
    /// Candidates that did different things on one input. Each would be a
    /// cluster of its own for no merit of its own, so they are in none.
    pub unstable: Vec<usize>,
    /// Candidates of whom we do not know what they do on some input.
    pub unknown: Vec<usize>,
}

/// Clusters candidates by what they did on each input. `stable` says of each
/// whether it did the same when it ran twice.
///
/// # Panics
/// When `stable` is shorter than `rows`.
#[must_use]
pub fn clusters<K: Eq + Hash>(rows: &[Vec<Option<K>>], stable: &[bool]) -> Clusters {
    let mut found = Clusters::default();
    let mut index: HashMap<Vec<&K>, usize> = HashMap::new();
    for (candidate, row) in rows.iter().enumerate() {
        if !stable[candidate] {
            found.unstable.push(candidate);
            continue;
        }
        let Some(behaviour) = row.iter().map(Option::as_ref).collect::<Option<Vec<&K>>>() else {
            found.unknown.push(candidate);
            continue;
        };
        let next = found.clusters.len();
        let at = *index.entry(behaviour).or_insert(next);
        if at == next {
            found.clusters.push(Vec::new());
        }
        found.clusters[at].push(candidate);
    }
    // Stable, so equally large clusters stay in order of their first members.
    found.clusters.sort_by_key(|c| std::cmp::Reverse(c.len()));
    found
}

/// The order in which `most` candidates are taken: one from each cluster, the
/// largest first, then again from each. With scores, the best of a cluster is
/// taken first (AlphaCode 2 scores inside the ten largest clusters, which is
/// `most` of 10); without, the first.
///
/// # Panics
/// When a member of a cluster has no score.
#[must_use]
pub fn picks(clusters: &[Vec<usize>], most: usize, scores: Option<&[f64]>) -> Vec<usize> {
    let ranked: Vec<Vec<usize>> = clusters
        .iter()
        .map(|cluster| {
            let mut members = cluster.clone();
            if let Some(scores) = scores {
                members.sort_by(|a, b| high_first((scores[*a], *a), (scores[*b], *b)));
            }
            members
        })
        .collect();
    let rounds = ranked.iter().map(Vec::len).max().unwrap_or(0);
    (0..rounds)
        .flat_map(|round| ranked.iter().filter_map(move |c| c.get(round).copied()))
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(texts: &[&str]) -> Vec<Vec<Option<char>>> {
        let row = |t: &&str| t.chars().map(|c| (c != '?').then_some(c)).collect();
        texts.iter().map(row).collect()
    }

    #[test]
    fn what_does_the_same_is_one_cluster_and_the_largest_is_first() {
        let got = clusters(&rows(&["ab", "aa", "aa", "ab", "bb", "aa"]), &[true; 6]);
        assert_eq!(got.clusters, [vec![1, 2, 5], vec![0, 3], vec![4]]);
        let tie = clusters(&rows(&["b", "a", "a", "b"]), &[true; 4]);
        assert_eq!(tie.clusters, [[0, 3], [1, 2]]);
    }

    #[test]
    fn faults_and_nondeterminism_form_no_cluster() {
        let stable = [true, true, false, true];
        let got = clusters(&rows(&["a?", "ab", "xy", "a?"]), &stable);
        assert_eq!(got.clusters, [[1]]);
        assert_eq!((got.unknown, got.unstable), (vec![0, 3], vec![2]));
    }

    #[test]
    fn picks_go_round_the_clusters() {
        let all = [vec![0, 3, 5], vec![1, 4], vec![2]];
        assert_eq!(picks(&all, 10, None), [0, 1, 2, 3, 4, 5]);
        assert_eq!(picks(&all, 4, None), [0, 1, 2, 3]);
        assert_eq!(picks(&[], 4, None), [0; 0]);
    }

    #[test]
    fn the_best_of_each_cluster_is_taken_and_ties_go_by_place() {
        let all = [vec![0, 3, 5], vec![1, 4], vec![2]];
        let scores = [0.1, 0.5, -9.0, 0.9, 0.5, 0.9];
        assert_eq!(picks(&all, 3, Some(&scores)), [3, 1, 2]);
        assert_eq!(picks(&all, 6, Some(&scores)), [3, 1, 2, 5, 4, 0]);
    }

    proptest! {
        #[test]
        fn clusters_are_the_classes_of_equal_rows(
            rows in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.9, 0u8..3), 2), 0..30),
            flips in prop::collection::vec(prop::bool::weighted(0.9), 30),
        ) {
            let got = clusters(&rows, &flips);
            let mut home = vec![None; rows.len()];
            for (at, cluster) in got.clusters.iter().enumerate() {
                for member in cluster {
                    prop_assert_eq!(home[*member].replace(at), None);
                }
            }
            for (i, row) in rows.iter().enumerate() {
                let eligible = flips[i] && row.iter().all(Option::is_some);
                prop_assert_eq!(home[i].is_some(), eligible);
                for (j, other) in rows.iter().enumerate() {
                    if home[i].is_some() && home[j].is_some() {
                        prop_assert_eq!(home[i] == home[j], row == other);
                    }
                }
            }
            prop_assert!(got.clusters.windows(2).all(|w| w[0].len() >= w[1].len()));
            // Taking as many as there are clusters takes from every one.
            let taken = picks(&got.clusters, got.clusters.len(), None);
            let homes: std::collections::BTreeSet<_> = taken.iter().map(|p| home[*p]).collect();
            prop_assert_eq!(homes.len(), got.clusters.len());
        }
    }
}
