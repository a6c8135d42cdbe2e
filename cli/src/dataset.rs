//! Data sets: the HumanEval format, plain or gzipped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Usage;

/// A task of HumanEval.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Task {
    pub(crate) task_id: String,
    pub(crate) prompt: String,
    pub(crate) entry_point: String,
    #[serde(default)]
    pub(crate) canonical_solution: String,
    pub(crate) test: String,
}

/// A sample for a task.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Sample {
    pub(crate) task_id: String,
    pub(crate) completion: String,
}

impl Task {
    /// The program a completion makes.
    pub(crate) fn program(&self, completion: &str) -> String {
        format!("{}{completion}\n", self.prompt)
    }

    /// The test script: what the prompt imports, the tests, the call of
    /// `check`. The script runs apart from the program, so the modules that
    /// the tests take for granted have to be imported again.
    pub(crate) fn script(&self) -> String {
        let imports: String = self
            .prompt
            .lines()
            .filter(|l| l.starts_with("import ") || l.starts_with("from "))
            .map(|l| format!("{l}\n"))
            .collect();
        format!("{imports}{}\ncheck({})\n", self.test, self.entry_point)
    }

    /// The functions of the prompt: tests may use its helpers too.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .prompt
            .lines()
            .filter_map(|l| l.strip_prefix("def ")?.split('(').next())
            .map(|name| name.trim().to_owned())
            .collect();
        if !names.contains(&self.entry_point) {
            names.push(self.entry_point.clone());
        }
        names.dedup();
        names
    }
}

/// Reads the tasks, by id.
pub(crate) fn tasks(path: &Path) -> Result<BTreeMap<String, Task>> {
    let tasks: Vec<Task> = lines(path)?;
    if tasks.is_empty() {
        return Err(Usage(format!("{}: no tasks", path.display())).into());
    }
    Ok(tasks.into_iter().map(|t| (t.task_id.clone(), t)).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_and_imports_of_the_prompt_reach_the_tests() {
        let task = Task {
            task_id: "T/0".into(),
            prompt: "import math\nfrom typing import List\n\ndef poly(x):\n    return x\n\n\
                     def find(x):\n    \"\"\"def no(x)\"\"\"\n"
                .into(),
            entry_point: "find".into(),
            canonical_solution: String::new(),
            test: "def check(candidate):\n    assert candidate(poly(1)) == 1\n".into(),
        };
        assert_eq!(task.names(), ["poly", "find"]);
        let script = task.script();
        assert!(script.starts_with("import math\nfrom typing import List\n"));
        assert!(script.ends_with("check(find)\n"));
    }
}
