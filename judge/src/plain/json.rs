//! JSON with exact integers.
//!
//! `serde_json` reads an integer beyond 64 bits as a double, off by up to half
//! a unit in the last place; its `arbitrary_precision` feature would change
//! every crate of the workspace and how their numbers compare. So numbers are
//! read here from their text, by way of [`RawValue`].

use super::{Int, MAX_DEPTH};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt;

/// A JSON value whose integers are exact.
///
/// It deserializes from JSON text, also inside a larger structure, but not
/// through serde's buffering (`untagged`, `flatten`, internally tagged enums).
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` and `false`.
    Bool(bool),
    /// A number written without fraction and exponent.
    Int(Int),
    /// Any other number; finite.
    Float(f64),
    /// A string.
    Str(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, in the order written; keys are distinct.
    Object(Vec<(String, Json)>),
}

/// JSON that cannot be taken as an expected value or an argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// A number too large or too long.
    #[error("a number beyond what can be represented")]
    Number,
    /// The same key twice in one object.
    #[error("the key {0:?} twice in one object")]
    Duplicate(String),
    /// Nested too deep.
    #[error("nested more than {MAX_DEPTH} levels")]
    Depth,
}

impl Json {
    /// About how long it is when written, for comparing inputs by length.
    #[must_use]
    pub fn text_len(&self) -> usize {
        match self {
            Self::Null => 4,
            Self::Bool(value) => 5 - usize::from(*value),
            Self::Int(Int::Small(value)) => value.to_string().len(),
            // 1.2 decimal digits for each of its own.
            Self::Int(Int::Big { hex, .. }) => hex.len() * 6 / 5,
            Self::Float(value) => value.to_string().len(),
            Self::Str(text) => text.len() + 2,
            Self::Array(items) => items.iter().map(|i| i.text_len() + 2).sum::<usize>() + 2,
            Self::Object(pairs) => {
                let each = pairs.iter().map(|(k, v)| k.len() + v.text_len() + 6);
                each.sum::<usize>() + 2
            }
        }
    }

    /// Parses JSON text.
    ///
    /// # Errors
    /// When it is not JSON, nested too deep, repeats a key, or holds a number
    /// that is no finite double and no integer of at most 100,000 digits.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        Self::read(serde_json::from_str(text).map_err(syntax)?, 0)
    }

    /// Takes over a raw value.
    ///
    /// # Errors
    /// As [`Json::parse`].
    pub fn from_raw(raw: &RawValue) -> Result<Self, JsonError> {
        Self::read(raw, 0)
    }

    // Each level scans its text once more to split it: depth times length,
    // both bounded, and the scan does not recurse.
    fn read(raw: &RawValue, depth: usize) -> Result<Self, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::Depth);
        }
        let text = raw.get().trim_ascii();
        match text.as_bytes().first() {
            Some(b'n') => Ok(Self::Null),
            Some(b't') => Ok(Self::Bool(true)),
            Some(b'f') => Ok(Self::Bool(false)),
            Some(b'"') => serde_json::from_str(text).map(Self::Str).map_err(syntax),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(syntax)?;
                let items = items.into_iter().map(|item| Self::read(item, depth + 1));
                items.collect::<Result<_, _>>().map(Self::Array)
            }
            Some(b'{') => {
                let Pairs(pairs) = serde_json::from_str(text).map_err(syntax)?;
                let mut seen = HashSet::new();
                if let Some((key, _)) = pairs.iter().find(|(key, _)| !seen.insert(key.as_str())) {
                    return Err(JsonError::Duplicate(key.chars().take(100).collect()));
                }
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| Ok((key, Self::read(value, depth + 1)?)));
                pairs.collect::<Result<_, _>>().map(Self::Object)
            }
            _ => number(text),
        }
    }
}

fn number(text: &str) -> Result<Json, JsonError> {
    if text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        let float: f64 = text.parse().map_err(|_| JsonError::Number)?;
        return if float.is_finite() {
            Ok(Json::Float(float))
        } else {
            Err(JsonError::Number)
        };
    }
    Int::from_decimal(text)
        .map(Json::Int)
        .ok_or(JsonError::Number)
}

fn syntax(error: serde_json::Error) -> JsonError {
    JsonError::Syntax(error.to_string())
}

/// What `serde_json` already holds, with integers as exact as it left them:
/// up to 64 bits.
impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => number(&n.to_string()).unwrap_or(Self::Null),
            Value::String(s) => Self::Str(s.clone()),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Object(map) => {
                Self::Object(map.iter().map(|(k, v)| (k.clone(), v.into())).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_raw(&Box::<RawValue>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// An object's members in order, repeated keys included.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Members).map(Pairs)
    }
}
