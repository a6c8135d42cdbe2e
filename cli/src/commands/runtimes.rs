//! `assize runtimes`: the languages of this host.

use anyhow::Result;
use assize_api::present::backend;
use serde_json::json;

use crate::args::{Host, Json};
use crate::{setup, show, status};

pub(crate) async fn runtimes(host: &Host, args: &Json) -> Result<u8> {
    let engine = setup::engine(host, 1).await?;
    let registry = engine.registry();
    if args.json {
        let list: Vec<_> = registry
            .all()
            .map(|r| {
                json!({
                    "language": r.manifest.language,
                    "aliases": r.manifest.aliases,
                    "backend": backend(r.backend),
                    "version": r.version,
                    "digest": r.digest,
                })
            })
            .collect();
        println!(
            "{}",
            json!({ "runtimes": list, "missing": registry.missing() })
        );
    } else {
        let mut table = show::table(&["language", "backend", "version", "what", "also called"]);
        for r in registry.all() {
            let also = r.manifest.aliases.join(", ");
            table.add_row([
                r.manifest.language.as_str(),
                backend(r.backend),
                &r.version,
                &r.manifest.title,
                &also,
            ]);
        }
        println!("{table}");
        for m in registry.missing() {
            println!(
                "not available: {} on {}: {}",
                m.language,
                backend(m.backend),
                m.reason
            );
        }
    }
    setup::shut_down(&engine).await;
    Ok(status::DONE)
}
