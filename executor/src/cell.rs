//! What every native cell looks like: the host's toolchain read-only, a few
//! files of our own, nothing that names this host.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use assize_policies::seccomp::{self, FilterError};
use assize_wire::cell::{Bind, CellSpec, Ids, Layer, RootFile};

/// Top-level directories that are links into /usr on a merged system and real
/// on an older one.
const TOOLCHAIN: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Configuration that toolchains look for. None of it is about this host.
const CONFIGURATION: [&str; 6] = [
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ssl/openssl.cnf",
    "/etc/mime.types",
];

const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// The parts of a cell that are the same for every slot of this process.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    binds: Vec<Bind>,
    symlinks: Vec<(String, String)>,
    files: Vec<RootFile>,
    filters: Vec<Vec<u8>>,
    without: Vec<Layer>,
    first_uid: u32,
}

impl Blueprint {
    /// Looks at the host once. `extra` are further trees, as (host, cell)
    /// paths; `guest` are files shown under `/assize/guest`.
    pub(crate) fn survey(
        extra: &[(PathBuf, String)],
        guest: &[(String, Vec<u8>)],
        without: &[Layer],
    ) -> Result<Self, FilterError> {
        let mut binds = vec![bind("/usr", "/usr")];
        let mut symlinks = Vec::new();
        for path in TOOLCHAIN {
            match fs::read_link(path) {
                Ok(target) => symlinks.push((path.to_owned(), text(&target))),
                Err(_) if Path::new(path).is_dir() => binds.push(bind(path, path)),
                Err(_) => {}
            }
        }
        for path in CONFIGURATION {
            if Path::new(path).exists() {
                binds.push(bind(path, path));
            }
        }
        for (source, target) in extra {
            binds.push(bind(&text(source), target));
        }
        for path in DEVICES {
            binds.push(Bind {
                source: path.into(),
                target: path.into(),
                device: true,
            });
        }
        let links = [
            ("/dev/fd", "/proc/self/fd"),
            ("/dev/stdin", "/proc/self/fd/0"),
            ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"),
        ];
        symlinks.extend(links.map(|(a, b)| (a.to_owned(), b.to_owned())));
        Ok(Self {
            binds,
            symlinks,
            files: root_files(guest),
            filters: vec![seccomp::no_x32(), seccomp::cell()?],
            without: without.to_vec(),
            first_uid: first_uid(),
        })
    }

    /// The cell of slot number `slot`.
    pub(crate) fn cell(&self, slot: u32, group: &dyn assize_cgroup::Group) -> CellSpec {
        CellSpec {
            ids: Ids {
                init: self.first_uid + 2 * slot,
                program: self.first_uid + 2 * slot + 1,
            },
            hostname: "assize".to_owned(),
            cgroup_procs: group.procs_files().iter().map(|p| text(p)).collect(),
            cgroup_dirs: group.dirs().iter().map(|p| text(p)).collect(),
            binds: self.binds.clone(),
            symlinks: self.symlinks.clone(),
            files: self.files.clone(),
            filters: self.filters.clone(),
            without: self.without.clone(),
        }
    }

    /// Whether this protection is in force.
    pub(crate) fn has(&self, layer: Layer) -> bool {
        !self.without.contains(&layer)
    }
}

/// Host ids far above what systems hand out (and above the ranges of
/// /etc/subuid's defaults), spread by pid so that two servers on one host
/// rarely share one.
fn first_uid() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let instance = COUNT.fetch_add(1, Ordering::Relaxed);
    let spread = std::process::id().wrapping_add(instance.wrapping_mul(7919)) & 0xFFFF;
    0x4A00_0000 + spread * 0x400
}

fn bind(source: &str, target: &str) -> Bind {
    Bind {
        source: source.to_owned(),
        target: target.to_owned(),
        device: false,
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn root_files(guest: &[(String, Vec<u8>)]) -> Vec<RootFile> {
    let own = [
        (
            "/etc/passwd",
            "root:x:0:0:root:/:/usr/sbin/nologin\n\
             program:x:1000:1000:program:/work:/bin/sh\n\
             nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
        ),
        (
            "/etc/group",
            "root:x:0:\nprogram:x:1000:\nnogroup:x:65534:\n",
        ),
        ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\n",
        ),
    ];
    let own = own.map(|(path, data)| (path.to_owned(), data.as_bytes().to_vec()));
    let guest = guest
        .iter()
        .map(|(name, data)| (format!("/assize/guest/{name}"), data.clone()));
    own.into_iter()
        .chain(guest)
        .map(|(path, data)| RootFile {
            path,
            data,
            mode: 0o644,
        })
        .collect()
}
