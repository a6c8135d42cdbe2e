//! Instructions of the hot path, counted by callgrind: unlike time they are
//! the same on a busy machine, so that a change that makes a case dearer shows
//! in the pull request that makes it.
//!
//! `figures.toml` says what each piece costs with one toolchain. With another,
//! only how cost grows is checked, and the test says so: twice the parts may
//! cost at most 2.2 times (what is quadratic costs four times).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Parts of the smaller case.
const FEW: usize = 100;
/// Parts of the larger one.
const MANY: usize = 200;
/// Times a piece is done, so that its first time is little of it.
const TIMES: usize = 20;
/// Share by which a count may differ from the committed one.
const TOLERANCE: f64 = 0.05;
/// Most that twice the parts may cost. A tenth is for what grows in steps
/// (tables, the allocator's lists); n·log n would be 2.3, n² 4.
const DOUBLE: f64 = 2.2;

/// What is committed.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    /// What the counts depend on besides the source.
    toolchain: String,
    /// Instructions of a piece for [`MANY`] parts.
    instructions: BTreeMap<String, u64>,
}

/// Counts of one piece.
#[derive(Debug, Clone, Copy)]
struct Counted {
    few: u64,
    many: u64,
}

fn driver() -> &'static str {
    env!("CARGO_BIN_EXE_assize-counts")
}

fn pieces() -> Vec<String> {
    let output = Command::new(driver()).arg("list").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Instructions of one start of the driver.
fn collected(piece: &str, parts: usize, times: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([driver(), piece, &parts.to_string(), &times.to_string()])
        .env_clear()
        .output()
        .unwrap_or_else(|e| panic!("valgrind is needed, deploy/setup.sh installs it: {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{piece} {parts}: {said}");
    let line = said.lines().find_map(|l| l.split_once("Collected : "));
    let (_, count) = line.unwrap_or_else(|| panic!("callgrind counted nothing: {said}"));
    count.trim().parse().unwrap()
}

fn count(piece: &str) -> Counted {
    let own = |parts| collected(piece, parts, TIMES) - collected(piece, parts, 0);
    Counted {
        few: own(FEW),
        many: own(MANY),
    }
}

/// Every piece is counted once for all tests of this file.
fn counted() -> &'static BTreeMap<String, Counted> {
    static COUNTED: OnceLock<BTreeMap<String, Counted>> = OnceLock::new();
    COUNTED.get_or_init(|| {
        let each = pieces().into_iter().map(|piece| {
            let counted = count(&piece);
            (piece, counted)
        });
        each.collect()
    })
}

/// The compiler, the profile and what glibc chooses its copying by.
fn toolchain() -> String {
    let first = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        let text = output.map(|o| o.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    };
    let rustc = first(&std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()));
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo.lines().find(|l| l.starts_with("flags"));
    let avx2 = flags.is_some_and(|f| f.split(' ').any(|flag| flag == "avx2"));
    let vectors = if avx2 { "avx2" } else { "no avx2" };
    format!(
        "{rustc}; {}; {profile}; {} {vectors}",
        first("valgrind"),
        std::env::consts::ARCH
    )
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counts/figures.toml")
}

const HEAD: &str = "# Instructions by callgrind of pieces of the hot path, twenty times for 200 parts\n\
    # each (tests/counts/drivers.rs). `make counts` writes this file.\n";

#[test]
fn pieces_cost_what_is_committed_where_the_toolchain_is_the_same() {
    let now = Figures {
        toolchain: toolchain(),
        instructions: counted().iter().map(|(n, c)| (n.clone(), c.many)).collect(),
    };
    if std::env::var("ASSIZE_COUNTS").as_deref() == Ok("write") {
        let text = toml::to_string(&now).unwrap();
        std::fs::write(file(), format!("{HEAD}{text}")).unwrap();
        return;
    }
    let text = std::fs::read_to_string(file()).unwrap();
    let committed: Figures = toml::from_str(&text).unwrap();
    let names = |f: &Figures| f.instructions.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&now),
        names(&committed),
        "other pieces than committed: run `make counts`"
    );
    if now.toolchain != committed.toolchain {
        println!(
            "figures are of [{}], this is [{}]: only growth is checked",
            committed.toolchain, now.toolchain
        );
        return;
    }
    let changed: Vec<String> = now
        .instructions
        .iter()
        .filter_map(|(name, &count)| {
            let before = committed.instructions[name];
            let change = count as f64 / before as f64 - 1.0;
            let line = format!("{name}: {before} -> {count} ({:+.1} %)", 100.0 * change);
            (change.abs() > TOLERANCE).then_some(line)
        })
        .collect();
    assert!(
        changed.is_empty(),
        "instructions changed by more than {} %; if that is meant, run `make counts` and commit \
         tests/counts/figures.toml:\n{}",
        100.0 * TOLERANCE,
        changed.join("\n")
    );
}

#[test]
fn twice_the_parts_cost_at_most_twice_the_instructions() {
    for (name, Counted { few, many }) in counted() {
        let ratio = *many as f64 / *few as f64;
        println!("{name}: {few} for {FEW}, {many} for {MANY}: × {ratio:.3}");
        assert!(
            ratio <= DOUBLE,
            "{name}: {few} instructions for {FEW} parts, {many} for {MANY}: × {ratio:.3}"
        );
    }
}

#[test]
fn the_same_piece_is_counted_alike_each_time() {
    let again = count("tokens").many;
    let before = counted()["tokens"].many;
    let off = again.abs_diff(before) as f64 / before as f64;
    assert!(off < 0.001, "{before}, then {again}");
}
