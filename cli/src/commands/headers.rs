//! `assize headers`: headers that most programs include, compiled ahead; and
//! where a server keeps its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use assize_executor::Keeper;
use assize_judge::engine::Engine;
use assize_runtimes::{Compiling, HEADERS, Precompiled, open_directory};
use serde_json::json;

use crate::args::{Host, Json};
use crate::privileges::{self, Identity};
use crate::{Usage, setup, status};

/// Makes them where servers look for them. Made by root they are believed by
/// every server; others make their own at each start.
pub(crate) async fn headers(host: &Host, args: &Json) -> Result<u8> {
    let mut config = setup::config(host, 1)?;
    let dir = setup::headers(host, &config.bin).unwrap_or_else(|| config.bin.join("headers"));
    let dir = open_directory(&dir, &[privileges::uid()]).map_err(Usage)?;
    config.binds.push((dir.clone(), HEADERS.to_owned()));
    let profiles = setup::profiles(host.policies.as_deref())?;
    let how = Compiling {
        headers: Some(dir.clone()),
        ..Compiling::default()
    };
    let keeper = Keeper::launch(&config)?;
    let engine = setup::engine_over(keeper, config, profiles, &how).await?;
    let all = make(&engine).await?;
    setup::shut_down(&engine).await;
    if args.json {
        let list: Vec<_> = all
            .iter()
            .map(|p| {
                json!({
                    "language": p.language,
                    "header": p.header,
                    "made": p.made.as_ref().ok(),
                    "reason": p.made.as_ref().err(),
                })
            })
            .collect();
        println!("{}", json!({ "directory": dir, "headers": list }));
    } else {
        all.iter().for_each(|p| println!("{}", line(p)));
        println!("in {}", dir.display());
        if !privileges::is_root() {
            println!("not root's, so a server takes none of it and makes its own at its start");
        }
    }
    let failed = all.iter().any(|p| p.made.is_err());
    Ok(if failed { status::FAULT } else { status::DONE })
}

/// The directory that a server uses: the one that is named, or its own, which
/// is made where it is missing. Called while this process may still be root.
pub(super) fn directory(named: Option<PathBuf>, identity: &Identity) -> Result<PathBuf> {
    let dir = named.map_or_else(own, Ok)?;
    let new = !dir.exists();
    let dir =
        open_directory(&dir, &[privileges::uid(), identity.uid()]).map_err(anyhow::Error::msg)?;
    if new && privileges::is_root() {
        let owned = identity.own(&dir);
        if owned.is_err() {
            // Else the next start would take it for one that somebody made.
            let _ = std::fs::remove_dir(&dir);
        }
        owned?;
    }
    Ok(dir)
}

fn own() -> Result<PathBuf> {
    if privileges::is_root() {
        return Ok("/var/cache/assize/headers".into());
    }
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let cache = var("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || var("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache
        .or_else(home)
        .context("neither HOME nor --headers is set")?;
    Ok(cache.join("assize/headers"))
}

/// How often a server looks whether its compilers have changed.
const LOOK: Duration = Duration::from_secs(30);

/// Makes them, and again whenever a compiler has changed. Programs are served
/// meanwhile, only not as fast.
pub(super) fn keep_in_the_background(engine: &Arc<Engine>) {
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        loop {
            match make(&engine).await {
                Ok(all) => all.iter().for_each(|one| match &one.made {
                    Ok(_) => tracing::info!("precompiled headers: {}", line(one)),
                    Err(_) => tracing::warn!("precompiled headers: {}", line(one)),
                }),
                Err(error) => tracing::warn!("precompiled headers: {error:#}"),
            }
            loop {
                tokio::time::sleep(LOOK).await;
                if engine.compiler().stale(engine.registry()) {
                    break;
                }
            }
        }
    });
}

/// Makes them on a thread that may block.
async fn make(engine: &Arc<Engine>) -> Result<Vec<Precompiled>> {
    let engine = Arc::clone(engine);
    let handle = tokio::runtime::Handle::current();
    let work = move || handle.block_on(engine.compiler().precompile(engine.registry()));
    let made = tokio::task::spawn_blocking(work).await?;
    // A hundred megabytes went through here, and a server is small.
    assize_executor::give_back();
    Ok(made)
}

fn line(one: &Precompiled) -> String {
    let Precompiled {
        language,
        header,
        made,
    } = one;
    match made {
        Ok(true) => format!("{language}: {header} is made"),
        Ok(false) => format!("{language}: {header} stands ready"),
        Err(why) => format!("{language}: no {header}: {why}"),
    }
}
