//! What one guest can reach: its WASI context, its channel, its report.

use std::path::Path;

use wasmtime::error::Context as _;
use wasmtime::{Engine, Linker};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView as _};

use crate::capture::Bounded;
use crate::channel::Channel;
use crate::limiter::Limiter;
use crate::poll::Monotonic;
use crate::{abi, poll};

/// Open files and streams of one guest; one more is a trap. Each file is a
/// descriptor of the worker, which has 4096 of them for up to 64 guests: a
/// guest that could take all would make the others fail to open theirs, and
/// the worker fail to take orders.
const RESOURCES: usize = 56;

/// Most random bytes of one call: it is made in one go, and all guests of the
/// worker wait for it.
const RANDOM: u64 = 1 << 20;

/// State of one instance; born and dropped with it.
pub(crate) struct Host {
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) limiter: Limiter,
    pub(crate) channel: Channel,
    pub(crate) report: Bounded,
    pub(crate) clock: Monotonic,
}

impl Host {
    /// Takes the context as configured so far; the clock and the way files are
    /// read are the same for every guest.
    pub(crate) fn new(
        wasi: &mut WasiCtxBuilder,
        memory_bytes: u64,
        report_bytes: u64,
        channel: Channel,
    ) -> Self {
        let clock = Monotonic::start();
        // Sleeping is not done on this thread all the same: see `poll`.
        let mut wasi = wasi
            .monotonic_clock(clock)
            .allow_blocking_current_thread(true)
            .max_random_size(RANDOM)
            .build_p1();
        wasi.ctx().table.set_max_capacity(RESOURCES);
        Self {
            wasi,
            limiter: Limiter::new(memory_bytes),
            channel,
            report: Bounded::new(report_bytes),
            clock,
        }
    }
}

/// Every function a guest may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |host: &mut Host| &mut host.wasi)?;
    poll::link(&mut linker)?;
    abi::link(&mut linker)?;
    Ok(linker)
}

/// Shows the directory `host` as `guest`, read-only.
pub(crate) fn show(wasi: &mut WasiCtxBuilder, host: &Path, guest: &str) -> wasmtime::Result<()> {
    wasi.allow_blocking_current_thread(true)
        .preopened_dir(host, guest, FsPerms::ReadOnly)
        .with_context(|| format!("cannot open {}", host.display()))?;
    Ok(())
}
