//! Digests over several things, of which none can pass for a part of another.

use sha2::{Digest, Sha256};

/// SHA-256 over a sequence of fields. Each field is preceded by its length, so
/// two different sequences are two different texts.
#[derive(Default)]
pub(crate) struct Fields(Sha256);

impl Fields {
    /// Bytes of any length.
    pub(crate) fn bytes(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_le_bytes());
        self.0.update(field);
    }

    /// Text.
    pub(crate) fn text(&mut self, field: &str) {
        self.bytes(field.as_bytes());
    }

    /// Numbers, and how many.
    pub(crate) fn numbers(&mut self, numbers: &[u64]) {
        self.0.update((numbers.len() as u64).to_le_bytes());
        for number in numbers {
            self.0.update(number.to_le_bytes());
        }
    }

    /// Texts, and how many.
    pub(crate) fn texts<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a str>) {
        self.numbers(&[texts.len() as u64]);
        for text in texts {
            self.text(text);
        }
    }

    /// The digest.
    pub(crate) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_passes_for_a_part_of_another() {
        let of = |fields: &[&str]| {
            let mut digest = Fields::default();
            fields.iter().for_each(|f| digest.text(f));
            digest.digest()
        };
        let all = [
            of(&["ab", "c"]),
            of(&["a", "bc"]),
            of(&["abc"]),
            of(&["abc", ""]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one));
        }
        let mut nested = Fields::default();
        nested.texts(["a", "b"].into_iter());
        let mut flat = Fields::default();
        flat.texts(["a"].into_iter());
        flat.text("b");
        assert_ne!(nested.digest(), flat.digest());
    }
}
