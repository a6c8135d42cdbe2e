//! Everything that parses bytes from a cell, from a client or from another
//! process, as functions of arbitrary bytes that must not panic and whose
//! results must keep a promise.
//!
//! The same [`TARGETS`] run twice: for seconds in every test run, on stable
//! Rust, from seeds with deterministic changes (`tests/smoke.rs`); and for as
//! long as one likes under libFuzzer (`make fuzz`).

pub mod mutate;
mod targets;

pub use targets::{TARGETS, Target};
