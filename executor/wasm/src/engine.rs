//! The one engine configuration. The compiler and the worker must agree on it
//! to the letter, or the worker refuses what the compiler made.
//!
//! Every proposal that a C program or an interpreter does not need is off:
//! most advisories of the last two years sit in those (docs/adr/001-wasi.md).

use assize_wire::worker::STACK_BYTES;
use wasmtime::error::Context as _;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

/// Largest linear memory of any run; each run's own limit comes on top.
pub(crate) const MAX_MEMORY: usize = 4 << 30;

/// Largest table: CPython needs just under 40 000 elements.
pub(crate) const MAX_TABLE: usize = 100_000;

/// Native stack of one guest; deeper recursion is a trap. An interpreter that
/// checks its own stack, in linear memory, cannot see this one: it is so large
/// that theirs (4 MiB) ends first. Only what is touched is memory.
const WASM_STACK: usize = 32 << 20;

/// Host functions run on the guest's stack too and need room below it.
const FIBER_STACK: usize = STACK_BYTES as usize;

const _: () = assert!(FIBER_STACK >= WASM_STACK + (2 << 20));

/// Dirty memory a freed slot keeps mapped, to be copied back instead of
/// unmapped and faulted in again. With `PAGEMAP_SCAN` only pages that were
/// written count.
const KEEP_MEMORY: usize = 16 << 20;

/// The same for tables: 65 536 elements of 8 bytes.
const KEEP_TABLE: usize = 512 << 10;

/// How guests are stopped. Each needs code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// By time: a check of the epoch on loop back edges.
    Timed,
    /// By instructions, which are counted: the same run ends at the same
    /// place, with the same count, on every machine.
    Deterministic,
}

fn config(flavour: Flavour) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    match flavour {
        Flavour::Timed => {
            config.epoch_interruption(true);
        }
        Flavour::Deterministic => {
            // No processor's extras: frames on the stack, and with them the
            // depth at which it ends, depend on the code.
            config
                .target("x86_64-unknown-linux-gnu")?
                .consume_fuel(true)
                .cranelift_nan_canonicalization(true);
        }
    }
    config
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true)
        // The Python snapshot's image is sparse and larger than the default.
        .memory_guaranteed_dense_image_size(256 << 20)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        // A trap's native backtrace would cost more than the run.
        .wasm_backtrace_max_frames(None)
        .concurrency_support(false)
        .wasm_threads(false)
        .shared_memory(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .gc_support(false)
        .wasm_exceptions(false)
        .wasm_tail_call(false)
        .wasm_stack_switching(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_relaxed_simd(false)
        .wasm_simd(false)
        .wasm_component_model(false);
    Ok(config)
}

/// For compiling, snapshots and single runs: nothing reserved in advance.
pub(crate) fn on_demand(flavour: Flavour, parallel: bool) -> wasmtime::Result<Engine> {
    let mut config = config(flavour)?;
    config.parallel_compilation(parallel);
    Engine::new(&config)
}

/// For the worker: `slots` instances whose memory is reserved once and reset
/// in place between runs.
pub(crate) fn pooled(flavour: Flavour, slots: u32) -> wasmtime::Result<Engine> {
    // Without PAGEMAP_SCAN (Linux 6.7, and a readable /proc/self/pagemap) a
    // reset would have to copy everything that is kept, which is slower than
    // unmapping it: then nothing is kept.
    let pooled = |scan| Engine::new(&pooled_config(flavour, slots, scan)?);
    pooled(true)
        .or_else(|_| pooled(false))
        .context("cannot reserve the instance pool")
}

fn pooled_config(flavour: Flavour, slots: u32, scan: bool) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots)
        .total_memories(slots)
        .total_tables(slots)
        .total_stacks(slots)
        .max_unused_warm_slots(slots)
        .max_core_instance_size(4 << 20)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .max_memory_size(MAX_MEMORY)
        .table_elements(MAX_TABLE)
        .pagemap_scan(if scan { Enabled::Yes } else { Enabled::No })
        .linear_memory_keep_resident(if scan { KEEP_MEMORY } else { 0 })
        .table_keep_resident(if scan { KEEP_TABLE } else { 0 });
    let mut config = config(flavour)?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(config)
}
