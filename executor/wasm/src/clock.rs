//! Time and chance as a guest sees them: the machine's, or, in a deterministic
//! run, made of nothing but what the guest itself did.
//!
//! There time passes by instructions and by sleeping: one unit of fuel is a
//! nanosecond, and a sleep ends at once and has lasted as long as was asked.

use std::time::{Duration, Instant, SystemTime};

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};
use wasmtime::{AsContext, Caller, Linker, Result, bail};

use crate::abi::{memory, slice_mut};
use crate::host::Host;

const WASI: &str = "wasi_snapshot_preview1";
const SUCCESS: i32 = 0;
const INVAL: i32 = 28;

/// Most random bytes of one call: it is made in one go, and all guests of the
/// worker wait for it.
const MAX_RANDOM: u32 = 1 << 20;

/// When a deterministic run begins: 2020-01-01T00:00:00Z, in nanoseconds.
const BEGINNING: u64 = 1_577_836_800_000_000_000;

/// Where a run's time comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The machine's; monotonic time counts from the start of the run.
    Real(Instant),
    /// The guest's own.
    Virtual {
        /// Fuel at the start.
        fuel: u64,
        /// Nanoseconds slept.
        slept: u64,
    },
}

impl Clock {
    /// Nanoseconds since 1970 at which the run begins.
    pub(crate) fn beginning(self) -> u64 {
        match self {
            Self::Real(_) => nanoseconds(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()),
            Self::Virtual { .. } => BEGINNING,
        }
    }
}

/// What a deterministic run has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) fuel: u64,
    /// Nanoseconds of virtual time.
    pub(crate) wall: u64,
}

/// None where time is real.
pub(crate) fn spent(store: &impl AsContext<Data = Host>) -> Option<Spent> {
    let store = store.as_context();
    let Clock::Virtual { fuel, .. } = store.data().clock else {
        return None;
    };
    let left = store.get_fuel().unwrap_or_default();
    Some(Spent {
        fuel: fuel.saturating_sub(left),
        wall: monotonic(&store),
    })
}

/// Takes fuel for what a call did outside the guest: eight bytes an
/// instruction. Otherwise a program could have the host work for ever.
pub(crate) fn charge(caller: &mut Caller<'_, Host>, bytes: u64) -> Result<()> {
    if bytes > 0 && matches!(caller.data().clock, Clock::Virtual { .. }) {
        // Guests are built on virtual time and without fuel.
        if let Ok(left) = caller.get_fuel() {
            // None left ends the run at its next instruction.
            caller.set_fuel(left.saturating_sub(bytes / 8))?;
        }
    }
    Ok(())
}

/// Nanoseconds since the run began.
pub(crate) fn monotonic(store: &impl AsContext<Data = Host>) -> u64 {
    let store = store.as_context();
    match store.data().clock {
        Clock::Real(start) => nanoseconds(start.elapsed()),
        Clock::Virtual { fuel, slept } => {
            let left = store.get_fuel().unwrap_or_default();
            fuel.saturating_sub(left).saturating_add(slept)
        }
    }
}

/// Nanoseconds since 1970.
pub(crate) fn wall(store: &impl AsContext<Data = Host>) -> u64 {
    match store.as_context().data().clock {
        real @ Clock::Real(_) => real.beginning(),
        Clock::Virtual { .. } => BEGINNING.saturating_add(monotonic(store)),
    }
}

/// The time for whoever turns out to need it: reading the machine's clock costs
/// more than most calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Now {
    Unread,
    Virtual(u64),
}

impl Now {
    pub(crate) fn of(store: &impl AsContext<Data = Host>) -> Self {
        match store.as_context().data().clock {
            Clock::Real(_) => Self::Unread,
            Clock::Virtual { .. } => Self::Virtual(wall(store)),
        }
    }

    /// Nanoseconds since 1970.
    pub(crate) fn read(self) -> u64 {
        match self {
            Self::Unread => nanoseconds(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()),
            Self::Virtual(now) => now,
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Puts the functions into `linker`, in place of what is there.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.allow_shadowing(true);
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut caller: Caller<'_, Host>, id: u32, _precision: u64, out: u32| -> Result<i32> {
            let now = match id {
                0 => wall(&caller),
                1 => monotonic(&caller),
                // The C library makes the times of the process from these two.
                _ => return Ok(INVAL),
            };
            put(&mut caller, out, &now.to_le_bytes())
        },
    )?;
    linker.func_wrap(
        WASI,
        "clock_res_get",
        |mut caller: Caller<'_, Host>, id: u32, out: u32| -> Result<i32> {
            if id > 1 {
                return Ok(INVAL);
            }
            put(&mut caller, out, &1u64.to_le_bytes())
        },
    )?;
    linker.func_wrap(
        WASI,
        "random_get",
        |mut caller: Caller<'_, Host>, out: u32, len: u32| -> Result<i32> {
            if len > MAX_RANDOM {
                bail!("more random bytes than are given at once");
            }
            let (memory, host) = memory(&mut caller)?.data_and_store_mut(&mut caller);
            host.files.random.fill(slice_mut(memory, out, len)?)?;
            // A hash for every 32 bytes.
            charge(&mut caller, u64::from(len) * 64)?;
            Ok(SUCCESS)
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

fn put(caller: &mut Caller<'_, Host>, out: u32, bytes: &[u8]) -> Result<i32> {
    let memory = memory(caller)?.data_mut(&mut *caller);
    slice_mut(memory, out, bytes.len() as u32)?.copy_from_slice(bytes);
    Ok(SUCCESS)
}

/// Where a run's random bytes come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Random {
    /// The kernel.
    Kernel,
    /// The same bytes in every run: SHA-256 of a counter.
    Seeded(u64),
}

impl Random {
    pub(crate) fn fill(&mut self, into: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::Kernel => {
                let mut done = 0;
                while done < into.len() {
                    done += rustix::io::retry_on_intr(|| {
                        getrandom(&mut into[done..], GetRandomFlags::empty())
                    })?;
                }
            }
            Self::Seeded(next) => {
                for chunk in into.chunks_mut(32) {
                    let block = Sha256::digest(next.to_le_bytes());
                    chunk.copy_from_slice(&block[..chunk.len()]);
                    *next += 1;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_bytes_repeat_and_the_kernels_do_not() {
        let take = |mut random: Random| {
            let mut bytes = [0; 100];
            random.fill(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(take(Random::Seeded(0)), take(Random::Seeded(0)));
        assert_ne!(take(Random::Kernel), take(Random::Kernel));
    }
}
