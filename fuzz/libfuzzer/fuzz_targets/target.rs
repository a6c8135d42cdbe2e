//! One binary for all targets: `ASSIZE_FUZZ_TARGET` names the one to run.
#![no_main]

use std::sync::LazyLock;

use assize_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("ASSIZE_FUZZ_TARGET").unwrap_or_default();
    TARGETS
        .iter()
        .find(|t| t.name == name)
        .unwrap_or_else(|| panic!("ASSIZE_FUZZ_TARGET: there is no target {name:?}"))
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));
