//! What a filter would answer: an evaluator for the classic BPF that seccomp
//! accepts, so that a profile's examples are tried against what is really
//! installed, byte for byte, without a system call.
//!
//! Checked as the kernel checks it (`seccomp_check_filter`, `bpf_check_classic`
//! in net/core/filter.c): known instructions only, loads of aligned words of
//! `struct seccomp_data`, jumps forward and within, a return at the end. Hence
//! evaluation always ends.

/// Bytes of one instruction, `struct sock_filter`.
pub const INSTRUCTION: usize = 8;
/// Most instructions the kernel takes (`BPF_MAXINSNS`).
pub const MOST: usize = 4096;

pub(crate) const LD_IMM: u16 = 0x00;
pub(crate) const LD_ABS: u16 = 0x20;
pub(crate) const JA: u16 = 0x05;
pub(crate) const JEQ: u16 = 0x15;
pub(crate) const JGT: u16 = 0x25;
pub(crate) const JGE: u16 = 0x35;
pub(crate) const JSET: u16 = 0x45;
pub(crate) const AND: u16 = 0x54;
pub(crate) const RET: u16 = 0x06;

/// A program that the kernel would refuse, or that we do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BpfError {
    /// No instructions, more than the kernel takes, or half of one.
    #[error("{0} bytes are not a program")]
    Length(usize),
    /// An instruction outside the subset.
    #[error("instruction {index} has the unknown code {code:#06x}")]
    Unknown {
        /// Which instruction.
        index: usize,
        /// Its code.
        code: u16,
    },
    /// A load outside `struct seccomp_data`, or across its words.
    #[error("instruction {index} loads from offset {offset}")]
    Load {
        /// Which instruction.
        index: usize,
        /// From where.
        offset: u32,
    },
    /// A jump past the end.
    #[error("instruction {index} jumps out of the program")]
    Jump {
        /// Which instruction.
        index: usize,
    },
    /// The last instruction does not return.
    #[error("the program runs off its end")]
    NoEnd,
}

/// What a filter sees: `struct seccomp_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Number of the system call.
    pub number: u32,
    /// `AUDIT_ARCH_*` of the caller.
    pub arch: u32,
    /// Where it was called from.
    pub instruction_pointer: u64,
    /// Its arguments, as registers.
    pub args: [u64; 6],
}

