//! `assize bench`: what a run costs here beside a bare process.
//!
//! Ours and the bare one take turns in short blocks, so that whatever else the
//! machine does falls on both alike; what is reported are ratios. Nothing
//! asserts on them.

mod contender;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use assize_api::{App, Keys, Options};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::contender::{Contender, contenders};
use self::stats::{Block, Summary};
use crate::args::{Bench, Host};
use crate::{setup, show, status};

/// Blocks thrown away before counting: slots are built, caches filled.
const WARM_UP: usize = 2;

pub(crate) async fn bench(host: &Host, args: &Bench) -> Result<u8> {
    let cases = setup::cores() * 2;
    let engine = setup::engine(host, cases).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let options = Options {
        concurrency: cases,
        queue: 1_000_000,
        batches: 8,
        grace: Duration::from_secs(5),
        keys: Keys::default(),
    };
    let app = App::new(Arc::clone(&engine), &options).map_err(anyhow::Error::msg)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(assize_api::serve(app, listener, async {
        let _ = stopped.await;
    }));
    let (args, languages) = (args.clone(), languages(&engine));
    let measured = tokio::task::spawn_blocking(move || measure(&args, &url, &languages)).await?;
    let _ = stop.send(());
    serving.await??;
    setup::shut_down(&engine).await;
    measured
}

/// Names of what the WASI backend and the native one can run here.
fn languages(engine: &assize_judge::engine::Engine) -> Vec<(String, assize_executor::Backend)> {
    let all = engine.registry().all();
    all.map(|r| (r.manifest.language.clone(), r.backend))
        .collect()
}

fn measure(
    args: &Bench,
    url: &str,
    languages: &[(String, assize_executor::Backend)],
) -> Result<u8> {
    let all = contenders(url, languages);
    let chosen: Vec<Contender> = all
        .into_iter()
        .filter(|c| args.only.as_ref().is_none_or(|only| c.name.contains(only)))
        .collect();
    anyhow::ensure!(!chosen.is_empty(), "nothing here is called that");
    let blocks = args.blocks as usize;
    let bar = progress(args.json, chosen.len() * (blocks + WARM_UP));
    let mut rows = Vec::new();
    for mut contender in chosen {
        bar.set_message(contender.name.clone());
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for block in 0..blocks + WARM_UP {
            let a = Block::of(&mut contender.ours).with_context(|| contender.name.clone())?;
            let b = Block::of(&mut contender.bare).with_context(|| contender.beside.clone())?;
            if block >= WARM_UP {
                ours.push(a);
                bare.push(b);
            }
            bar.inc(1);
        }
        rows.push(Row {
            name: contender.name,
            beside: contender.beside,
            ours: Summary::of(&ours),
            bare: Summary::of(&bare),
            ratio: stats::ratio(&ours, &bare),
        });
    }
    bar.finish_and_clear();
    print(args, &rows);
    Ok(status::DONE)
}

fn progress(json: bool, steps: usize) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
    ProgressBar::new(steps as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

struct Row {
    name: String,
    beside: String,
    ours: Summary,
    bare: Summary,
    ratio: stats::Ratio,
}

fn print(args: &Bench, rows: &[Row]) {
    let machine = machine();
    if args.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|r| {
                json!({
                    "name": r.name, "beside": r.beside, "ours": r.ours, "bare": r.bare,
                    "ratio_p10": r.ratio.p10, "ratio_p10_low": r.ratio.low,
                    "ratio_p10_high": r.ratio.high,
                })
            })
            .collect();
        println!(
            "{}",
            json!({"machine": machine, "blocks": args.blocks, "rows": rows})
        );
        return;
    }
    let mut table = show::table(&[
        "ours", "beside", "p10 µs", "p50 µs", "p99 µs", "cpu µs", "bare p10", "bare p50",
        "bare cpu", "× p10", "95 %",
    ]);
    for r in rows {
        let micro = |x: f64| show::right(format!("{x:.0}"));
        table.add_row([
            r.name.as_str().into(),
            r.beside.as_str().into(),
            micro(r.ours.p10_us),
            micro(r.ours.p50_us),
            micro(r.ours.p99_us),
            micro(r.ours.cpu_us),
            micro(r.bare.p10_us),
            micro(r.bare.p50_us),
            micro(r.bare.cpu_us),
            show::right(format!("{:.4}", r.ratio.p10)),
            show::right(format!("{:.4}–{:.4}", r.ratio.low, r.ratio.high)),
        ]);
    }
    println!("{table}\n\n{machine}");
}

/// What it was measured on, in a line.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|l| l.strip_prefix("model name"));
    let model = model.map_or("", |m| m.trim_start_matches([':', '\t', ' ']));
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{} cores of {model}; Linux {}; load {}",
        setup::cores(),
        kernel.trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or("?")
    )
}
