//! `assize select`: which of many candidates to hand in.

use std::time::Duration;

use anyhow::Result;
use assize_api::select::{body, plan};
use assize_api::sweeps::sweep_here;
use assize_api::types::{SelectBody, SelectRequest};
use assize_judge::engine::Engine;

use crate::args::{Document, Host};
use crate::{Usage, commands, setup, show, status};

pub(crate) async fn select(host: &Host, args: &Document) -> Result<u8> {
    let request: SelectRequest = commands::document(args)?;
    let engine = setup::engine(host, setup::cores()).await?;
    let result = try_select(&engine, &request).await;
    setup::shut_down(&engine).await;
    let body = result?;
    if args.json {
        println!("{}", serde_json::to_string(&body)?);
    } else {
        print(&body);
    }
    Ok(if body.picks.is_empty() {
        status::FAILED
    } else {
        status::DONE
    })
}

async fn try_select(engine: &Engine, request: &SelectRequest) -> Result<SelectBody> {
    let selection = plan(engine, request).map_err(|e| Usage(e.to_string()))?;
    let swept = sweep_here(engine, &selection.plan.sweeps, setup::cores()).await?;
    Ok(body("sel_local".into(), &selection, &swept, Duration::ZERO))
}

fn print(body: &SelectBody) {
    let mut table = show::table(&["pick", "candidate", "why"]);
    for (place, pick) in body.picks.iter().enumerate() {
        table.add_row(vec![
            show::right(place + 1),
            show::harmless(&pick.id).into(),
            show::harmless(&pick.reason).into(),
        ]);
    }
    println!("{table}");
    let mut table = show::table(&["candidate", "outcome", "why"]);
    let rest = body.candidates.iter().filter(|c| c.outcome != "picked");
    for candidate in rest {
        table.add_row([
            show::harmless(&candidate.id),
            candidate.outcome.to_owned(),
            show::harmless(&candidate.reason),
        ]);
    }
    if table.row_count() > 0 {
        println!("\n{table}");
    }
    println!(
        "\n{} of {} picked, {} clusters",
        body.picks.len(),
        body.candidates.len(),
        body.clusters.len()
    );
}