impl Call {
    /// The words of `struct seccomp_data`, in this machine's byte order.
    fn words(&self) -> [u32; 16] {
        let mut words = [0; 16];
        words[0] = self.number;
        words[1] = self.arch;
        let wide = std::iter::once(&self.instruction_pointer).chain(&self.args);
        for (pair, value) in words[2..].as_chunks_mut::<2>().0.iter_mut().zip(wide) {
            let bytes = value.to_ne_bytes();
            let [a, b, c, d, e, f, g, h] = bytes;
            *pair = [
                u32::from_ne_bytes([a, b, c, d]),
                u32::from_ne_bytes([e, f, g, h]),
            ];
        }
        words
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

/// A checked program: holding one is the proof that it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// Checks `struct sock_filter`s in this machine's byte order.
    pub fn parse(bytes: &[u8]) -> Result<Self, BpfError> {
        let (chunks, rest) = bytes.as_chunks::<INSTRUCTION>();
        if chunks.is_empty() || chunks.len() > MOST || !rest.is_empty() {
            return Err(BpfError::Length(bytes.len()));
        }
        let program: Vec<Instruction> = chunks
            .iter()
            .map(|[c0, c1, jt, jf, k0, k1, k2, k3]| Instruction {
                code: u16::from_ne_bytes([*c0, *c1]),
                jt: *jt,
                jf: *jf,
                k: u32::from_ne_bytes([*k0, *k1, *k2, *k3]),
            })
            .collect();
        for (index, i) in program.iter().enumerate() {
            let left = program.len() - index - 1;
            let farthest = match i.code {
                LD_IMM | AND | RET => 0,
                LD_ABS if i.k < 64 && i.k % 4 == 0 => 0,
                LD_ABS => return Err(BpfError::Load { index, offset: i.k }),
                JA => i.k as usize,
                JEQ | JGT | JGE | JSET => usize::from(i.jt.max(i.jf)),
                code => return Err(BpfError::Unknown { index, code }),
            };
            if matches!(i.code, JA | JEQ | JGT | JGE | JSET) && farthest >= left {
                return Err(BpfError::Jump { index });
            }
        }
        match program.last() {
            Some(Instruction { code: RET, .. }) => Ok(Self(program)),
            Some(_) | None => Err(BpfError::NoEnd),
        }
    }

    /// How many instructions; installing costs about 1.2 µs for each.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: an empty program does not parse.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The raw `SECCOMP_RET_*` value for a call.
    #[must_use]
    pub fn run(&self, call: &Call) -> u32 {
        let words = call.words();
        let mut a = 0;
        let mut next = 0;
        // Checked in `parse`: every step goes forward and the last one
        // returns. The kernel kills where it finds itself elsewhere.
        while let Some(i) = self.0.get(next) {
            let jump = |taken: bool| usize::from(if taken { i.jt } else { i.jf });
            next += 1;
            match i.code {
                LD_IMM => a = i.k,
                LD_ABS => a = words[(i.k / 4) as usize],
                AND => a &= i.k,
                JA => next += i.k as usize,
                JEQ => next += jump(a == i.k),
                JGT => next += jump(a > i.k),
                JGE => next += jump(a >= i.k),
                JSET => next += jump(a & i.k != 0),
                RET => return i.k,
                _ => break,
            }
        }
        Answer::KILL_PROCESS
    }

    /// The number a filter of a single name compares with; how names become
    /// numbers without a table of our own.
    pub(crate) fn last_compared(&self) -> Option<u32> {
        self.0.iter().rev().find(|i| i.code == JEQ).map(|i| i.k)
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The process, or its thread, is killed.
    Killed,
    /// SIGSYS.
    Trapped,
    /// The call fails with this errno.
    Errno(u16),
    /// The cell's init is asked; it answers ENOSYS and counts.
    Notified,
    /// A tracer is asked; there is none, so ENOSYS.
    Traced,
    /// It goes on.
    Allowed,
}

impl Answer {
    const KILL_PROCESS: u32 = 0x8000_0000;

    /// Of a raw `SECCOMP_RET_*` value. One that no kernel knows kills.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the errno")]
    pub const fn of(raw: u32) -> Self {
        match raw & 0xFFFF_0000 {
            0x7FFF_0000 | 0x7FFC_0000 => Self::Allowed,
            0x7FF0_0000 => Self::Traced,
            0x7FC0_0000 => Self::Notified,
            0x0005_0000 => Self::Errno(raw as u16),
            0x0003_0000 => Self::Trapped,
            _ => Self::Killed,
        }
    }

    /// What several filters answer together, in the order of installation:
    /// the smallest action as a signed number, and of equals the newest
    /// (`seccomp_run_filters`). Without filters a call is allowed.
    #[must_use]
    pub fn together(programs: &[&Program], call: &Call) -> Self {
        let raw = programs
            .iter()
            .rev()
            .map(|p| p.run(call))
            .min_by_key(|raw| (raw & 0xFFFF_0000).cast_signed());
        raw.map_or(Self::Allowed, Self::of)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Killed => f.write_str("killed"),
            Self::Trapped => f.write_str("SIGSYS"),
            Self::Errno(1) => f.write_str("EPERM"),
            Self::Errno(38) => f.write_str("ENOSYS"),
            Self::Errno(n) => write!(f, "errno {n}"),
            Self::Notified => f.write_str("ENOSYS, and counted"),
            Self::Traced => f.write_str("ENOSYS"),
            Self::Allowed => f.write_str("allowed"),
        }
    }
}

#[cfg(test)]
mod tests;
