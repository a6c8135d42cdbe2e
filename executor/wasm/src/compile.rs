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

#[cfg(test)]
mod tests {
    use super::*;

    /// Real modules with a few bytes changed, by a fixed generator: whatever
    /// comes in, the compiler says yes or no and nothing else.
    #[test]
    fn modules_of_noise_are_compiled_or_refused() {
        let text = r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1 4) (table 4 funcref) (global $g (mut i64) (i64.const 7))
            (elem (i32.const 0) $f $f) (data (i32.const 0) "\10\00\00\00\06\00\00\00hello\n")
            (func $f (param i32) (result i32) (local f64 i64)
              (block (loop (br_if 1 (i32.eqz (local.get 0)))
                (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br 0)))
              (i32.trunc_sat_f64_s (f64.sqrt (f64.convert_i32_s (local.get 0)))))
            (func (export "_start") (drop (call $f (i32.const 9)))
              (drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 1)))
              (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
        let seed = wat::parse_str(text).unwrap();
        let engine = engine::on_demand(Flavour::Timed, false).unwrap();
        assert!(module(&engine, &seed).is_ok());
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |n: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as usize % n
        };
        let mut refused = 0;
        for _ in 0..3000 {
            let mut bytes = seed.clone();
            for _ in 0..=next(3) {
                match next(4) {
                    0 => bytes.truncate(8 + next(bytes.len() - 8)),
                    1 => bytes.insert(8 + next(bytes.len() - 7), next(256) as u8),
                    _ => {
                        let at = 8 + next(bytes.len() - 8);
                        bytes[at] = next(256) as u8;
                    }
                }
                if bytes.len() < 10 {
                    break;
                }
            }
            refused += usize::from(module(&engine, &bytes).is_err());
        }
        assert!((1000..3000).contains(&refused), "{refused}");
    }
}
