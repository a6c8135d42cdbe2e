//! A case whose programs are built: its tests can be tried one by one, in any
//! order and as often as one likes.

use assize_executor::{End, Fault, Outcome};
use assize_runtimes::{Built, CompileReport, Role, Runnable};

use crate::case::{Case, Comparison, Integrity, Submission, Subtest, Test, TestKind, TestResult};
use crate::engine::{Engine, input, limit_verdict, not_accepted};
use crate::validator::{Decision, Interaction, Material, Ready, Validator, interact};
use crate::verdict::Verdict;

/// A case, opened.
#[derive(Debug)]
pub enum Opened<'a> {
    /// Its tests can be tried.
    Ready(Trials<'a>),
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
    pub(crate) runnable: Runnable,
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
    pub(crate) outcome: Outcome,
}

impl From<(Verdict, String, Outcome)> for Tried {
    fn from((verdict, detail, outcome): (Verdict, String, Outcome)) -> Self {
        Self {
            verdict,
            detail,
            score: None,
            integrity: Integrity::Isolated,
            subtests: Vec::new(),
            outcome,
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
            (None, Comparison::Pure(_)) => ("", None),
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
        Ok(Opened::Ready(Trials {
            engine: self,
            case,
            runnable,
            validator,
            compile,
        }))
    }

    /// Builds a program of the author's, or says in one line why it cannot be.
    pub async fn ready(
        &self,
        validator: &std::sync::Arc<Validator>,
    ) -> Result<Result<Ready, String>, Fault> {
        validator.build(self.executor(), self.compile()).await
    }
}

impl Trials<'_> {
    /// Tries one test, compared as its case says.
    pub async fn test(&self, test: &Test) -> Result<TestResult, Fault> {
        self.test_with(test, &self.case.checker).await
    }

    /// Tries one test, compared so. Of a program of the author's only the
    /// arguments may differ from those of the case.
    pub async fn test_with(&self, test: &Test, by: &Comparison) -> Result<TestResult, Fault> {
        self.engine.try_test(self, test, by).await
    }

    /// Runs the program on an input and has its output looked at.
    pub(crate) async fn program(
        &self,
        stdin: &[u8],
        stdout: &[u8],
        by: &Comparison,
    ) -> Result<Tried, Fault> {
        let (executor, submission) = (self.engine.executor(), &self.case.submission);
        let material = Material {
            input: stdin,
            answer: stdout,
        };
        let validator = self.validator.as_ref().map(|ready| match by {
            Comparison::Program(own) => ready.with_args(&own.args),
            Comparison::Pure(_) => ready.clone(),
        });
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
        let end = (&outcome.end, limit_verdict(&outcome.end));
        let (verdict, detail, score) = match (end, by) {
            ((_, Some(verdict)), _) => (verdict, not_accepted(&outcome), None),
            ((End::Exited(0), None), Comparison::Pure(checker)) => {
                match checker.check(stdout, &outcome.stdout.data) {
                    Ok(()) => (Verdict::Accepted, String::new(), None),
                    Err(difference) => (Verdict::WrongAnswer, difference.to_string(), None),
                }
            }
            ((End::Exited(0), None), Comparison::Program(_)) => {
                let checker = validator
                    .as_ref()
                    .ok_or_else(|| Fault::Host("a checker that was never built".to_owned()))?;
                let output = &outcome.stdout.data;
                let ruling = checker.check(executor, material, output).await?;
                let verdict = match ruling.decision {
                    Decision::Accept => Verdict::Accepted,
                    Decision::Reject => Verdict::WrongAnswer,
                    Decision::Failed => Verdict::JudgeError,
                };
                let detail = match ruling.decision {
                    Decision::Accept => String::new(),
                    Decision::Reject | Decision::Failed => ruling.message,
                };
                (verdict, detail, ruling.score)
            }
            ((_, None), _) => (Verdict::RunTimeError, not_accepted(&outcome), None),
        };
        Ok(Tried {
            score,
            ..Tried::from((verdict, detail, outcome))
        })
    }

    async fn run(&self, stdin: &[u8]) -> Result<Outcome, Fault> {
        let Submission { limits, policy, .. } = &self.case.submission;
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
        usage: assize_executor::Usage::default(),
        integrity: Integrity::Isolated,
        subtests: Vec::new(),
        outcome: None,
    }
}

/// Whether a test runs whole programs, the only ones that can be interactive
/// or looked at by a program.
#[must_use]
pub fn is_program(test: &Test) -> bool {
    match &test.kind {
        TestKind::Program { .. } => true,
        TestKind::Call { .. } | TestKind::Script { .. } => false,
    }
}
