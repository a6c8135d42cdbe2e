//! The guests installed with Assize.
//!
//! A guests directory holds `NAME.cwasm` and, for deterministic runs,
//! `NAME.fuel.cwasm`; optionally `NAME.tar`, which the guest sees read-only as
//! `/usr/local/lib`; and a `SHA256SUMS` that lists all of these as `sha256sum`
//! would.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use wasmtime::Linker;
use wasmtime::error::Context as _;

use crate::engine::Flavour;
use crate::fs::{self as files, Tree};
use crate::host::Host;
use crate::program::Program;
use crate::trusted;

/// One installed guest.
pub(crate) struct Guest {
    pub(crate) program: Arc<Program>,
    pub(crate) library: Option<Arc<Tree>>,
    /// SHA-256 of its native code, in hexadecimal.
    pub(crate) digest: Arc<str>,
}

/// Loads every guest of `dir` in this flavour. A file that is not listed, or
/// not what the list says, is refused, and so is the directory.
pub(crate) fn load(
    linker: &Linker<Host>,
    dir: &Path,
    flavour: Flavour,
) -> wasmtime::Result<BTreeMap<String, Guest>> {
    let sums = dir.join("SHA256SUMS");
    let listed =
        fs::read_to_string(&sums).with_context(|| format!("cannot read {}", sums.display()))?;
    let listed: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name, sum))
        .collect();
    let sum = |name: &str| {
        let sum = listed.get(name).copied();
        sum.with_context(|| format!("{name} is not listed in SHA256SUMS"))
    };
    let mut guests = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(code) = name.strip_suffix(".cwasm") else {
            continue;
        };
        let (stem, this) = match code.strip_suffix(".fuel") {
            Some(stem) => (stem, Flavour::Deterministic),
            None => (code, Flavour::Timed),
        };
        if this != flavour {
            continue;
        }
        let digest = sum(name)?;
        let module = trusted::installed(linker.engine(), &path, digest)?;
        let program = Program::new(linker, &module).with_context(|| format!("guest {stem}"))?;
        let archive = format!("{stem}.tar");
        let library = match dir.join(&archive) {
            path if path.exists() => {
                let file = trusted::verified(&path, sum(&archive)?)?;
                Some(files::library(file).with_context(|| archive)?)
            }
            _ => None,
        };
        guests.insert(
            stem.to_owned(),
            Guest {
                program: Arc::new(program),
                library,
                digest: digest.into(),
            },
        );
    }
    Ok(guests)
}
