//! Efficiency metrics.
//!
//! All are ratios or ranks against references measured on the same machine:
//! raw seconds of two machines are never compared. What is measured is the
//! caller's to say; a judgement's `usage` has CPU time and peak memory.

mod instructions;
mod memory;
mod runtime;

pub use instructions::{Coffe, CoffeTask, Dps, Reference, coffe, dps};
pub use memory::{EffiBench, EffiTask, Sample, Used, effibench, used};
pub use runtime::{
    Ecco, EccoProgram, Pie, PieTask, Run, THRESHOLDS, beyond, ecco, mean_beyond, pie,
};
