//! What was measured, for people and for programs.

use serde::Serialize;
use serde_json::{Value, json};

use super::program::Absent;
use super::stats::{Ratio, Summary};
use crate::show;

/// One program and everybody who took part.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) program: &'static str,
    pub(super) unit: &'static str,
    pub(super) blocks: u32,
    pub(super) contenders: Vec<Row>,
    pub(super) absent: Vec<Absent>,
}

/// One contender.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) summary: Summary,
    /// Beside the first contender, with 95 % intervals; absent for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) beside: Option<Beside>,
}

/// How it stands beside the bare one.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    pub(super) p10: Ratio,
    pub(super) p50: Ratio,
    pub(super) cpu: Ratio,
}

/// Everything as one document.
pub(super) fn document(machine: &str, tables: &[Table]) -> Value {
    json!({"machine": machine, "programs": tables})
}

/// Everything as tables.
pub(super) fn print(machine: &str, tables: &[Table]) {
    for table in tables {
        println!(
            "\n{} ({} blocks, microseconds a {})",
            table.program, table.blocks, table.unit
        );
        if !table.contenders.is_empty() {
            println!("{}", rows(table));
        }
        for absent in &table.absent {
            println!(
                "not measured: {}: {}",
                absent.name,
                show::harmless(&absent.why)
            );
        }
    }
    println!("\n{machine}");
}

fn rows(table: &Table) -> String {
    let mut shown = show::table(&[
        "who", "p10", "p50", "p99", "cpu", "a second", "× p10", "95 %", "× p50", "95 %", "× cpu",
        "95 %",
    ]);
    for row in &table.contenders {
        let micro = |x: f64| show::right(format!("{x:.0}"));
        let mut cells = vec![
            row.name.as_str().into(),
            micro(row.summary.p10_us),
            micro(row.summary.p50_us),
            micro(row.summary.p99_us),
            micro(row.summary.cpu_us),
            micro(1e6 / row.summary.p50_us),
        ];
        let ratios = row.beside.iter().flat_map(|b| [b.p10, b.p50, b.cpu]);
        for Ratio { ratio, low, high } in ratios {
            cells.push(show::right(figure(ratio)));
            cells.push(show::right(format!("{}–{}", figure(low), figure(high))));
        }
        shown.add_row(cells);
    }
    shown.to_string()
}

/// Three digits that say something.
fn figure(x: f64) -> String {
    let digits = match x {
        x if x >= 100.0 => 0,
        x if x >= 10.0 => 1,
        x if x >= 1.0 => 2,
        x if x >= 0.1 => 3,
        _ => 4,
    };
    format!("{x:.digits$}")
}
