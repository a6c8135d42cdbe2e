//! From options to a running engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use assize_executor::{Config, Executor, Keeper, WORKER_RUNS, Warmth};
use assize_judge::engine::Engine;
use assize_policies::Profiles;
use assize_runtimes::Compiling;

use crate::Usage;
use crate::args::Host;

/// Cores of this host.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Starts an executor and an engine on this host.
pub(crate) async fn engine(host: &Host, cases: usize) -> Result<Arc<Engine>> {
    let config = config(host, cases)?;
    let profiles = profiles(host.policies.as_deref())?;
    let keeper = Keeper::launch(&config)?;
    engine_over(keeper, config, profiles, &Compiling::default()).await
}

/// The profiles that ship and those of a directory.
pub(crate) fn profiles(dir: Option<&Path>) -> Result<Profiles> {
    let mut texts = Vec::new();
    if let Some(dir) = dir {
        let entries = std::fs::read_dir(dir)
            .map_err(|e| Usage(format!("--policies {}: {e}", dir.display())))?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let text = std::fs::read_to_string(&path)
                    .map_err(|e| Usage(format!("{}: {e}", path.display())))?;
                texts.push((name.into_owned(), text));
            }
        }
    }
    Profiles::load(texts).map_err(|e| Usage(format!("{:#}", anyhow::Error::from(e))).into())
}

/// Starts an engine over a keeper that was launched before.
pub(crate) async fn engine_over(
    keeper: Keeper,
    config: Config,
    profiles: Profiles,
    how: &Compiling,
) -> Result<Arc<Engine>> {
    let executor = tokio::task::spawn_blocking(move || Executor::over(keeper, &config)).await??;
    let engine = Engine::compiling(Arc::new(executor), profiles, how)
        .await
        .map_err(anyhow::Error::msg)?;
    Ok(Arc::new(engine))
}

/// How the executor of this host is set up.
pub(crate) fn config(host: &Host, cases: usize) -> Result<Config> {
    let bin = bin(host)?;
    for name in ["assize-keeper", "assize-jail"] {
        anyhow::ensure!(
            bin.join(name).exists(),
            "{} does not exist; build the workspace (make build) or name the directory with --bin",
            bin.join(name).display()
        );
    }
    let worker = bin.join("assize-wasm");
    let guests = guests(host, &bin);
    let wasm = match (worker.exists(), guests) {
        (true, Some(guests)) => Some((worker, guests)),
        (false, _) | (_, None) => None,
    };
    // A function test takes two slots, of which one works at a time.
    let slots = match host.slots {
        Some(slots) => slots,
        None => u32::try_from(cases * 2).context("too many cases at once")?,
    };
    Ok(Config {
        bin,
        wasm,
        slots,
        workers: u32::try_from(cores().min(cases)).unwrap_or(1),
        worker_runs: WORKER_RUNS,
        binds: Vec::new(),
        guest_files: assize_runtimes::guest_files(),
        warmth: match host.cold {
            true => Warmth::Off,
            false => Warmth::Seen,
        },
        without: Vec::new(),
        best_effort: host.best_effort,
    })
}

/// Where the other binaries are.
pub(crate) fn bin(host: &Host) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let beside = this.parent().map(Path::to_owned).unwrap_or_default();
    Ok(host.bin.clone().unwrap_or(beside))
}

/// The directory of installed guests, if there is one.
pub(crate) fn guests(host: &Host, bin: &Path) -> Option<PathBuf> {
    let places = [
        bin.join("guests"),
        bin.join("../guests"),
        "/usr/lib/assize/guests".into(),
    ];
    host.guests
        .clone()
        .into_iter()
        .chain(places)
        .find(|p| p.join("SHA256SUMS").exists())
}

/// The directory of precompiled headers that somebody has made, if there is one.
pub(crate) fn headers(host: &Host, bin: &Path) -> Option<PathBuf> {
    let places = [
        bin.join("headers"),
        bin.join("../headers"),
        "/usr/lib/assize/headers".into(),
    ];
    let made = places.into_iter().find(|p| p.is_dir());
    host.headers.clone().or(made)
}

/// Ends every cell, off the async threads.
pub(crate) async fn shut_down(engine: &Engine) {
    let executor = Arc::clone(engine.executor());
    let _ = tokio::task::spawn_blocking(move || executor.shutdown()).await;
}
