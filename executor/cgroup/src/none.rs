//! A host whose cgroups this user may not use. Nothing is limited or counted
//! here; the jail's rlimits are all that is left, and results list less as
//! enforced. Accepted only where best effort was asked for.

use std::time::Duration;

use crate::{Backend, Ceilings, CgroupError, Controls, Group, Kind, Made, Rest, Usage};

/// No groups.
pub struct None;

impl Backend for None {
    fn kind(&self) -> Kind {
        Kind::None
    }

    fn create(&self, _slot: &str) -> Result<Made, CgroupError> {
        Ok(Made {
            procs_files: Vec::new(),
            dirs: Vec::new(),
            controls: Controls::new(),
        })
    }

    fn renew(&self, slot: &str, _generation: u64) -> Result<Made, CgroupError> {
        self.create(slot)
    }

    fn kill(&self, _slot: &str) {}

    fn remove(&self, _slot: &str) {}

    fn finish(&self) {}
}

/// No limits and no counters.
pub(crate) struct NoGroup;

impl Group for NoGroup {
    fn arm(&mut self, _ceilings: Ceilings) -> Result<(), CgroupError> {
        Ok(())
    }

    fn cpu(&self) -> Result<Duration, CgroupError> {
        Ok(Duration::ZERO)
    }

    fn usage(&self) -> Result<Usage, CgroupError> {
        Ok(Usage::default())
    }

    fn memory(&self) -> Result<u64, CgroupError> {
        Ok(0)
    }

    fn shift(&mut self, _bytes: i64) {}

    fn rest(&mut self) -> Result<Rest, CgroupError> {
        Ok(Rest::Clean)
    }
}
