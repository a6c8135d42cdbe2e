//! Comparison of a program's output with the expected output, as bytes.
//!
//! Outputs need not be UTF-8 and may hold NUL; nothing here decodes them. Each
//! checker is one rule, never a chain of rules of which any may accept.

mod difference;
mod kattis;
mod number;

pub use difference::Difference;
pub(crate) use difference::quote;
pub use kattis::Kattis;

use crate::plain::Json;
use number::{is_integer, real};

/// How far a number may be off: within `abs`, or within `rel` of the expected
/// value. Either suffices, as in Kattis' default validator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    abs: f64,
    rel: f64,
    integers: bool,
}

impl Tolerance {
    /// A tolerance; `None` unless both are finite and not negative.
    #[must_use]
    pub fn new(abs: f64, rel: f64) -> Option<Self> {
        let sound = |x: f64| x.is_finite() && x >= 0.0;
        (sound(abs) && sound(rel)).then_some(Self {
            abs,
            rel,
            integers: false,
        })
    }

    /// The same for problems whose every number is a measure: an expected
    /// `1000` is then as near to `1e3` as an expected `1000.0`.
    #[must_use]
    pub fn with_integers(self) -> Self {
        Self {
            integers: true,
            ..self
        }
    }

    /// Whether `got` is near enough to `want`. Never for NaN or infinities.
    #[must_use]
    pub fn accepts(self, want: f64, got: f64) -> bool {
        if !want.is_finite() || !got.is_finite() {
            return false;
        }
        let off = (want - got).abs();
        off <= self.abs || off <= self.rel * want.abs()
    }
}

/// A rule for comparing outputs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Checker {
    /// The same whitespace-separated tokens, byte for byte: case-sensitive,
    /// `1.0` is not `1.00`, and how tokens are spread over lines is free.
    #[default]
    Tokens,
    /// The same bytes.
    Exact,
    /// The same lines, ignoring whitespace at the end of each line and blank
    /// lines at the end of the output.
    Lines,
    /// The same lines as `Lines`, each as often, in any order.
    Unordered,
    /// Both one JSON value, and the same one: numbers by value and kind (`1`
    /// is not `1.0`), members of objects in any order, of arrays in theirs.
    Json,
    /// As `Tokens`, but where the expected token is a decimal literal that is
    /// not an integer literal (`0.5`, `3.0`, `1e-9`), any decimal literal
    /// within the tolerance is accepted.
    ///
    /// An expected `3` asks for the token `3`: neither `3.0` nor `03` nor
    /// `+3`, unless the tolerance says otherwise. Hexadecimal, underscores, `nan`, `inf` and literals beyond the
    /// range of a double (`1e9999`) are no numbers; expected ones ask for the
    /// same text.
    Float(Tolerance),
    /// As the default validator of a Kattis/ICPC problem package.
    Kattis(Kattis),
}

impl Checker {
    /// Compares `got` with `want`.
    ///
    /// # Errors
    /// With the first difference, when they differ.
    pub fn check(self, want: &[u8], got: &[u8]) -> Result<(), Difference> {
        match self {
            Self::Tokens => pairwise(tokens(want), tokens(got), |w, g| w == g),
            Self::Float(tolerance) => {
                pairwise(tokens(want), tokens(got), |w, g| near(tolerance, w, g))
            }
            Self::Lines => pairwise(lines(trim_end(want)), lines(trim_end(got)), |w, g| w == g),
            Self::Unordered => {
                let (want, got) = (sorted(want), sorted(got));
                pairwise(want.into_iter(), got.into_iter(), |w, g| w == g)
            }
            Self::Json => same_json(want, got),
            Self::Kattis(rule) => rule.check(want, got),
            Self::Exact if want == got => Ok(()),
            Self::Exact => Err(Difference::bytes(want, got)),
        }
    }
}

/// A piece of output and the line it stands on, from 1.
type Piece<'a> = (usize, &'a [u8]);

/// Compares piece by piece, and both to their ends: a prefix never passes, nor
/// does anything extra.
fn pairwise<'a>(
    mut want: impl Iterator<Item = Piece<'a>>,
    mut got: impl Iterator<Item = Piece<'a>>,
    equal: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<(), Difference> {
    loop {
        match (want.next(), got.next()) {
            (None, None) => return Ok(()),
            (Some((_, w)), Some((_, g))) if equal(w, g) => {}
            (w, g) => {
                let line = g.or(w).map_or(1, |(line, _)| line);
                return Err(Difference::pieces(line, w.map(|p| p.1), g.map(|p| p.1)));
            }
        }
    }
}

/// Lines in the order of their bytes, each with the number it had.
fn sorted(text: &[u8]) -> Vec<Piece<'_>> {
    let mut all: Vec<Piece<'_>> = lines(trim_end(text)).collect();
    all.sort_by_key(|(_, line)| *line);
    all
}

fn same_json(want: &[u8], got: &[u8]) -> Result<(), Difference> {
    let read = |text: &[u8]| {
        let text = std::str::from_utf8(text).map_err(|e| e.to_string())?;
        Json::parse(text).map_err(|e| e.to_string())
    };
    match (read(want), read(got)) {
        (Ok(want), Ok(got)) if want.same(&got) => Ok(()),
        (Ok(_), Ok(_)) => Err(Difference::bytes(want, got)),
        (Ok(_), Err(problem)) => Err(Difference::text(&format!("the output is {problem}"))),
        (Err(problem), _) => Err(Difference::text(&format!(
            "the expected output is {problem}"
        ))),
    }
}

fn near(tolerance: Tolerance, want: &[u8], got: &[u8]) -> bool {
    if want == got {
        return true;
    }
    if is_integer(want) && !tolerance.integers {
        return false;
    }
    match (real(want), real(got)) {
        (Some(want), Some(got)) => tolerance.accepts(want, got),
        _ => false,
    }
}

/// C's `isspace`; Rust's ASCII whitespace lacks the vertical tab.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|&b| !is_space(b))
        .map_or(0, |at| at + 1);
    &text[..end]
}

fn lines(text: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let lines = text.split(|&b| b == b'\n').map(trim_end).enumerate();
    lines.map(|(at, line)| (at + 1, line))
}

fn tokens(text: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    lines(text).flat_map(|(at, line)| {
        let words = line.split(|&b| is_space(b)).filter(|word| !word.is_empty());
        words.map(move |word| (at, word))
    })
}

#[cfg(test)]
mod tests;
