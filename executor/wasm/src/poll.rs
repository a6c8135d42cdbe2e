//! `poll_oneoff` and `proc_exit`, which replace wasmtime-wasi's.
//!
//! Waiting is done on the runtime's timer: a sleep on the guests' own thread
//! would stop every guest of this worker, and no timeout, no epoch interrupts
//! it. Everything else a guest can wait for (its input, its outputs, files) is
//! always ready.

use std::time::Duration;

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::I32Exit;

use crate::abi::{memory, slice, slice_mut};
use crate::clock::{self, Clock};
use crate::host::Host;

const WASI: &str = "wasi_snapshot_preview1";
const SUBSCRIPTION: usize = 48;
const EVENT: usize = 32;
const SUCCESS: u16 = 0;
const INVAL: u16 = 28;

/// Bounds what one call makes the host loop over.
const MAX_SUBSCRIPTIONS: u32 = 1024;

/// Replaces the two functions in `linker`.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.allow_shadowing(true);
    // wasmtime-wasi traps on a status above 125; a process's status is the low
    // byte of what it said.
    linker.func_wrap(WASI, "proc_exit", |status: i32| -> Result<()> {
        Err(I32Exit(status & 0xff).into())
    })?;
    linker.func_wrap_async(
        WASI,
        "poll_oneoff",
        |caller, (subscriptions, events, count, ready): (u32, u32, u32, u32)| {
            Box::new(poll_oneoff(caller, subscriptions, events, count, ready))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// A sleep that outlasts the run, in virtual time.
#[derive(Debug, thiserror::Error)]
#[error("wall limit")]
pub(crate) struct Overslept;

async fn poll_oneoff(
    mut caller: Caller<'_, Host>,
    subscriptions: u32,
    events: u32,
    count: u32,
    ready: u32,
) -> Result<u32> {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Ok(u32::from(INVAL));
    }
    let guest = memory(&mut caller)?;
    let times = [clock::wall(&caller), clock::monotonic(&caller)];
    let asked = slice(
        guest.data(&caller),
        subscriptions,
        count * SUBSCRIPTION as u32,
    )?;
    let asked: Vec<_> = asked
        .chunks_exact(SUBSCRIPTION)
        .map(|raw| parse(raw, times))
        .collect();
    let shortest = asked.iter().map(|one| one.wait).min().unwrap_or_default();
    if !shortest.is_zero() {
        sleep(&mut caller, shortest).await?;
    }
    let mut out = Vec::with_capacity(asked.len() * EVENT);
    for one in asked.iter().filter(|one| one.wait <= shortest) {
        out.extend_from_slice(&one.event());
    }
    let happened = u32::try_from(out.len() / EVENT)?;
    let data = guest.data_mut(&mut caller);
    slice_mut(data, events, happened * EVENT as u32)?.copy_from_slice(&out);
    slice_mut(data, ready, 4)?.copy_from_slice(&happened.to_le_bytes());
    Ok(u32::from(SUCCESS))
}

async fn sleep(caller: &mut Caller<'_, Host>, time: Duration) -> Result<()> {
    let limit = caller.data().wall_limit;
    match &mut caller.data_mut().clock {
        Clock::Real(_) => tokio::time::sleep(time).await,
        Clock::Virtual { slept, .. } => {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            *slept = slept.saturating_add(time);
            if clock::monotonic(caller) > limit {
                return Err(Overslept.into());
            }
        }
    }
    Ok(())
}

/// One thing waited for; its time is zero when it has already happened.
struct Waited {
    userdata: [u8; 8],
    tag: u8,
    wait: Duration,
    error: u16,
}

/// Layout of `subscription` in WASI preview 1, little-endian: userdata u64 @0,
/// tag u8 @8 (0 is a clock), then for a clock id u32 @16, timeout u64 @24,
/// flags u16 @40 (bit 0: absolute).
fn parse(raw: &[u8], [wall, monotonic]: [u64; 2]) -> Waited {
    let mut waited = Waited {
        userdata: array(raw, 0),
        tag: raw[8],
        wait: Duration::ZERO,
        error: SUCCESS,
    };
    if waited.tag != 0 {
        return waited;
    }
    let timeout = Duration::from_nanos(u64::from_le_bytes(array(raw, 24)));
    let absolute = u16::from_le_bytes(array(raw, 40)) & 1 != 0;
    let now = match u32::from_le_bytes(array(raw, 16)) {
        _ if !absolute => Duration::ZERO,
        0 => Duration::from_nanos(wall),
        1 => Duration::from_nanos(monotonic),
        _ => {
            waited.error = INVAL;
            return waited;
        }
    };
    waited.wait = timeout.saturating_sub(now);
    waited
}

impl Waited {
    /// Layout of `event`: userdata u64 @0, errno u16 @8, type u8 @10, bytes
    /// ready u64 @16, flags u16 @24.
    fn event(&self) -> [u8; EVENT] {
        let mut raw = [0; EVENT];
        raw[..8].copy_from_slice(&self.userdata);
        raw[8..10].copy_from_slice(&self.error.to_le_bytes());
        raw[10] = self.tag;
        raw[16] = 1;
        raw
    }
}

/// `raw` is one whole subscription, so every offset used is inside it.
fn array<const N: usize>(raw: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&raw[at..at + N]);
    out
}
