//! HumanEval: `{task_id, prompt, entry_point, canonical_solution, test}`, and
//! HumanEvalPack's JavaScript, which has `declaration` too.

use serde::Deserialize;

use super::{Task, functions, imports, script};

#[derive(Debug, Deserialize)]
pub(super) struct Line {
    task_id: String,
    prompt: String,
    entry_point: String,
    #[serde(default)]
    canonical_solution: String,
    #[serde(default)]
    declaration: Option<String>,
    test: String,
}

impl From<Line> for Task {
    fn from(line: Line) -> Self {
        if line.task_id.starts_with("JavaScript/") {
            return line.javascript();
        }
        // The script runs apart from the program, so the modules that the
        // tests take for granted have to be imported again.
        let text = if line.declaration.is_some() {
            format!("{}{}\n", imports(&line.prompt), line.test)
        } else {
            let call = format!("check({})", line.entry_point);
            format!("{}{}\n{call}\n", imports(&line.prompt), line.test)
        };
        // Tests may use helpers of the prompt.
        let mut names = functions(&line.prompt);
        if !names.contains(&line.entry_point) {
            names.push(line.entry_point);
        }
        names.dedup();
        Self {
            tests: vec![script(&line.task_id, text, Some(names))],
            id: line.task_id,
            language: "python",
            prompt: line.prompt,
            canonical: Some(line.canonical_solution).filter(|s| !s.is_empty()),
            stub: "    return None\n".into(),
        }
    }
}

impl Line {
    fn javascript(self) -> Task {
        Task {
            tests: vec![script(&self.task_id, self.test, None)],
            id: self.task_id,
            language: "javascript",
            prompt: self.declaration.unwrap_or(self.prompt),
            canonical: Some(self.canonical_solution).filter(|s| !s.is_empty()),
            stub: "  return undefined\n}\n".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_and_imports_of_the_prompt_reach_the_tests() {
        let line = Line {
            task_id: "T/0".into(),
            prompt: "import math\nfrom typing import List\n\ndef poly(x):\n    return x\n\n\
                     def find(x):\n    \"\"\"def no(x)\"\"\"\n"
                .into(),
            entry_point: "find".into(),
            canonical_solution: String::new(),
            declaration: None,
            test: "def check(candidate):\n    assert candidate(poly(1)) == 1\n".into(),
        };
        let task = Task::from(line);
        let test = &task.tests[0];
        assert_eq!(test.names.as_deref().unwrap(), ["poly", "find"]);
        let script = test.script.as_deref().unwrap();
        assert!(script.starts_with("import math\nfrom typing import List\n"));
        assert!(script.ends_with("check(find)\n"));
    }
}
