//! Snapshots: a module as it is after `wizer.initialize` has run.
//!
//! For an interpreter that means: started, its libraries imported. Each run
//! then begins there, copy-on-write, instead of at the beginning.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use wasmtime::Module;
use wasmtime::error::Context as _;
use wasmtime_wizer::Wizer;

use crate::engine::{self, Flavour};
use crate::host;
use crate::single::{Surroundings, runtime};

const INITIALIZE: &str = "wizer.initialize";

/// Runs the initialisation of `input` and writes the result.
pub(crate) fn file(
    input: &Path,
    output: &Path,
    around: &Surroundings,
) -> wasmtime::Result<ExitCode> {
    let wasm = fs::read(input).with_context(|| format!("cannot read {}", input.display()))?;
    let engine = engine::on_demand(Flavour::Timed, true)?;
    let linker = host::builder(&engine)?;
    let mut store = around.store(&engine, &["snapshot".to_owned()])?;
    let mut wizer = Wizer::new();
    wizer.init_func(INITIALIZE);
    let instantiate = async |store: &mut wasmtime::Store<host::Host>, module: &Module| {
        linker.instantiate_async(store, module).await
    };
    let taken = runtime()?.block_on(wizer.run(&mut store, &wasm, instantiate))?;
    fs::write(output, taken).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(ExitCode::SUCCESS)
}
