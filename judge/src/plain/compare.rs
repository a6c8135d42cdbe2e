//! Comparison of a returned value with the JSON its author expects.

use super::number::float_to_hex;
use super::{Int, Json, PlainValue};
use crate::checker::{Tolerance, quote};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt::{self, Write as _};

const MAX_SIDE: usize = 80;
const MAX_PATH: usize = 120;

/// Where a value first differs from the expected one, for people: bounded,
/// without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where, as `[3].name`; empty for the value itself.
    pub path: String,
    /// What was expected there.
    pub want: String,
    /// What was there.
    pub got: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "at {}: ", self.path)?;
        }
        write!(f, "want {}, got {}", self.want, self.got)
    }
}

impl std::error::Error for Mismatch {}

/// Compares `actual` with `expected`.
///
/// - Booleans are not numbers: `True` is not `1`.
/// - Numbers are compared by value and exactly: `3` equals `3.0`, at any size.
/// - With a `tolerance`, an expected number written with a fraction or an
///   exponent accepts any number near enough. An expected integer literal
///   never does: not even `3.0000001` for `3`.
/// - An array equals a list, tuple, deque, range or drained iterator of equal
///   items. Never a set: its order is an accident.
/// - An object equals a dict with the same keys once they are written as
///   `json.dumps` writes them (`1` as `"1"`, `True` as `"true"`, `None` as
///   `"null"`, `1.5` as `"1.5"`). Two keys that become one, and keys that have
///   no such form, equal nothing. Ints beyond 64 bits and floats that Python
///   writes with an exponent count as such keys.
/// - Everything that JSON cannot say (sets, bytes, complex, Decimal, Fraction,
///   times, opaque objects, NaN) equals nothing.
///
/// # Errors
/// With the first difference.
pub fn equals_json(
    actual: &PlainValue,
    expected: &Json,
    tolerance: Option<Tolerance>,
) -> Result<(), Mismatch> {
    let mut path = Vec::new();
    compare(actual, expected, tolerance, &mut path).map_err(|(want, got)| Mismatch {
        path: show_path(&path),
        want,
        got,
    })
}

enum Step<'a> {
    Index(usize),
    Key(&'a str),
}

/// What was wanted and what was there. The path is left as it stood.
type Sides = (String, String);

fn compare<'a>(
    actual: &PlainValue,
    expected: &'a Json,
    tolerance: Option<Tolerance>,
    path: &mut Vec<Step<'a>>,
) -> Result<(), Sides> {
    let equal = match (expected, actual) {
        (Json::Null, PlainValue::Null) => true,
        (Json::Bool(want), PlainValue::Bool(got)) => want == got,
        (Json::Int(want), PlainValue::Int(got)) => want == got,
        (Json::Int(want), PlainValue::Float(got)) => Int::from_f64(*got).as_ref() == Some(want),
        (Json::Float(want), PlainValue::Float(got)) => want == got || near(tolerance, *want, *got),
        (Json::Float(want), PlainValue::Int(got)) => {
            Int::from_f64(*want).as_ref() == Some(got)
                || near(tolerance, *want, got.nearest_double())
        }
        (Json::Str(want), PlainValue::Str(got)) => want == got,
        (
            Json::Array(want),
            PlainValue::List(got)
            | PlainValue::Tuple(got)
            | PlainValue::Deque(got)
            | PlainValue::Iterator(got),
        ) => return sequence(got.len(), got.iter(), want, tolerance, path),
        (Json::Array(want), PlainValue::Range(start, stop, step)) => match range(start, stop, step)
        {
            Some((start, step, length)) => {
                // The members fit, so wrapping is exact even where a product is not.
                let member = |i: usize| start.wrapping_add(step.wrapping_mul(i as i64));
                let items = (0..length).map(|i| PlainValue::Int(Int::Small(member(i))));
                return sequence(length, items, want, tolerance, path);
            }
            None => false,
        },
        (Json::Object(want), PlainValue::Dict(got)) => return mapping(got, want, tolerance, path),
        (
            Json::Null
            | Json::Bool(_)
            | Json::Int(_)
            | Json::Float(_)
            | Json::Str(_)
            | Json::Array(_)
            | Json::Object(_),
            _,
        ) => false,
    };
    if equal {
        Ok(())
    } else {
        Err((show_json(expected), show_plain(actual)))
    }
}

