//! Plain data: what a candidate's function returned, as data and nothing else.
//!
//! A candidate's process and its tester exchange values as tagged JSON (the
//! tags stand in `runtimes/guest/python/plain.py`). This module decodes what
//! arrived, which is an allegation by an untrusted process, within bounds on
//! depth and count, and compares it with JSON that the problem's author wrote.
//!
//! [`Json`] exists because `serde_json::Value` rounds integers beyond 64 bits;
//! a grader may not.

mod compare;
mod decode;
mod encode;
mod json;
mod number;

pub use compare::{Mismatch, equals_json};
pub use decode::BadData;
pub use encode::{to_javascript_tagged, to_python_tagged, value_to_python_tagged};
pub use json::{Json, JsonError};
pub use number::Int;

/// Deepest nesting, of values as well as of expected JSON.
pub const MAX_DEPTH: usize = 200;
/// Most values in one tree.
pub const MAX_NODES: usize = 2_000_000;

/// A value that came from a candidate.
#[derive(Debug, Clone, PartialEq)]
pub enum PlainValue {
    /// `None`.
    Null,
    /// `True` and `False`, which are not numbers here.
    Bool(bool),
    /// An int of any size.
    Int(Int),
    /// A float, NaN and infinities included.
    Float(f64),
    /// A str.
    Str(String),
    /// A list.
    List(Vec<PlainValue>),
    /// A tuple.
    Tuple(Vec<PlainValue>),
    /// A dict, in insertion order.
    Dict(Vec<(PlainValue, PlainValue)>),
    /// A set, in no order. Members may repeat if the candidate lies.
    Set(Vec<PlainValue>),
    /// A frozenset, likewise.
    FrozenSet(Vec<PlainValue>),
    /// A deque.
    Deque(Vec<PlainValue>),
    /// An iterator, drained.
    Iterator(Vec<PlainValue>),
    /// A range: start, stop, step (never 0).
    Range(Int, Int, Int),
    /// bytes.
    Bytes(Vec<u8>),
    /// A bytearray.
    ByteArray(Vec<u8>),
    /// A complex number.
    Complex(f64, f64),
    /// A `decimal.Decimal`, as text.
    Decimal(String),
    /// A `fractions.Fraction`: numerator, denominator (never 0).
    Fraction(Int, Int),
    /// A `datetime`, `date` or `time`: its kind and its ISO 8601 text.
    Moment(String, String),
    /// A `timedelta`: days, seconds, microseconds.
    TimeDelta(i64, i64, i64),
    /// An object that stayed where it was; equal to nothing.
    Opaque {
        /// Its type's name, as alleged.
        type_name: String,
        /// Its bounded `repr`, as alleged.
        repr: String,
    },
}

#[cfg(test)]
mod tests;
