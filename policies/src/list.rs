//! The syscall list of a cell, read from `profiles/syscalls.toml`. Every entry
//! has a reason of its own: one without is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::seccomp::FilterError;

const CELL: &str = include_str!("../profiles/syscalls.toml");

/// What is allowed in a cell, and what is refused there without notification.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    allow: Vec<Group>,
    quiet: Vec<Quiet>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// Why these stand together.
    comment: String,
    /// Syscall to reason.
    names: BTreeMap<String, String>,
    /// Only on these architectures (`std::env::consts::ARCH`).
    arch: Option<Vec<String>>,
    /// One of these argument conditions must hold (all of its parts).
    when: Option<Vec<Vec<Condition>>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quiet {
    /// Who tries these.
    comment: String,
    /// Syscall to what is done instead.
    names: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
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

impl Group {
    fn here(&self) -> bool {
        let archs = self.arch.as_ref();
        archs.is_none_or(|a| a.iter().any(|a| a == std::env::consts::ARCH))
    }
}

impl List {
    /// The shipped list.
    pub fn shipped() -> Result<Self, FilterError> {
        Self::parse(CELL)
    }

    /// Parses a list and checks that every entry says why it is there and
    /// stands there once.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let list: Self = toml::from_str(text)?;
        let allowed = list.allow.iter().map(|g| (&g.comment, &g.names));
        let quiet = list.quiet.iter().map(|g| (&g.comment, &g.names));
        let mut seen = BTreeSet::new();
        for (comment, names) in allowed.chain(quiet) {
            for (name, reason) in names {
                if comment.trim().is_empty() || reason.trim().is_empty() {
                    return Err(FilterError::NoReason(name.clone()));
                }
                if !seen.insert(name) {
                    return Err(FilterError::Twice(name.clone()));
                }
            }
        }
        Ok(list)
    }

    /// Whether a name is allowed: on this architecture, on some other, or
    /// (`None`) nowhere. Conditions on arguments are not looked at.
    #[must_use]
    pub fn allows(&self, name: &str) -> Option<bool> {
        let group = self.allow.iter().find(|g| g.names.contains_key(name))?;
        Some(group.here())
    }

    /// What is allowed on this architecture, under whatever conditions.
    pub fn allowed(&self) -> impl Iterator<Item = &str> {
        let here = self.allow.iter().filter(|g| g.here());
        here.flat_map(|g| g.names.keys()).map(String::as_str)
    }

    /// What is answered ENOSYS without notification.
    pub fn quiet(&self) -> impl Iterator<Item = &str> {
        self.quiet
            .iter()
            .flat_map(|g| g.names.keys())
            .map(String::as_str)
    }

    /// As rules of seccompiler: one for each way in which a call is allowed.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let mut rules = Vec::new();
        for group in self.allow.iter().filter(|g| g.here()) {
            for name in group.names.keys() {
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
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_calls_are_not_on_the_list() {
        let list = List::shipped().unwrap();
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
            "flock",
        ] {
            assert_eq!(list.allows(name), None, "{name} is allowed");
        }
        assert_eq!(list.allows("read"), Some(true));
    }

    #[test]
    fn an_entry_without_a_reason_is_refused_by_name() {
        for bare in ["", "  "] {
            let text = CELL.replacen(
                "lseek = \"move the position\"",
                &format!("lseek = {bare:?}"),
                1,
            );
            let refused = List::parse(&text);
            assert!(matches!(refused, Err(FilterError::NoReason(n)) if n == "lseek"));
        }
    }

    #[test]
    fn a_name_stands_in_one_place_only() {
        let text = CELL.replacen("lseek = ", "clone3 = ", 1);
        assert!(matches!(List::parse(&text), Err(FilterError::Twice(n)) if n == "clone3"));
    }
}
