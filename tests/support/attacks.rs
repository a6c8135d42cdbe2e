//! The table of attacks in `escape/rows.toml` and the document made of it.

use std::fmt::Write as _;

use serde::Deserialize;

/// One attack and what shows that it is stopped.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its number; 1 to 75 are the design's list.
    pub number: u32,
    /// Heading above this row and those after it.
    pub group: Option<String>,
    /// What is tried.
    pub attack: String,
    /// What comes of it.
    pub claim: String,
    /// Tests of the claim, as `<file without .rs>::<function>`.
    #[serde(default)]
    pub shown: Vec<String>,
    /// Tests that show the attack succeeding without one layer or limit.
    #[serde(default)]
    pub controls: Vec<String>,
    /// Why there is no control.
    pub instead: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Table {
    row: Vec<Row>,
}

/// All rows, in their order.
///
/// # Panics
/// When the file is not what it should be.
#[must_use]
pub fn rows() -> Vec<Row> {
    let table: Result<Table, _> = toml::from_str(include_str!("../escape/rows.toml"));
    table.expect("escape/rows.toml is sound").row
}

/// The text of `docs/attacks.md`.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# Attacks\n\n\
         What hostile programs try, what comes of it, and the tests that show both: that the\n\
         attack is stopped, and, in a *control*, that it is real, because it succeeds with one\n\
         layer switched off or one limit lifted. Made from `tests/escape/rows.toml` by\n\
         `make attacks`; a tidy test holds the two equal and every named test to exist.\n",
    );
    for row in rows() {
        if let Some(group) = &row.group {
            let _ = write!(
                text,
                "\n## {group}\n\n| # | attack | what comes of it | shown by | control |\n|---|---|---|---|---|\n"
            );
        }
        let list = |names: &[String]| {
            let quoted: Vec<String> = names.iter().map(|n| format!("`{}`", last(n))).collect();
            quoted.join("<br>")
        };
        let control = match &row.instead {
            Some(reason) => format!("none: {reason}"),
            None => list(&row.controls),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {control} |",
            row.number,
            row.attack,
            row.claim,
            list(&row.shown)
        );
    }
    text
}

fn last(name: &str) -> &str {
    name.rsplit_once("::").map_or(name, |(_, test)| test)
}
