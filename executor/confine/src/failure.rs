//! A failed step as eight bytes, for a pipe between a process that never became
//! a program and its init.

use assize_wire::cell::{SetupFailure, Step};

/// Eight bytes: step, zero, index, errno. Small enough to be written whole.
#[must_use]
pub fn encode(failed: SetupFailure) -> [u8; 8] {
    let position = Step::ALL
        .iter()
        .position(|s| *s == failed.step)
        .unwrap_or(0);
    let [i0, i1] = failed.index.to_le_bytes();
    let [e0, e1, e2, e3] = failed.errno.to_le_bytes();
    [
        u8::try_from(position).unwrap_or(0),
        0,
        i0,
        i1,
        e0,
        e1,
        e2,
        e3,
    ]
}

/// What [`encode`] wrote.
#[must_use]
pub fn decode([step, _, i0, i1, e0, e1, e2, e3]: [u8; 8]) -> SetupFailure {
    SetupFailure {
        step: Step::ALL
            .get(usize::from(step))
            .copied()
            .unwrap_or(Step::Exec),
        index: u16::from_le_bytes([i0, i1]),
        errno: i32::from_le_bytes([e0, e1, e2, e3]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_survives_the_pipe() {
        for (index, step) in (0..).zip(Step::ALL) {
            let failed = SetupFailure {
                step,
                index: index * 999,
                errno: -i32::from(index),
            };
            assert_eq!(decode(encode(failed)), failed);
        }
    }
}
