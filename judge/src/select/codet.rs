//! CodeT: dual agreement of solutions and generated tests.
//!
//! Chen et al. 2022 and microsoft/CodeT, `agreement.py`: solutions that pass
//! exactly the same tests form a group, whose score is `sqrt(solutions) ·
//! tests`. Equal programs and equal tests count as often as they were drawn.

use std::collections::BTreeMap;

use super::high_first;

/// Solutions that agree on the tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its solutions, in order of place.
    pub solutions: Vec<usize>,
    /// The tests that each of them passes.
    pub tests: Vec<usize>,
    /// `sqrt(|solutions|) · Σ weight of the tests`.
    pub score: f64,
}

/// Groups of the solutions that pass a test at all, best first; equal scores by
/// first member. `passed` has a row per solution; one with an unknown result is
/// in no group. `weights` says how often each test was drawn.
///
/// # Panics
/// When a row is longer than `weights`.
#[must_use]
pub fn codet(passed: &[Vec<Option<bool>>], weights: &[u64]) -> Vec<Group> {
    let mut groups: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (solution, row) in passed.iter().enumerate() {
        let Some(row) = row.iter().copied().collect::<Option<Vec<bool>>>() else {
            continue;
        };
        let tests: Vec<usize> = (0..row.len()).filter(|t| row[*t]).collect();
        if !tests.is_empty() {
            groups.entry(tests).or_default().push(solution);
        }
    }
    let mut groups: Vec<Group> = groups
        .into_iter()
        .map(|(tests, solutions)| {
            let worth: u64 = tests.iter().map(|t| weights[*t]).sum();
            Group {
                score: (solutions.len() as f64).sqrt() * worth as f64,
                solutions,
                tests,
            }
        })
        .collect();
    groups.sort_by(|a, b| high_first((a.score, a.solutions[0]), (b.score, b.solutions[0])));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&str]) -> Vec<Vec<Option<bool>>> {
        let cell = |c| match c {
            '+' => Some(true),
            '-' => Some(false),
            _ => None,
        };
        rows.iter().map(|r| r.chars().map(cell).collect()).collect()
    }

    #[test]
    fn a_group_is_worth_the_root_of_its_size_times_its_tests() {
        // Four agree on two tests: 2 · 2; one passes three alone: 1 · 3.
        let rows = table(&["++--", "+++-", "++--", "++--", "++--", "----"]);
        let groups = codet(&rows, &[1; 4]);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].solutions, [0, 2, 3, 4]);
        assert_eq!(
            (groups[0].tests.clone(), groups[0].score),
            (vec![0, 1], 4.0)
        );
        assert_eq!(
            (groups[1].solutions.clone(), groups[1].score),
            (vec![1], 3.0)
        );
    }

    #[test]
    fn tests_drawn_twice_count_twice() {
        let groups = codet(&table(&["+-", "-+", "-+"]), &[3, 2]);
        assert_eq!(groups[0].solutions, [0]);
        assert!((groups[1].score - 2.0 * 2.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn ties_go_by_place_and_unknown_results_join_nothing() {
        let groups = codet(&table(&["+?", "-+", "+-"]), &[1, 1]);
        let first: Vec<usize> = groups.iter().map(|g| g.solutions[0]).collect();
        assert_eq!(first, [1, 2]);
        assert!(codet(&[], &[]).is_empty());
    }
}
