//! Rows of a query's result, and how two results are compared.
//!
//! What the runner in `runtimes/guest/sql` prints of a candidate's query is an
//! allegation like any other output; it is decoded here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::validator::clip;

/// How two results are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowOrder {
    /// The same rows, in any order and each any number of times: the execution
    /// accuracy of Bird-SQL and Spider.
    Set,
    /// The same rows, each as often, in any order.
    #[default]
    Multiset,
    /// The same rows in the same order.
    Ordered,
}

/// One row.
pub type Row = Vec<Cell>;

/// One value. Numbers compare by value, as in SQL: `1` is `1.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// NULL.
    Null,
    /// An integer, or a real number that is one.
    Integer(i64),
    /// Any other real number, by its bits.
    Real(u64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    /// A real number. Whole ones are integers, as far as those reach.
    #[must_use]
    pub fn real(value: f64) -> Self {
        // 2^63 is the first that is none.
        const END: f64 = 9_223_372_036_854_775_808.0;
        if value.fract() == 0.0 && (-END..END).contains(&value) {
            Self::Integer(value as i64)
        } else {
            Self::Real(value.to_bits())
        }
    }

    /// A value as a request or the runner writes it.
    ///
    /// # Errors
    /// When it is no value of a database.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(Self::Null),
            Value::Bool(flag) => Ok(Self::Integer(i64::from(*flag))),
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Ok(Self::Integer(integer)),
                (None, Some(real)) if number.is_f64() && real.is_finite() => Ok(Self::real(real)),
                (None, _) => Err(format!("{number} is beyond 64 bits")),
            },
            Value::Object(map) => {
                let mut parts = map.iter();
                match (parts.next(), parts.next()) {
                    (Some((key, Value::String(text))), None) => Self::special(key, text),
                    _ => Err("an object is neither blob nor real".to_owned()),
                }
            }
            Value::Array(_) => Err("a list is no value of a database".to_owned()),
        }
    }

    fn special(key: &str, text: &str) -> Result<Self, String> {
        match (key, text) {
            ("real", "inf") => Ok(Self::real(f64::INFINITY)),
            ("real", "-inf") => Ok(Self::real(f64::NEG_INFINITY)),
            ("blob", hex) => unhex(hex).map(Self::Blob),
            _ => Err(format!("{key} is neither blob nor real")),
        }
        .map_err(|e| clip(e.as_bytes()))
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Real(bits) => write!(f, "{}", f64::from_bits(*bits)),
            Self::Text(text) => {
                let shown: String = text.chars().take(40).collect();
                write!(f, "{shown:?}")
            }
            Self::Blob(bytes) => write!(f, "a blob of {} bytes", bytes.len()),
        }
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let bad = || "a blob is not in hexadecimal".to_owned();
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err(bad());
    }
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).map_err(|_| bad()))
        .collect()
}

/// Reads what the runner printed, to its end: a result that was cut off is
/// none.
///
/// # Errors
/// When it is not what the runner prints.
pub fn read(printed: &[u8]) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut lines = printed.split(|b| *b == b'\n');
    for line in lines.by_ref() {
        let value: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        match value {
            Value::Array(cells) => {
                let row: Result<Row, String> = cells.iter().map(Cell::from_json).collect();
                rows.push(row?);
            }
            Value::Object(end) => {
                let count = end.get("rows").and_then(Value::as_u64);
                let rest = lines.next();
                let whole = count == Some(rows.len() as u64);
                return match (whole, rest, lines.next()) {
                    (true, Some([]), None) => Ok(rows),
                    _ => Err("the end does not match".to_owned()),
                };
            }
            _ => return Err("a line is neither a row nor the end".to_owned()),
        }
    }
    Err("there is no end".to_owned())
}

