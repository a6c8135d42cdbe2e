//! Small deterministic changes of seeds: what a smoke test can do without
//! knowing which branches were reached.

/// A xorshift generator: the same numbers in every run.
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// From any seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `most`, or 0.
    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % most.max(1)
    }

    fn byte(&mut self) -> u8 {
        // Bytes that mean something in text and in varints come often.
        const LOUD: &[u8] = b"\0\x01\x7f\x80\xff\"{}[]:,.-+e0129 \n\\/=#'";
        match self.below(2) {
            0 => LOUD[self.below(LOUD.len())],
            _ => u8::try_from(self.below(256)).unwrap_or(0),
        }
    }
}

/// A changed copy of a seed; `other` lends parts.
#[must_use]
pub fn changed(seed: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut data = seed.to_vec();
    // Half of them change one thing only: most others no longer parse at all.
    for _ in 0..=numbers.below(2) * numbers.below(5) {
        let at = numbers.below(data.len() + 1);
        let end = (at + numbers.below(16)).min(data.len());
        match numbers.below(10) {
            0 => data.insert(at, numbers.byte()),
            1 => drop(data.drain(at..end)),
            2 => data.truncate(at),
            3 => {
                let part = data[at..end].to_vec();
                data.splice(at..at, part);
            }
            4 => {
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(32)).min(other.len());
                data.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = numbers.byte();
                }
            }
        }
    }
    data
}
