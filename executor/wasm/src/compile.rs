//! From an untrusted module to native code, inside a cell made for it.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use wasmtime::error::Context as _;
use wasmtime::{Engine, Module};
use wasmtime::{bail, ensure};

use crate::engine::{self, Flavour, MAX_MEMORY, MAX_TABLE};
use crate::host;
use crate::program::Program;

const WASM_PAGE: u64 = 64 << 10;

/// Checks `input` against everything that would stop it in the worker, and
/// writes the native code.
pub(crate) fn file(
    input: &Path,
    output: &Path,
    flavour: Flavour,
    parallel: bool,
) -> wasmtime::Result<ExitCode> {
    let wasm = fs::read(input).with_context(|| format!("cannot read {}", input.display()))?;
    let native = module(&engine::on_demand(flavour, parallel)?, &wasm)?;
    fs::write(output, native).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn module(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    // The text format would be accepted too with wasmtime's `wat` feature;
    // only the binary format is ours.
    ensure!(wasm.starts_with(b"\0asm"), "not a WebAssembly module");
    ensure!(
        wasm.get(4..8) == Some(&[1, 0, 0, 0]),
        "not a core module of version 1"
    );
    let module = Module::new(engine, wasm).context("bad module")?;
    check_size(&module)?;
    Program::new(&host::linker(engine)?, &module).context("bad module")?;
    module.serialize()
}

/// The worker's slots are of fixed size.
fn check_size(module: &Module) -> wasmtime::Result<()> {
    let needs = module.resources_required();
    if needs.num_memories > 1 || needs.num_tables > 1 {
        bail!("bad module: more than one memory or table");
    }
    if needs.max_initial_memory_size.unwrap_or(0) > MAX_MEMORY as u64 / WASM_PAGE {
        bail!("bad module: initial memory over {MAX_MEMORY} bytes");
    }
    if needs.max_initial_table_size.unwrap_or(0) > MAX_TABLE as u64 {
        bail!("bad module: initial table over {MAX_TABLE} elements");
    }
    Ok(())
}
