//! `assize matrix`: programs × inputs, and who does the same.

use std::time::Duration;

use anyhow::Result;
use assize_api::matrix::{body, plan};
use assize_api::sweeps::sweep_here;
use assize_api::types::{CellBody, MatrixBody, MatrixRequest};
use assize_judge::engine::Engine;

use crate::args::{Document, Host};
use crate::{Usage, commands, setup, show, status};

pub(crate) async fn matrix(host: &Host, args: &Document) -> Result<u8> {
    let request: MatrixRequest = commands::document(args)?;
    let engine = setup::engine(host, setup::cores()).await?;
    let result = try_matrix(&engine, &request).await;
    setup::shut_down(&engine).await;
    let body = result?;
    if args.json {
        println!("{}", serde_json::to_string(&body)?);
    } else {
        print(&body);
    }
    let lost = |c: &CellBody| c.fault.is_some();
    let faults = body.programs.iter().flat_map(|p| &p.cells).any(lost);
    Ok(if faults { status::FAULT } else { status::DONE })
}

async fn try_matrix(engine: &Engine, request: &MatrixRequest) -> Result<MatrixBody> {
    let plan = plan(engine, request).map_err(|e| Usage(e.to_string()))?;
    let swept = sweep_here(engine, &plan.sweeps, setup::cores()).await?;
    Ok(body("mtx_local".into(), &plan, &swept, Duration::ZERO))
}

fn print(body: &MatrixBody) {
    let inputs = body.inputs.iter().map(|i| format!("on {i}"));
    let header: Vec<String> = ["program".to_owned(), "cluster".to_owned()]
        .into_iter()
        .chain(inputs)
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = show::table(&header);
    for program in &body.programs {
        let cluster = match (program.cluster, program.stable) {
            (Some(number), _) => (number + 1).to_string(),
            (None, Some(false)) => "unstable".to_owned(),
            (None, Some(true) | None) => "-".to_owned(),
        };
        let cells = program.cells.iter().map(cell);
        let row = [show::harmless(&program.id), cluster].into_iter();
        table.add_row(row.chain(cells));
    }
    println!("{table}");
    let incoherence = body
        .incoherence
        .map_or("none".to_owned(), |i| format!("{i:.3}"));
    println!(
        "\n{} clusters, incoherence {incoherence}",
        body.clusters.len()
    );
}

/// The beginning of what it printed, in one line.
fn cell(cell: &CellBody) -> String {
    const WIDTH: usize = 24;
    if cell.status != "finished" {
        return cell.status.to_owned();
    }
    let text = cell.stdout.as_ref().and_then(|s| s.text.as_deref());
    let text = text.unwrap_or("(not UTF-8)").trim();
    let line = show::harmless(text).replace(['\n', '\t'], " ");
    match line.char_indices().nth(WIDTH) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}
