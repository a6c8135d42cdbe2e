//! CRUXEval: `{id, code, input, output}`, two tasks a line: the output is to be
//! predicted (`ID/output`), or an input that gives it (`ID/input`).

use assize_api::types::{PredictionSpec, TestSpec};
use serde::Deserialize;

use super::Task;

#[derive(Debug, Deserialize)]
pub(super) struct Line {
    id: String,
    code: String,
    input: String,
    output: String,
}

impl Line {
    pub(super) fn tasks(self) -> [Task; 2] {
        let task = |what: &str, input: Option<&String>, output: Option<&String>, own: &String| {
            let prediction = PredictionSpec {
                program: self.code.clone(),
                function: None,
                input: input.cloned(),
                output: output.cloned(),
            };
            Task {
                id: format!("{}/{what}", self.id),
                language: "python",
                prompt: String::new(),
                canonical: Some(own.clone()),
                // No literal, and a call without arguments.
                stub: String::new(),
                tests: vec![TestSpec {
                    id: Some(what.to_owned()),
                    prediction: Some(prediction),
                    ..TestSpec::default()
                }],
            }
        };
        [
            task("output", Some(&self.input), None, &self.output),
            task("input", None, Some(&self.output), &self.input),
        ]
    }
}
