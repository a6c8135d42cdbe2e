//! The little YAML that packages are described in.

use std::path::Path;

use serde_json::{Map, Value};

use super::PackageError;

/// Longest description that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// A mapping and the file it stands in, for messages.
#[derive(Debug, Clone)]
pub(super) struct Table {
    file: String,
    at: String,
    map: Map<String, Value>,
}

/// Reads a file; an empty one is an empty mapping.
pub(super) fn read(path: &Path) -> Result<Table, PackageError> {
    let file = path.display().to_string();
    let unread = |e: String| PackageError::File(file.clone(), e);
    let size = path.metadata().map_err(|e| unread(e.to_string()))?.len();
    if size > LONGEST {
        return Err(unread(format!("it has {size} bytes, at most {LONGEST}")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| unread(e.to_string()))?;
    parse(&file, &text)
}

pub(super) fn parse(file: &str, text: &str) -> Result<Table, PackageError> {
    let bad = |e: String| PackageError::File(file.to_owned(), e);
    let blank = text
        .lines()
        .all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'));
    let value = if blank {
        Value::Null
    } else {
        serde_saphyr::from_str::<Value>(text).map_err(|e| bad(e.to_string()))?
    };
    let map = match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        _ => return Err(bad("it is not a mapping".to_owned())),
    };
    Ok(Table {
        file: file.to_owned(),
        at: String::new(),
        map,
    })
}

impl Table {
    /// An empty one.
    pub(super) fn none(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            at: String::new(),
            map: Map::new(),
        }
    }

    /// The same with what another has and it has not.
    pub(super) fn over(mut self, other: &Self) -> Self {
        for (key, value) in &other.map {
            self.map.entry(key).or_insert_with(|| value.clone());
        }
        self
    }

    pub(super) fn bad(&self, key: &str, problem: &str) -> PackageError {
        PackageError::File(self.file.clone(), format!("{}{key} {problem}", self.at))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Keys that are none of these.
    pub(super) fn others(&self, known: &[&str]) -> Vec<String> {
        let other = self.map.keys().filter(|k| !known.contains(&k.as_str()));
        other.map(|k| format!("{}{k}", self.at)).collect()
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    pub(super) fn table(&self, key: &str) -> Result<Table, PackageError> {
        let map = match self.value(key) {
            None => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(_) => return Err(self.bad(key, "is not a mapping")),
        };
        Ok(Table {
            file: self.file.clone(),
            at: format!("{}{key}.", self.at),
            map,
        })
    }

    /// A scalar as text: `1e-6` may come as a number.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, PackageError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(flag)) => Ok(Some(flag.to_string())),
            Some(_) => Err(self.bad(key, "is not a text")),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, PackageError> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            Ok(_) | Err(_) => Err(self.bad(key, "is not a number")),
        }
    }

    /// Words: a sequence of texts, or one text split at white space.
    pub(super) fn words(&self, key: &str) -> Result<Vec<String>, PackageError> {
        self.value(key).map_or(Ok(Vec::new()), |v| {
            words(v).ok_or_else(|| self.bad(key, "is neither a text nor a sequence of texts"))
        })
    }
}

/// The words of a value that is a text or a sequence of texts.
pub(super) fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Value::Number(number) => Some(vec![number.to_string()]),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            })
            .collect(),
        Value::Bool(_) | Value::Object(_) => None,
    }
}
