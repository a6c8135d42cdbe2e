//! The cell holds: programs that try to get out, to last, to see, to be seen,
//! or to take more than they were given. Each claim stands beside a control
//! that switches one layer off and shows that the attack is real.
//!
//! Hostile programs are compiled on the host and executed in cells only.

mod binary;
mod bombs;
mod compilers;
mod controls;
mod examples;
mod files;
mod handover;
mod kills;
mod leaks;
mod lifted;
mod memory;
mod net;
mod output;
mod privilege;
mod processes;
mod state;
mod syscalls;
mod time;
mod verdicts;
mod warm;
