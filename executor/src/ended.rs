//! How a native run ended, from what its init and the limits say.

use assize_wire::cell::{SetupFailure, Step};
use assize_wire::plan as wire;

use crate::outcome::{End, Fault, Limit, Violation};

/// What a wait status and the limits mean together. `own`: the program is a
/// file of the submission, so a kernel that refuses to execute it says
/// something about the submission.
pub(crate) fn end(
    end: wire::End,
    limit: Option<Limit>,
    own: bool,
    seen: &mut Vec<Violation>,
) -> Result<End, Fault> {
    Ok(match (end, limit) {
        // Out of memory while its own files were laid out is its own doing.
        (wire::End::NotStarted(_), Some(Limit::Memory)) => End::Limit(Limit::Memory),
        (wire::End::NotStarted(failed), _) => return refused(failed, own),
        (_, Some(limit)) => End::Limit(limit),
        (wire::End::Signaled(nix::libc::SIGSYS), None) => {
            let name = "foreign architecture or x32".to_owned();
            seen.push(Violation {
                kind: "syscall",
                name,
                count: 1,
            });
            End::Violation
        }
        (wire::End::Exited(status), None) => End::Exited(status),
        (wire::End::Signaled(signal), None) => End::Signaled(signal),
    })
}

/// What a system call is called here; its number when nobody knows.
pub(crate) fn call_name(number: u32) -> String {
    usize::try_from(number)
        .ok()
        .and_then(syscalls::Sysno::new)
        .map_or_else(|| number.to_string(), |known| known.name().to_owned())
}

/// Whose doing it is that a run did not start.
fn refused(failed: SetupFailure, own: bool) -> Result<End, Fault> {
    use nix::libc::{E2BIG, EDQUOT, ENOENT, ENOSPC};
    match (failed.step, failed.errno) {
        // The shell's convention: 127 not found, 126 not executable.
        (Step::Exec, ENOENT) if own => Ok(End::Exited(127)),
        (Step::Exec, errno) if own || errno == E2BIG => Ok(End::Exited(126)),
        (Step::Files, ENOSPC | EDQUOT) => Err(Fault::Unenforceable {
            limit: "disk_bytes",
            reason: "the run's own files do not fit into its disk and file limits".to_owned(),
        }),
        _ => Err(not_started(failed)),
    }
}

fn not_started(failed: SetupFailure) -> Fault {
    Fault::NotStarted(failed.to_string())
}
