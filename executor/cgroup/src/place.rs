//! Where our groups live: `<our own group>/assize-<pid>/<slot>`, so that
//! limits of the service we run under hold for us and our slots together.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::CgroupError;

/// Prefix of the directory that holds one server's slots.
const PREFIX: &str = "assize-";

/// What an ordinary user, or root in a container, has to ask for.
pub(crate) const DELEGATION: &str = "this user owns no cgroup: as an ordinary user start with \
    `systemd-run --user --scope -p Delegate=yes assize …`, as a service set Delegate=yes, \
    in a container mount /sys/fs/cgroup writable (docker: --cgroupns=private with \
    -v /sys/fs/cgroup:/sys/fs/cgroup:rw, or --privileged)";

/// Makes a directory; one that is there already is ours from before.
pub(crate) fn make(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Err(e)
            if e.kind() == ErrorKind::PermissionDenied
                || e.kind() == ErrorKind::ReadOnlyFilesystem =>
        {
            Err(CgroupError::Unenforceable {
                limit: "memory_bytes",
                reason: format!("{} cannot be made: {e}; {DELEGATION}", path.display()),
            })
        }
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(CgroupError::Io {
            path: path.to_owned(),
            source: e,
        }),
        _ => Ok(()),
    }
}

/// Removes a directory whose last process may be a moment from being reaped.
pub(crate) fn remove(path: &Path) {
    for _ in 0..200 {
        match fs::remove_dir(path) {
            Err(e) if e.kind() == ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            _ => return,
        }
    }
    tracing::warn!(path = %path.display(), "cgroup directory is still busy");
}

/// Removes what servers that were killed have left under `parent`. A group
/// with live processes is killed first: its server is gone, nobody waits.
/// `own` is the name that is just being taken.
pub fn sweep_stale(parent: &Path, own: &str) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| {
            n.strip_prefix(PREFIX)?
                .split('.')
                .next()?
                .parse::<u32>()
                .ok()
        });
        let Some(pid) = pid else { continue };
        let ours = name.to_str() == Some(own);
        if !ours && !Path::new(&format!("/proc/{pid}")).exists() {
            remove_tree(&entry.path());
        }
    }
}

/// Removes a group and the groups below it.
pub(crate) fn remove_tree(path: &Path) {
    let below: Vec<PathBuf> = fs::read_dir(path)
        .map(|entries| {
            entries
                .flatten()
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
                .map(|e| e.path())
                .collect()
        })
        .unwrap_or_default();
    for dir in below {
        remove_tree(&dir);
    }
    let _ = fs::write(path.join("cgroup.kill"), "1");
    remove(path);
}
