//! Choosing among candidates by what they do, and making preferences of what
//! they came to: pure functions over outputs, verdicts and scores.
//!
//! A candidate is its place in the caller's list. What we failed to try is
//! `None` and belongs to no cluster, no group and no pair: a fault of ours is
//! no behaviour of a program. Ties are broken by place, so that the same input
//! always gives the same answer.

pub mod cluster;
pub mod codet;
pub mod hybrid;
pub mod incoherence;
pub mod mbr;
pub mod pairs;
pub mod rrtf;

/// Orders floating point numbers from high to low, and equal ones by place.
/// Numbers are finite; the callers have checked.
pub(crate) fn high_first(a: (f64, usize), b: (f64, usize)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}