/// Compares two results.
///
/// # Errors
/// With the first difference, in one line.
pub fn compare(order: RowOrder, want: &[Row], got: &[Row]) -> Result<(), String> {
    match order {
        RowOrder::Ordered => {
            for (at, (want, got)) in want.iter().zip(got).enumerate() {
                if want != got {
                    return Err(format!(
                        "row {}: want {}, got {}",
                        at + 1,
                        show(want),
                        show(got)
                    ));
                }
            }
            if want.len() == got.len() {
                return Ok(());
            }
        }
        RowOrder::Set => {
            let (want, got): (BTreeSet<_>, BTreeSet<_>) =
                (want.iter().collect(), got.iter().collect());
            return match (want.difference(&got).next(), got.difference(&want).next()) {
                (Some(row), _) => Err(format!("the row {} is missing", show(row))),
                (None, Some(row)) => Err(format!("the row {} should not be there", show(row))),
                (None, None) => Ok(()),
            };
        }
        RowOrder::Multiset => {
            let (want, got) = (count(want), count(got));
            let rows: BTreeSet<_> = want.keys().chain(got.keys()).collect();
            for row in rows {
                let times = |side: &BTreeMap<&Row, usize>| side.get(row).copied().unwrap_or(0);
                if times(&want) != times(&got) {
                    let (want, got) = (times(&want), times(&got));
                    return Err(format!(
                        "the row {} is there {got} times, not {want}",
                        show(row)
                    ));
                }
            }
            return Ok(());
        }
    }
    Err(format!("want {} rows, got {}", want.len(), got.len()))
}

fn count(rows: &[Row]) -> BTreeMap<&Row, usize> {
    let mut times = BTreeMap::new();
    for row in rows {
        *times.entry(row).or_insert(0) += 1;
    }
    times
}

/// A row for people, bounded.
fn show(row: &Row) -> String {
    let cells: Vec<String> = row.iter().take(8).map(Cell::to_string).collect();
    let more = if row.len() > 8 { ", …" } else { "" };
    format!("({}{more})", cells.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(printed: &str) -> Vec<Row> {
        let count = printed.lines().count();
        read(format!("{printed}{{\"rows\": {count}}}\n").as_bytes()).unwrap()
    }

    fn same(order: RowOrder, want: &str, got: &str) -> bool {
        compare(order, &rows(want), &rows(got)).is_ok()
    }

    #[test]
    fn sets_multisets_and_lists_tell_ever_more_apart() {
        use RowOrder::{Multiset, Ordered, Set};
        let (want, turned, twice, more) = (
            "[1]\n[2]\n",
            "[2]\n[1]\n",
            "[1]\n[2]\n[2]\n",
            "[1]\n[2]\n[3]\n",
        );
        for (order, results) in [
            (Set, [true, true, true, false]),
            (Multiset, [true, true, false, false]),
            (Ordered, [true, false, false, false]),
        ] {
            let found = [want, turned, twice, more].map(|got| same(order, want, got));
            assert_eq!(found, results, "{order:?}");
        }
    }

    #[test]
    fn values_compare_by_value_and_kind() {
        let equal = |a, b| same(RowOrder::Ordered, a, b);
        assert!(equal("[1]\n", "[1.0]\n") && equal("[0.0]\n", "[-0.0]\n"));
        assert!(
            equal("[true]\n", "[1]\n")
                && equal("[{\"real\": \"inf\"}]\n", "[{\"real\": \"inf\"}]\n")
        );
        for other in [
            "[\"1\"]\n",
            "[1.0000000001]\n",
            "[null]\n",
            "[{\"blob\": \"31\"}]\n",
            "[1, null]\n",
        ] {
            assert!(!equal("[1]\n", other), "{other}");
        }
        // No two of these are one number, though doubles would say so.
        assert!(!equal("[9007199254740993]\n", "[9007199254740992.0]\n"));
        assert!(!equal(
            "[9223372036854775807]\n",
            "[9223372036854775808.0]\n"
        ));
        assert!(equal(
            "[{\"blob\": \"00ff\"}]\n",
            "[{\"blob\": \"00FF\"}]\n"
        ));
    }

    #[test]
    fn what_the_runner_would_not_print_is_no_result() {
        for text in [
            "",
            "[1]\n",
            "[1]\n{\"rows\": 2}\n",
            "[1]\n{\"rows\": 1}\n[2]\n",
            "[1]\n{\"rows\": 1}",
            "1\n{\"rows\": 1}\n",
            "[[1]]\n{\"rows\": 1}\n",
            "[18446744073709551615]\n{\"rows\": 1}\n",
            "[{\"blob\": \"0\"}]\n{\"rows\": 1}\n",
            "[{\"real\": \"nan\"}]\n{\"rows\": 1}\n",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(read(b"{\"rows\": 0}\n"), Ok(Vec::new()));
    }

    #[test]
    fn differences_are_bounded_and_escaped() {
        let got = format!("[\"\\u001b{}\"]\n", "x".repeat(1000));
        let said = compare(RowOrder::Ordered, &rows("[1]\n"), &rows(&got)).unwrap_err();
        assert!(said.len() < 200 && !said.contains('\u{1b}'), "{said}");
    }
}
