//! What is read of a package, from files written for the purpose.

use std::fs;
use std::path::PathBuf;

use super::data::{Grading, Item};
use super::*;

/// A directory that goes away with its test.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn package(name: &str, files: &[(&str, &str)]) -> Dir {
    let dir = std::env::temp_dir().join(format!("assize-package-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    let always = [("data/secret/1.in", "1\n"), ("data/secret/1.ans", "1\n")];
    for (path, text) in always.iter().chain(files) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Dir(dir)
}

fn read(name: &str, files: &[(&str, &str)]) -> Result<Package, String> {
    let dir = package(name, files);
    Package::read(&dir.0).map_err(|e| e.to_string())
}

#[test]
fn the_legacy_spelling_is_read() {
    let package = read(
        "legacy",
        &[
            (
                "problem.yaml",
                "name: Sums\ntype: scoring\nvalidation: custom interactive score\n\
                 validator_flags: a b\ngrading:\n  objective: min\n\
                 limits:\n  time_multiplier: 3\n  time_safety_margin: 4\n  memory: 256\n",
            ),
            ("output_validators/check/check.py", ""),
            (".timelimit", "7\n"),
            ("input_validators/one.py", ""),
            ("submissions/accepted/two/main.py", ""),
            ("submissions/accepted/two/more/util.py", ""),
            ("submissions/wrong_answer/one.py", ""),
            ("submissions/odd/one.py", ""),
        ],
    )
    .unwrap();
    let metadata = &package.metadata;
    assert!(metadata.scoring && metadata.interactive && metadata.minimize);
    assert_eq!(
        (metadata.name.as_str(), metadata.format),
        ("Sums", Format::Legacy)
    );
    let limits = &metadata.limits;
    assert_eq!(
        (limits.time, limits.ac_to_limit, limits.limit_to_tle),
        (Some(7.0), 3.0, 4.0)
    );
    assert_eq!(limits.memory, Some(256.0));
    assert_eq!(package.validator.unwrap().name, "check");
    assert_eq!(package.input_validators.len(), 1);
    let labels: Vec<_> = package
        .submissions
        .iter()
        .map(|s| (s.label, s.source.name.as_str(), s.source.files.len()))
        .collect();
    assert_eq!(
        labels,
        [
            (Label::Accepted, "two", 2),
            (Label::WrongAnswer, "one.py", 1)
        ]
    );
    assert!(
        package.notes.iter().any(|n| n.contains("submissions/odd")),
        "{:?}",
        package.notes
    );
    let (_, settings) = package.data.cases().next().unwrap();
    assert_eq!(settings.output_flags, ["a", "b"]);
}

#[test]
fn the_newer_spelling_is_read() {
    let package = read(
        "new",
        &[
            (
                "problem.yaml",
                "problem_format_version: 2023-07-draft\nname:\n  sv: Summor\n  en: Sums\n\
                 uuid: 0\ntype: [scoring, interactive]\nlimits:\n  time_limit: 2.5\n\
                 \x20 time_multipliers:\n    ac_to_time_limit: 1.5\n",
            ),
            ("output_validator/check.cpp", ""),
            ("output_validator/more.cpp", ""),
            (
                "data/test_group.yaml",
                "output_validator_args: ['x y', z]\n",
            ),
            ("data/secret/a/1.in", ""),
            ("data/secret/a/1.ans", ""),
            ("data/secret/a/test_group.yaml", "scoring:\n  score: 40\n"),
            ("data/secret/b/1.in", ""),
            ("data/secret/b/1.ans", ""),
        ],
    )
    .unwrap();
    let metadata = &package.metadata;
    assert_eq!(
        (metadata.name.as_str(), metadata.format),
        ("Sums", Format::New)
    );
    let limits = &metadata.limits;
    assert_eq!(
        (limits.time, limits.ac_to_limit, limits.limit_to_tle),
        (Some(2.5), 1.5, 1.5)
    );
    assert_eq!(package.validator.unwrap().files.len(), 2);
    let Some(Item::Group(secret)) = package.data.items.first() else {
        panic!("{:?}", package.data);
    };
    // 100 points: 40 are a's, the rest is for b and the test case beside them.
    assert_eq!(secret.settings.accept_score, 30.0);
    let most: Vec<_> = secret
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Group(g) => Some((g.name.as_str(), g.settings.grading.clone())),
            Item::Case(_) => None,
        })
        .collect();
    assert_eq!(most[0], ("secret/a", Grading::PassFail { most: 40.0 }));
    assert_eq!(most[1], ("secret/b", Grading::PassFail { most: 30.0 }));
    assert_eq!(secret.settings.output_flags, ["x y", "z"]);
}

