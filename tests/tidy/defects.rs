//! The table of other graders' defects names every test of them and no other.

use std::collections::BTreeSet;

use crate::{root, sources};

#[test]
fn every_defect_of_another_grader_is_in_the_table_and_has_its_test() {
    let mut tests = BTreeSet::new();
    for path in sources("rs") {
        if !path.starts_with(root().join("tests/judging/defects")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let after = text.split("#[test]\n").skip(1);
        let name = |t: &str| {
            t.trim_start()
                .strip_prefix("fn ")?
                .split('(')
                .next()
                .map(str::to_owned)
        };
        tests.extend(after.filter_map(name));
    }
    let text = std::fs::read_to_string(root().join("docs/integrity.md")).unwrap();
    let table = text
        .split("## Other graders' defects")
        .nth(1)
        .expect("the section")
        .lines()
        .filter(|l| l.starts_with("| ") && l.contains('`'));
    let mut named = BTreeSet::new();
    for line in table {
        let claims = line.rsplit('|').nth(1).expect("a last column");
        let names: Vec<&str> = claims.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {line}");
        named.extend(names.into_iter().map(str::to_owned));
    }
    assert_eq!(named, tests);
    assert!(named.len() > 30);
}
