//! The table of attacks stays true: every row is there, every test it names
//! exists, and every escape test is named or is the working of something.

use std::collections::BTreeSet;

use assize_tests::attacks::{document, rows};

use crate::root;

/// Names of the functions marked as tests in one file.
fn tests_of(file: &str) -> BTreeSet<String> {
    let below = root().join("tests").join(format!("{file}.rs"));
    let direct = root().join(format!("{file}.rs"));
    let text = std::fs::read_to_string(below)
        .or_else(|_| std::fs::read_to_string(direct))
        .unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("fn ") {
            if marked {
                let name = rest.split('(').next().unwrap_or_default();
                names.insert(name.to_owned());
            }
            marked = false;
        } else if line == "#[test]" {
            marked = true;
        }
    }
    names
}

#[test]
fn every_attack_names_tests_that_exist_and_a_control_or_a_reason() {
    let rows = rows();
    let numbers: Vec<u32> = rows.iter().map(|r| r.number).collect();
    let last = u32::try_from(rows.len()).unwrap();
    assert!(last >= 75, "rows of the design's list are missing");
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for row in &rows {
        for name in row.shown.iter().chain(&row.controls) {
            let found = name
                .split_once("::")
                .is_some_and(|(file, test)| tests_of(file).contains(test));
            if !found {
                wrong.push(format!("row {}: there is no test {name}", row.number));
            }
        }
        let reason = row.instead.as_ref().is_some_and(|r| !r.is_empty());
        if row.controls.is_empty() != reason {
            wrong.push(format!("row {}: a control, or a reason", row.number));
        }
        if row.shown.is_empty() && !row.claim.contains("not defended") {
            wrong.push(format!("row {}: nothing shows it", row.number));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_document_of_attacks_is_the_tables() {
    let committed = std::fs::read_to_string(root().join("docs/attacks.md")).unwrap_or_default();
    assert!(committed == document(), "run `make attacks`");
}
