//! What profiles say they must allow and must deny, tried in real cells: the
//! same examples that the loader tries against the compiled filters.

use std::sync::Arc;

use assize_executor::{Executor, Plan};
use assize_policies::example::{Attempt, Example};
use assize_policies::{Profile, Profiles, seccomp};
use assize_tests::hostile::{hostile, shared, show};
use assize_tests::{out, run};

const REFUSED: [&str; 2] = ["1\n", "38\n"];

/// The errno that a cell of this profile gave. A run that was killed gave none.
fn tried(cells: &Executor, profile: &Arc<Profile>, example: &Example) -> (String, String) {
    let words: Vec<String> = match &example.attempt {
        Attempt::Call { name, args } => {
            let number = seccomp::number(name).expect("the loader knew it");
            let args = args.iter().map(u64::to_string);
            ["call".to_owned(), number.to_string()]
                .into_iter()
                .chain(args)
                .collect()
        }
        Attempt::Read(path) => vec!["read".to_owned(), path.clone()],
        Attempt::Write(path) => vec!["write".to_owned(), path.clone()],
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let plan = Plan {
        policy: Arc::clone(profile),
        limits: profile.limits.meet(hostile("example", &[]).limits),
        ..hostile("example", &words)
    };
    let outcome = run(cells, plan);
    (out(&outcome), show(&outcome))
}

#[test]
fn every_example_of_every_profile_holds_in_a_real_cell() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for profile in Profiles::shipped().expect("shipped profiles load").iter() {
        for example in profile.examples().iter().filter(|e| e.applies()) {
            let (errno, all) = tried(shared(), profile, example);
            let called = matches!(example.attempt, Attempt::Call { .. });
            let allowed = match called {
                true => !errno.is_empty() && !REFUSED.contains(&errno.as_str()),
                false => errno == "0\n",
            };
            count += 1;
            if allowed != example.allowed {
                let (name, why) = (&profile.name, &example.why);
                wrong.push(format!("{name}: {:?} ({why}): {all}", example.attempt));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 80, "{count} examples");
}
