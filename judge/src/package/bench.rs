//! Judges submissions against a package, in cells.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assize_executor::{End, Fault, Outcome, Sealed};
use assize_policies::{Limits, Profile};
use assize_runtimes::{Built, Role, Runnable};
use serde::Serialize;

use super::data::{Grading, Settings};
use super::grading::{Graded, answer, code};
use super::programs::Source;
use super::verify::TimeLimit;
use super::walk::Walk;
use super::{Package, PackageError};
use crate::case::{Case, Comparison, Submission};
use crate::checker::{Checker, Kattis};
use crate::engine::Engine;
use crate::reward::Scheme;
use crate::trials::Opened;
use crate::validator::{Convention, Ready, Validator, clip};
use crate::verdict::Verdict;

const MIB: f64 = 1_048_576.0;

/// A package whose own programs are built.
pub struct Bench<'a> {
    pub(super) engine: &'a Engine,
    pub(super) package: &'a Package,
    policy: Arc<Profile>,
    validator: Option<(Arc<Validator>, Ready)>,
    grader: Option<Runnable>,
    pub(super) input_validators: Vec<(String, Runnable)>,
}

/// Why there is no bench.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Something about the package, or what it asks of this host.
    #[error("{0}")]
    Package(String),
    /// Our failure.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<PackageError> for BenchError {
    fn from(error: PackageError) -> Self {
        Self::Package(error.to_string())
    }
}

/// What judging one submission came to.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// The score, where the problem has scores and the verdict is accepted.
    pub score: Option<f64>,
    /// Why the verdict is what it is, in one line.
    pub detail: String,
    /// Test cases that ran, in order.
    pub cases: Vec<CaseResult>,
    /// Results of groups, inner ones first.
    pub groups: Vec<GroupResult>,
}

/// What one test case came to.
#[derive(Debug, Clone, Serialize)]
pub struct CaseResult {
    /// Its path below `data`.
    pub id: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, in one line.
    pub detail: String,
    /// Its score, in scoring problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// CPU time of the submission, in milliseconds.
    pub cpu_ms: f64,
    /// Memory at its highest, in bytes.
    pub memory_peak_bytes: u64,
}