fn near(tolerance: Option<Tolerance>, want: f64, got: f64) -> bool {
    tolerance.is_some_and(|tolerance| tolerance.accepts(want, got))
}

fn lengths(want: usize, got: usize) -> Sides {
    (format!("{want} items"), format!("{got} items"))
}

/// Compares item by item; of a range no more is made than is expected.
fn sequence<'a, T: Borrow<PlainValue>>(
    length: usize,
    got: impl Iterator<Item = T>,
    want: &'a [Json],
    tolerance: Option<Tolerance>,
    path: &mut Vec<Step<'a>>,
) -> Result<(), Sides> {
    for (at, (want, got)) in want.iter().zip(got).enumerate() {
        path.push(Step::Index(at));
        compare(got.borrow(), want, tolerance, path)?;
        path.pop();
    }
    if length == want.len() {
        Ok(())
    } else {
        Err(lengths(want.len(), length))
    }
}

/// Start, step and length of a range whose members all fit 64 bits.
fn range(start: &Int, stop: &Int, step: &Int) -> Option<(i64, i64, usize)> {
    let (Int::Small(start), Int::Small(stop), Int::Small(step)) = (start, stop, step) else {
        return None;
    };
    let (span, stride) = if *step > 0 {
        (i128::from(*stop) - i128::from(*start), i128::from(*step))
    } else {
        (i128::from(*start) - i128::from(*stop), -i128::from(*step))
    };
    let length = if span <= 0 {
        0
    } else {
        (span + stride - 1) / stride
    };
    Some((*start, *step, usize::try_from(length).ok()?))
}

fn mapping<'a>(
    got: &[(PlainValue, PlainValue)],
    want: &'a [(String, Json)],
    tolerance: Option<Tolerance>,
    path: &mut Vec<Step<'a>>,
) -> Result<(), Sides> {
    let mut members = HashMap::with_capacity(got.len());
    for (key, value) in got {
        let Some(text) = key_text(key) else {
            return Err((
                "an object".to_owned(),
                format!("a dict with the key {}", show_plain(key)),
            ));
        };
        if members.insert(text, value).is_some() {
            return Err((
                "an object".to_owned(),
                format!("a dict with the key {} twice", show_plain(key)),
            ));
        }
    }
    for (key, want) in want {
        path.push(Step::Key(key));
        match members.remove(key.as_str()) {
            Some(got) => compare(got, want, tolerance, path)?,
            None => return Err((show_json(want), "no such key".to_owned())),
        }
        path.pop();
    }
    match members.keys().min() {
        None => Ok(()),
        Some(extra) => Err((
            "no more keys".to_owned(),
            format!("the key {}", quote(extra.as_bytes(), MAX_SIDE)),
        )),
    }
}

/// A dict's key as `json.dumps` writes it, where that is easily said.
fn key_text(key: &PlainValue) -> Option<String> {
    match key {
        PlainValue::Str(text) => Some(text.clone()),
        PlainValue::Int(Int::Small(n)) => Some(n.to_string()),
        PlainValue::Bool(b) => Some(b.to_string()),
        PlainValue::Null => Some("null".to_owned()),
        // In this span Rust and Python write the same digits.
        PlainValue::Float(f) if *f == 0.0 || (1e-4..1e16).contains(&f.abs()) => {
            Some(format!("{f:?}"))
        }
        PlainValue::Float(_)
        | PlainValue::Int(Int::Big { .. })
        | PlainValue::List(_)
        | PlainValue::Tuple(_)
        | PlainValue::Dict(_)
        | PlainValue::Set(_)
        | PlainValue::FrozenSet(_)
        | PlainValue::Deque(_)
        | PlainValue::Iterator(_)
        | PlainValue::Range(..)
        | PlainValue::Bytes(_)
        | PlainValue::ByteArray(_)
        | PlainValue::Complex(..)
        | PlainValue::Decimal(_)
        | PlainValue::Fraction(..)
        | PlainValue::Moment(..)
        | PlainValue::TimeDelta(..)
        | PlainValue::Opaque { .. } => None,
    }
}

