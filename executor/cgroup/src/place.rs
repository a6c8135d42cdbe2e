//! Where our groups live: `<our own group>/assize-<pid>/<slot>`, so that
//! limits of the service we run under hold for us and our slots together.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::CgroupError;

/// Prefix of the directory that holds one server's slots.
const PREFIX: &str = "assize-";

/// Name of a new backend's directory: `assize-<pid>`, and with a number after
/// it from the second backend of a process on.
pub(crate) fn own_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    match COUNT.fetch_add(1, Ordering::Relaxed) {
        0 => format!("{PREFIX}{pid}"),
        n => format!("{PREFIX}{pid}.{n}"),
    }
}

/// Makes a directory; one that is there already is ours from before.
pub(crate) fn make(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
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
pub fn sweep_stale(parent: &Path) {
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
        if pid != std::process::id() && !Path::new(&format!("/proc/{pid}")).exists() {
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