#[test]
fn settings_of_groups_are_inherited_key_by_key_and_cases_come_in_order() {
    let package = read(
        "groups",
        &[
            ("problem.yaml", "type: scoring\n"),
            (
                "data/testdata.yaml",
                "grader_flags: ignore_sample\non_reject: continue\n",
            ),
            ("data/secret/testdata.yaml", "range: 0 100\n"),
            ("data/secret/g2/b.in", ""),
            ("data/secret/g2/b.ans", ""),
            ("data/secret/g10/a.in", ""),
            ("data/secret/g10/a.ans", ""),
            (
                "data/secret/g10/testdata.yaml",
                "on_reject: break\ngrader_flags: min\naccept_score: 12\n",
            ),
            ("data/sample/1.in", ""),
            ("data/sample/1.ans", ""),
        ],
    )
    .unwrap();
    let cases: Vec<_> = package
        .data
        .cases()
        .map(|(case, s)| (case.name.as_str(), s.stop, s.accept_score, s.range.1))
        .collect();
    let all = f64::INFINITY;
    let want = [
        ("sample/1", false, 1.0, all),
        ("secret/1", false, 1.0, 100.0),
        ("secret/g10/a", true, 12.0, 100.0),
        ("secret/g2/b", false, 1.0, 100.0),
    ];
    assert_eq!(cases, want);
    // Samples are left out at the root alone, though all inherit the flag.
    let Grading::Default(root) = &package.data.settings.grading else {
        panic!("the default grader");
    };
    assert!(root.ignore_sample);
    for (_, settings) in package.data.cases() {
        assert!(!matches!(&settings.grading, Grading::Default(g) if g.ignore_sample));
    }
}

#[test]
fn what_would_change_verdicts_and_is_not_done_refuses_the_package() {
    let yaml = ("problem.yaml", "name: x\n");
    for (name, files, why) in [
        ("none", &[][..], "problem.yaml"),
        (
            "multi",
            &[(
                "problem.yaml",
                "type: multi-pass\nproblem_format_version: 2023-07\n",
            )],
            "multi-pass",
        ),
        ("kind", &[("problem.yaml", "type: quiz\n")], "quiz"),
        (
            "version",
            &[("problem.yaml", "problem_format_version: 3\n")],
            "version",
        ),
        (
            "custom",
            &[("problem.yaml", "validation: custom\n")],
            "no output validator",
        ),
        (
            "flag",
            &[yaml, ("data/testdata.yaml", "grader_flags: median\n")],
            "median",
        ),
        (
            "range",
            &[yaml, ("data/testdata.yaml", "range: 5 1\n")],
            "range",
        ),
        (
            "reject",
            &[yaml, ("data/testdata.yaml", "on_reject: stop\n")],
            "on_reject",
        ),
        ("list", &[("problem.yaml", "- a\n")], "not a mapping"),
        ("yaml", &[("problem.yaml", "a: [\n")], "problem.yaml"),
        ("answer", &[yaml, ("data/secret/2.in", "")], "no .ans"),
        (
            "files",
            &[yaml, ("data/secret/1.files/x", "")],
            "files beside",
        ),
        (
            "limit",
            &[("problem.yaml", "limits:\n  time_limit: 0\n")],
            "above zero",
        ),
        ("static", &[yaml, ("static_validator/x.py", "")], "static"),
        (
            "two",
            &[
                yaml,
                ("output_validators/a.py", ""),
                ("output_validators/b.py", ""),
            ],
            "more than one",
        ),
        (
            "build",
            &[yaml, ("submissions/accepted/a/build", "")],
            "build",
        ),
    ] {
        let refused = read(name, files).map(|_| ()).unwrap_err();
        assert!(refused.contains(why), "{name}: {refused}");
    }
}

#[test]
fn a_link_leads_neither_out_of_the_package_nor_round_in_it() {
    let dir = package(
        "link",
        &[
            ("problem.yaml", "name: x\n"),
            ("submissions/accepted/a.py", ""),
        ],
    );
    let link = dir.0.join("submissions/accepted/b.py");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    assert!(matches!(
        Package::read(&dir.0),
        Err(PackageError::Outside(_))
    ));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("../../submissions", &link).unwrap();
    assert!(Package::read(&dir.0).is_err());
    fs::remove_file(&link).unwrap();
    // One that stays inside is a file like any other.
    std::os::unix::fs::symlink("a.py", &link).unwrap();
    assert_eq!(Package::read(&dir.0).unwrap().submissions.len(), 2);
}

#[test]
fn a_computed_limit_is_the_next_multiple_of_the_resolution() {
    let package = read("limit", &[("problem.yaml", "name: x\n")]).unwrap();
    let limits = package.metadata.limits;
    assert_eq!(limits.time, None);
    for (slowest, limit) in [
        (0.0, 1.0),
        (0.001, 1.0),
        (0.2, 1.0),
        (0.21, 2.0),
        (1.0, 5.0),
    ] {
        assert_eq!(limits.from_slowest(slowest), limit, "{slowest}");
    }
}
