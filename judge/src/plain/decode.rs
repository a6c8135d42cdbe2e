//! Decoding of tagged JSON, straight from its bytes and within bounds.
//!
//! One pass: no tree of JSON is built first, so nothing is allocated for what
//! the bounds will refuse, and a tagged object with a second key is seen.

use super::number::float_from_hex;
use super::{Int, MAX_DEPTH, MAX_NODES, PlainValue};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// Bytes that no honest guest sends as a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad data: {0}")]
pub struct BadData(String);

impl PlainValue {
    /// Decodes one value that is the whole of `bytes`.
    ///
    /// # Errors
    /// When it is not exactly one well-formed tagged value within the bounds.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BadData> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        // serde_json stops at 128 levels of JSON; a dict takes three for one
        // of ours. The seed below counts ours and stops at MAX_DEPTH.
        deserializer.disable_recursion_limit();
        let value = Self::deserialize(&mut deserializer).map_err(bad)?;
        deserializer.end().map_err(bad)?;
        Ok(value)
    }

    /// Decodes a value that is already JSON.
    ///
    /// # Errors
    /// As [`PlainValue::from_slice`].
    pub fn from_value(value: &serde_json::Value) -> Result<Self, BadData> {
        Self::deserialize(value).map_err(bad)
    }
}

fn bad(error: serde_json::Error) -> BadData {
    // Of serde's own messages some quote what was sent.
    BadData(crate::checker::quote(error.to_string().as_bytes(), 150))
}

/// Each value so deserialized has bounds of its own. Through a `serde_json`
/// deserializer with its default limit, 128 levels of JSON are the bound.
impl<'de> Deserialize<'de> for PlainValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Node {
            depth: 0,
            left: &Cell::new(MAX_NODES),
        }
        .deserialize(deserializer)
    }
}

