//! What every native cell looks like: the host's toolchain read-only, a few
//! files of our own, nothing that names this host.

use std::fs;
use std::path::Path;

use assize_policies::seccomp;
use assize_wire::cell::{Bind, IdSource, Layer, RootFile};
use assize_wire::keeper::KeeperSpec;

use crate::executor::{Config, chain};
use crate::identity;
use crate::outcome::Fault;
use crate::warm::Warmth;

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

/// What every cell of this process looks like.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    binds: Vec<Bind>,
    symlinks: Vec<(String, String)>,
    files: Vec<RootFile>,
    filters: Vec<Vec<u8>>,
    allow_list: Vec<u8>,
    without: Vec<Layer>,
    ids: IdSource,
}

impl Blueprint {
    /// Looks at the host once.
    pub(crate) fn survey(config: &Config) -> Result<Self, Fault> {
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
        for path in java() {
            binds.push(bind(&path, &path));
        }
        for (source, target) in &config.binds {
            binds.push(bind(&text(source), target));
        }
        if let Some((binary, guests)) = &config.wasm {
            binds.push(bind(&text(binary), crate::wasi::BINARY));
            binds.push(bind(&text(guests), crate::wasi::GUESTS));
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
        let unsound = |e| Fault::Host(format!("{e}: {}", chain(&e)));
        let allow_list = seccomp::cell().map_err(unsound)?;
        let quiet = seccomp::quiet().map_err(unsound)?;
        symlinks.extend(links.map(|(a, b)| (a.to_owned(), b.to_owned())));
        Ok(Self {
            binds,
            symlinks,
            files: root_files(&config.guest_files)
                .into_iter()
                .chain(waiting(config))
                .collect(),
            filters: vec![seccomp::no_x32(), quiet],
            allow_list,
            without: config.without.clone(),
            ids: identity::source()?,
        })
    }

    /// The same as the keeper is told it.
    pub(crate) fn spec(&self, config: &Config, name: String, slots: u32) -> KeeperSpec {
        KeeperSpec {
            name,
            jail: text(&config.bin.join("assize-jail")),
            slots,
            ids: self.ids,
            binds: self.binds.clone(),
            symlinks: self.symlinks.clone(),
            files: self.files.clone(),
            filters: self.filters.clone(),
            allow_list: self.allow_list.clone(),
            without: self.without.clone(),
            best_effort: config.best_effort,
        }
    }

    /// Whether programs run as another host id than their init.
    pub(crate) fn own_uid(&self) -> bool {
        self.has(Layer::ProgramUid) && self.two_ids()
    }

    /// Whether cells have host ids of their own.
    pub(crate) fn two_ids(&self) -> bool {
        matches!(self.ids, IdSource::Pairs { .. })
    }

    /// Whether interpreters can be made to wait.
    pub(crate) fn can_keep_warm(&self) -> bool {
        self.two_ids() && self.files.iter().any(|f| f.path == crate::warm::LIBRARY)
    }

    /// Whether this protection is in force.
    pub(crate) fn has(&self, layer: Layer) -> bool {
        !self.without.contains(&layer)
    }
}

/// Debian keeps the configuration of each JDK in /etc: without it a JVM says
/// that its security properties are missing.
fn java() -> Vec<String> {
    let names = fs::read_dir("/etc").into_iter().flatten().flatten();
    let mut found: Vec<String> = names
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"java-"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| text(&entry.path()))
        .collect();
    found.sort();
    found
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

/// The object that makes interpreters wait, if there is one. A copy: a mount
/// would tell programs where it lies on the host.
fn waiting(config: &Config) -> Option<RootFile> {
    if config.warmth == Warmth::Off {
        return None;
    }
    let data = fs::read(config.bin.join(crate::warm::FILE)).ok()?;
    Some(RootFile {
        path: crate::warm::LIBRARY.to_owned(),
        data,
        mode: 0o644,
    })
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
