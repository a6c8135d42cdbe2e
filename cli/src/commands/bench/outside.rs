//! Other people's sandboxes, as Debian packages them, each around the same
//! command.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use super::program::{Measure, argv, run, timed};
use super::scratch::Scratch;

/// A directory of the host shown read-only in the sandbox.
pub(super) type Bind = (PathBuf, &'static str);

/// The first of these directories that has the program.
pub(super) fn which(name: &str) -> Option<PathBuf> {
    let paths = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    paths
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
}

/// What dynamic programs of Debian need of /etc.
const ETC: [&str; 2] = ["/etc/alternatives", "/etc/ld.so.cache"];

/// bubblewrap: all namespaces, /usr read-only, fresh /proc, /dev and /tmp.
pub(super) fn bwrap(inner: &[String], binds: &[Bind], runs: usize) -> Result<Measure, String> {
    let bin = which("bwrap").ok_or("not installed: apt install bubblewrap")?;
    let mut all = vec![bin.to_string_lossy().into_owned()];
    all.extend(argv(&[
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--ro-bind",
        "/usr",
        "/usr",
        "--symlink",
        "usr/bin",
        "/bin",
        "--symlink",
        "usr/lib",
        "/lib",
        "--symlink",
        "usr/lib64",
        "/lib64",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
    ]));
    for path in ETC {
        all.extend(argv(&["--ro-bind-try", path, path]));
    }
    for (host, cell) in binds {
        all.extend(argv(&["--ro-bind", &host.to_string_lossy(), cell]));
    }
    all.push("--".to_owned());
    all.extend_from_slice(inner);
    Ok(super::program::spawning(all, runs))
}

/// runc: a bundle with /usr read-only, its own namespaces and cgroups (v1 or
/// v2, as runc finds them), 256 MiB and 64 processes.
pub(super) fn runc(inner: &[String], binds: &[Bind], runs: usize) -> Result<Measure, String> {
    let bin = which("runc").ok_or("not installed: apt install runc")?;
    let bundle = bundle(inner, binds).map_err(|e| format!("no bundle: {e:#}"))?;
    let mut number = 0_u64;
    Ok(Box::new(move || {
        let mut one = |_| {
            number += 1;
            let state = bundle.path().join("state");
            let command = [
                bin.to_string_lossy().into_owned(),
                "--root".to_owned(),
                state.to_string_lossy().into_owned(),
                "run".to_owned(),
                "--bundle".to_owned(),
                bundle.path().to_string_lossy().into_owned(),
                format!("assize-bench-{}-{number}", std::process::id()),
            ];
            timed(1, || run(&command, &[]).map(drop))
        };
        (0..runs).map(&mut one).collect()
    }))
}

fn bundle(inner: &[String], binds: &[Bind]) -> Result<Scratch> {
    let scratch = Scratch::new()?;
    let root = scratch.path().join("rootfs");
    for dir in ["usr", "proc", "dev", "tmp"] {
        std::fs::create_dir_all(root.join(dir))?;
    }
    for (link, target) in [
        ("bin", "usr/bin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ] {
        std::os::unix::fs::symlink(target, root.join(link))?;
    }
    let mut mounts = vec![
        json!({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}),
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "nodev", "size=65536k"]}),
    ];
    std::fs::create_dir_all(root.join("etc"))?;
    for path in ETC.iter().filter(|path| Path::new(path).exists()) {
        let inside = root.join(path.trim_start_matches('/'));
        if Path::new(path).is_dir() {
            std::fs::create_dir_all(inside)?;
        } else {
            std::fs::write(inside, "")?;
        }
        mounts.push(json!({"destination": path, "type": "bind", "source": path,
            "options": ["bind", "ro"]}));
    }
    for (host, cell) in binds {
        std::fs::create_dir_all(root.join(cell.trim_start_matches('/')))?;
        mounts.push(json!({"destination": cell, "type": "bind", "source": host,
            "options": ["rbind", "ro"]}));
    }
    let kinds = ["pid", "network", "ipc", "uts", "mount"];
    let namespaces: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": inner,
            "env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": mounts,
        "linux": {
            "resources": {"memory": {"limit": 268_435_456}, "pids": {"limit": 64}},
            "namespaces": namespaces,
        },
    });
    let text = serde_json::to_string_pretty(&config)?;
    std::fs::write(scratch.path().join("config.json"), text)?;
    Ok(scratch)
}
