//! How much programs for one task disagree.

/// Incoherence: the chance that two different programs differ on an input, over
/// all pairs and inputs of which both outputs are known. None when there is no
/// such pair.
///
/// It bounds a model's error from below without any expected output: of two
/// that differ, one at least is wrong.
#[must_use]
pub fn incoherence<K: PartialEq>(rows: &[Vec<Option<K>>]) -> Option<f64> {
    let (mut differ, mut all) = (0u64, 0u64);
    for (place, a) in rows.iter().enumerate() {
        for b in &rows[place + 1..] {
            for (x, y) in a.iter().zip(b) {
                if let (Some(x), Some(y)) = (x, y) {
                    all += 1;
                    differ += u64::from(x != y);
                }
            }
        }
    }
    (all > 0).then(|| differ as f64 / all as f64)
}

/// The first input on which two programs differ, which proves them inequivalent
/// (ProbeGen). None proves nothing: they agree on the inputs that were tried.
#[must_use]
pub fn witness<K: PartialEq>(a: &[Option<K>], b: &[Option<K>]) -> Option<usize> {
    a.iter()
        .zip(b)
        .position(|(x, y)| matches!((x, y), (Some(x), Some(y)) if x != y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_share_of_pairs_and_inputs_that_differ() {
        let rows = [
            vec![Some(1), Some(1)],
            vec![Some(1), Some(2)],
            vec![Some(3), Some(2)],
        ];
        // Pairs: 1 of 2, 2 of 2, 1 of 2.
        assert!((incoherence(&rows).unwrap() - 4.0 / 6.0).abs() < 1e-12);
        let alike = [vec![Some(1)], vec![Some(1)]];
        assert_eq!(incoherence(&alike), Some(0.0));
    }

    #[test]
    fn what_is_unknown_is_not_compared() {
        let rows = [vec![Some(1), None], vec![Some(2), Some(2)]];
        assert_eq!(incoherence(&rows), Some(1.0));
        assert_eq!(incoherence(&[vec![None], vec![Some(1)]]), None);
        assert_eq!(incoherence(&[vec![Some(1)]]), None);
        assert_eq!(incoherence::<u8>(&[]), None);
    }

    #[test]
    fn a_witness_is_an_input_on_which_two_differ() {
        let a = [Some(1), None, Some(3)];
        assert_eq!(witness(&a, &[Some(1), Some(2), Some(4)]), Some(2));
        assert_eq!(witness(&a, &[Some(1), Some(2), Some(3)]), None);
    }
}