/// The seed of one value: how deep it is, and how many more there may be.
#[derive(Clone, Copy)]
struct Node<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Node<'_> {
    fn below(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = PlainValue;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<PlainValue, D::Error> {
        if self.depth > MAX_DEPTH {
            return Err(D::Error::custom("too deep"));
        }
        let left = self
            .left
            .get()
            .checked_sub(1)
            .ok_or_else(|| D::Error::custom("too many values"))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = PlainValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tagged plain data")
    }

    fn visit_unit<E>(self) -> Result<PlainValue, E> {
        Ok(PlainValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<PlainValue, E> {
        Ok(PlainValue::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<PlainValue, E> {
        if value.unsigned_abs() < 1 << 53 {
            Ok(PlainValue::Int(Int::Small(value)))
        } else {
            Err(E::custom("an int that should be tagged"))
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<PlainValue, E> {
        self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn visit_str<E>(self, value: &str) -> Result<PlainValue, E> {
        Ok(PlainValue::Str(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<PlainValue, E> {
        Ok(PlainValue::Str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<PlainValue, A::Error> {
        Items(self).visit_seq(seq).map(PlainValue::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PlainValue, A::Error> {
        let tag: String = map.next_key()?.ok_or_else(|| A::Error::custom("no tag"))?;
        let value = match tag.as_str() {
            "i" => PlainValue::Int(int(map.next_value()?)?),
            "f" => PlainValue::Float(float(map.next_value()?)?),
            "t" => PlainValue::Tuple(map.next_value_seed(Items(self))?),
            "d" => PlainValue::Dict(map.next_value_seed(Pairs(self))?),
            "s" => PlainValue::Set(map.next_value_seed(Items(self))?),
            "z" => PlainValue::FrozenSet(map.next_value_seed(Items(self))?),
            "q" => PlainValue::Deque(map.next_value_seed(Items(self))?),
            "g" => PlainValue::Iterator(map.next_value_seed(Items(self))?),
            "b" => PlainValue::Bytes(bytes(map.next_value()?)?),
            "y" => PlainValue::ByteArray(bytes(map.next_value()?)?),
            "m" => PlainValue::Decimal(map.next_value()?),
            "c" => {
                let (real, imag): (String, String) = map.next_value()?;
                PlainValue::Complex(float(real)?, float(imag)?)
            }
            "r" => {
                let (numerator, denominator): (String, String) = map.next_value()?;
                PlainValue::Fraction(int(numerator)?, not_zero(int(denominator)?)?)
            }
            "R" => range(map.next_value_seed(Items(self))?)?,
            "T" => map.next_value_seed(Moment)?,
            "o" => {
                let (type_name, repr): (String, String) = map.next_value()?;
                PlainValue::Opaque { type_name, repr }
            }
            // What only JavaScript has: nothing in JSON equals it.
            "u" => foreign(&mut map, "undefined")?,
            "M" => foreign(&mut map, "Map")?,
            "D" => foreign(&mut map, "Date")?,
            "x" => foreign(&mut map, "RegExp")?,
            _ => return Err(A::Error::custom("unknown tag")),
        };
        match map.next_key::<serde::de::IgnoredAny>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::custom("a second tag")),
        }
    }
}

fn foreign<'de, A: MapAccess<'de>>(map: &mut A, type_name: &str) -> Result<PlainValue, A::Error> {
    map.next_value::<serde::de::IgnoredAny>()?;
    Ok(PlainValue::Opaque {
        type_name: type_name.to_owned(),
        repr: String::new(),
    })
}

fn int<E: Error>(text: String) -> Result<Int, E> {
    Int::from_hex(&text).ok_or_else(|| E::custom("not a hexadecimal int"))
}

fn float<E: Error>(text: String) -> Result<f64, E> {
    float_from_hex(&text).ok_or_else(|| E::custom("not a hexadecimal float"))
}

fn not_zero<E: Error>(int: Int) -> Result<Int, E> {
    if int == Int::Small(0) {
        Err(E::custom("zero"))
    } else {
        Ok(int)
    }
}

fn range<E: Error>(items: Vec<PlainValue>) -> Result<PlainValue, E> {
    match <[PlainValue; 3]>::try_from(items) {
        Ok(
            [
                PlainValue::Int(start),
                PlainValue::Int(stop),
                PlainValue::Int(step),
            ],
        ) => Ok(PlainValue::Range(start, stop, not_zero(step)?)),
        _ => Err(E::custom("not a range")),
    }
}

fn bytes<E: Error>(text: String) -> Result<Vec<u8>, E> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pairs = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?))
        .collect();
    bytes.ok_or_else(|| E::custom("not hexadecimal"))
}

/// The seed of a list of values.
struct Items<'a>(Node<'a>);

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = Vec<PlainValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = Vec<PlainValue>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.0.below())? {
            items.push(item);
        }
        Ok(items)
    }
}

/// The seed of a list of `[key, value]`.
struct Pairs<'a>(Node<'a>);

impl<'de> DeserializeSeed<'de> for Pairs<'_> {
    type Value = Vec<(PlainValue, PlainValue)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pairs<'_> {
    type Value = Vec<(PlainValue, PlainValue)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pairs")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = seq.next_element_seed(Items(self.0))? {
            let [key, value] =
                <[PlainValue; 2]>::try_from(pair).map_err(|_| A::Error::custom("not a pair"))?;
            pairs.push((key, value));
        }
        Ok(pairs)
    }
}

/// The seed of `[kind, text]` or `["timedelta", [days, seconds, micros]]`.
struct Moment;

impl<'de> DeserializeSeed<'de> for Moment {
    type Value = PlainValue;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<PlainValue, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Moment {
    type Value = PlainValue;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kind of time and its text")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PlainValue, A::Error> {
        let short = || A::Error::custom("too short");
        let kind: String = seq.next_element()?.ok_or_else(short)?;
        let value = match kind.as_str() {
            "timedelta" => {
                let (days, seconds, micros) = seq.next_element()?.ok_or_else(short)?;
                PlainValue::TimeDelta(days, seconds, micros)
            }
            "datetime" | "date" | "time" => {
                PlainValue::Moment(kind, seq.next_element()?.ok_or_else(short)?)
            }
            _ => return Err(A::Error::custom("unknown kind of time")),
        };
        match seq.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::custom("too long")),
        }
    }
}
