//! A case whose programs are built: its tests can be tried one by one, in any
//! order and as often as one likes.

use std::borrow::Cow;
use std::sync::Arc;

use assize_executor::{End, Fault, Outcome};
use assize_policies::Limits;
use assize_runtimes::{Built, CompileReport, Program, Role, Runnable, Runtime};

use crate::case::{
    Case, Comparison, Gold, Integrity, Place, Run, Submission, Subtest, Test, TestKind, TestResult,
};
use crate::engine::{Engine, input, limit_verdict, not_accepted};
use crate::rows::{self, Row, RowOrder};
use crate::validator::{Decision, Interaction, Material, Ready, Validator, clip, interact};
use crate::verdict::Verdict;

/// A case, opened.
#[derive(Debug)]
pub enum Opened<'a> {
    /// Its tests can be tried.
    Ready(Box<Trials<'a>>),
    /// The candidate's compiler refused it.
    Refused(CompileReport),
    /// There is no checker or interactor: why, in one line.
    Broken {
        /// What the candidate's compiler said, for languages that have one.
        compile: Option<CompileReport>,
        /// Why, and of which of the two.
        reason: String,
    },
}

/// The tests of a case whose programs are built.
pub struct Trials<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) case: &'a Case,
    pub(crate) submission: Cow<'a, Submission>,
    pub(crate) runnable: Runnable,
    /// What each test is tried with first.
    quick: Option<Box<Trials<'a>>>,
    validator: Option<Ready>,
    /// What the candidate's compiler said, for languages that have one.
    pub compile: Option<CompileReport>,
}

impl std::fmt::Debug for Trials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trials").finish_non_exhaustive()
    }
}

/// What one try came to.
pub(crate) struct Tried {
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
    pub(crate) score: Option<f64>,
    pub(crate) integrity: Integrity,
    pub(crate) subtests: Vec<Subtest>,
    pub(crate) outcome: Option<Outcome>,
}

/// What looking at an output came to: verdict, detail and score.
type Looked = (Verdict, String, Option<f64>);

impl From<(Verdict, String, Outcome)> for Tried {
    fn from((verdict, detail, outcome): (Verdict, String, Outcome)) -> Self {
        Self {
            verdict,
            detail,
            score: None,
            integrity: Integrity::Isolated,
            subtests: Vec::new(),
            outcome: Some(outcome),
        }
    }
}

impl Tried {
    /// Of a test for which nothing had to run.
    pub(crate) fn without_run(verdict: Verdict, detail: String) -> Self {
        Self {
            verdict,
            detail,
            score: None,
            integrity: Integrity::Isolated,
            subtests: Vec::new(),
            outcome: None,
        }
    }
}

impl Engine {
    /// Builds what a case needs: the candidate, and the author's program.
    pub async fn open<'a>(&'a self, case: &'a Case) -> Result<Opened<'a>, Fault> {
        self.open_with(case, None).await
    }

    /// The same, where the author's program is built already.
    pub async fn open_with<'a>(
        &'a self,
        case: &'a Case,
        ready: Option<Ready>,
    ) -> Result<Opened<'a>, Fault> {
        let (runnable, compile) = match self.build(&case.submission).await? {
            Built::Ready { runnable, compile } => (runnable, compile),
            Built::Refused(report) => return Ok(Opened::Refused(report)),
        };
        let (what, program) = match (&case.interactor, &case.checker) {
            (Some(interactor), _) => ("interactor", Some(interactor)),
            (None, Comparison::Program(checker)) => ("checker", Some(checker)),
            (None, Comparison::Pure(_) | Comparison::Rows(_)) => ("", None),
        };
        let validator = match (ready, program) {
            (Some(ready), _) => Some(ready),
            (None, None) => None,
            (None, Some(program)) => match self.ready(program).await? {
                Ok(ready) => Some(ready),
                Err(why) => {
                    let reason = format!("the {what} cannot be built: {why}");
                    return Ok(Opened::Broken { compile, reason });
                }
            },
        };
        let quick = match case.submission.quickly() {
            Some(submission) if case.interactor.is_none() => {
                self.open_quickly(case, submission, validator.clone()).await
            }
            Some(_) | None => None,
        };
        Ok(Opened::Ready(Box::new(Trials {
            engine: self,
            case,
            submission: Cow::Borrowed(&case.submission),
            runnable,
            quick,
            validator,
            compile,
        })))
    }

    /// Whatever stands in its way: the tests are then not tried quickly.
    async fn open_quickly<'a>(
        &'a self,
        case: &'a Case,
        submission: Submission,
        validator: Option<Ready>,
    ) -> Option<Box<Trials<'a>>> {
        let Ok(Built::Ready { runnable, .. }) = self.build(&submission).await else {
            return None;
        };
        Some(Box::new(Trials {
            engine: self,
            case,
            submission: Cow::Owned(submission),
            runnable,
            quick: None,
            validator,
            compile: None,
        }))
    }

    /// Builds a program of the author's, or says in one line why it cannot be.
    pub async fn ready(
        &self,
        validator: &std::sync::Arc<Validator>,
    ) -> Result<Result<Ready, String>, Fault> {
        validator.build(self).await
    }
}

