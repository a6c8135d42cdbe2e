//! `assize bench`: what a run costs here beside a bare process and beside
//! other people's sandboxes.
//!
//! All contenders of one program take turns in short blocks, so that whatever
//! else the machine does falls on all alike; what is reported are ratios.
//! Nothing asserts on them.

mod cases;
mod curves;
mod harness;
mod machine;
mod ours;
mod outside;
mod peer;
mod process;
mod program;
mod programs;
mod report;
mod scratch;
mod served;
mod stats;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use self::program::{Program, Size};
use self::programs::{Field, programs};
use self::report::{Beside, Row, Table};
use self::scratch::Scratch;
use self::served::Served;
use self::stats::{Block, Of, Summary, ratio};
use crate::args::{Bench, Host};
use crate::status;

/// Blocks thrown away before counting: slots are built, caches filled.
const WARM_UP: u32 = 2;

pub(crate) async fn bench(host: &Host, args: &Bench) -> Result<u8> {
    let (host, args) = (host.clone(), args.clone());
    // Measuring is blocking calls from end to end.
    tokio::task::spawn_blocking(move || match &args.curves {
        Some(dir) => curves::curves(&host, dir, args.quick, args.json),
        None => contend(&host, &args),
    })
    .await?
}

fn contend(host: &Host, args: &Bench) -> Result<u8> {
    process::adopt()?;
    let peers = peer::peers(&args.peer, &args.template)?;
    let scratch = Scratch::new()?;
    let served = Served::start(host, scratch.path())?;
    let languages = served.languages()?;
    let python = args
        .python
        .clone()
        .unwrap_or_else(|| PathBuf::from("python3"));
    let (size, blocks) = match args.quick {
        true => (Size::QUICK, 2),
        false => (Size::FULL, args.blocks),
    };
    let field = Field {
        url: &served.url,
        languages: &languages,
        peers: &peers,
        python: &python,
        scratch: &scratch,
        size,
    };
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only));
    let all = programs(&field, &wanted)?;
    ensure!(!all.is_empty(), "nothing here is called that");
    let turns = |p: &Program| p.contenders.len() * (blocks.min(p.most) + WARM_UP) as usize;
    let bar = progress(args.json, all.iter().map(turns).sum());
    let tables = all
        .into_iter()
        .map(|program| take_turns(program, blocks, &bar))
        .collect::<Result<Vec<Table>>>()?;
    bar.finish_and_clear();
    let machine = machine::machine();
    if args.json {
        println!("{}", report::document(&machine, &tables));
    } else {
        report::print(&machine, &tables);
    }
    Ok(status::DONE)
}

/// One block of each contender after the other, each time another first.
fn take_turns(mut program: Program, blocks: u32, bar: &ProgressBar) -> Result<Table> {
    let blocks = blocks.min(program.most);
    let many = program.contenders.len();
    let mut measured: Vec<Vec<Block>> = (0..many).map(|_| Vec::new()).collect();
    for turn in 0..(blocks + WARM_UP) as usize {
        for step in 0..many {
            let at = (turn + step) % many;
            let contender = &mut program.contenders[at];
            bar.set_message(format!("{}: {}", program.name, contender.name));
            let block = Block::of(&mut contender.measure)
                .with_context(|| format!("{}: {}", program.name, contender.name))?;
            if turn >= WARM_UP as usize {
                measured[at].push(block);
            }
            bar.inc(1);
        }
    }
    let first = measured.first().cloned().unwrap_or_default();
    let row = |(at, (name, blocks)): (usize, (String, &Vec<Block>))| Row {
        name,
        summary: Summary::of(blocks),
        beside: (at > 0).then(|| Beside {
            p10: ratio(blocks, &first, Of::P10),
            p50: ratio(blocks, &first, Of::P50),
            cpu: ratio(blocks, &first, Of::Cpu),
        }),
    };
    let names = program.contenders.into_iter().map(|c| c.name);
    Ok(Table {
        program: program.name,
        unit: program.unit,
        blocks,
        contenders: names.zip(&measured).enumerate().map(row).collect(),
        absent: program.absent,
    })
}

fn progress(json: bool, steps: usize) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
    ProgressBar::new(steps as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
