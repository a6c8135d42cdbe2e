//! Execution accuracy of queries (Spider, BIRD): whether two results are the
//! same rows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Undefined, undefined};

/// What "the same" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// The same set of rows: BIRD's official EX, for which a row that comes
    /// twice is there once.
    Set,
    /// The same rows equally often, in any order.
    Multiset,
    /// The same rows in the same order.
    Ordered,
}

/// A value of a query's result, comparable: `1` and `1.0` are one value, as in
/// SQL and in the graders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Null,
    Whole(i128),
    /// The bits of a number that is not whole.
    Real(u64),
    Text(String),
}

fn cell(value: &Value) -> Option<Cell> {
    match value {
        Value::Null => Some(Cell::Null),
        Value::String(text) => Some(Cell::Text(text.clone())),
        Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                return Some(Cell::Whole(whole.into()));
            }
            if let Some(whole) = number.as_u64() {
                return Some(Cell::Whole(whole.into()));
            }
            let real = number.as_f64()?;
            // Beyond this a whole number would not say which one it was.
            let whole = real.fract() == 0.0 && real.abs() <= 9_007_199_254_740_992.0;
            Some(if whole {
                Cell::Whole(real as i128)
            } else {
                Cell::Real(real.to_bits())
            })
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn rows(field: &str, all: &[Vec<Value>]) -> Result<Vec<Vec<Cell>>, Undefined> {
    let row = |(index, row): (usize, &Vec<Value>)| {
        row.iter()
            .map(cell)
            .collect::<Option<Vec<Cell>>>()
            .ok_or_else(|| {
                let reason = "values are null, numbers or strings";
                undefined(format!("{field}[{index}]"), reason)
            })
    };
    all.iter().enumerate().map(row).collect()
}

impl Rows {
    /// Whether two results are the same.
    ///
    /// # Errors
    /// When a value is none that a query yields.
    pub fn same(self, got: &[Vec<Value>], want: &[Vec<Value>]) -> Result<bool, Undefined> {
        let (mut got, mut want) = (rows("got", got)?, rows("want", want)?);
        Ok(match self {
            Self::Ordered => got == want,
            Self::Multiset => {
                got.sort();
                want.sort();
                got == want
            }
            Self::Set => {
                let got: BTreeSet<Vec<Cell>> = got.into_iter().collect();
                let want: BTreeSet<Vec<Cell>> = want.into_iter().collect();
                got == want
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(rows: Value) -> Vec<Vec<Value>> {
        serde_json::from_value(rows).unwrap()
    }

    /// Which of set, multiset and ordered hold.
    fn same(got: Value, want: Value) -> [bool; 3] {
        let (got, want) = (table(got), table(want));
        [Rows::Set, Rows::Multiset, Rows::Ordered].map(|r| r.same(&got, &want).unwrap())
    }

    #[test]
    fn each_mode_is_stricter_than_the_one_before() {
        let want = || json!([[1, "a"], [2, null]]);
        assert_eq!(same(want(), want()), [true, true, true]);
        let reordered = json!([[2, null], [1, "a"]]);
        assert_eq!(same(reordered, want()), [true, true, false]);
        let doubled = json!([[1, "a"], [2, null], [1, "a"]]);
        assert_eq!(same(doubled, want()), [true, false, false]);
        let extra = json!([[1, "a"], [2, null], [3, "b"]]);
        assert_eq!(same(extra, want()), [false, false, false]);
        assert_eq!(same(json!([]), want()), [false, false, false]);
    }

    #[test]
    fn one_is_one_and_no_text() {
        assert_eq!(same(json!([[1.0, -0.0]]), json!([[1, 0]])), [true; 3]);
        assert_eq!(same(json!([["1"]]), json!([[1]])), [false; 3]);
        assert_eq!(same(json!([[null]]), json!([[0]])), [false; 3]);
        assert_eq!(same(json!([[0.5]]), json!([[0.5]])), [true; 3]);
        let (a, b) = (json!([[u64::MAX]]), json!([[u64::MAX - 1]]));
        assert_eq!(same(a, b), [false; 3]);
        // A row is its columns in order.
        assert_eq!(same(json!([[1, 2]]), json!([[2, 1]])), [false; 3]);
    }

    #[test]
    fn what_no_query_yields_is_refused() {
        let got = table(json!([[1], [true]]));
        let refused = Rows::Set.same(&got, &got).unwrap_err();
        assert_eq!(refused.field, "got[1]");
    }
}
