//! One program on many inputs, whose outputs nobody has an expectation for, and
//! on tests, for whom somebody has: what the output matrix and selection are
//! made of. Compiles once.

use std::sync::Arc;

use assize_executor::{End, Fault, Outcome, Stream, Usage};
use assize_runtimes::{CompileReport, Role, Runnable};
use sha2::{Digest, Sha256};

use crate::case::{Case, Test, add};
use crate::engine::{Engine, Turn, input, limit_verdict};
use crate::trials::Opened;
use crate::verdict::Verdict;

/// A program, what it has to pass, and what it is looked at on. Tests and
/// inputs are shared: hundreds of programs are tried on the same ones.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The program and how its tests are judged. It holds no tests itself.
    pub case: Case,
    /// The tests, of which there may be none.
    pub tests: Arc<[Test]>,
    /// Inputs.
    pub inputs: Arc<[Vec<u8>]>,
    /// How often it runs on each input, at least once.
    pub repeat: usize,
    /// Whether inputs are skipped for a program that fails a test.
    pub only_if_passed: bool,
    /// Most bytes of an output that are kept.
    pub excerpt: usize,
}

/// What a sweep said.
#[derive(Debug)]
pub struct Swept {
    /// What the compiler said, for languages that have one.
    pub compile: Option<CompileReport>,
    /// Whether there was a program to run.
    pub built: bool,
    /// Tests that ran, in order.
    pub tests: Vec<Tried>,
    /// What it did on each input. Empty when inputs were skipped.
    pub cells: Vec<Cell>,
    /// Whether it did the same each time it ran on an input. None when it ran
    /// once, and when we do not know of some run.
    pub stable: Option<bool>,
    /// CPU and wall time summed, memory at its highest.
    pub usage: Usage,
}

/// One test of a sweep. The output is not kept: there may be many sweeps.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The test's name.
    pub id: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// One line of why, empty when it passed.
    pub detail: String,
}

/// One run on one input.
#[derive(Debug)]
pub enum Cell {
    /// It ran.
    Ran(Box<Seen>),
    /// We failed; the code of the fault.
    Fault(&'static str),
    /// There is no program.
    NotBuilt,
}

/// What a run looked like.
#[derive(Debug)]
pub struct Seen {
    /// Accepted stands for a run that ended well, which is all that is known.
    pub ended: Verdict,
    /// How it ended.
    pub end: End,
    /// The first bytes of its output.
    pub excerpt: Stream,
    /// SHA-256 of the output, as far as it was kept by its limit.
    pub digest: [u8; 32],
    /// What it did, for comparison, see [`Behaviour`].
    pub behaviour: Behaviour,
    /// What it used.
    pub usage: Usage,
}

/// What two runs have in common when they are taken for the same: how they
/// ended, and what they printed if they ended well, but for white space (as the
/// `tokens` checker compares). What a run printed before it crashed or was ended
/// depends on when that was, so it is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Behaviour {
    ended: Verdict,
    tokens: [u8; 32],
}

impl Behaviour {
    /// Of a run that ended so and printed this.
    #[must_use]
    pub fn of(ended: Verdict, stdout: &[u8]) -> Self {
        let mut hash = Sha256::new();
        if ended == Verdict::Accepted {
            // As the checker does: the vertical tab is white space too.
            let white = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
            for token in stdout.split(white).filter(|t| !t.is_empty()) {
                hash.update(token);
                // No token has a space in it.
                hash.update(b" ");
            }
        }
        let tokens = hash.finalize().into();
        Self { ended, tokens }
    }
}

impl Cell {
    /// What it did; none where we do not know.
    #[must_use]
    pub fn behaviour(&self) -> Option<Behaviour> {
        match self {
            Self::Ran(seen) => Some(seen.behaviour),
            Self::Fault(_) | Self::NotBuilt => None,
        }
    }
}

