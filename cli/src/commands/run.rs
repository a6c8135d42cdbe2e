//! `assize run FILE`: one program, its output, what it used.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use assize_api::types::{RunBody, RunStatus};
use assize_api::{admit_run, present};

use crate::args::{Host, Run};
use crate::{Usage, commands, setup, show, status};

pub(crate) async fn run(host: &Host, args: &Run) -> Result<u8> {
    let engine = setup::engine(host, 1).await?;
    let result = try_run(&engine, args).await;
    setup::shut_down(&engine).await;
    let body = result?;
    if args.json {
        println!("{}", serde_json::to_string(&body)?);
    } else {
        print(&body)?;
    }
    let good = body.status == RunStatus::Finished && body.exit_code == Some(0);
    Ok(if good { status::DONE } else { status::FAILED })
}

async fn try_run(engine: &assize_judge::engine::Engine, args: &Run) -> Result<RunBody> {
    let mut request = commands::request(engine.registry(), &args.file, &args.program)?;
    request.args.clone_from(&args.args);
    if let Some(path) = &args.stdin {
        let text = std::fs::read_to_string(path);
        request.stdin = text.map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    }
    let run = admit_run(engine, &request).map_err(|e| Usage(e.to_string()))?;
    let result = engine.run(&run).await?;
    Ok(present::run("run_local".into(), &result, Duration::ZERO))
}

fn print(body: &RunBody) -> Result<()> {
    let mut stdout = std::io::stdout();
    match (&body.stdout.text, &body.stdout.base64) {
        (Some(text), _) => write!(stdout, "{text}")?,
        (None, Some(base64)) => writeln!(stdout, "(not UTF-8; base64) {base64}")?,
        (None, None) => {}
    }
    stdout.flush()?;
    let diagnostics = body.compile.as_ref().and_then(|c| c.stderr.text.as_ref());
    for text in diagnostics.into_iter().chain(&body.stderr.text) {
        eprint!("{}", show::harmless(text));
    }
    let how = match (body.status, body.exit_code, body.signal) {
        (RunStatus::Finished, Some(code), _) => format!("finished with status {code}"),
        (RunStatus::Finished, None, Some(signal)) => format!("ended by signal {signal}"),
        (RunStatus::Finished, None, None) => "trapped".to_owned(),
        (status, ..) => {
            let name = serde_json::to_value(status)?;
            let limit = body
                .details
                .get("limit")
                .map(|l| format!(" ({l})"))
                .unwrap_or_default();
            format!("{}{limit}", name.as_str().unwrap_or_default())
        }
    };
    let reason = body.compile.as_ref().and_then(|c| c.reason.clone());
    let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
    eprintln!(
        "-- {how}{reason} · {:.1} ms CPU · {:.1} ms wall · {} · {} {} on {}",
        body.usage.cpu_ms,
        body.usage.wall_ms,
        show::size(body.usage.memory_peak_bytes),
        body.runtime.language,
        body.runtime.version,
        body.backend,
    );
    Ok(())
}
