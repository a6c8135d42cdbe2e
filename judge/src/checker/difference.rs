//! What a person sees of the first difference: one bounded line without
//! control characters, since what it quotes was written by the candidate.

use std::fmt::{self, Write as _};

/// Longest report, in characters.
const MAX_REPORT: usize = 200;
/// Longest quotation of either side, so that both fit.
const MAX_QUOTE: usize = 70;

/// The first difference between an expected output and an actual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    report: String,
}

impl Difference {
    /// `None` stands for the end of output.
    pub(super) fn pieces(line: usize, want: Option<&[u8]>, got: Option<&[u8]>) -> Self {
        let side = |piece: Option<&[u8]>| match piece {
            Some(bytes) => quote(bytes, MAX_QUOTE),
            None => "end of output".to_owned(),
        };
        Self::new(format!(
            "line {line}: want {}, got {}",
            side(want),
            side(got)
        ))
    }

    pub(super) fn bytes(want: &[u8], got: &[u8]) -> Self {
        let at = want.iter().zip(got).take_while(|(w, g)| w == g).count();
        let line = 1 + want[..at].iter().filter(|&&b| b == b'\n').count();
        let side = |rest: &[u8]| {
            if rest.is_empty() {
                "end of output".to_owned()
            } else {
                quote(rest, MAX_QUOTE)
            }
        };
        let (want, got) = (side(&want[at..]), side(&got[at..]));
        Self::new(format!("line {line}, byte {at}: want {want}, got {got}"))
    }

    /// A difference in words of our own.
    pub(super) fn text(report: &str) -> Self {
        Self::new(
            quote(report.as_bytes(), MAX_REPORT)
                .trim_matches('"')
                .to_owned(),
        )
    }

    fn new(report: String) -> Self {
        Self {
            report: report.chars().take(MAX_REPORT).collect(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report)
    }
}

impl std::error::Error for Difference {}

/// `bytes` in quotation marks, escaped, in at most about `limit` characters.
pub(crate) fn quote(bytes: &[u8], limit: usize) -> String {
    // No more input than can show: each byte gives at most four characters.
    let (head, cut) = if bytes.len() > 4 * limit {
        (&bytes[..4 * limit], true)
    } else {
        (bytes, false)
    };
    let mut out = String::from("\"");
    let mut room = limit;
    let mut put = |out: &mut String, text: &str| {
        let length = text.chars().count();
        let fits = length <= room;
        if fits {
            out.push_str(text);
            room -= length;
        }
        fits
    };
    for chunk in head.utf8_chunks() {
        for char in chunk.valid().chars() {
            // Debug escapes controls, quotes, and format characters that
            // would reorder or hide text on a terminal.
            let text: String = char.escape_debug().collect();
            if !put(&mut out, &text) {
                return out + "…\"";
            }
        }
        for byte in chunk.invalid() {
            let mut text = String::new();
            write!(text, "\\x{byte:02x}").unwrap_or_default();
            if !put(&mut out, &text) {
                return out + "…\"";
            }
        }
    }
    out + if cut { "…\"" } else { "\"" }
}
