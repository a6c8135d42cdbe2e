//! From JSON in a request to the tagged form a guest decodes.

use super::number::float_to_hex;
use super::{Int, Json};
use serde_json::{Value, json};

/// `json` as tagged plain data: objects become dicts with str keys, numbers
/// with a fraction or an exponent become floats, long integers stay exact.
#[must_use]
pub fn to_python_tagged(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Int(Int::Small(n)) if n.unsigned_abs() < 1 << 53 => Value::from(*n),
        Json::Int(n) => json!({ "i": n.to_hex() }),
        Json::Float(f) => json!({ "f": float_to_hex(*f) }),
        Json::Str(s) => Value::String(s.clone()),
        Json::Array(items) => items.iter().map(to_python_tagged).collect(),
        Json::Object(pairs) => {
            let pairs: Value = pairs
                .iter()
                .map(|(k, v)| json!([k, to_python_tagged(v)]))
                .collect();
            json!({ "d": pairs })
        }
    }
}

/// The same for a language whose numbers are doubles: an integer beyond 2**53
/// is a double where one holds it exactly, else a bigint.
#[must_use]
pub fn to_javascript_tagged(json: &Json) -> Value {
    match json {
        Json::Int(n) => match n.exact_double() {
            Some(double) => to_python_tagged(&Json::Float(double)),
            None => to_python_tagged(json),
        },
        Json::Array(items) => items.iter().map(to_javascript_tagged).collect(),
        Json::Object(pairs) => {
            let pair = |(k, v): &(String, Json)| json!([k, to_javascript_tagged(v)]);
            json!({ "d": pairs.iter().map(pair).collect::<Value>() })
        }
        Json::Null | Json::Bool(_) | Json::Float(_) | Json::Str(_) => to_python_tagged(json),
    }
}

/// As [`to_python_tagged`], from what `serde_json` already holds: integers
/// beyond 64 bits have become floats by then.
#[must_use]
pub fn value_to_python_tagged(value: &Value) -> Value {
    to_python_tagged(&Json::from(value))
}
