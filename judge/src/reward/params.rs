//! Parameters of reward schemes, read one by one: what is out of range or left
//! over is refused by name.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::Levels;

/// A parameter that a scheme does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reward.params.{param}: {problem}")]
pub struct ParamError {
    /// Its name.
    pub param: String,
    /// What is wrong with it.
    pub problem: String,
}

pub(super) struct Params<'a> {
    scheme: &'a str,
    given: &'a Map<String, Value>,
    read: BTreeSet<&'static str>,
}

impl<'a> Params<'a> {
    pub(super) fn new(scheme: &'a str, given: &'a Map<String, Value>) -> Self {
        Self {
            scheme,
            given,
            read: BTreeSet::new(),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.insert(name);
        self.given.get(name)
    }

    /// A number, or its default.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> Result<f64, ParamError> {
        match self.take(name) {
            None => Ok(default),
            Some(value) => in_range(name, value, &range),
        }
    }

    /// A number without a default.
    pub(super) fn needed(
        &mut self,
        name: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<f64, ParamError> {
        match self.take(name) {
            None => Err(wrong(name, format!("scheme {} needs it", self.scheme))),
            Some(value) => in_range(name, value, &range),
        }
    }

    /// A number of tests.
    pub(super) fn count(
        &mut self,
        name: &'static str,
        default: usize,
    ) -> Result<usize, ParamError> {
        let Some(value) = self.take(name) else {
            return Ok(default);
        };
        let count = value.as_u64().and_then(|n| usize::try_from(n).ok());
        count
            .filter(|n| *n > 0)
            .ok_or_else(|| wrong(name, "must be a whole number from 1 up".into()))
    }

    pub(super) fn levels(&mut self, default: Levels, all: bool) -> Result<Levels, ParamError> {
        const ANY: RangeInclusive<f64> = -1e6..=1e6;
        Ok(Levels {
            compile: self.number("compile", default.compile, ANY)?,
            runtime: self.number("runtime", default.runtime, ANY)?,
            failed: self.number(if all { "failed" } else { "floor" }, default.failed, ANY)?,
            passed: self.number("passed", default.passed, ANY)?,
        })
    }

    /// One weight per item, none negative and not all 0.
    pub(super) fn weights(
        &mut self,
        name: &'static str,
        count: usize,
    ) -> Result<Vec<f64>, ParamError> {
        let needed = format!("scheme {} needs it", self.scheme);
        let value = self.take(name).ok_or_else(|| wrong(name, needed))?;
        weights(name, value, count)
    }

    /// Points of subtasks; 1 each by default.
    pub(super) fn points(&mut self, subtasks: usize) -> Result<Vec<f64>, ParamError> {
        match self.take("points") {
            None => Ok(vec![1.0; subtasks]),
            Some(value) => weights("points", value, subtasks),
        }
    }

    /// Lists of test numbers, counted from 0, which together name every test.
    pub(super) fn subtasks(&mut self, tests: usize) -> Result<Vec<Vec<usize>>, ParamError> {
        const NAME: &str = "subtasks";
        let problem = || {
            let last = tests.saturating_sub(1);
            wrong(
                NAME,
                format!("must be lists of test numbers 0 to {last}, none empty, naming every test"),
            )
        };
        let lists = self.take(NAME).and_then(Value::as_array);
        let mut subtasks = Vec::new();
        let mut seen = BTreeSet::new();
        for list in lists.ok_or_else(problem)? {
            let mut numbers = Vec::new();
            for item in list.as_array().ok_or_else(problem)? {
                let number = item.as_u64().and_then(|n| usize::try_from(n).ok());
                numbers.push(number.filter(|n| *n < tests).ok_or_else(problem)?);
            }
            if numbers.is_empty() {
                return Err(problem());
            }
            seen.extend(numbers.iter().copied());
            subtasks.push(numbers);
        }
        if seen.len() != tests {
            return Err(problem());
        }
        Ok(subtasks)
    }

    /// Refuses what nobody read.
    pub(super) fn nothing_left(self) -> Result<(), ParamError> {
        let unread = |name: &&String| !self.read.contains(name.as_str());
        match self.given.keys().find(unread) {
            None => Ok(()),
            Some(name) => Err(ParamError {
                param: name.chars().take(100).collect(),
                problem: format!("scheme {} has no such parameter", self.scheme),
            }),
        }
    }
}

fn wrong(name: &str, problem: String) -> ParamError {
    ParamError {
        param: name.to_owned(),
        problem,
    }
}

fn in_range(name: &str, value: &Value, range: &RangeInclusive<f64>) -> Result<f64, ParamError> {
    value.as_f64().filter(|n| range.contains(n)).ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        wrong(name, format!("must be a number from {least} to {most}"))
    })
}

fn weights(name: &str, value: &Value, count: usize) -> Result<Vec<f64>, ParamError> {
    let numbers: Option<Vec<f64>> = value
        .as_array()
        .and_then(|list| list.iter().map(Value::as_f64).collect());
    let sound = |all: &Vec<f64>| {
        all.len() == count
            && all.iter().all(|w| (0.0..=1e9).contains(w))
            && all.iter().sum::<f64>() > 0.0
    };
    numbers.filter(sound).ok_or_else(|| {
        wrong(
            name,
            format!("must be {count} numbers from 0 up, not all of them 0"),
        )
    })
}