impl Engine {
    /// Tries one program: its tests, then its inputs, with a `turn` before each
    /// run but the first.
    pub async fn sweep(&self, sweep: &Sweep, turn: Turn<'_>) -> Result<Swept, Fault> {
        let mut swept = Swept {
            compile: None,
            built: false,
            tests: Vec::new(),
            cells: Vec::new(),
            stable: None,
            usage: Usage::default(),
        };
        let case = &sweep.case;
        let trials = match self.open(case).await {
            Ok(Opened::Ready(mut trials)) => {
                swept.compile = trials.compile.take();
                trials
            }
            Ok(Opened::Refused(report)) => {
                swept.compile = Some(report);
                swept.cells = sweep.inputs.iter().map(|_| Cell::NotBuilt).collect();
                return Ok(swept);
            }
            Ok(Opened::Broken { compile, .. }) => {
                let code = "fault.checker";
                swept.compile = compile;
                swept.tests = lost_tests(&sweep.tests, code);
                swept.cells = sweep.inputs.iter().map(|_| Cell::Fault(code)).collect();
                return Ok(swept);
            }
            Err(fault) => {
                let code = of_one(fault)?;
                swept.tests = lost_tests(&sweep.tests, code);
                swept.cells = sweep.inputs.iter().map(|_| Cell::Fault(code)).collect();
                return Ok(swept);
            }
        };
        swept.built = true;
        let mut first = true;
        for test in sweep.tests.iter() {
            if !std::mem::take(&mut first) {
                turn().await;
            }
            let result = trials.test(test).await?;
            add(&mut swept.usage, &result.usage);
            let passed = result.verdict == Verdict::Accepted;
            swept.tests.push(Tried {
                id: result.id,
                verdict: result.verdict,
                detail: result.detail,
            });
            if !passed && case.stop_on_first_failure {
                break;
            }
        }
        let failed = swept.tests.iter().any(|t| t.verdict != Verdict::Accepted);
        if sweep.only_if_passed && failed {
            return Ok(swept);
        }
        let mut same = Some(true);
        for stdin in sweep.inputs.iter() {
            let mut cell: Option<Cell> = None;
            for _ in 0..sweep.repeat.max(1) {
                if !std::mem::take(&mut first) {
                    turn().await;
                }
                let next = self.look(sweep, &trials.runnable, stdin).await?;
                if let Cell::Ran(seen) = &next {
                    add(&mut swept.usage, &seen.usage);
                }
                match &cell {
                    None => cell = Some(next),
                    Some(before) => {
                        same = match (same, before.behaviour(), next.behaviour()) {
                            (Some(false), ..) => Some(false),
                            (_, Some(a), Some(b)) if a != b => Some(false),
                            (was, Some(_), Some(_)) => was,
                            (_, None, _) | (_, _, None) => None,
                        }
                    }
                }
            }
            swept.cells.extend(cell);
        }
        swept.stable = same.filter(|_| sweep.repeat > 1);
        Ok(swept)
    }

    /// One run on one input.
    async fn look(&self, sweep: &Sweep, runnable: &Runnable, stdin: &[u8]) -> Result<Cell, Fault> {
        let submission = &sweep.case.submission;
        let mut plan = runnable
            .plan(
                Role::Program(&[]),
                submission.limits,
                &submission.policy,
                &[],
            )
            .map_err(|e| Fault::Host(e.to_string()))?;
        plan.stdin = input(stdin)?;
        match self.executor().run(plan).await {
            Ok(outcome) => Ok(Cell::Ran(Box::new(seen(outcome, sweep.excerpt)))),
            Err(fault) => Ok(Cell::Fault(of_one(fault)?)),
        }
    }
}

/// The code of a fault that concerns one run; others end the whole request.
fn of_one(fault: Fault) -> Result<&'static str, Fault> {
    match fault {
        Fault::ShuttingDown | Fault::Unenforceable { .. } | Fault::NoBackend(_) => Err(fault),
        Fault::CellNotBuilt(_) | Fault::CellLost(_) | Fault::NotStarted(_) | Fault::Host(_) => {
            tracing::error!(%fault, "a program could not be tried");
            Ok(fault.code())
        }
    }
}

fn lost_tests(tests: &[Test], code: &'static str) -> Vec<Tried> {
    let lost = |test: &Test| Tried {
        id: test.id.clone(),
        verdict: Verdict::JudgeError,
        detail: code.to_owned(),
    };
    tests.iter().map(lost).collect()
}

fn seen(outcome: Outcome, excerpt: usize) -> Seen {
    let ended = match (&outcome.end, limit_verdict(&outcome.end)) {
        (_, Some(verdict)) => verdict,
        (End::Exited(0), None) => Verdict::Accepted,
        (_, None) => Verdict::RunTimeError,
    };
    let data = &outcome.stdout.data;
    let kept = data.len().min(excerpt);
    Seen {
        ended,
        digest: Sha256::digest(data).into(),
        behaviour: Behaviour::of(ended, data),
        excerpt: Stream {
            data: data[..kept].to_vec(),
            total: outcome.stdout.total,
        },
        end: outcome.end,
        usage: outcome.usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_no_behaviour_and_tokens_do_not_run_together() {
        let of = |text: &str| Behaviour::of(Verdict::Accepted, text.as_bytes());
        assert_eq!(of("1 2\n3\n"), of(" 1\t2 3"));
        assert_ne!(of("1 23"), of("12 3"));
        assert_ne!(of(""), of("0"));
    }

    #[test]
    fn what_a_run_printed_before_it_was_ended_is_not_compared() {
        let of = |text: &str| Behaviour::of(Verdict::TimeLimitExceeded, text.as_bytes());
        assert_eq!(of("1"), of("1\n2"));
        assert_ne!(of("1"), Behaviour::of(Verdict::RunTimeError, b"1"));
        assert_ne!(of(""), Behaviour::of(Verdict::Accepted, b""));
    }
}