/// What a group came to.
#[derive(Debug, Clone, Serialize)]
pub struct GroupResult {
    /// Its path below `data`, empty for the root.
    pub group: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its score, in scoring problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl<'a> Bench<'a> {
    /// Builds the package's own programs.
    pub async fn open(
        engine: &'a Engine,
        package: &'a Package,
        policy: &Arc<Profile>,
    ) -> Result<Self, BenchError> {
        let mut bench = Self {
            engine,
            package,
            policy: Arc::clone(policy),
            validator: None,
            grader: None,
            input_validators: Vec::new(),
        };
        // Flags of the default validator are the package's to get right, and
        // known before anything runs.
        if package.validator.is_none() {
            for (_, settings) in package.data.cases() {
                bench.comparison(settings)?;
            }
        }
        if let Some(source) = &package.validator {
            let validator = Arc::new(Validator {
                submission: Arc::new(bench.author(source)?),
                convention: Convention::Kattis,
                args: Vec::new(),
                full_points: None,
            });
            match engine.ready(&validator).await? {
                Ok(ready) => bench.validator = Some((validator, ready)),
                Err(why) => {
                    let name = &source.name;
                    let what = format!("the output validator {name} cannot be built: {why}");
                    return Err(BenchError::Package(what));
                }
            }
        }
        if let Some(source) = &package.grader {
            bench.grader = Some(bench.build(source).await?);
        }
        Ok(bench)
    }

    /// A program of the package's, built.
    pub(super) async fn build(&self, source: &Source) -> Result<Runnable, BenchError> {
        let submission = self.author(source)?;
        match self.engine.build(&submission).await? {
            Built::Ready { runnable, .. } => Ok(runnable),
            Built::Refused(report) => {
                let (name, why) = (&source.name, report.reason());
                let said = clip(&report.outcome.stderr.data);
                let what = format!("{name} cannot be built: {why}: {said}");
                Err(BenchError::Package(what))
            }
        }
    }

    /// Runs a program of the package's on an input.
    pub(super) async fn run(
        &self,
        runnable: &Runnable,
        args: &[String],
        stdin: &[u8],
    ) -> Result<Outcome, Fault> {
        let host = |e: &dyn std::fmt::Display| Fault::Host(e.to_string());
        let mut plan = runnable
            .plan(Role::Program(args), self.author_limits(), &self.policy, &[])
            .map_err(|e| host(&e))?;
        plan.stdin = Some(Sealed::new(&[stdin]).map_err(|e| host(&e))?);
        self.engine.executor().run(plan).await
    }

    fn author(&self, source: &Source) -> Result<Submission, BenchError> {
        let (runtime, program) = self.program(source)?;
        Ok(Submission {
            tenant: "".into(),
            program,
            runtime,
            policy: Arc::clone(&self.policy),
            limits: self.author_limits(),
            quick: None,
        })
    }

    /// The format's typical limits of a validator, or the package's own.
    fn author_limits(&self) -> Limits {
        let limits = &self.package.metadata.limits;
        let cpu = limits.validation_time.unwrap_or(60.0);
        Limits {
            cpu_ms: millis(cpu),
            wall_ms: millis(cpu * 2.0 + 10.0),
            memory_bytes: bytes(limits.validation_memory.unwrap_or(2048.0)),
            stdout_bytes: bytes(limits.validation_output.unwrap_or(8.0)),
            ..self.policy.limits
        }
        .meet(self.policy.ceiling)
    }

    /// The limits of a submission that may take `seconds`.
    fn limits(&self, seconds: f64) -> Result<Limits, BenchError> {
        let asked = &self.package.metadata.limits;
        let wanted = Limits {
            cpu_ms: millis(seconds),
            wall_ms: millis(seconds * 3.0 + 1.0),
            memory_bytes: bytes(asked.memory.unwrap_or(2048.0)),
            stdout_bytes: bytes(asked.output.unwrap_or(8.0)),
            ..self.policy.limits
        };
        let most = self.policy.ceiling;
        let own = Limits {
            memory_bytes: asked.memory.map_or(0, bytes),
            stdout_bytes: asked.output.map_or(0, bytes),
            ..wanted
        };
        match own.beyond(most) {
            Some(limit) => {
                let what = format!("the package needs more {limit} than this policy grants");
                Err(BenchError::Package(what))
            }
            None => Ok(wanted.meet(most)),
        }
    }

    pub(super) fn comparison(&self, settings: &Settings) -> Result<Comparison, BenchError> {
        let flags = &settings.output_flags;
        match &self.validator {
            Some((validator, _)) => Ok(Comparison::Program(Arc::new(Validator {
                args: flags.clone(),
                ..(**validator).clone()
            }))),
            None => Kattis::from_flags(flags)
                .map(|rule| Comparison::Pure(Checker::Kattis(rule)))
                .map_err(BenchError::Package),
        }
    }

    /// Judges one submission. It is cut off at `limit.cut` and judged by
    /// `limit.seconds`.
    pub async fn judge(&self, source: &Source, limit: TimeLimit) -> Result<Judged, BenchError> {
        let (runtime, mut program) = self.program(source)?;
        self.include(&runtime, &mut program);
        program
            .check()
            .map_err(|e| BenchError::Package(format!("{}: {e}", source.name)))?;
        let interactor = match (&self.validator, self.package.metadata.interactive) {
            (Some((validator, _)), true) => Some(Arc::clone(validator)),
            (Some(_) | None, _) => None,
        };
        let case = Case {
            submission: Submission {
                tenant: "".into(),
                program,
                runtime,
                policy: Arc::clone(&self.policy),
                limits: self.limits(limit.cut)?,
                // Its time limits were taken natively.
                quick: None,
            },
            tests: Vec::new(),
            checker: Comparison::Pure(Checker::Kattis(Kattis::default())),
            interactor,
            stop_on_first_failure: false,
            reward: Scheme::Binary,
            reruns: 0,
        };
        let ready = self.validator.as_ref().map(|(_, ready)| ready.clone());
        let mut judged = Judged {
            verdict: Verdict::JudgeError,
            score: None,
            detail: String::new(),
            cases: Vec::new(),
            groups: Vec::new(),
        };
        let trials = match self.engine.open_with(&case, ready).await? {
            Opened::Ready(trials) => trials,
            Opened::Broken { reason, .. } => return Err(BenchError::Package(reason)),
            Opened::Refused(report) => {
                judged.verdict = Verdict::CompileError;
                judged.detail =
                    format!("{}: {}", report.reason(), clip(&report.outcome.stderr.data));
                return Ok(judged);
            }
        };
        let walk = Walk {
            bench: self,
            trials: &trials,
            limit,
        };
        let whole = walk.group(&self.package.data, &mut judged).await?;
        judged.verdict = whole.verdict;
        let accepted = whole.verdict == Verdict::Accepted;
        judged.score = (self.package.metadata.scoring && accepted).then_some(whole.score);
        let why = judged
            .cases
            .iter()
            .rev()
            .find(|c| c.verdict == whole.verdict);
        if let (false, Some(case)) = (accepted, why) {
            judged.detail = format!("{}: {}", case.id, case.detail);
        }
        Ok(judged)
    }

    pub(super) async fn grade(
        &self,
        settings: &Settings,
        parts: &[Graded],
    ) -> Result<Graded, BenchError> {
        let first = parts
            .iter()
            .map(|p| p.verdict)
            .find(|v| *v != Verdict::Accepted);
        let verdict = first.unwrap_or(Verdict::Accepted);
        match &settings.grading {
            Grading::Default(grader) => Ok(grader.grade(parts)),
            Grading::PassFail { most } => {
                let score = if first.is_none() { *most } else { 0.0 };
                Ok(Graded { verdict, score })
            }
            Grading::Scores(mode) => Ok(Graded {
                verdict,
                score: mode.of(parts),
            }),
            Grading::Custom(args) => self.custom(args, parts).await,
        }
    }

    async fn custom(&self, args: &[String], parts: &[Graded]) -> Result<Graded, BenchError> {
        let grader = self.grader.as_ref().ok_or_else(|| {
            BenchError::Package("grading is custom, and there is no grader".to_owned())
        })?;
        let line = |p: &Graded| format!("{} {}\n", code(p.verdict), p.score);
        let told: String = parts.iter().map(line).collect();
        let outcome = self.run(grader, args, told.as_bytes()).await?;
        let said = match outcome.end {
            End::Exited(0) => answer(&outcome.stdout.data),
            _ => None,
        };
        Ok(said.unwrap_or(Graded {
            verdict: Verdict::JudgeError,
            score: 0.0,
        }))
    }
}

/// Longest input or answer, in bytes; a sparse file costs its author nothing.
const LONGEST: u64 = 1 << 30;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, BenchError> {
    let bad = |e: &str| BenchError::Package(format!("{}: {e}", path.display()));
    let size = path.metadata().map_err(|e| bad(&e.to_string()))?.len();
    if size > LONGEST {
        return Err(bad(&format!("it has {size} bytes, at most {LONGEST}")));
    }
    std::fs::read(path).map_err(|e| bad(&e.to_string()))
}

fn millis(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds)
        .map_or(u64::MAX, |d| {
            u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
        })
        .max(1)
}

fn bytes(mib: f64) -> u64 {
    let bytes = (mib * MIB).clamp(1.0, 9e15);
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_too_large_to_read_is_refused_and_one_that_is_not_is_read() {
        let path = std::env::temp_dir().join(format!("assize-sparse-{}", std::process::id()));
        std::fs::write(&path, b"1\n").unwrap();
        assert_eq!(read(&path).unwrap(), b"1\n");
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(LONGEST + 1).unwrap();
        let error = read(&path).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains("at most"), "{error}");
    }
}
