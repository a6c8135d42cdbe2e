//! Running one module by hand: for building guests, not for strangers' code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wasmtime::error::Context as _;
use wasmtime::{Engine, Module, Store};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use crate::clock::Clock;
use crate::engine::{self, Flavour};
use crate::fs::Files;
use crate::host::{self, Host};
use crate::program::Program;

/// What the module finds around it.
#[derive(clap::Args)]
pub(crate) struct Surroundings {
    /// Show a directory read-only.
    #[arg(long = "dir", value_name = "HOST::GUEST", value_parser = directory)]
    dirs: Vec<(PathBuf, String)>,
    /// Show a directory writable.
    #[arg(long = "dir-rw", value_name = "HOST::GUEST", value_parser = directory)]
    writable: Vec<(PathBuf, String)>,
    /// Set an environment variable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
}

impl Surroundings {
    /// A store for one instance that writes to this terminal.
    pub(crate) fn store(&self, engine: &Engine, argv: &[String]) -> wasmtime::Result<Store<Host>> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.args(argv)
            .envs(&self.env)
            .inherit_stdio()
            .allow_blocking_current_thread(true);
        let read_only = self.dirs.iter().map(|dir| (dir, FsPerms::ReadOnly));
        let writable = self.writable.iter().map(|dir| (dir, FsPerms::ReadWrite));
        for ((host, guest), permissions) in read_only.chain(writable) {
            wasi.preopened_dir(host, guest, permissions)
                .with_context(|| format!("cannot open {}", host.display()))?;
        }
        // A build is the same on every machine and every day.
        let files = Files::none();
        let clock = Clock::Virtual { fuel: 0, slept: 0 };
        let mut store = Store::new(engine, Host::new(&mut wasi, files, clock));
        store.limiter(|host| &mut host.limiter);
        // Nothing advances the epoch here.
        store.set_epoch_deadline(1);
        Ok(store)
    }
}

/// Runs `module` with `argv` and takes over its exit status.
pub(crate) fn file(
    module: &Path,
    argv: &[String],
    around: &Surroundings,
) -> wasmtime::Result<ExitCode> {
    let wasm = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let engine = engine::on_demand(Flavour::Timed, true)?;
    let program = Program::new(&host::builder(&engine)?, &Module::new(&engine, wasm)?)?;
    let mut store = around.store(&engine, argv)?;
    let status = match runtime()?.block_on(program.run(&mut store)) {
        Ok(status) => status,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => exit.0,
            None => return Err(error),
        },
    };
    Ok(ExitCode::from(u8::try_from(status & 0xff)?))
}

/// A runtime for one guest.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn directory(text: &str) -> Result<(PathBuf, String), String> {
    let (host, guest) = text.split_once("::").ok_or("expected HOST::GUEST")?;
    Ok((host.into(), guest.to_owned()))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
