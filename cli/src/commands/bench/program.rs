//! What a contender is, and the small measures that all are made of.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::stats::Sample;

/// One block of a measurement: a few runs, each timed.
pub(super) type Measure = Box<dyn FnMut() -> Result<Vec<Sample>>>;

/// Something that everybody has to do.
pub(super) struct Program {
    pub(super) name: &'static str,
    /// What one number is about: a `run` or a `test`.
    pub(super) unit: &'static str,
    /// Most blocks that are worth their time; what takes seconds a block
    /// needs no thirty of them.
    pub(super) most: u32,
    /// The first one is what the others are compared with.
    pub(super) contenders: Vec<Contender>,
    /// Who could not take part, and why.
    pub(super) absent: Vec<Absent>,
}

/// Who does it.
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) measure: Measure,
}

/// Who does not.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Absent {
    pub(super) name: String,
    pub(super) why: String,
}

impl Program {
    pub(super) fn new(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            most: u32::MAX,
            contenders: Vec::new(),
            absent: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, name: impl Into<String>, measure: Measure) {
        let name = name.into();
        self.contenders.push(Contender { name, measure });
    }

    /// Adds somebody else's tool if it works here, else says why it does not.
    pub(super) fn outside(&mut self, name: impl Into<String>, found: Result<Measure, String>) {
        let name = name.into();
        let tried = found.and_then(|mut measure| {
            let tried = measure().map_err(|e| format!("does not work here: {e:#}"));
            tried.map(|_| measure)
        });
        match tried {
            Ok(measure) => self.contenders.push(Contender { name, measure }),
            Err(why) => self.absent.push(Absent { name, why }),
        }
    }
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Runs of one block, one after another.
    pub(super) runs: usize,
    /// Programs of one batch.
    pub(super) batch: usize,
    /// Cases of the large batch.
    pub(super) cases: usize,
    /// Tests of one of those.
    pub(super) tests: usize,
}

impl Size {
    pub(super) const FULL: Self = Self {
        runs: 8,
        batch: 128,
        cases: 100,
        tests: 10,
    };
    /// Enough to see that everything works.
    pub(super) const QUICK: Self = Self {
        runs: 2,
        batch: 8,
        cases: 4,
        tests: 3,
    };
}

/// Spawns and waits, output thrown away, one after the other.
pub(super) fn spawning(argv: Vec<String>, runs: usize) -> Measure {
    Box::new(move || {
        let one = |_| timed(1, || run(&argv, &[]).map(drop));
        (0..runs).map(one).collect()
    })
}

/// Runs a command in an empty environment and wants it to succeed; hands back
/// what it printed where `stdin` is given, else nothing is read.
pub(super) fn run(argv: &[String], stdin: &[u8]) -> Result<Vec<u8>> {
    let (program, args) = argv.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .stderr(Stdio::piped());
    if stdin.is_empty() {
        command.stdin(Stdio::null()).stdout(Stdio::null());
    } else {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
    }
    let mut child = command.spawn().with_context(|| program.clone())?;
    if let Some(mut pipe) = child.stdin.take() {
        use std::io::Write as _;
        pipe.write_all(stdin)?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    ensure!(
        output.status.success(),
        "{program} ended with {}: {}",
        output.status,
        last.chars().take(300).collect::<String>()
    );
    Ok(output.stdout)
}

/// How long something takes that is so many runs.
pub(super) fn timed(runs: usize, work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    let start = Instant::now();
    work()?;
    let wall = start.elapsed();
    Ok(Sample { wall, runs })
}

/// Strings out of literals.
pub(super) fn argv(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|p| (*p).to_owned()).collect()
}
