//! From a language name to how its programs are compiled and run.
//!
//! A runtime is a TOML file under `native/` or `wasi/`: what to look for on
//! the host, how to ask its version, how to compile, how to run. Adding one is
//! adding a file and its line in [`manifest`]. Everything a runtime does on
//! this host, asking its version included, it does in a cell.
//!
//! `guest/` holds harness code that runs beside hostile code: trusted to start
//! it, never to report on it.

mod build;
mod cache;
mod compile;
mod compiler;
mod detect;
mod digest;
mod headers;
pub mod manifest;
mod registry;
mod toolchain;

pub use build::{Built, CompileReport, Program, ProgramError, Role, Runnable};
pub use cache::{CACHE_BYTES, CacheStats};
pub use compiler::{Compiler, Compiling};
pub use headers::{HEADERS, Precompiled, open_directory};
pub use registry::{BackendChoice, Registry, Runtime, SelectError, Selected};

/// Harness files shown in every native cell under `/assize/guest`.
#[must_use]
pub fn guest_files() -> Vec<(String, Vec<u8>)> {
    [
        (
            "candidate.js",
            include_str!("../guest/javascript/candidate.js"),
        ),
        (
            "cpp/bits/stdc++.h",
            include_str!("../guest/cpp/bits/stdc++.h"),
        ),
        ("java/Build.java", include_str!("../guest/java/Build.java")),
        ("candidate.py", include_str!("../guest/python/candidate.py")),
        ("notary.py", include_str!("../guest/python/notary.py")),
        ("parade.py", include_str!("../guest/python/parade.py")),
        ("predict.py", include_str!("../guest/python/predict.py")),
        (
            "platform.js",
            include_str!("../guest/javascript/platform.js"),
        ),
        ("plain.js", include_str!("../guest/javascript/plain.js")),
        ("plain.py", include_str!("../guest/python/plain.py")),
        ("shared.py", include_str!("../guest/python/shared.py")),
        ("sharing.py", include_str!("../guest/python/sharing.py")),
        ("sql.py", include_str!("../guest/sql/run.py")),
        ("suites.py", include_str!("../guest/python/suites.py")),
        ("remote.js", include_str!("../guest/javascript/remote.js")),
        ("suite.js", include_str!("../guest/javascript/suite.js")),
        ("expect.js", include_str!("../guest/javascript/expect.js")),
        ("tester.js", include_str!("../guest/javascript/tester.js")),
        ("tester.py", include_str!("../guest/python/tester.py")),
    ]
    .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
    .to_vec()
}
