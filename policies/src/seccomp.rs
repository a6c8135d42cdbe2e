//! From syscall lists to BPF.
//!
//! Four programs decide together, and the kernel takes the strictest answer
//! (kill, then errno, then notify, then allow):
//!
//! 1. [`no_x32`]: kills on any x32 number. seccompiler checks the architecture
//!    but not this bit.
//! 2. [`quiet`]: ENOSYS, without a word, for what libraries try and fall back
//!    from at every start.
//! 3. [`cell`]: the allow-list of `profiles/syscalls.toml`; anything else is
//!    notified to the cell's init, which answers ENOSYS and counts it; a
//!    foreign architecture kills. It holds what the cell's init needs, is
//!    installed once per slot and inherited, so it costs a run nothing
//!    (installing costs about 1.2 µs an instruction).
//! 4. [`run_filter`]: takes from a run what only the init needs, and what its
//!    profile denies. A few dozen instructions, installed per run.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, TargetArch, compile_from_json};
use serde_json::{Value, json};

use crate::bpf::{Answer, BpfError, Call, INSTRUCTION, JEQ, JGE, JSET, LD_ABS, Program, RET};
use crate::calls::{Calls, Unless};
use crate::list::List;

/// A syscall list that does not compile.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Not TOML of the right shape.
    #[error("syscall list does not parse")]
    Parse(#[from] toml::de::Error),
    /// An entry that does not say what it is for.
    #[error("{0} has no reason")]
    NoReason(String),
    /// An entry that stands in two places.
    #[error("{0} is listed twice")]
    Twice(String),
    /// A denial of what no cell allows.
    #[error("{0} is not on the cell's list, so there is nothing to deny")]
    Unlisted(String),
    /// More than jumps of one byte can span.
    #[error("{0} denials are too many for a filter that is installed with every run")]
    TooMany(usize),
    /// No such system call on this architecture.
    #[error("there is no system call {0}")]
    Unknown(String),
    /// seccompiler refused it; it names the syscall.
    #[error("syscall list does not compile")]
    Compile(#[from] seccompiler::Error),
    /// What was compiled is not a program the kernel would take.
    #[error("compiled filter is not sound")]
    Program(#[from] BpfError),
    /// This processor has no syscall table.
    #[error("unsupported architecture {0}")]
    Architecture(&'static str),
}

/// The allow-list every cell's init and everything below it lives under. What
/// is not on it is notified (`SECCOMP_RET_USER_NOTIF`): without a listener the
/// kernel answers ENOSYS, as the listener does.
pub fn cell() -> Result<Vec<u8>, FilterError> {
    let mut program = compile(&json!({ "filter": {
        "mismatch_action": "trap",
        "match_action": "allow",
        "filter": List::shipped()?.rules(),
    }}))?;
    notify_instead_of_trap(&mut program);
    Ok(program)
}

/// ENOSYS without notification: the kernel ranks an errno above a
/// notification, so this filter beside [`cell`] keeps the everyday fallbacks
/// of libraries from the listener.
pub fn quiet() -> Result<Vec<u8>, FilterError> {
    let list = List::shipped()?;
    let rules: Vec<Value> = list
        .quiet()
        .map(|name| json!({ "syscall": name }))
        .collect();
    compile(&refusing(&rules, ENOSYS))
}

/// What a run loses, with EPERM; nothing is said about the rest.
///
/// Installed for each run, so it is written by hand: one instruction a name,
/// three where an argument counts, six besides. seccompiler takes five for a
/// name (the tests hold the two to the same answers).
pub fn run_filter(calls: &Calls) -> Result<Vec<u8>, FilterError> {
    let denials = calls.denials(&List::shipped()?)?;
    let (plain, unless): (Vec<_>, Vec<_>) = denials.iter().partition(|d| d.unless == Unless::Never);
    let mut body: Vec<[u8; INSTRUCTION]> = Vec::new();
    // The last two instructions are `ret ALLOW` and `ret ERRNO`; from the
    // instruction `at`, of `length` before them, they are so far away.
    let length = plain.len() + 3 * unless.len();
    let allow =
        |at: usize| u8::try_from(length - at - 1).map_err(|_| FilterError::TooMany(denials.len()));
    let deny =
        |at: usize| u8::try_from(length - at).map_err(|_| FilterError::TooMany(denials.len()));
    for denial in &plain {
        body.push(raw(JEQ, deny(body.len())?, 0, number(&denial.name)?));
    }
    for denial in &unless {
        body.push(raw(JEQ, 0, 2, number(&denial.name)?));
        body.push(raw(LD_ABS, 0, 0, FIRST_ARGUMENT));
        let at = body.len();
        match denial.unless {
            Unless::FirstIs(value) => body.push(raw(JEQ, allow(at)?, deny(at)?, value)),
            Unless::FirstHas(bits) => body.push(raw(JSET, allow(at)?, deny(at)?, bits)),
            // Partitioned away.
            Unless::Never => {}
        }
    }
    let head = [
        raw(LD_ABS, 0, 0, ARCH),
        raw(JEQ, 1, 0, AUDIT_ARCH),
        raw(RET, 0, 0, KILL),
        raw(LD_ABS, 0, 0, NUMBER),
    ];
    let end = [raw(RET, 0, 0, ALLOW), raw(RET, 0, 0, REFUSE | EPERM)];
    Ok([&head[..], &body, &end].concat().concat())
}

/// seccompiler 0.5 cannot say `SECCOMP_RET_USER_NOTIF`. Its trap is an action
/// that stands nowhere else in our programs, so every `ret TRAP` becomes one.
fn notify_instead_of_trap(program: &mut [u8]) {
    for instruction in program.as_chunks_mut::<INSTRUCTION>().0 {
        if *instruction == raw(RET, 0, 0, TRAP) {
            *instruction = raw(RET, 0, 0, USER_NOTIF);
        }
    }
}

/// Kills on x32 numbers: on a kernel built with that ABI they are a second
/// door to every syscall, past lists of native numbers.
#[must_use]
pub fn no_x32() -> Vec<u8> {
    [
        raw(LD_ABS, 0, 0, NUMBER),
        raw(JGE, 0, 1, 0x4000_0000),
        raw(RET, 0, 0, KILL),
        raw(RET, 0, 0, ALLOW),
    ]
    .concat()
}

/// Number of a system call here, out of seccompiler's table.
pub fn number(name: &str) -> Result<u32, FilterError> {
    let rules = [json!({ "syscall": name })];
    let program =
        compile(&refusing(&rules, EPERM)).map_err(|_| FilterError::Unknown(name.to_owned()))?;
    Program::parse(&program)?
        .last_compared()
        .ok_or_else(|| FilterError::Unknown(name.to_owned()))
}

/// The filters of a cell, ready to be asked what they would answer.
#[derive(Debug, Clone)]
pub struct Stack(Vec<Program>);

impl Stack {
    /// As installed for every cell of this build.
    pub fn cell() -> Result<Self, FilterError> {
        let filters = [no_x32(), quiet()?, cell()?];
        let programs: Result<Vec<Program>, BpfError> =
            filters.iter().map(|f| Program::parse(f)).collect();
        Ok(Self(programs?))
    }

    /// What a run under `filter` gets for a call by name.
    pub fn answer(&self, filter: &[u8], name: &str, args: [u64; 6]) -> Result<Answer, FilterError> {
        let filter = Program::parse(filter)?;
        let call = Call {
            number: number(name)?,
            arch: AUDIT_ARCH,
            instruction_pointer: 0,
            args,
        };
        let programs: Vec<&Program> = self.0.iter().chain([&filter]).collect();
        Ok(Answer::together(&programs, &call))
    }
}

// Offsets in `struct seccomp_data`; the low half of the first argument.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "little") {
    16
} else {
    20
};

/// `SECCOMP_RET_KILL_PROCESS`
const KILL: u32 = 0x8000_0000;
/// `SECCOMP_RET_ERRNO`
const REFUSE: u32 = 0x0005_0000;
/// `SECCOMP_RET_ALLOW`
const ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_TRAP`, as seccompiler writes it.
const TRAP: u32 = 0x0003_0000;
/// `SECCOMP_RET_USER_NOTIF`
const USER_NOTIF: u32 = 0x7fc0_0000;
const ENOSYS: u32 = 38;
const EPERM: u32 = 1;
/// `AUDIT_ARCH_*` of this build; 0, which no filter takes, where we do not know.
const AUDIT_ARCH: u32 = if cfg!(target_arch = "x86_64") {
    0xC000_003E
} else if cfg!(target_arch = "aarch64") {
    0xC000_00B7
} else if cfg!(target_arch = "riscv64") {
    0xC000_00F3
} else {
    0
};

const fn raw(code: u16, jt: u8, jf: u8, k: u32) -> [u8; INSTRUCTION] {
    let (c, k) = (code.to_ne_bytes(), k.to_ne_bytes());
    [c[0], c[1], jt, jf, k[0], k[1], k[2], k[3]]
}

fn refusing(rules: &[Value], errno: u32) -> Value {
    json!({ "filter": {
        "mismatch_action": "allow",
        "match_action": { "errno": errno },
        "filter": rules,
    }})
}

fn compile(filter: &Value) -> Result<Vec<u8>, FilterError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_| FilterError::Architecture(std::env::consts::ARCH))?;
    let mut programs: BTreeMap<String, BpfProgram> =
        compile_from_json(filter.to_string().as_bytes(), arch)?
            .into_iter()
            .collect();
    let program = programs.remove("filter").unwrap_or_default();
    Ok(program
        .into_iter()
        .flat_map(|i| raw(i.code, i.jt, i.jf, i.k))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::calls::Sockets;

    /// The answers a program can give, by its `ret` instructions.
    fn answers(program: &[u8]) -> BTreeSet<u32> {
        let (instructions, rest) = program.as_chunks::<INSTRUCTION>();
        assert!(rest.is_empty());
        instructions
            .iter()
            .filter(|i| i[..2] == RET.to_ne_bytes())
            .map(|i| u32::from_ne_bytes([i[4], i[5], i[6], i[7]]))
            .collect()
    }

    fn in_a_cell(name: &str, args: [u64; 6]) -> Answer {
        let nothing = run_filter(&Calls::all()).unwrap();
        Stack::cell().unwrap().answer(&nothing, name, args).unwrap()
    }

    #[test]
    fn the_cell_list_compiles_within_the_kernels_limit() {
        let length = Program::parse(&cell().unwrap()).unwrap().len();
        println!("the cell's list: {length} instructions");
        assert!((500..=2000).contains(&length), "{length} instructions");
    }

    #[test]
    fn what_is_not_listed_is_notified_and_a_foreign_architecture_kills() {
        let (kill, allow, enosys) = (0x8000_0000, 0x7fff_0000, 0x0005_0026);
        assert_eq!(answers(&cell().unwrap()), [kill, allow, USER_NOTIF].into());
        assert_eq!(answers(&quiet().unwrap()), [kill, allow, enosys].into());
        assert_eq!(answers(&no_x32()), [kill, allow].into());
        assert_eq!(in_a_cell("ptrace", [0; 6]), Answer::Notified);
        assert_eq!(in_a_cell("clone3", [0; 6]), Answer::Errno(38));
        assert_eq!(in_a_cell("read", [0; 6]), Answer::Allowed);
    }

    #[test]
    fn every_filter_kills_other_architectures_and_x32() {
        let mut call = Call {
            number: 0,
            arch: 0x4000_0003,
            instruction_pointer: 0,
            args: [0; 6],
        };
        for filter in [
            cell().unwrap(),
            quiet().unwrap(),
            run_filter(&Calls::all()).unwrap(),
        ] {
            let filter = Program::parse(&filter).unwrap();
            assert_eq!(Answer::of(filter.run(&call)), Answer::Killed);
        }
        call.arch = AUDIT_ARCH;
        for number in [0x4000_0000, 0x4000_0000 + 1, 0xFFFF_FFFF] {
            call.number = number;
            let stack = Stack::cell().unwrap();
            let programs: Vec<&Program> = stack.0.iter().collect();
            assert_eq!(Answer::together(&programs, &call), Answer::Killed);
        }
    }

    #[test]
    fn the_init_is_out_of_reach_of_calls_that_name_a_process() {
        let calls = [
            "prlimit64",
            "sched_setaffinity",
            "sched_setscheduler",
            "sched_setparam",
            "sched_setattr",
        ];
        for name in calls {
            for (pid, expected) in [
                (0, Answer::Allowed),
                (1, Answer::Notified),
                (2, Answer::Allowed),
            ] {
                assert_eq!(
                    in_a_cell(name, [pid, 7, 1, 0, 0, 0]),
                    expected,
                    "{name} {pid}"
                );
                // pid_t is 32 bits wide; the kernel does not look above.
                let high = pid | 1 << 32;
                assert_eq!(
                    in_a_cell(name, [high, 7, 1, 0, 0, 0]),
                    expected,
                    "{name} {pid}"
                );
            }
        }
        // setpriority: PRIO_PROCESS, PRIO_PGRP, PRIO_USER.
        for (which, who, expected) in [
            (0, 0, Answer::Allowed),
            (0, 1, Answer::Notified),
            (1, 0, Answer::Allowed),
            (1, 1, Answer::Notified),
            (2, 0, Answer::Notified),
            (2, 1000, Answer::Notified),
        ] {
            assert_eq!(
                in_a_cell("setpriority", [which, who, 5, 0, 0, 0]),
                expected,
                "{which} {who}"
            );
        }
        // RLIMIT_CORE may be read, not set.
        assert_eq!(in_a_cell("prlimit64", [0, 4, 0, 8, 0, 0]), Answer::Allowed);
        assert_eq!(
            in_a_cell("prlimit64", [0, 4, 1 << 32, 0, 0, 0]),
            Answer::Notified
        );
    }

    /// The same denials through seccompiler.
    fn reference(calls: &Calls) -> Program {
        let denials = calls.denials(&List::shipped().unwrap()).unwrap();
        let rules: Vec<Value> = denials
            .iter()
            .map(|d| {
                let arg = |op: Value, val: u32| json!([{ "index": 0, "type": "dword", "op": op, "val": val }]);
                match d.unless {
                    Unless::Never => json!({ "syscall": d.name }),
                    Unless::FirstIs(v) => json!({ "syscall": d.name, "args": arg(json!("ne"), v) }),
                    Unless::FirstHas(bits) => {
                        json!({ "syscall": d.name, "args": arg(json!({ "masked_eq": bits }), 0) })
                    }
                }
            })
            .collect();
        Program::parse(&compile(&refusing(&rules, EPERM)).unwrap()).unwrap()
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

        #[test]
        fn the_short_filter_answers_as_seccompilers_does(
            names in proptest::collection::btree_set(proptest::sample::select(&["mount", "socket", "clone", "kill", "shmget"][..]), 0..5),
            sockets in proptest::sample::select(&[Sockets::None, Sockets::Unix, Sockets::Loopback][..]),
            subprocesses: bool,
            flags: u64,
        ) {
            let calls = Calls {
                denied: names.into_iter().map(str::to_owned).collect(),
                sockets,
                subprocesses,
            };
            let short = Program::parse(&run_filter(&calls).unwrap()).unwrap();
            let long = reference(&calls);
            proptest::prop_assert!(short.len() <= long.len().max(6));
            for first in [0, 1, 2, 1 << 32 | 1, 0x1_0000, flags] {
                for arch in [AUDIT_ARCH, 0x4000_0003] {
                    for number in 0..600 {
                        let args = [first, flags, 0, 0, 0, 0];
                        let call = Call { number, arch, instruction_pointer: 0, args };
                        proptest::prop_assert_eq!(short.run(&call), long.run(&call), "{:?}", call);
                    }
                }
            }
        }
    }

    #[test]
    fn more_denials_than_a_jump_can_span_are_refused() {
        let list = List::shipped().unwrap();
        let denied: BTreeSet<String> = list.allowed().map(str::to_owned).collect();
        assert!(denied.len() > 255);
        let all = Calls {
            denied,
            ..Calls::all()
        };
        assert!(matches!(run_filter(&all), Err(FilterError::TooMany(_))));
    }

    #[test]
    fn numbers_are_the_kernels() {
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            ["read", "socket", "clone3"].map(|n| number(n).unwrap()),
            [0, 41, 435]
        );
        assert!(matches!(number("mownt"), Err(FilterError::Unknown(n)) if n == "mownt"));
    }
}
