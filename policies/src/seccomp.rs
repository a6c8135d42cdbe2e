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
//! 4. [`deny`]: takes from a run what only the init needs. About thirty
//!    instructions, installed per run.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, TargetArch, compile_from_json};
use serde::Deserialize;
use serde_json::{Value, json};

const CELL: &str = include_str!("../profiles/syscalls.toml");

/// A syscall list that does not compile.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Not TOML of the right shape.
    #[error("syscall list does not parse")]
    Parse(#[from] toml::de::Error),
    /// seccompiler refused it; it names the syscall.
    #[error("syscall list does not compile")]
    Compile(#[from] seccompiler::Error),
    /// This processor has no syscall table.
    #[error("unsupported architecture {0}")]
    Architecture(&'static str),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// Why these are allowed; every group has to say.
    #[serde(rename = "comment")]
    _comment: String,
    names: Vec<String>,
    /// Only on these architectures (`std::env::consts::ARCH`).
    arch: Option<Vec<String>>,
    /// One of these argument conditions must hold (all of its parts).
    when: Option<Vec<Vec<Condition>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    index: u8,
    op: String,
    val: u64,
    mask: Option<u64>,
    /// Compare all 64 bits of the argument: for pointers.
    #[serde(default)]
    wide: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    allow: Vec<Group>,
    quiet: Vec<Quiet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quiet {
    /// Who tries it, and what it does instead.
    #[serde(rename = "comment")]
    _comment: String,
    names: Vec<String>,
}

/// The allow-list every cell's init and everything below it lives under. What
/// is not on it is notified (`SECCOMP_RET_USER_NOTIF`): without a listener the
/// kernel answers ENOSYS, as the listener does.
pub fn cell() -> Result<Vec<u8>, FilterError> {
    let list: List = toml::from_str(CELL)?;
    let mut rules = Vec::new();
    for group in &list.allow {
        let here = |archs: &Vec<String>| archs.iter().any(|a| a == std::env::consts::ARCH);
        if !group.arch.as_ref().is_none_or(here) {
            continue;
        }
        for name in &group.names {
            match &group.when {
                None => rules.push(json!({ "syscall": name })),
                Some(ways) => {
                    for way in ways {
                        let args: Vec<Value> = way.iter().map(Condition::to_json).collect();
                        rules.push(json!({ "syscall": name, "args": args }));
                    }
                }
            }
        }
    }
    let mut program = compile(&json!({ "filter": {
        "mismatch_action": "trap",
        "match_action": "allow",
        "filter": rules,
    }}))?;
    notify_instead_of_trap(&mut program);
    Ok(program)
}

/// ENOSYS without notification: the kernel ranks an errno above a
/// notification, so this filter beside [`cell`] keeps the everyday fallbacks
/// of libraries from the listener.
pub fn quiet() -> Result<Vec<u8>, FilterError> {
    let list: List = toml::from_str(CELL)?;
    let names = list.quiet.iter().flat_map(|group| &group.names);
    let rules: Vec<Value> = names.map(|name| json!({ "syscall": name })).collect();
    compile(&json!({ "filter": {
        "mismatch_action": "allow",
        "match_action": { "errno": ENOSYS },
        "filter": rules,
    }}))
}

/// seccompiler 0.5 cannot say `SECCOMP_RET_USER_NOTIF`. Its trap is an action
/// that stands nowhere else in our programs, so every `ret TRAP` becomes one.
fn notify_instead_of_trap(program: &mut [u8]) {
    for instruction in program.as_chunks_mut::<SIZE>().0 {
        if *instruction == raw(RET, 0, 0, TRAP) {
            *instruction = raw(RET, 0, 0, USER_NOTIF);
        }
    }
}

/// Denies `names` with EPERM and says nothing about the rest.
pub fn deny(names: &[String]) -> Result<Vec<u8>, FilterError> {
    let rules: Vec<Value> = names
        .iter()
        .map(|name| json!({ "syscall": name }))
        .collect();
    compile(&json!({ "filter": {
        "mismatch_action": "allow",
        "match_action": { "errno": EPERM },
        "filter": rules,
    }}))
}

/// Kills on x32 numbers: on a kernel built with that ABI they are a second
/// door to every syscall, past lists of native numbers.
#[must_use]
pub fn no_x32() -> Vec<u8> {
    const LOAD_NR: [u8; SIZE] = raw(0x20, 0, 0, 0);
    const IF_X32: [u8; SIZE] = raw(0x35, 0, 1, 0x4000_0000);
    const KILL: [u8; SIZE] = raw(RET, 0, 0, 0x8000_0000);
    const ALLOW: [u8; SIZE] = raw(RET, 0, 0, 0x7fff_0000);
    [LOAD_NR, IF_X32, KILL, ALLOW].concat()
}

/// Bytes of one instruction, `struct sock_filter`.
const SIZE: usize = 8;
/// `BPF_RET | BPF_K`
const RET: u16 = 0x06;
/// `SECCOMP_RET_TRAP`, as seccompiler writes it.
const TRAP: u32 = 0x0003_0000;
/// `SECCOMP_RET_USER_NOTIF`
const USER_NOTIF: u32 = 0x7fc0_0000;

const fn raw(code: u16, jt: u8, jf: u8, k: u32) -> [u8; SIZE] {
    let (c, k) = (code.to_ne_bytes(), k.to_ne_bytes());
    [c[0], c[1], jt, jf, k[0], k[1], k[2], k[3]]
}

const ENOSYS: u32 = 38;
const EPERM: u32 = 1;

impl Condition {
    fn to_json(&self) -> Value {
        let op = match self.mask {
            Some(mask) => json!({ "masked_eq": mask }),
            None => json!(self.op),
        };
        let kind = if self.wide { "qword" } else { "dword" };
        json!({ "index": self.index, "type": kind, "op": op, "val": self.val })
    }
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
    use super::*;

    #[test]
    fn the_cell_list_compiles_within_the_kernels_limit() {
        let program = cell().unwrap();
        assert!(
            program.len() / 8 <= 4096,
            "{} instructions",
            program.len() / 8
        );
        assert!(program.len() / 8 > 500);
    }

    /// The answers a program can give, by its `ret` instructions.
    fn answers(program: &[u8]) -> std::collections::BTreeSet<u32> {
        let (instructions, rest) = program.as_chunks::<SIZE>();
        assert!(rest.is_empty());
        instructions
            .iter()
            .filter(|i| i[..2] == RET.to_ne_bytes())
            .map(|i| u32::from_ne_bytes([i[4], i[5], i[6], i[7]]))
            .collect()
    }

    #[test]
    fn what_is_not_listed_is_notified_and_a_foreign_architecture_kills() {
        let (kill, allow, enosys) = (0x8000_0000, 0x7fff_0000, 0x0005_0026);
        assert_eq!(answers(&cell().unwrap()), [kill, allow, USER_NOTIF].into());
        assert_eq!(answers(&quiet().unwrap()), [kill, allow, enosys].into());
        assert_eq!(answers(&no_x32()), [kill, allow].into());
    }

    #[test]
    fn what_is_answered_quietly_is_not_allowed_elsewhere() {
        let list: List = toml::from_str(CELL).unwrap();
        for name in list.quiet.iter().flat_map(|g| &g.names) {
            assert!(!list.allow.iter().any(|g| g.names.contains(name)), "{name}");
        }
    }

    #[test]
    fn dangerous_calls_are_not_on_the_list() {
        let list: List = toml::from_str(CELL).unwrap();
        let names: Vec<&String> = list.allow.iter().flat_map(|g| &g.names).collect();
        for name in [
            "ptrace",
            "bpf",
            "keyctl",
            "add_key",
            "request_key",
            "io_uring_setup",
            "userfaultfd",
            "perf_event_open",
            "kexec_load",
            "init_module",
            "finit_module",
            "clone3",
            "setns",
            "open_by_handle_at",
            "process_vm_readv",
            "process_vm_writev",
            "pidfd_getfd",
            "fsopen",
            "move_mount",
            "open_tree",
            "pivot_root",
            "chroot",
            "mount_setattr",
            "swapon",
            "reboot",
            "settimeofday",
            "clock_settime",
            "modify_ldt",
            "iopl",
            "ioperm",
            "acct",
            "syslog",
        ] {
            assert!(!names.iter().any(|n| *n == name), "{name} is allowed");
        }
    }

    #[test]
    fn a_denial_is_small_enough_to_install_per_run() {
        let names = ["mount", "umount2", "unshare"].map(str::to_owned);
        assert!(deny(&names).unwrap().len() / 8 < 40);
    }
}
