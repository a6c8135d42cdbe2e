//! Data sets: tasks with their own solutions and tests, one JSON object a
//! line, plain or gzipped. Each format has a file; which one a line is in is
//! told by its members.

mod cruxeval;
mod evalplus;
mod humaneval;
mod mbpp;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use assize_api::types::{JudgementRequest, TestSpec};
use assize_policies::LimitsRequest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Usage;
use crate::args::Backend;

/// A task, whatever its format.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) language: &'static str,
    /// What stands before every completion.
    pub(crate) prompt: String,
    /// The data set's own solution, as a completion.
    pub(crate) canonical: Option<String>,
    /// A completion that does nothing: no sound test accepts it.
    pub(crate) stub: String,
    pub(crate) tests: Vec<TestSpec>,
}

/// A sample for a task.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Sample {
    #[serde(deserialize_with = "id")]
    pub(crate) task_id: String,
    /// What follows the prompt.
    #[serde(default)]
    pub(crate) completion: Option<String>,
    /// The whole program instead.
    #[serde(default)]
    pub(crate) solution: Option<String>,
}

/// Ids are texts here and numbers in MBPP.
fn id<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

impl Task {
    /// The program that a sample makes.
    pub(crate) fn program(&self, sample: &Sample) -> String {
        match (&sample.solution, &sample.completion) {
            (Some(whole), _) => whole.clone(),
            (None, completion) => {
                let completion = completion.as_deref().unwrap_or_default();
                format!("{}{completion}\n", self.prompt)
            }
        }
    }

    /// What judges `program` as an answer to this task, with so many
    /// milliseconds of CPU time and so many bytes.
    pub(crate) fn request(
        &self,
        program: String,
        backend: Backend,
        cpu: u64,
        memory: u64,
    ) -> JudgementRequest {
        JudgementRequest {
            language: self.language.into(),
            code: Some(program),
            backend: backend.into(),
            limits: LimitsRequest {
                cpu_ms: Some(cpu),
                wall_ms: Some(cpu.saturating_mul(3)),
                memory_bytes: Some(memory),
                ..LimitsRequest::default()
            },
            tests: self.tests.clone(),
            ..JudgementRequest::default()
        }
    }

    fn from_line(line: Value) -> Result<Vec<Self>, serde_json::Error> {
        let has = |name: &str| line.get(name).is_some();
        if has("plus_input") {
            serde_json::from_value::<evalplus::Line>(line).map(|l| vec![l.into()])
        } else if has("test_list") {
            serde_json::from_value::<mbpp::Line>(line).map(|l| vec![l.into()])
        } else if has("input") && has("output") && has("code") {
            serde_json::from_value::<cruxeval::Line>(line).map(|l| l.tasks().into())
        } else {
            serde_json::from_value::<humaneval::Line>(line).map(|l| vec![l.into()])
        }
    }
}

/// Reads the tasks, by id.
pub(crate) fn tasks(path: &Path) -> Result<BTreeMap<String, Task>> {
    let mut tasks = BTreeMap::new();
    for (number, line) in lines::<Value>(path)?.into_iter().enumerate() {
        let of_line = Task::from_line(line)
            .map_err(|e| Usage(format!("{} task {}: {e}", path.display(), number + 1)))?;
        tasks.extend(of_line.into_iter().map(|task| (task.id.clone(), task)));
    }
    if tasks.is_empty() {
        return Err(Usage(format!("{}: no tasks", path.display())).into());
    }
    Ok(tasks)
}

/// Reads one JSON document a line.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut items = Vec::new();
    for (number, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.with_context(|| format!("{}", path.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        let item = serde_json::from_str(&line)
            .map_err(|e| Usage(format!("{} line {}: {e}", path.display(), number + 1)))?;
        items.push(item);
    }
    Ok(items)
}

/// A test script.
fn script(id: &str, text: String, names: Option<Vec<String>>) -> TestSpec {
    TestSpec {
        id: Some(id.to_owned()),
        script: Some(text),
        names,
        ..TestSpec::default()
    }
}

/// Lines of Python at the top level that import something.
fn imports(source: &str) -> String {
    source
        .lines()
        .filter(|l| l.starts_with("import ") || l.starts_with("from "))
        .map(|l| format!("{l}\n"))
        .collect()
}

/// Functions defined at the top level of a piece of Python.
fn functions(source: &str) -> Vec<String> {
    let name = |l: &str| Some(l.strip_prefix("def ")?.split('(').next()?.trim().to_owned());
    source.lines().filter_map(name).collect()
}
