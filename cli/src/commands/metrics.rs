//! `assize metrics`: one metric, from the numbers in a document.

use anyhow::Result;
use assize_judge::metrics;
use serde_json::Value;

use crate::args::Document;
use crate::{Usage, commands, show, status};

pub(crate) fn metrics(args: &Document) -> Result<u8> {
    let document: metrics::Document = commands::document(args)?;
    let value = document.compute().map_err(|e| Usage(e.to_string()))?;
    if args.json {
        println!("{value}");
    } else {
        let mut table = show::table(&["what", "value"]);
        let mut lines = Vec::new();
        flatten(String::new(), &value, &mut lines);
        for (what, value) in lines {
            table.add_row(vec![what.into(), show::right(value)]);
        }
        println!("{table}");
    }
    Ok(status::DONE)
}

/// One line per number: `tasks[0].dps`.
fn flatten(path: String, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(format!("{path}{dot}{key}"), value, lines);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                flatten(format!("{path}[{index}]"), value, lines);
            }
        }
        Value::String(text) => lines.push((path, text.clone())),
        Value::Null => lines.push((path, "none".to_owned())),
        Value::Bool(_) | Value::Number(_) => lines.push((path, value.to_string())),
    }
}
