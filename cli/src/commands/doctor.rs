//! `assize doctor`: what this host can enforce, each line proven.

use anyhow::Result;

use crate::args::{Host, Json};
use crate::{setup, show, status};

pub(crate) async fn doctor(host: &Host, args: &Json) -> Result<u8> {
    let engine = match setup::engine(host, 1).await {
        Ok(engine) => engine,
        Err(error) => {
            if args.json {
                println!(
                    "{}",
                    serde_json::json!({"ok": false, "error": format!("{error:#}")})
                );
            } else {
                println!("This host cannot build a cell: {error:#}");
                println!("SECURITY.md lists what a host must offer.");
            }
            return Ok(status::FAILED);
        }
    };
    let proven = engine.executor().prove().await;
    let missing = engine.registry().missing().to_vec();
    setup::shut_down(&engine).await;
    let ok = proven.all_enforced();
    if args.json {
        let body =
            serde_json::json!({"ok": ok, "capabilities": proven, "missing_runtimes": missing});
        println!("{body}");
    } else {
        let mut table = show::table(&["protection", "held", "tried", "seen"]);
        for probe in &proven.probes {
            let held = if probe.enforced { "yes" } else { "NO" };
            table.add_row([probe.name, held, probe.tried, &show::harmless(&probe.seen)]);
        }
        println!("{table}\n");
        for probe in proven.probes.iter().filter(|p| !p.enforced) {
            println!("to enforce {}: {}", probe.name, probe.fix);
        }
        if !proven.cgroup_missing.is_empty() {
            println!("no cgroups: {}", proven.cgroup_missing);
        }
        println!(
            "cgroups: {:?}; WASI backend: {}",
            proven.cgroup,
            if proven.wasi { "yes" } else { "no" }
        );
        println!(
            "every run lists as enforced: {}",
            proven.enforced.join(", ")
        );
        for runtime in &missing {
            println!(
                "not available: {} on {:?}: {}",
                runtime.language, runtime.backend, runtime.reason
            );
        }
        println!(
            "\n{}",
            if ok {
                "Every protection held."
            } else {
                "NOT every protection held."
            }
        );
    }
    Ok(if ok { status::DONE } else { status::FAILED })
}
