//! What one guest can reach: its files, its clock, its channel, its report.

use wasmtime::{Engine, Linker};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{WasiCtxBuilder, WasiView as _};

use crate::capture::Bounded;
use crate::channel::Channel;
use crate::clock::{self, Clock};
use crate::code::{self, Code};
use crate::fs::{self, Files};
use crate::limiter::Limiter;
use crate::{abi, poll};

/// State of one instance; born and dropped with it.
pub(crate) struct Host {
    /// Arguments, environment, and what is denied: there is no file, no
    /// socket and no stream in it.
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) files: Files,
    pub(crate) clock: Clock,
    /// Nanoseconds; looked at here only where time is virtual.
    pub(crate) wall_limit: u64,
    pub(crate) limiter: Limiter,
    pub(crate) channel: Channel,
    pub(crate) report: Bounded,
    pub(crate) code: Code,
}

impl Host {
    /// Takes the context as configured so far.
    pub(crate) fn new(wasi: &mut WasiCtxBuilder, files: Files, clock: Clock) -> Self {
        let mut wasi = wasi.build_p1();
        // Its streams, and none to come.
        wasi.ctx().table.set_max_capacity(16);
        Self {
            wasi,
            files,
            clock,
            wall_limit: u64::MAX,
            limiter: Limiter::new(u64::MAX),
            channel: Channel::none(),
            report: Bounded::new(0),
            code: Code::none(),
        }
    }
}

/// Every function a guest may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = base(engine)?;
    fs::link(&mut linker)?;
    Ok(linker)
}

/// The same over directories of the host: for building guests.
pub(crate) fn builder(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    base(engine)
}

fn base(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |host: &mut Host| &mut host.wasi)?;
    clock::link(&mut linker)?;
    poll::link(&mut linker)?;
    abi::link(&mut linker)?;
    code::link(&mut linker)?;
    Ok(linker)
}
