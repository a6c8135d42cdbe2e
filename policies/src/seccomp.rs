//! From syscall lists to BPF.
//!
//! Three programs decide together, and the kernel takes the strictest answer:
//!
//! 1. [`no_x32`]: kills on any x32 number. seccompiler checks the architecture
//!    but not this bit.
//! 2. [`cell`]: the allow-list of `profiles/syscalls.toml`; anything else gets
//!    ENOSYS, a foreign architecture kills. It holds what the cell's init
//!    needs, is installed once per slot and inherited, so it costs a run
//!    nothing (installing costs about 1.2 µs an instruction).
//! 3. [`deny`]: takes from a run what only the init needs. About thirty
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
}

/// The allow-list every cell's init and everything below it lives under.
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
    compile(&json!({ "filter": {
        "mismatch_action": { "errno": ENOSYS },
        "match_action": "allow",
        "filter": rules,
    }}))
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
    const LOAD_NR: (u16, u8, u8, u32) = (0x20, 0, 0, 0);
    const IF_X32: (u16, u8, u8, u32) = (0x35, 0, 1, 0x4000_0000);
    const KILL: (u16, u8, u8, u32) = (0x06, 0, 0, 0x8000_0000);
    const ALLOW: (u16, u8, u8, u32) = (0x06, 0, 0, 0x7fff_0000);
    let raw = |(code, jt, jf, k): (u16, u8, u8, u32)| {
        let (c, k) = (code.to_ne_bytes(), k.to_ne_bytes());
        [c[0], c[1], jt, jf, k[0], k[1], k[2], k[3]]
    };
    [LOAD_NR, IF_X32, KILL, ALLOW].map(raw).concat()
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
    let raw = |i: seccompiler::sock_filter| {
        let (c, k) = (i.code.to_ne_bytes(), i.k.to_ne_bytes());
        [c[0], c[1], i.jt, i.jf, k[0], k[1], k[2], k[3]]
    };
    Ok(program.into_iter().flat_map(raw).collect())
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
