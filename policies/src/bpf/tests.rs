use proptest::prelude::*;

use super::*;

const ALLOW: u32 = 0x7FFF_0000;
const NOTIFY: u32 = 0x7FC0_0000;
const EPERM: u32 = 0x0005_0001;
const KILL: u32 = 0x8000_0000;

fn bytes(instructions: &[(u16, u8, u8, u32)]) -> Vec<u8> {
    instructions
        .iter()
        .flat_map(|(code, jt, jf, k)| {
            let (c, k) = (code.to_ne_bytes(), k.to_ne_bytes());
            [c[0], c[1], *jt, *jf, k[0], k[1], k[2], k[3]]
        })
        .collect()
}

fn program(instructions: &[(u16, u8, u8, u32)]) -> Program {
    Program::parse(&bytes(instructions)).unwrap()
}

fn call(number: u32, args: [u64; 6]) -> Call {
    Call {
        number,
        arch: 0xC000_003E,
        instruction_pointer: 0x1122_3344_5566_7788,
        args,
    }
}

#[test]
fn every_word_of_the_call_is_where_the_kernel_puts_it() {
    let call = call(7, [0x1_0000_0002, 0, 0, 0, 0, 0xAAAA_BBBB_CCCC_DDDD]);
    let low_first = cfg!(target_endian = "little");
    for (offset, expected) in [
        (0, 7),
        (4, 0xC000_003E),
        (8, if low_first { 0x5566_7788 } else { 0x1122_3344 }),
        (16, if low_first { 2 } else { 1 }),
        (20, if low_first { 1 } else { 2 }),
        (56, if low_first { 0xCCCC_DDDD } else { 0xAAAA_BBBB }),
        (60, if low_first { 0xAAAA_BBBB } else { 0xCCCC_DDDD }),
    ] {
        let p = program(&[
            (LD_ABS, 0, 0, offset),
            (JEQ, 0, 1, expected),
            (RET, 0, 0, ALLOW),
            (RET, 0, 0, KILL),
        ]);
        assert_eq!(p.run(&call), ALLOW, "offset {offset}");
    }
}

#[test]
fn each_jump_compares_as_its_name_says() {
    for (code, k, below, equal, above) in [
        (JEQ, 10, false, true, false),
        (JGT, 10, false, false, true),
        (JGE, 10, false, true, true),
    ] {
        let p = program(&[
            (LD_ABS, 0, 0, 0),
            (code, 0, 1, k),
            (RET, 0, 0, 1),
            (RET, 0, 0, 0),
        ]);
        for (number, expected) in [(9, below), (10, equal), (11, above)] {
            assert_eq!(
                p.run(&call(number, [0; 6])),
                u32::from(expected),
                "{code:#x} {number}"
            );
        }
    }
    let p = program(&[
        (LD_ABS, 0, 0, 0),
        (JSET, 0, 1, 6),
        (RET, 0, 0, 1),
        (RET, 0, 0, 0),
    ]);
    assert_eq!([1, 2, 4, 8].map(|n| p.run(&call(n, [0; 6]))), [0, 1, 1, 0]);
}

#[test]
fn masking_immediates_and_plain_jumps_work() {
    let p = program(&[
        (LD_ABS, 0, 0, 16),
        (AND, 0, 0, 0xF0),
        (JEQ, 0, 1, 0x30),
        (JA, 0, 0, 1),
        (RET, 0, 0, 0),
        (LD_IMM, 0, 0, 5),
        (JEQ, 0, 1, 5),
        (RET, 0, 0, 1),
        (RET, 0, 0, 2),
    ]);
    assert_eq!(p.run(&call(0, [0x3F, 0, 0, 0, 0, 0])), 1);
    assert_eq!(p.run(&call(0, [0x4F, 0, 0, 0, 0, 0])), 0);
}

#[test]
fn what_the_kernel_refuses_is_refused() {
    let end = (RET, 0, 0, ALLOW);
    let refused = |i: &[(u16, u8, u8, u32)]| Program::parse(&bytes(i)).unwrap_err();
    assert_eq!(Program::parse(&[]), Err(BpfError::Length(0)));
    assert_eq!(Program::parse(&[0; 12]), Err(BpfError::Length(12)));
    assert_eq!(
        refused(&vec![end; MOST + 1]),
        BpfError::Length((MOST + 1) * 8)
    );
    // Loads: bytes and half-words are other codes; past the end; across words.
    assert_eq!(
        refused(&[(0x30, 0, 0, 0), end]),
        BpfError::Unknown {
            index: 0,
            code: 0x30
        }
    );
    assert_eq!(
        refused(&[(LD_ABS, 0, 0, 64), end]),
        BpfError::Load {
            index: 0,
            offset: 64
        }
    );
    assert_eq!(
        refused(&[(LD_ABS, 0, 0, 2), end]),
        BpfError::Load {
            index: 0,
            offset: 2
        }
    );
    assert_eq!(refused(&[(JEQ, 1, 0, 0), end]), BpfError::Jump { index: 0 });
    assert_eq!(refused(&[(JEQ, 0, 1, 0), end]), BpfError::Jump { index: 0 });
    assert_eq!(
        refused(&[(JA, 0, 0, u32::MAX), end]),
        BpfError::Jump { index: 0 }
    );
    assert_eq!(refused(&[end, (LD_IMM, 0, 0, 0)]), BpfError::NoEnd);
}

#[test]
fn the_strictest_of_several_filters_wins_as_in_the_kernel() {
    let says = |raw| program(&[(RET, 0, 0, raw)]);
    let together = |raws: &[u32]| {
        let programs: Vec<Program> = raws.iter().map(|r| says(*r)).collect();
        Answer::together(&programs.iter().collect::<Vec<_>>(), &call(0, [0; 6]))
    };
    assert_eq!(together(&[]), Answer::Allowed);
    assert_eq!(together(&[ALLOW, ALLOW]), Answer::Allowed);
    assert_eq!(together(&[NOTIFY, ALLOW]), Answer::Notified);
    assert_eq!(together(&[NOTIFY, EPERM]), Answer::Errno(1));
    assert_eq!(together(&[EPERM, KILL]), Answer::Killed);
    // KILL_PROCESS is negative, KILL_THREAD is 0: both below every other.
    assert_eq!(together(&[EPERM, 0]), Answer::Killed);
    assert_eq!(
        together(&[0x0005_0026, EPERM]),
        Answer::Errno(1),
        "the newest of equals"
    );
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_refused_and_what_parses_ends(
        soup in prop::collection::vec((any::<u8>(), 0u8..4, 0u8..4, any::<u32>()), 1..40),
        number: u32,
    ) {
        const CODES: [u16; 10] = [LD_IMM, LD_ABS, JA, JEQ, JGT, JGE, JSET, AND, RET, 0x87];
        let mut soup: Vec<_> = soup
            .into_iter()
            .map(|(c, jt, jf, k)| {
                let code = CODES[usize::from(c) % CODES.len()];
                let k = if code == LD_ABS { k % 72 } else if code == JA { k % 8 } else { k };
                (code, jt, jf, k)
            })
            .collect();
        soup.push((RET, 0, 0, ALLOW));
        if let Ok(p) = Program::parse(&bytes(&soup)) {
            let _ends = p.run(&call(number, [0; 6]));
        }
    }
}
