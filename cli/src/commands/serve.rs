//! `assize serve`: the HTTP API until SIGTERM or SIGINT.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use assize_api::receipt::Signer;
use assize_api::{App, Key, Keys, Options};
use assize_executor::{Capabilities, Config, Keeper};
use assize_policies::{LimitsRequest, Profiles};
use assize_runtimes::{Compiling, HEADERS};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Host, Serve};
use crate::commands::headers;
use crate::privileges::{self, Identity};
use crate::{Usage, receipts, setup, status};

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
    /// Bytes of compiled programs that are kept; 0 for none.
    compile_cache_bytes: Option<u64>,
    /// Directory of precompiled headers.
    headers: Option<PathBuf>,
    /// Directory of further profiles.
    policies: Option<PathBuf>,
    host: HostPart,
    keys: Vec<Key>,
    receipts: ReceiptsPart,
}

/// How receipts are signed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReceiptsPart {
    /// The private key, in PEM; made when it is not there. Without one a key is
    /// made at every start.
    key_file: Option<PathBuf>,
}

/// What this host gives at most, and what it must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HostPart {
    /// No run gets more than this, whatever profiles say.
    ceiling: LimitsRequest,
    /// Probes that must hold for the server to start, by the names that
    /// `assize doctor` prints; all of them when absent.
    require: Option<BTreeSet<String>>,
}

/// A server that has started its keeper and given up its privileges.
pub(crate) struct Prepared {
    options: Options,
    listener: std::net::TcpListener,
    keeper: Keeper,
    config: Config,
    profiles: Profiles,
    compiling: Compiling,
    signer: Signer,
    /// Probes that must hold.
    require: BTreeSet<String>,
}

/// Everything that takes the rights this process was started with, and then
/// letting go of them. Must run while there is one thread.
pub(crate) fn prepare(host: &Host, args: &Serve) -> Result<Prepared> {
    let file = args
        .config
        .as_deref()
        .map_or_else(|| Ok(File::default()), read)?;
    let options = Options {
        concurrency: file.concurrency.unwrap_or_else(setup::cores),
        queue: file.queue.unwrap_or(1024),
        batches: file.batches.unwrap_or(64),
        grace: Duration::from_secs(file.grace_s.unwrap_or(30)),
        keys: Keys::new(file.keys).map_err(Usage)?,
    };
    let dir = host.policies.as_deref().or(file.policies.as_deref());
    let profiles = setup::profiles(dir)?
        .under(&file.host.ceiling)
        .map_err(|e| Usage(format!("host.ceiling: {e}")))?;
    let known = Capabilities::names();
    if let Some(unknown) = file
        .host
        .require
        .iter()
        .flatten()
        .find(|r| !known.contains(&r.as_str()))
    {
        let known = known.join(", ");
        return Err(Usage(format!(
            "host.require: no probe {unknown:?}; there are {known}"
        ))
        .into());
    }
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
    // Read while we may read what the server later may not.
    let signer = match &file.receipts.key_file {
        Some(path) => receipts::key(path)?,
        None => Signer::generate()?,
    };
    // Bound first: a taken port should not cost the time of starting cells.
    let listener =
        std::net::TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    listener.set_nonblocking(true)?;
    let mut config = setup::config(host, options.concurrency)?;
    let mut compiling = Compiling::default();
    if let Some(bytes) = args.compile_cache_bytes.or(file.compile_cache_bytes) {
        compiling.cache_bytes = bytes;
    }
    let named = setup::headers(host, &config.bin).or(file.headers);
    match headers::directory(named, &identity) {
        Ok(dir) => {
            config.binds.push((dir.clone(), HEADERS.to_owned()));
            compiling.headers = Some(dir);
        }
        Err(why) => eprintln!(
            "assize: no precompiled headers ({why:#}); `assize headers`, run by root, makes them"
        ),
    }
    let keeper = Keeper::launch(&config)?;
    privileges::give_up(&identity)?;
    Ok(Prepared {
        options,
        listener,
        keeper,
        config,
        profiles,
        compiling,
        signer,
        require: match (host.best_effort, file.host.require) {
            (true, _) => BTreeSet::new(),
            (false, Some(names)) => names,
            (false, None) => known.into_iter().map(str::to_owned).collect(),
        },
    })
}

/// Serves until it is told to stop.
pub(crate) async fn serve(prepared: Prepared) -> Result<u8> {
    let Prepared {
        options,
        listener,
        keeper,
        config,
        profiles,
        compiling,
        signer,
        require,
    } = prepared;
    let listener = TcpListener::from_std(listener)?;
    let engine = setup::engine_over(keeper, config, profiles, &compiling).await?;
    let proven = engine.executor().prove().await;
    let failed = proven.probes.iter().filter(|p| !p.enforced);
    let mut refuse = false;
    for probe in failed {
        let required = require.contains(probe.name);
        refuse |= required;
        eprintln!(
            "assize: not enforced{}: {} ({}; saw {}); {}",
            if required { "" } else { ", and not required" },
            probe.name,
            probe.tried,
            probe.seen,
            probe.fix
        );
    }
    if refuse {
        setup::shut_down(&engine).await;
        anyhow::bail!(
            "refusing to serve below the configured level: see `assize doctor`; \
             [host] require names what must hold, --best-effort asks for nothing"
        );
    }
    let lasting = if signer.ephemeral() {
        ", a key of this start only: name one with [receipts] key_file"
    } else {
        ""
    };
    eprintln!(
        "assize: receipts are signed by {}{lasting}",
        signer.public().id()
    );
    let app =
        App::with_signer(Arc::clone(&engine), &options, signer).map_err(anyhow::Error::msg)?;
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
    headers::keep_in_the_background(&engine);
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
