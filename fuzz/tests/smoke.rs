//! A few seconds of every fuzz target, the same in every run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use assize_fuzz::mutate::{Numbers, changed};
use assize_fuzz::{TARGETS, Target};

fn try_one(target: &Target, data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(data))).is_err() {
        panic!(
            "{} fails on {data:?} ({})",
            target.name,
            data.escape_ascii()
        );
    }
}

#[test]
fn every_target_survives_its_seeds_and_changes_of_them() {
    for target in TARGETS {
        let mut numbers = Numbers::new(0x5EED);
        try_one(target, &[]);
        for seed in target.seeds {
            try_one(target, seed);
        }
        for _ in 0..target.tries {
            let pick = |n: &mut Numbers| target.seeds[n.below(target.seeds.len())];
            let (seed, other) = (pick(&mut numbers), pick(&mut numbers));
            let data = changed(seed, other, &mut numbers);
            try_one(target, &data);
        }
    }
}

/// A smoke test whose seeds are all refused would test an error path only.
#[test]
fn changes_are_small_enough_that_some_still_parse() {
    let mut numbers = Numbers::new(1);
    let seed = TARGETS.iter().find(|t| t.name == "requests").unwrap().seeds[0];
    let parses = (0..1000)
        .map(|_| changed(seed, seed, &mut numbers))
        .filter(|d| serde_json::from_slice::<assize_api::types::RunRequest>(d).is_ok())
        .count();
    assert!((50..950).contains(&parses), "{parses} of 1000");
}
