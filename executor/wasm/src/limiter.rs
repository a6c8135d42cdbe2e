//! Memory of one run: the limit, the peak, and whether the limit was felt.

use wasmtime::{Error, ResourceLimiter, Result};

use crate::engine::MAX_TABLE;

/// Refuses growth over the limit. The guest sees a failed `memory.grow` and
/// may go on (Python raises `MemoryError`), so the refusal is recorded.
pub(crate) struct Limiter {
    limit: usize,
    pub(crate) peak: usize,
    pub(crate) denied: bool,
}

impl Limiter {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            peak: 0,
            denied: false,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        if desired > self.limit {
            self.denied = true;
            return Ok(false);
        }
        self.peak = self.peak.max(desired);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: Error) -> Result<()> {
        self.denied = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(desired <= MAX_TABLE)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }
}
