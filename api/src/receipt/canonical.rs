//! One text for one JSON document, however it was written.
//!
//! No white space, the members of an object sorted by name (bytewise, equal
//! names in their order), strings escaped as `serde_json` does. Numbers stay as
//! they were written: `1`, `1.0` and 2^70 are different values to a test, and
//! no number type holds them all.

/// The canonical text of a JSON document. Of what is not JSON, nothing.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let mut out = String::with_capacity(text.len());
    reader.value(&mut out)?;
    reader.white();
    (reader.at == text.len()).then_some(out)
}

/// Deeper than any document that is admitted.
const MAX_DEPTH: usize = 1024;

/// Walks over a document that `serde_json` has read before, or refuses it.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips white space and one of `these`, which it returns.
    fn next(&mut self, these: &[u8]) -> Option<u8> {
        self.white();
        let byte = self.peek().filter(|b| these.contains(b))?;
        self.at += 1;
        Some(byte)
    }

    fn value(&mut self, out: &mut String) -> Option<()> {
        self.white();
        match self.peek()? {
            b'{' => self.nested(out, Self::object),
            b'[' => self.nested(out, Self::array),
            b'"' => {
                out.push_str(&self.string()?);
                Some(())
            }
            _ => self.word(out),
        }
    }

    fn nested(
        &mut self,
        out: &mut String,
        read: fn(&mut Self, &mut String) -> Option<()>,
    ) -> Option<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        read(self, out)?;
        self.depth -= 1;
        Some(())
    }

    fn array(&mut self, out: &mut String) -> Option<()> {
        out.push('[');
        if self.next(b"]").is_none() {
            loop {
                self.value(out)?;
                match self.next(b",]")? {
                    b',' => out.push(','),
                    _ => break,
                }
            }
        }
        out.push(']');
        Some(())
    }

    fn object(&mut self, out: &mut String) -> Option<()> {
        let mut members: Vec<(String, String)> = Vec::new();
        if self.next(b"}").is_none() {
            loop {
                self.white();
                let name = self.string()?;
                self.next(b":")?;
                let mut value = String::new();
                self.value(&mut value)?;
                members.push((name, value));
                if self.next(b",}")? == b'}' {
                    break;
                }
            }
        }
        members.sort_by(|a, b| a.0.cmp(&b.0));
        out.push('{');
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(name);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        Some(())
    }

    /// A string with its quotes. One that stands for no text (half a surrogate
    /// pair) stays as it was written.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        let written = self.text.get(start..self.at)?;
        let meant: Result<String, _> = serde_json::from_str(written);
        match meant {
            Ok(meant) => serde_json::to_string(&meant).ok(),
            Err(_) => Some(written.to_owned()),
        }
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self, out: &mut String) -> Option<()> {
        let rest: &'a str = self.text.get(self.at..)?;
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        out.push_str(rest.get(..end).filter(|w| !w.is_empty())?);
        self.at += end;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        canonical(a).unwrap() == canonical(b).unwrap()
    }

    #[test]
    fn order_white_space_and_escapes_do_not_matter() {
        assert!(same(
            "{\"b\": [1, {\"y\":null,\"x\":true}], \"a\":\"\\u00e9\\/\"}",
            " {\n\"a\":\"é/\",\"b\":[1,{\"x\":true,\"y\":null}]}\t"
        ));
        assert_eq!(canonical("{ }").unwrap(), "{}");
        assert_eq!(canonical("[ ]").unwrap(), "[]");
    }

    #[test]
    fn what_differs_stays_different() {
        for (a, b) in [
            ("1", "1.0"),
            ("[1,2]", "[2,1]"),
            ("[12]", "[1,2]"),
            ("{\"a\":1,\"a\":2}", "{\"a\":2,\"a\":1}"),
            ("\"1\"", "1"),
            ("null", "\"null\""),
            ("1180591620717411303424", "1180591620717411303425"),
            ("\"a\\\\\\\"b\"", "\"a\\\"b\""),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn half_a_surrogate_stays_as_it_was_written() {
        assert_eq!(canonical(r#" "\ud800" "#).unwrap(), r#""\ud800""#);
    }

    #[test]
    fn what_is_no_json_has_no_form() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            "{",
            "[1",
            "{\"a\"}",
            "\"",
            "[1] 2",
            "\"\\",
            deep.as_str(),
        ] {
            assert_eq!(canonical(text), None);
        }
    }
}
