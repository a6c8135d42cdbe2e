//! Reading tasks to be checked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::args::Check;
use crate::{Usage, dataset};

/// A judgement as it is sent; of a line of the caller's as it stands there.
pub(super) type Case = Box<RawValue>;

/// A task with its gold and its stub, ready to be judged.
pub(super) struct Trial {
    pub(super) id: String,
    pub(super) gold: Option<Case>,
    pub(super) stub: Option<Case>,
}

/// Reads the tasks: lines that are judgements themselves, or a data set.
pub(super) fn trials(args: &Check) -> Result<Vec<Trial>> {
    let lines: Vec<BTreeMap<String, Box<RawValue>>> = dataset::lines(&args.file)?;
    let generic = |l: &BTreeMap<String, _>| l.contains_key("language") && l.contains_key("tests");
    if !lines.iter().any(generic) {
        let tasks = dataset::tasks(&args.file)?;
        let (cpu, memory) = (args.cpu.unwrap_or(3_000), args.memory.unwrap_or(512 << 20));
        return tasks
            .into_values()
            .map(|task| {
                let case = |text: &str| {
                    let program = format!("{}{text}\n", task.prompt);
                    to_raw_value(&task.request(program, args.place.backend, cpu, memory))
                };
                Ok(Trial {
                    gold: task.canonical.as_deref().map(case).transpose()?,
                    stub: Some(case(&task.stub)?),
                    id: task.id.clone(),
                })
            })
            .collect();
    }
    let mut seen = BTreeSet::new();
    let mut trials = Vec::with_capacity(lines.len());
    for (number, line) in lines.into_iter().enumerate() {
        let wrong = |what: &str| {
            Usage(format!(
                "{} task {}: {what}",
                args.file.display(),
                number + 1
            ))
        };
        let trial = trial(line, args).map_err(|what| wrong(&what))?;
        if !seen.insert(trial.id.clone()) {
            return Err(wrong(&format!("another task is called {:?} too", trial.id)).into());
        }
        trials.push(trial);
    }
    Ok(trials)
}

/// A line of the caller's. What it says beside `id`, `gold` and `stub` is left
/// as it is: the server knows what a judgement has, and numbers keep all their
/// digits.
fn trial(mut line: BTreeMap<String, Box<RawValue>>, args: &Check) -> Result<Trial, String> {
    let id = match line.remove("id").map(|id| serde_json::from_str(id.get())) {
        Some(Ok(Value::String(id))) if !id.contains(char::is_control) => id,
        Some(Ok(Value::Number(id))) => id.to_string(),
        _ => return Err("\"id\" must be a text of one line, or a number".to_owned()),
    };
    for field in ["code", "files"] {
        if line.contains_key(field) {
            return Err(format!("{field:?} belongs into \"gold\""));
        }
    }
    let raw = |value: Value| to_raw_value(&value).map_err(|e| e.to_string());
    let more = [
        ("cpu_ms", args.cpu),
        ("wall_ms", args.cpu.map(|cpu| cpu.saturating_mul(3))),
        ("memory_bytes", args.memory),
    ];
    if more.iter().any(|(_, given)| given.is_some()) {
        let limits = line.get("limits").map_or("{}", |l| l.get());
        let mut limits: serde_json::Map<String, Value> =
            serde_json::from_str(limits).map_err(|e| format!("\"limits\": {e}"))?;
        for (name, given) in more {
            if let Some(given) = given {
                limits.insert(name.to_owned(), given.into());
            }
        }
        line.insert("limits".to_owned(), raw(Value::Object(limits))?);
    }
    if !line.contains_key("backend") {
        let backend: assize_runtimes::BackendChoice = args.place.backend.into();
        line.insert("backend".to_owned(), raw(json!(backend))?);
    }
    let (gold, stub) = (line.remove("gold"), line.remove("stub"));
    let case = |program: Box<RawValue>| -> Result<Case, String> {
        let field = match program.get().as_bytes().first() {
            Some(b'"') => "code",
            Some(b'{') => "files",
            _ => return Err("gold and stub are code (a text) or files (an object)".to_owned()),
        };
        let mut case = line.clone();
        case.insert(field.to_owned(), program);
        to_raw_value(&case).map_err(|e| e.to_string())
    };
    Ok(Trial {
        gold: gold.map(&case).transpose()?,
        stub: stub.map(&case).transpose()?,
        id,
    })
}
