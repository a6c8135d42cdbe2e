//! A jail whose cell stands, as the executor holds it.

use std::io;
use std::os::unix::net::UnixStream;

use assize_wire::cell::{CellReply, PROC_ITEM, SetupFailure, Step};
use assize_wire::frame;

use crate::keeper::BUILDING;
use crate::outcome::Fault;

/// A started jail: its cell stands, its init waits for plans. When it is
/// dropped, the cell ends.
pub(crate) struct Jail {
    /// The leash.
    pub(crate) socket: UnixStream,
    /// What the init said of its cell.
    pub(crate) traits: Traits,
}

/// What differs from cell to cell with the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    /// Landlock ABI in force inside.
    pub(crate) landlock_abi: u8,
    /// Whether refused system calls are counted.
    pub(crate) counting: bool,
}

impl Jail {
    /// Waits for the init's first word.
    pub(crate) fn greet(socket: UnixStream) -> Result<Self, Fault> {
        let lost = |e: frame::FrameError| Fault::CellNotBuilt(e.to_string());
        socket.set_read_timeout(Some(BUILDING)).map_err(host)?;
        let (reply, _) = frame::recv::<CellReply>(&socket).map_err(lost)?;
        socket.set_read_timeout(None).map_err(host)?;
        match reply {
            CellReply::Ready {
                landlock_abi,
                counting,
            } => Ok(Self {
                socket,
                traits: Traits {
                    landlock_abi,
                    counting,
                },
            }),
            CellReply::Failed(failed) => Err(Fault::CellNotBuilt(explain(failed))),
        }
    }
}

/// What failed, and what to do about it.
fn explain(failed: SetupFailure) -> String {
    match advice(failed) {
        Some(advice) => format!("{failed}; {advice}"),
        None => failed.to_string(),
    }
}

/// What a host has to change for a cell to be built.
fn advice(failed: SetupFailure) -> Option<&'static str> {
    use nix::libc::{EACCES, ENOSPC, EPERM};
    Some(match (failed.step, failed.index, failed.errno) {
        (Step::Namespaces, _, EPERM | ENOSPC) => {
            "user namespaces are forbidden here: as root `sysctl -w user.max_user_namespaces=65536`, \
             on Debian and Ubuntu also `sysctl -w kernel.unprivileged_userns_clone=1` and \
             `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; in a container \
             `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`"
        }
        (Step::Ids, 0..=1, EPERM) => {
            "root has no CAP_SETUID and CAP_SETGID here, or too few ids are mapped: \
             in a container `--cap-add SETUID --cap-add SETGID`"
        }
        (Step::Ids, 2..=3, _) => {
            "newuidmap or newgidmap refused: see the lines of this user in /etc/subuid and /etc/subgid"
        }
        (Step::Mounts, PROC_ITEM, EPERM) => {
            "parts of /proc are hidden here, as in a plain container, so that the kernel lets \
             nobody mount a new one: docker `--security-opt systempaths=unconfined`, \
             Kubernetes `procMount: Unmasked`, systemd without ProtectProc= and ProtectKernelTunables="
        }
        (Step::Mounts, _, EPERM) => {
            "mounts are forbidden here: in a container \
             `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`"
        }
        (Step::Mounts, _, EACCES) => {
            "a file that cells are to see lies below a directory that is closed to others: \
             install under /usr/lib/assize, or `chmod o+x` the directories above"
        }
        (Step::Cgroup, _, _) => {
            "the cell could not join its cgroup: it must be delegated together with the group above \
             (systemd Delegate=yes)"
        }
        (
            Step::Namespaces
            | Step::Ids
            | Step::Mounts
            | Step::Pivot
            | Step::Net
            | Step::Scratch
            | Step::Ipc
            | Step::Descriptors
            | Step::Rlimits
            | Step::Capabilities
            | Step::NoNewPrivs
            | Step::Files
            | Step::Landlock
            | Step::Seccomp
            | Step::Exec,
            _,
            _,
        ) => return None,
    })
}

/// A failed operation of this process on its host.
pub(crate) fn host(error: io::Error) -> Fault {
    Fault::Host(error.to_string())
}
