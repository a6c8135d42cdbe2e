//! The host functions, import module `assize`. Every guest may import them;
//! without a channel they answer -1, without a report limit nothing is kept.
//!
//! | import | meaning |
//! |---|---|
//! | `channel_send(ptr, len) -> i32` | sends one frame: 0, or -1 |
//! | `channel_next() -> i32` | waits for a frame: its length, or -1 |
//! | `channel_take(ptr, cap) -> i32` | copies that frame: bytes copied, or -1 |
//! | `report(ptr, len) -> i32` | appends to the report: 0, or -1 when full |
//!
//! -1 means no channel, the other side gone, or over the limit. A pointer
//! outside the guest's memory is a trap.

use wasmtime::{Caller, Extern, Linker, Memory, Result, Trap, bail};

use crate::host::Host;

const FAILED: i32 = -1;

/// Adds the functions to `linker`.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.func_wrap_async(
        "assize",
        "channel_send",
        |caller, (ptr, len): (u32, u32)| Box::new(channel_send(caller, ptr, len)),
    )?;
    linker.func_wrap_async("assize", "channel_next", |caller, (): ()| {
        Box::new(channel_next(caller))
    })?;
    linker.func_wrap("assize", "channel_take", channel_take)?;
    linker.func_wrap("assize", "report", report)?;
    Ok(())
}

async fn channel_send(mut caller: Caller<'_, Host>, ptr: u32, len: u32) -> Result<i32> {
    let (memory, host) = memory(&mut caller)?.data_and_store_mut(&mut caller);
    let bytes = slice(memory, ptr, len)?;
    let sent = host.channel.send(bytes).await;
    Ok(if sent.is_ok() { 0 } else { FAILED })
}

async fn channel_next(mut caller: Caller<'_, Host>) -> Result<i32> {
    let next = caller.data_mut().channel.next().await;
    Ok(next
        .ok()
        .and_then(|len| i32::try_from(len).ok())
        .unwrap_or(FAILED))
}

fn channel_take(mut caller: Caller<'_, Host>, ptr: u32, cap: u32) -> Result<i32> {
    let (memory, host) = memory(&mut caller)?.data_and_store_mut(&mut caller);
    let Some(frame) = host.channel.take() else {
        return Ok(FAILED);
    };
    let into = slice_mut(memory, ptr, cap)?;
    let len = frame.len().min(into.len());
    into[..len].copy_from_slice(&frame[..len]);
    Ok(i32::try_from(len).unwrap_or(FAILED))
}

fn report(mut caller: Caller<'_, Host>, ptr: u32, len: u32) -> Result<i32> {
    let (memory, host) = memory(&mut caller)?.data_and_store_mut(&mut caller);
    let kept = host.report.push(slice(memory, ptr, len)?);
    Ok(if kept { 0 } else { FAILED })
}

/// The guest's memory: imports get pointers into it, so it must export it.
pub(crate) fn memory(caller: &mut Caller<'_, Host>) -> Result<Memory> {
    match caller.get_export("memory").and_then(Extern::into_memory) {
        Some(memory) => Ok(memory),
        None => bail!("missing required memory export"),
    }
}

pub(crate) fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8]> {
    let start = ptr as usize;
    memory
        .get(start..start + len as usize)
        .ok_or_else(|| Trap::MemoryOutOfBounds.into())
}

pub(crate) fn slice_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8]> {
    let start = ptr as usize;
    memory
        .get_mut(start..start + len as usize)
        .ok_or_else(|| Trap::MemoryOutOfBounds.into())
}
