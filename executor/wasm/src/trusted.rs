//! Where native code enters the process: the one place outside `assize-sys`
//! with `unsafe`, because the fact that makes it sound (who made these bytes)
//! is established here.

#![allow(unsafe_code, reason = "deserializing native code is unsafe by nature")]

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use rustix::fs::{SealFlags, fcntl_get_seals};
use sha2::{Digest as _, Sha256};
use wasmtime::ensure;
use wasmtime::error::Context as _;
use wasmtime::{Engine, Module};

/// Loads an installed guest, if its bytes are those that the build listed.
pub(crate) fn installed(engine: &Engine, path: &Path, sha256: &str) -> wasmtime::Result<Module> {
    let file = verified(path, sha256)?;
    native(engine, file).with_context(|| format!("cannot load {}", path.display()))
}

/// Opens a file whose bytes are those that the build listed. The descriptor is
/// the one that was hashed, so no rename comes between.
pub(crate) fn verified(path: &Path, sha256: &str) -> wasmtime::Result<File> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let found = digest(&mut file)?;
    ensure!(
        found == sha256,
        "checksum of {} is {found}, not {sha256}",
        path.display()
    );
    Ok(file)
}

/// Loads a module that the executor had compiled and attached.
pub(crate) fn attached(engine: &Engine, file: File) -> wasmtime::Result<Module> {
    let needed = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
    let seals = fcntl_get_seals(&file).unwrap_or(SealFlags::empty());
    // Code that could change under the mapping would be somebody else's code.
    ensure!(seals.contains(needed), "module is not a sealed memfd");
    native(engine, file).context("cannot load the attached module")
}

fn native(engine: &Engine, file: File) -> wasmtime::Result<Module> {
    // SAFETY: (1) The bytes were made by this program's own compiler: they
    // match a checksum written by the build into the guests directory, which
    // the worker's cell shows read-only, or they came sealed from the executor
    // over the private socket, which takes them only from a compile cell.
    // Should that compiler have been subverted by its input, the worker's cell
    // bounds the harm. (2) The file does not change while mapped: it is
    // read-only here, or sealed against writing and truncation.
    unsafe { Module::deserialize_open_file(engine, file) }
}

fn digest(file: &mut File) -> wasmtime::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    file.rewind()?;
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
