//! What a guest wrote: the first bytes and a count, never more.

use assize_wire::worker::Captured;

/// A bounded buffer that keeps counting when it is full.
#[derive(Default)]
pub(crate) struct Bounded {
    captured: Captured,
    keep: usize,
}

impl Bounded {
    pub(crate) fn new(keep: u64) -> Self {
        Self {
            captured: Captured::default(),
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
        }
    }

    /// Whether nothing has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.captured.total == 0
    }

    /// Keeps what fits and says whether that was everything.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        self.captured.total = self.captured.total.saturating_add(bytes.len() as u64);
        let fits = bytes.len().min(self.keep - self.captured.data.len());
        self.captured.data.extend_from_slice(&bytes[..fits]);
        fits == bytes.len()
    }

    pub(crate) fn take(&mut self) -> Captured {
        std::mem::take(&mut self.captured)
    }

    /// Whether there was more than is kept.
    pub(crate) fn overrun(&self) -> bool {
        self.captured.total > self.captured.data.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_keeps_the_first_bytes_and_counts_the_rest() {
        let mut buffer = Bounded::new(4);
        assert!(buffer.push(b"abc"));
        assert!(!buffer.push(b"def"));
        let Captured { data, total } = buffer.take();
        assert_eq!((data.as_slice(), total), (b"abcd".as_slice(), 6));
    }

    #[test]
    fn exactly_the_limit_is_within_it() {
        let mut buffer = Bounded::new(3);
        assert!(buffer.push(b"abc"));
        assert!(!buffer.overrun());
        assert!(!buffer.push(b"d"));
        assert!(buffer.overrun());
    }
}
