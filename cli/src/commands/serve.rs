//! `assize serve`: the HTTP API until SIGTERM or SIGINT.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use assize_api::{App, Keys, Options};
use assize_executor::{Config, Keeper};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Host, Serve};
use crate::privileges::{self, Identity};
use crate::{Usage, setup, status};

/// assize.toml
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<SocketAddr>,
    /// Whom the server becomes when it is started as root.
    user: Option<String>,
    /// Cases at once; one per core when absent.
    concurrency: Option<usize>,
    /// Cases that may wait.
    queue: Option<usize>,
    /// Batches at once.
    batches: Option<usize>,
    /// Seconds for running cases to finish when stopping.
    grace_s: Option<u64>,
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    tenant: String,
    /// `printf %s KEY | sha256sum`
    sha256: String,
}

/// A server that has started its keeper and given up its privileges.
pub(crate) struct Prepared {
    options: Options,
    listener: std::net::TcpListener,
    keeper: Keeper,
    config: Config,
    best_effort: bool,
}

/// Everything that takes the rights this process was started with, and then
/// letting go of them. Must run while there is one thread.
pub(crate) fn prepare(host: &Host, args: &Serve) -> Result<Prepared> {
    let file = args
        .config
        .as_deref()
        .map_or_else(|| Ok(File::default()), read)?;
    let keys = file.keys.into_iter().map(|k| (k.tenant, k.sha256));
    let options = Options {
        concurrency: file.concurrency.unwrap_or_else(setup::cores),
        queue: file.queue.unwrap_or(1024),
        batches: file.batches.unwrap_or(64),
        grace: Duration::from_secs(file.grace_s.unwrap_or(30)),
        keys: Keys::new(keys).map_err(Usage)?,
    };
    let identity = Identity::find(args.user.as_deref().or(file.user.as_deref()))?;
    let listen = args
        .listen
        .or(file.listen)
        .unwrap_or(([127, 0, 0, 1], 8080).into());
    if options.keys.open() && !listen.ip().is_loopback() {
        let message = "without API keys the server listens on loopback only; \
                       add [[keys]] to the configuration file";
        return Err(Usage(format!("{listen}: {message}")).into());
    }
    // Bound first: a taken port should not cost the time of starting cells.
    let listener =
        std::net::TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    listener.set_nonblocking(true)?;
    let config = setup::config(host, options.concurrency)?;
    let keeper = Keeper::launch(&config)?;
    privileges::give_up(&identity)?;
    Ok(Prepared {
        options,
        listener,
        keeper,
        config,
        best_effort: host.best_effort,
    })
}

/// Serves until it is told to stop.
pub(crate) async fn serve(prepared: Prepared) -> Result<u8> {
    let Prepared {
        options,
        listener,
        keeper,
        config,
        best_effort,
    } = prepared;
    let listener = TcpListener::from_std(listener)?;
    let engine = setup::engine_over(keeper, config).await?;
    let proven = engine.executor().prove().await;
    if !proven.all_enforced() {
        for probe in proven.probes.iter().filter(|p| !p.enforced) {
            eprintln!(
                "assize: not enforced: {} ({}; saw {})",
                probe.name, probe.tried, probe.seen
            );
        }
        if !best_effort {
            setup::shut_down(&engine).await;
            anyhow::bail!("refusing to serve: see `assize doctor`, or pass --best-effort");
        }
    }
    let app = App::new(Arc::clone(&engine), &options).map_err(anyhow::Error::msg)?;
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let (lost, executor) = (
        Arc::new(AtomicBool::new(false)),
        Arc::clone(engine.executor()),
    );
    let noticed = Arc::clone(&lost);
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = executor.keeper_lost() => {
                tracing::error!("the keeper is gone; running cases finish, then the server stops");
                noticed.store(true, Ordering::Relaxed);
            }
        }
    };
    eprintln!(
        "assize: serving on http://{} ({} cases at once)",
        listener.local_addr()?,
        options.concurrency
    );
    let served = assize_api::serve(app, listener, stop).await;
    setup::shut_down(&engine).await;
    served?;
    anyhow::ensure!(
        !lost.load(Ordering::Relaxed),
        "the keeper ended; start the server again"
    );
    eprintln!("assize: stopped; every accepted case was answered");
    Ok(status::DONE)
}

fn read(path: &Path) -> Result<File> {
    let text =
        std::fs::read_to_string(path).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    let file = toml::from_str(&text).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    Ok(file)
}
