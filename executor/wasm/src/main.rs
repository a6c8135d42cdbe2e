//! `assize-wasm`: runs wasm modules, each in a fresh instance of its own.
//!
//! One process per core, one thread for all guests: two threads in one process
//! fight for the kernel's map lock at every start and reset, two processes do
//! not. The process lives in a cell of its own, so a hole in the compiler or
//! in the WASI implementation opens onto an empty room. What a guest gets is
//! exactly this: memory, a clock, random bytes, three standard streams, a file
//! system in memory with a budget (`fs`), and four host functions (`abi`).
//!
//! Deliberately absent: a network, files of the host, threads, the
//! component model, languages, tests, verdicts.

mod abi;
mod capture;
mod channel;
mod clock;
mod code;
mod compile;
mod engine;
mod fs;
mod guests;
mod host;
mod limiter;
mod meter;
mod outbox;
mod passed;
mod poll;
mod program;
mod run;
mod single;
#[cfg(feature = "build-guests")]
mod snapshot;
mod stdin;
mod trusted;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::engine::Flavour;

/// Runs wasm modules, each in a fresh instance of its own.
#[derive(Parser)]
#[command(name = "assize-wasm", version)]
enum Command {
    /// Serve runs over the socket on descriptor 3.
    Worker {
        /// Directory with the installed guests and their SHA256SUMS.
        #[arg(long)]
        guests: PathBuf,
        /// Runs in flight at once; one more is refused.
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
        slots: u32,
        /// Count instructions instead of time: every run repeats exactly.
        #[arg(long)]
        deterministic: bool,
    },
    /// Check an untrusted module and compile it to native code.
    Compile {
        /// The module.
        input: PathBuf,
        /// Where the native code goes.
        output: PathBuf,
        /// For deterministic runs: code that counts its instructions.
        #[arg(long)]
        deterministic: bool,
        /// Use every core: for guests that we build ourselves.
        #[arg(long)]
        parallel: bool,
    },
    /// Run a module's `wizer.initialize` and write the module as it is then.
    #[cfg(feature = "build-guests")]
    Snapshot {
        /// The module.
        input: PathBuf,
        /// Where the initialised module goes.
        output: PathBuf,
        #[command(flatten)]
        surroundings: single::Surroundings,
    },
    /// Run one module on this terminal, without limits: for building guests.
    Run {
        #[command(flatten)]
        surroundings: single::Surroundings,
        /// The module, compiled or not.
        module: PathBuf,
        /// Its arguments, program name first.
        #[arg(last = true)]
        argv: Vec<String>,
    },
}

fn flavour(deterministic: bool) -> Flavour {
    if deterministic {
        Flavour::Deterministic
    } else {
        Flavour::Timed
    }
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Worker {
            guests,
            slots,
            deterministic,
        } => worker::serve(&guests, flavour(deterministic), slots),
        Command::Compile {
            input,
            output,
            deterministic,
            parallel,
        } => compile::file(&input, &output, flavour(deterministic), parallel),
        #[cfg(feature = "build-guests")]
        Command::Snapshot {
            input,
            output,
            surroundings,
        } => snapshot::file(&input, &output, &surroundings),
        Command::Run {
            surroundings,
            module,
            argv,
        } => single::file(&module, &argv, &surroundings),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("assize-wasm: {error:#}");
            ExitCode::FAILURE
        }
    }
}