/// Whether the test runs the submission itself, and apart from its script.
fn has_quick_try(kind: &TestKind) -> bool {
    match kind {
        TestKind::Program { .. } | TestKind::Call { .. } => true,
        TestKind::Script { place, .. } => *place != Place::Beside,
        TestKind::Output { .. }
        | TestKind::Query { .. }
        | TestKind::Subject { .. }
        | TestKind::Prediction(_) => false,
    }
}

impl Trials<'_> {
    /// What ran a test that came to this.
    pub(crate) fn runtime_of(&self, result: &TestResult) -> &Arc<Runtime> {
        let ran = result.outcome.as_ref().map(|o| o.backend);
        match &self.quick {
            Some(quick) if ran == Some(quick.submission.runtime.backend) => {
                &quick.submission.runtime
            }
            Some(_) | None => &self.submission.runtime,
        }
    }

    /// Tries one test, compared as its case says.
    pub async fn test(&self, test: &Test) -> Result<TestResult, Fault> {
        self.test_with(test, &self.case.checker).await
    }

    /// Tries one test, compared so. Of a program of the author's only the
    /// arguments may differ from those of the case.
    pub async fn test_with(&self, test: &Test, by: &Comparison) -> Result<TestResult, Fault> {
        if let Some(quick) = self.quick.as_ref().filter(|_| has_quick_try(&test.kind)) {
            // Not only the program's failures: a worker that is lost, or
            // anything else of ours, is no reason not to try it natively.
            match self.engine.try_test(quick, test, by).await {
                Ok(tried) if tried.verdict == Verdict::Accepted => return Ok(tried),
                Err(Fault::ShuttingDown) => return Err(Fault::ShuttingDown),
                Ok(_) | Err(_) => {}
            }
        }
        self.engine.try_test(self, test, by).await
    }

    /// Runs the program on an input and has its output looked at.
    pub(crate) async fn program(
        &self,
        stdin: &[u8],
        stdout: &[u8],
        by: &Comparison,
    ) -> Result<Tried, Fault> {
        let (executor, submission) = (self.engine.executor(), &*self.submission);
        let material = Material {
            input: stdin,
            answer: stdout,
        };
        let validator = self.validator(by);
        if let (Some(_), Some(interactor)) = (&self.case.interactor, &validator) {
            let Interaction {
                verdict,
                detail,
                score,
                outcome,
            } = interact(executor, submission, &self.runnable, interactor, material).await?;
            return Ok(Tried {
                score,
                ..Tried::from((verdict, detail, outcome))
            });
        }
        let outcome = self.run(stdin).await?;
        let (verdict, detail, score) = match (&outcome.end, limit_verdict(&outcome.end)) {
            (_, Some(verdict)) => (verdict, not_accepted(&outcome), None),
            (End::Exited(0), None) => self.look(material, &outcome.stdout.data, by).await?,
            (_, None) => (Verdict::RunTimeError, not_accepted(&outcome), None),
        };
        Ok(Tried {
            score,
            ..Tried::from((verdict, detail, outcome))
        })
    }

    /// Has a file of the submission looked at.
    pub(crate) async fn output(
        &self,
        file: &str,
        stdin: &[u8],
        stdout: &[u8],
        by: &Comparison,
    ) -> Result<Tried, Fault> {
        let files = &self.submission.program.files;
        let found = files.iter().find(|f| f.path == file);
        let material = Material {
            input: stdin,
            answer: stdout,
        };
        let (verdict, detail, score) = match found {
            Some(found) => self.look(material, &found.data, by).await?,
            None => (
                Verdict::WrongAnswer,
                format!("there is no file {file:?}"),
                None,
            ),
        };
        Ok(Tried {
            verdict,
            detail,
            score,
            integrity: Integrity::Isolated,
            subtests: Vec::new(),
            outcome: None,
        })
    }

    /// Runs a query on a database and compares its rows with those expected.
    pub(crate) async fn query(
        &self,
        database: &str,
        gold: &Gold,
        by: &Comparison,
    ) -> Result<Tried, Fault> {
        let order = match by {
            Comparison::Rows(order) => *order,
            Comparison::Pure(_) | Comparison::Program(_) => RowOrder::default(),
        };
        let outcome = self.run(database.as_bytes()).await?;
        let tried = |verdict, detail, outcome| Ok(Tried::from((verdict, detail, outcome)));
        let got = match (&outcome.end, limit_verdict(&outcome.end)) {
            (_, Some(verdict)) => {
                let detail = not_accepted(&outcome);
                return tried(verdict, detail, outcome);
            }
            (End::Exited(0), None) => rows::read(&outcome.stdout.data),
            // The script is not the candidate's.
            (End::Exited(3), None) => {
                let detail = format!("the database: {}", clip(&outcome.stderr.data));
                return tried(Verdict::JudgeError, detail, outcome);
            }
            (End::Exited(1), None) => Err(clip(&outcome.stderr.data)),
            (_, None) => Err(not_accepted(&outcome)),
        };
        let got = match got {
            Ok(got) => got,
            Err(why) => return tried(Verdict::RunTimeError, why, outcome),
        };
        let want = match gold {
            Gold::Rows(rows) => Ok(rows.clone()),
            Gold::Query(query) => self.gold(database, query).await?,
        };
        let (verdict, detail) = match want.map(|want| rows::compare(order, &want, &got)) {
            Ok(Ok(())) => (Verdict::Accepted, String::new()),
            Ok(Err(difference)) => (Verdict::WrongAnswer, difference),
            Err(why) => (Verdict::JudgeError, why),
        };
        tried(verdict, detail, outcome)
    }

    /// The rows of the author's query, in a cell of their own and with more of
    /// everything; the inner error says why there are none.
    async fn gold(&self, database: &str, query: &str) -> Result<Result<Vec<Row>, String>, Fault> {
        let submission = &*self.submission;
        let program = Program::single(&submission.runtime, query.as_bytes().to_vec());
        let limits = submission.limits;
        let gold = Submission {
            program,
            limits: Limits {
                cpu_ms: limits.cpu_ms.saturating_mul(2).saturating_add(5_000),
                wall_ms: limits.wall_ms.saturating_mul(2).saturating_add(10_000),
                memory_bytes: limits.memory_bytes.max(512 << 20),
                stdout_bytes: limits.stdout_bytes.saturating_mul(2).max(16 << 20),
                ..limits
            },
            ..submission.clone()
        };
        let run = Run {
            submission: gold,
            stdin: database.as_bytes().to_vec(),
            args: Vec::new(),
            env: Vec::new(),
            collect: Vec::new(),
        };
        let Some(outcome) = self.engine.run(&run).await?.outcome else {
            return Ok(Err("the gold query did not run".to_owned()));
        };
        Ok(match outcome.end {
            End::Exited(0) => {
                rows::read(&outcome.stdout.data).map_err(|e| format!("the gold query: {e}"))
            }
            _ => Err(format!(
                "the gold query: {} {}",
                not_accepted(&outcome),
                clip(&outcome.stderr.data)
            )),
        })
    }

    /// Has an output looked at that is whole.
    async fn look(
        &self,
        material: Material<'_>,
        output: &[u8],
        by: &Comparison,
    ) -> Result<Looked, Fault> {
        match by {
            Comparison::Pure(checker) => Ok(match checker.check(material.answer, output) {
                Ok(()) => (Verdict::Accepted, String::new(), None),
                Err(difference) => (Verdict::WrongAnswer, difference.to_string(), None),
            }),
            Comparison::Rows(_) => Err(Fault::Host("rows of a program".to_owned())),
            Comparison::Program(_) => {
                let checker = self
                    .validator(by)
                    .ok_or_else(|| Fault::Host("a checker that was never built".to_owned()))?;
                let executor = self.engine.executor();
                let ruling = checker.check(executor, material, output).await?;
                Ok(match ruling.decision {
                    Decision::Accept => (Verdict::Accepted, String::new(), ruling.score),
                    Decision::Reject => (Verdict::WrongAnswer, ruling.message, ruling.score),
                    Decision::Failed => (Verdict::JudgeError, ruling.message, None),
                })
            }
        }
    }

    /// The author's program, with the arguments that these tests give it.
    fn validator(&self, by: &Comparison) -> Option<Ready> {
        self.validator.as_ref().map(|ready| match by {
            Comparison::Program(own) => ready.with_args(&own.args),
            Comparison::Pure(_) | Comparison::Rows(_) => ready.clone(),
        })
    }

    async fn run(&self, stdin: &[u8]) -> Result<Outcome, Fault> {
        let Submission { limits, policy, .. } = &*self.submission;
        let mut plan = self
            .runnable
            .plan(Role::Program(&[]), *limits, policy, &[])
            .map_err(|e| Fault::Host(e.to_string()))?;
        plan.stdin = input(stdin)?;
        self.engine.executor().run(plan).await
    }
}

/// A result for a test that could not be tried.
pub(crate) fn untried(test: &Test, reason: String) -> TestResult {
    TestResult {
        id: test.id.clone(),
        verdict: Verdict::JudgeError,
        detail: reason,
        score: None,
        attempts: 1,
        usage: assize_executor::Usage::default(),
        integrity: Integrity::Isolated,
        subtests: Vec::new(),
        outcome: None,
    }
}
