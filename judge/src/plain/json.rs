//! JSON with exact integers.
//!
//! `serde_json` reads an integer beyond 64 bits as a double, off by up to half
//! a unit in the last place; its `arbitrary_precision` feature would change
//! every crate of the workspace and how their numbers compare. So numbers are
//! read here from their text, by way of [`RawValue`].

use super::{Int, MAX_DEPTH, MAX_NODES};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};

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
    /// Too many values.
    #[error("more than {MAX_NODES} values")]
    Nodes,
}

impl Json {
    /// The value as JSON text, for people.
    #[must_use]
    pub fn show(&self) -> String {
        let text = |s: &str| serde_json::Value::from(s).to_string();
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(b) => b.to_string(),
            Self::Int(Int::Small(n)) => n.to_string(),
            Self::Int(n) => n.to_hex(),
            Self::Float(f) => f.to_string(),
            Self::Str(s) => text(s),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::show).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(pairs) => {
                let pair = |(k, v): &(String, Self)| format!("{}: {}", text(k), v.show());
                let pairs: Vec<String> = pairs.iter().map(pair).collect();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }

    /// Whether two values are the same, whatever the order of members.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Self::Object(a), Self::Object(b)) => {
                let members: HashMap<&str, &Self> =
                    b.iter().map(|(k, v)| (k.as_str(), v)).collect();
                let there = |(k, v): &(String, Self)| {
                    members.get(k.as_str()).is_some_and(|other| v.same(other))
                };
                a.len() == b.len() && a.iter().all(there)
            }
            _ => self == other,
        }
    }

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
    /// When it is not JSON, nested too deep, repeats a key, has more than
    /// [`MAX_NODES`] values, or holds a number that is no finite double and no
    /// integer of at most 100,000 digits.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        Self::from_raw(serde_json::from_str(text).map_err(syntax)?)
    }

    /// Takes over a raw value.
    ///
    /// # Errors
    /// As [`Json::parse`].
    pub fn from_raw(raw: &RawValue) -> Result<Self, JsonError> {
        let mut reader = Reader {
            text: raw.get(),
            at: 0,
            left: MAX_NODES,
        };
        reader.value(0)
    }
}

/// Walks once over text that is known to be JSON. Where it is not, that is an
/// error like any other.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Values that may still come.
    left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::Depth);
        }
        self.left = self.left.checked_sub(1).ok_or(JsonError::Nodes)?;
        match self.next() {
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'"') => self.string().map(Json::Str),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            _ => number(self.taken(|b| b"+-.eE".contains(&b) || b.is_ascii_digit())?),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        let mut items = Vec::new();
        self.at += 1;
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.ends(b']')? {
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        let mut pairs = Vec::new();
        self.at += 1;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(pairs));
        }
        loop {
            self.next();
            let key = self.string()?;
            if self.next() != Some(b':') {
                return Err(broken());
            }
            self.at += 1;
            pairs.push((key, self.value(depth + 1)?));
            if self.ends(b'}')? {
                break;
            }
        }
        let mut seen = HashSet::new();
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !seen.insert(key.as_str())) {
            return Err(JsonError::Duplicate(key.chars().take(100).collect()));
        }
        Ok(Json::Object(pairs))
    }

    /// Steps over what stands between two items: a comma, or the end.
    fn ends(&mut self, end: u8) -> Result<bool, JsonError> {
        let found = self.next();
        self.at += 1;
        match found {
            Some(b',') => Ok(false),
            Some(b) if b == end => Ok(true),
            _ => Err(broken()),
        }
    }

    /// The next byte that is no blank; the place where it stands is taken.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let blanks = rest.iter().take_while(|b| b" \t\n\r".contains(b)).count();
        self.at += blanks;
        rest.get(blanks).copied()
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        match self
            .text
            .get(self.at..)
            .is_some_and(|t| t.starts_with(word))
        {
            true => {
                self.at += word.len();
                Ok(value)
            }
            false => Err(broken()),
        }
    }

    fn taken(&mut self, part: impl Fn(u8) -> bool) -> Result<&'a str, JsonError> {
        let rest = self.text.get(self.at..).ok_or_else(broken)?;
        let length = rest.bytes().take_while(|b| part(*b)).count();
        self.at += length;
        rest.get(..length).ok_or_else(broken)
    }

    /// A string, quotes and all.
    fn string(&mut self) -> Result<String, JsonError> {
        let rest = self.text.get(self.at..).ok_or_else(broken)?;
        let mut escaped = false;
        let end = rest.bytes().enumerate().skip(1).find(|&(_, b)| {
            let ends = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        });
        let (end, _) = end.ok_or_else(broken)?;
        self.at += end + 1;
        serde_json::from_str(&rest[..=end]).map_err(syntax)
    }
}

fn broken() -> JsonError {
    JsonError::Syntax("unexpected text".to_owned())
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
