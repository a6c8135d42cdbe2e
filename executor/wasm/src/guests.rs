//! The guests installed with Assize.
//!
//! A guests directory holds `NAME.cwasm`, a `SHA256SUMS` that lists each of
//! them as `sha256sum` would, and optionally a directory `NAME` that the guest
//! sees read-only as `/usr/local/lib`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Linker;
use wasmtime::bail;
use wasmtime::error::Context as _;

use crate::host::Host;
use crate::program::Program;
use crate::trusted;

/// Where a guest sees its own files.
pub(crate) const LIBRARY: &str = "/usr/local/lib";

/// One installed guest.
pub(crate) struct Guest {
    pub(crate) program: Arc<Program>,
    pub(crate) library: Option<PathBuf>,
}

/// Loads every `*.cwasm` of `dir`. One that is not listed, or not what the
/// list says, is refused, and so is the directory.
pub(crate) fn load(linker: &Linker<Host>, dir: &Path) -> wasmtime::Result<BTreeMap<String, Guest>> {
    let sums = dir.join("SHA256SUMS");
    let listed =
        fs::read_to_string(&sums).with_context(|| format!("cannot read {}", sums.display()))?;
    let listed: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name, sum))
        .collect();
    let mut guests = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(stem) = name.strip_suffix(".cwasm") else {
            continue;
        };
        let Some(sum) = listed.get(name) else {
            bail!("{name} is not listed in SHA256SUMS")
        };
        let module = trusted::installed(linker.engine(), &path, sum)?;
        let program = Program::new(linker, &module).with_context(|| format!("guest {stem}"))?;
        let library = Some(dir.join(stem)).filter(|library| library.is_dir());
        guests.insert(
            stem.to_owned(),
            Guest {
                program: Arc::new(program),
                library,
            },
        );
    }
    Ok(guests)
}