fn show_path(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Index(at) => write!(out, "[{at}]").unwrap_or_default(),
            Step::Key(key) => {
                let plain =
                    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if plain && key.len() <= 40 {
                    write!(out, ".{key}").unwrap_or_default();
                } else {
                    write!(out, "[{}]", quote(key.as_bytes(), 40)).unwrap_or_default();
                }
            }
        }
        if out.len() > MAX_PATH {
            return out.chars().take(MAX_PATH).chain(['…']).collect();
        }
    }
    out
}

fn show_int(int: &Int) -> String {
    match int {
        Int::Small(n) => n.to_string(),
        Int::Big { hex, .. } if hex.len() > 40 => format!("an int of {} bits", 4 * hex.len()),
        Int::Big { .. } => int.to_hex(),
    }
}

fn show_float(float: f64) -> String {
    if float.is_finite() {
        format!("{float:?}")
    } else {
        float_to_hex(float)
    }
}

fn show_json(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(b) => b.to_string(),
        Json::Int(n) => show_int(n),
        Json::Float(f) => show_float(*f),
        Json::Str(s) => quote(s.as_bytes(), MAX_SIDE),
        Json::Array(items) => format!("an array of {} items", items.len()),
        Json::Object(pairs) => format!("an object of {} keys", pairs.len()),
    }
}

fn show_plain(value: &PlainValue) -> String {
    let many = |kind: &str, count: usize| format!("a {kind} of {count} items");
    match value {
        PlainValue::Null => "None".to_owned(),
        PlainValue::Bool(true) => "True".to_owned(),
        PlainValue::Bool(false) => "False".to_owned(),
        PlainValue::Int(n) => show_int(n),
        PlainValue::Float(f) => show_float(*f),
        PlainValue::Str(s) => quote(s.as_bytes(), MAX_SIDE),
        PlainValue::List(items) => many("list", items.len()),
        PlainValue::Tuple(items) => many("tuple", items.len()),
        PlainValue::Dict(pairs) => many("dict", pairs.len()),
        PlainValue::Set(items) => many("set", items.len()),
        PlainValue::FrozenSet(items) => many("frozenset", items.len()),
        PlainValue::Deque(items) => many("deque", items.len()),
        PlainValue::Iterator(items) => many("iterator", items.len()),
        PlainValue::Range(a, b, c) => {
            format!("range({}, {}, {})", show_int(a), show_int(b), show_int(c))
        }
        PlainValue::Bytes(bytes) => format!("bytes {}", quote(bytes, MAX_SIDE)),
        PlainValue::ByteArray(bytes) => format!("bytearray {}", quote(bytes, MAX_SIDE)),
        PlainValue::Complex(real, imag) => {
            format!("complex({}, {})", show_float(*real), show_float(*imag))
        }
        PlainValue::Decimal(text) => format!("Decimal {}", quote(text.as_bytes(), MAX_SIDE)),
        PlainValue::Fraction(n, d) => format!("Fraction({}, {})", show_int(n), show_int(d)),
        PlainValue::Moment(kind, text) => format!("{kind} {}", quote(text.as_bytes(), MAX_SIDE)),
        PlainValue::TimeDelta(d, s, u) => format!("timedelta({d}, {s}, {u})"),
        PlainValue::Opaque { type_name, repr } => {
            format!(
                "an object {} {}",
                quote(type_name.as_bytes(), 40),
                quote(repr.as_bytes(), MAX_SIDE)
            )
        }
    }
}
