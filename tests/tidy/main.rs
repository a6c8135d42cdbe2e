//! Invariants of the source tree, as tests: the layering, where `unsafe` may
//! be, and that the documents say what the code does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod attacks;
mod defects;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use assize_wire::cell::Step;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every tracked-looking file below the root with this extension.
fn sources(extension: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && !["target", ".git", "vendor"].contains(&&*name.to_string_lossy()) {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extension, &mut found);
    assert!(!found.is_empty());
    found
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Normal dependencies of each workspace crate, by name, our own and others'.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| members.contains(p["id"].as_str().unwrap()))
        .map(|p| {
            let normal = p["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|d| d["kind"].is_null());
            let names = normal
                .filter_map(|d| d["name"].as_str())
                .map(str::to_owned)
                .collect();
            (p["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}

#[test]
fn arrows_between_crates_point_one_way() {
    // From the top down; a crate may use only crates after it.
    const ORDER: [&str; 9] = [
        "assize",
        "assize-api",
        "assize-judge",
        "assize-runtimes",
        "assize-executor",
        "assize-cgroup",
        "assize-policies",
        "assize-wire",
        "assize-sys",
    ];
    let all = dependencies();
    for (index, name) in ORDER.iter().enumerate() {
        for above in &ORDER[..index] {
            assert!(
                !all[*name].contains(*above),
                "{name} uses {above}, which stands above it"
            );
        }
    }
}

#[test]
fn keeper_and_jail_use_sys_and_wire_and_nothing_asynchronous() {
    let all = dependencies();
    let allowed: BTreeSet<String> = [
        "assize-confine",
        "assize-sys",
        "assize-wire",
        "landlock",
        "libc",
        "nix",
        "rustix",
    ]
    .map(str::to_owned)
    .into();
    for name in ["assize-jail", "assize-confine", "assize-warm"] {
        assert!(all[name].is_subset(&allowed), "{name}: {:?}", all[name]);
    }
    let allowed: BTreeSet<String> = [
        "assize-cgroup",
        "assize-sys",
        "assize-wire",
        "nix",
        "rustix",
    ]
    .map(str::to_owned)
    .into();
    assert!(
        all["assize-keeper"].is_subset(&allowed),
        "{:?}",
        all["assize-keeper"]
    );
    for name in [
        "assize-jail",
        "assize-confine",
        "assize-warm",
        "assize-keeper",
        "assize-sys",
        "assize-wire",
    ] {
        for heavy in ["tokio", "serde_json", "axum", "tracing"] {
            assert!(!all[name].contains(heavy), "{name} uses {heavy}");
        }
    }
    let pure: BTreeSet<String> = ["seccompiler", "serde", "serde_json", "thiserror", "toml"]
        .map(str::to_owned)
        .into();
    assert!(
        all["assize-policies"].is_subset(&pure),
        "{:?}",
        all["assize-policies"]
    );
}

#[test]
fn unsafe_code_lives_in_one_crate() {
    // Loading machine code is unsafe by its nature; wasmtime must not reach
    // executor/sys, so the one call stands alone in a file of its own.
    const EXCEPTION: &str = "executor/wasm/src/trusted.rs";
    let word = ["unsafe", " {"].concat();
    let kinds = [
        word,
        ["unsafe", " fn"].concat(),
        ["unsafe", " impl"].concat(),
    ];
    for path in sources("rs") {
        let shown = path
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if shown.starts_with("executor/sys/") || shown == EXCEPTION {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for kind in &kinds {
            assert!(!text.contains(kind), "{shown} has {kind:?}");
        }
    }
}

#[test]
fn the_documented_order_of_containment_is_the_codes() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let list: Vec<&str> = text
        .lines()
        .skip_while(|l| !l.starts_with("### Order of containment"))
        .filter_map(|l| {
            l.split_once(". `").and_then(|(n, rest)| {
                n.parse::<u8>().ok()?;
                rest.split('`').next()
            })
        })
        .collect();
    let code: Vec<String> = Step::ALL.iter().map(|s| format!("{s:?}")).collect();
    assert_eq!(list, code);
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = ["to", "do!("].concat();
    let more = [
        marks,
        ["unimple", "mented!("].concat(),
        ["FIX", "ME"].concat(),
        ["#[ig", "nore"].concat(),
    ];
    for path in sources("rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        for mark in &more {
            assert!(!text.contains(mark), "{}: {mark}", path.display());
        }
    }
}

#[test]
fn every_shipped_manifest_and_profile_is_listed_where_it_is_loaded() {
    for (dir, index) in [
        ("runtimes/native", "runtimes/src/manifest.rs"),
        ("runtimes/wasi", "runtimes/src/manifest.rs"),
        ("policies/profiles", "policies/src"),
    ] {
        let index = root().join(index);
        let text = if index.is_dir() {
            sources("rs")
                .iter()
                .filter(|p| p.starts_with(&index))
                .map(|p| std::fs::read_to_string(p).unwrap())
                .collect()
        } else {
            std::fs::read_to_string(index).unwrap()
        };
        for entry in std::fs::read_dir(root().join(dir)).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".toml") {
                assert!(text.contains(&name), "{dir}/{name} is never loaded");
            }
        }
    }
}
