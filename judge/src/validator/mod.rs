//! Programs of a problem's author that take part in judging: checkers, which
//! look at what a candidate printed, and interactors, which talk with it.
//!
//! They are the author's, so their word counts; but they work on what a
//! candidate says, so each runs in a cell of its own, once per test, with
//! limits of its own. What a candidate printed reaches them as data, never as
//! an argument, and its cell never holds what theirs does.

mod interact;
mod relay;
mod ruling;

use std::sync::Arc;

use assize_executor::{Collect, Executor, Fault, FileSource, Outcome, Plan, Sealed};
use assize_policies::Limits;
use assize_runtimes::{Built, Role, Runnable};

use crate::case::Submission;
use crate::engine::Engine;

pub(crate) use interact::{Interaction, interact};
pub(crate) use ruling::clip;
pub use ruling::{Decision, Ruling};

/// Where a validator finds what a test brings, below `/work`. Its own files
/// may not be there.
pub const DIRECTORY: &str = ".judge";

/// Longest message or score that is read, in bytes.
const MESSAGE_BYTES: u64 = 64 << 10;

const MESSAGE: &str = ".judge/feedback/judgemessage.txt";
const SCORE: &str = ".judge/feedback/score.txt";

/// A program of the author's and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Validator {
    /// The program and its own limits.
    pub submission: Arc<Submission>,
    /// How it is called and what its end means.
    pub convention: Convention,
    /// Arguments after those of the convention.
    pub args: Vec<String>,
    /// The points that are all there are to get, where a testlib program gives
    /// points instead of a verdict.
    pub full_points: Option<f64>,
}

/// How a validator is called and what its end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Kattis and ICPC: `input answer feedback_dir`, the candidate's output on
    /// standard input; 42 accepts, 43 rejects, all else is a failure.
    Kattis,
    /// Polygon and Codeforces: `input output answer`; 0 accepts, 1, 2, 4 and 8
    /// reject, 7 gives points, all else is a failure.
    Testlib,
}

/// What a test brings.
#[derive(Clone, Copy)]
pub(crate) struct Material<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) answer: &'a [u8],
}

/// A validator that is built.
#[derive(Debug, Clone)]
pub struct Ready {
    runnable: Runnable,
    validator: Arc<Validator>,
}

impl Validator {
    /// Builds it. The inner error says, in one line, why there is no program.
    pub(crate) async fn build(
        self: &Arc<Self>,
        engine: &Engine,
    ) -> Result<Result<Ready, String>, Fault> {
        Ok(match engine.build(&self.submission).await? {
            Built::Ready { runnable, .. } => Ok(Ready {
                runnable,
                validator: Arc::clone(self),
            }),
            Built::Refused(report) => {
                let said = clip(&report.outcome.stderr.data);
                Err(format!("{}: {said}", report.reason()))
            }
        })
    }
}

impl Ready {
    /// The same program with the arguments of another validator.
    #[must_use]
    pub fn with_args(&self, args: &[String]) -> Self {
        let validator = Validator {
            args: args.to_vec(),
            ..(*self.validator).clone()
        };
        Self {
            validator: Arc::new(validator),
            ..self.clone()
        }
    }

    /// Has it look at what a candidate printed, all of it.
    pub(crate) async fn check(
        &self,
        executor: &Executor,
        material: Material<'_>,
        output: &[u8],
    ) -> Result<Ruling, Fault> {
        let mut plan = self.plan(material, output)?;
        if self.validator.convention == Convention::Kattis {
            plan.stdin = Some(Sealed::new(&[output]).map_err(host)?);
        }
        let outcome = executor.run(plan).await?;
        Ok(self.ruling(&outcome))
    }

    fn ruling(&self, outcome: &Outcome) -> Ruling {
        ruling::ruling(&self.validator, outcome)
    }

    /// A plan for one run of it. A testlib program reads, and an interactor of
    /// that convention writes, the file of `output`.
    fn plan(&self, material: Material<'_>, output: &[u8]) -> Result<Plan, Fault> {
        let path = |name: &str| format!("{DIRECTORY}/{name}");
        let file = |name: &str, data: &[u8]| FileSource {
            path: path(name),
            data: data.to_vec(),
            executable: false,
        };
        let (input, answer) = (
            file("input.in", material.input),
            file("answer.ans", material.answer),
        );
        let (files, names) = match self.validator.convention {
            // The message is there from the start, and empty, so that its
            // directory is: the format asks for the directory alone.
            Convention::Kattis => (
                vec![input, answer, file("feedback/judgemessage.txt", b"")],
                ["input.in", "answer.ans", "feedback/"],
            ),
            Convention::Testlib => (
                vec![input, file("output.out", output), answer],
                ["input.in", "output.out", "answer.ans"],
            ),
        };
        let mut args: Vec<String> = names
            .iter()
            .map(|name| format!("/work/{}", path(name)))
            .collect();
        args.extend_from_slice(&self.validator.args);
        let submission = &self.validator.submission;
        let limits = room_for(&files, submission.limits);
        let runnable = self.runnable.with(&files).map_err(host)?;
        let mut plan = runnable
            .plan(Role::Program(&args), limits, &submission.policy, &[])
            .map_err(host)?;
        if self.validator.convention == Convention::Kattis {
            plan.collect = [MESSAGE, SCORE]
                .map(|path| Collect {
                    path: path.to_owned(),
                    max_bytes: MESSAGE_BYTES,
                })
                .to_vec();
        }
        Ok(plan)
    }
}

/// What a test brings lies in the cell's memory and on its disk, but is none
/// of the validator's doing.
fn room_for(files: &[FileSource], limits: Limits) -> Limits {
    let size = |f: &FileSource| (f.data.len() as u64).next_multiple_of(4096);
    let bytes: u64 = files.iter().map(size).sum();
    Limits {
        disk_bytes: limits.disk_bytes.saturating_add(bytes),
        memory_bytes: limits.memory_bytes.saturating_add(bytes),
        // The files, and the two directories above them.
        files: limits.files.saturating_add(files.len() as u64 + 2),
        ..limits
    }
}

fn host(error: impl std::fmt::Display) -> Fault {
    Fault::Host(error.to_string())
}
