//! `assize`: the server and everything one does with it from a shell.

mod args;
mod client;
mod commands;
mod dataset;
mod grading;
mod privileges;
mod receipts;
mod setup;
mod show;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::commands::{
    bench, doctor, eval, guests, headers, judge, matrix, metrics, pairs, receipt, run, runtimes,
    select, serve, tasks,
};

/// Exit statuses, the same for every command.
pub(crate) mod status {
    /// Done; for `judge`: accepted.
    pub(crate) const DONE: u8 = 0;
    /// The program or the case did not pass.
    pub(crate) const FAILED: u8 = 1;
    /// Usage or bad input.
    pub(crate) const USAGE: u8 = 2;
    /// Our failure.
    pub(crate) const FAULT: u8 = 3;
}

/// A failure of the caller's, which exits with [`status::USAGE`].
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.json();
    let filter = tracing_subscriber::EnvFilter::try_from_env("ASSIZE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(args.log_level()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    // While this is the only thread: a server starts its keeper and becomes
    // somebody without rights.
    let (command, prepared) = match args.command {
        Command::Serve(a) => match serve::prepare(&args.host, &a) {
            Ok(prepared) => (None, Some(prepared)),
            Err(error) => return fail(&error, json),
        },
        other => (Some(other), None),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("assize: no runtime: {error}");
            return ExitCode::from(status::FAULT);
        }
    };
    let result = runtime.block_on(async {
        if let Some(prepared) = prepared {
            return serve::serve(prepared).await;
        }
        match command {
            None | Some(Command::Serve(_)) => Ok(status::DONE),
            Some(Command::Run(a)) => run::run(&args.host, &a).await,
            Some(Command::Judge(a)) => judge::judge(&args.host, &a).await,
            Some(Command::Eval(a)) => eval::eval(&args.host, a).await,
            Some(Command::Tasks(a)) => tasks::tasks(&args.host, a).await,
            Some(Command::Matrix(a)) => matrix::matrix(&args.host, &a).await,
            Some(Command::Select(a)) => select::select(&args.host, &a).await,
            Some(Command::Pairs(a)) => pairs::pairs(&args.host, &a).await,
            Some(Command::Metrics(a)) => metrics::metrics(&a),
            Some(Command::Receipt(a)) => receipt::receipt(&a),
            Some(Command::Doctor(a)) => doctor::doctor(&args.host, &a).await,
            Some(Command::Runtimes(a)) => runtimes::runtimes(&args.host, &a).await,
            Some(Command::Guests(a)) => guests::guests(&args.host, &a.command),
            Some(Command::Bench(a)) => bench::bench(&args.host, &a).await,
            Some(Command::Headers(a)) => headers::headers(&args.host, &a).await,
            Some(Command::Openapi) => {
                print!("{}", assize_api::openapi());
                Ok(status::DONE)
            }
        }
    });
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => fail(&error, json),
    }
}

fn fail(error: &anyhow::Error, json: bool) -> ExitCode {
    let usage = error.downcast_ref::<Usage>().is_some();
    if json {
        let code = if usage { "usage" } else { "fault" };
        let body = serde_json::json!({"error": {"code": code, "message": format!("{error:#}")}});
        println!("{body}");
    }
    eprintln!("assize: {error:#}");
    ExitCode::from(if usage { status::USAGE } else { status::FAULT })
}
