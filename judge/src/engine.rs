//! Splits a case into runs, asks the executor for them, and judges.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use assize_executor::{Backend, End, Executor, Fault, Limit, Outcome, Sealed, Usage};
use assize_policies::{Profile, Profiles};
use assize_runtimes::{Built, Compiler, Compiling, Registry, Role};

use crate::case::{
    Case, Comparison, Integrity, Judgement, Run, RunResult, Submission, Test, TestKind, TestResult,
    add,
};
use crate::channel::{Answer, ask};
use crate::checker::Checker;
use crate::plain::{Json, equals_json};
use crate::reward::Trial;
use crate::trials::{Opened, Trials, Tried, untried};
use crate::verdict::Verdict;
use crate::{again, predict, script, suite};

/// How a case that is under way waits for its next turn.
pub type Turn<'a> = &'a mut (dyn FnMut() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send);

/// Everything needed to try cases on this host.
pub struct Engine {
    executor: Arc<Executor>,
    registry: Registry,
    profiles: Profiles,
    compiler: Compiler,
    pub(crate) known: script::Known,
}

impl Engine {
    /// Looks for runtimes; with the shipped profiles.
    pub async fn start(executor: Arc<Executor>) -> Result<Self, String> {
        let profiles = Profiles::shipped().map_err(|e| e.to_string())?;
        Self::with_profiles(executor, profiles).await
    }

    /// The same with these profiles: an operator's own among them, and all
    /// under the host's ceiling ([`Profiles::load`], [`Profiles::under`]).
    pub async fn with_profiles(
        executor: Arc<Executor>,
        profiles: Profiles,
    ) -> Result<Self, String> {
        Self::compiling(executor, profiles, &Compiling::default()).await
    }

    /// The same, where programs are compiled so.
    pub async fn compiling(
        executor: Arc<Executor>,
        profiles: Profiles,
        how: &Compiling,
    ) -> Result<Self, String> {
        let compile = profiles
            .get("compile")
            .cloned()
            .ok_or("profile compile is missing")?;
        let registry = Registry::survey(&executor, &compile).await?;
        Ok(Self {
            compiler: Compiler::new(Arc::clone(&executor), compile, how),
            executor,
            registry,
            profiles,
            known: script::Known::default(),
        })
    }

    /// The runtimes of this host.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The executor below.
    #[must_use]
    pub fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// A profile that requests may name.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<&Arc<Profile>> {
        self.profiles.get(name).filter(|p| p.requestable)
    }

    /// The profiles that requests may name.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.all_profiles().filter(|p| p.requestable)
    }

    /// All profiles, those that only serve the server included.
    pub fn all_profiles(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.iter()
    }

    /// What compiles for it.
    #[must_use]
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    pub(crate) async fn build(&self, submission: &Submission) -> Result<Built, Fault> {
        let Submission {
            tenant,
            program,
            runtime,
            ..
        } = submission;
        self.compiler.build(tenant, program, runtime).await
    }

    /// Runs one program on one input.
    pub async fn run(&self, run: &Run) -> Result<RunResult, Fault> {
        if let Some(submission) = run.submission.quickly() {
            match self.run_as(&submission, run).await {
                Ok(result) if passed(&result) => return Ok(result),
                Err(Fault::ShuttingDown) => return Err(Fault::ShuttingDown),
                Ok(_) | Err(_) => {}
            }
        }
        self.run_as(&run.submission, run).await
    }

    async fn run_as(&self, submission: &Submission, run: &Run) -> Result<RunResult, Fault> {
        let runtime = Arc::clone(&submission.runtime);
        let (runnable, compile) = match self.build(submission).await? {
            Built::Ready { runnable, compile } => (runnable, compile),
            Built::Refused(report) => {
                return Ok(RunResult {
                    compile: Some(report),
                    outcome: None,
                    runtime,
                });
            }
        };
        let Submission { limits, policy, .. } = submission;
        let mut plan = runnable
            .plan(Role::Program(&run.args), *limits, policy, &run.env)
            .map_err(|e| Fault::Host(e.to_string()))?;
        plan.stdin = input(&run.stdin)?;
        plan.collect.clone_from(&run.collect);
        let outcome = self.executor.run(plan).await?;
        Ok(RunResult {
            compile,
            outcome: Some(outcome),
            runtime,
        })
    }

    /// Tries one case: compiles once, then one fresh run per test.
    pub async fn judge(&self, case: &Case) -> Result<Judgement, Fault> {
        self.judge_in_turns(case, &mut || Box::pin(std::future::ready(())))
            .await
    }

    /// The same, waiting for `turn` before each test but the first: a case may
    /// have ten thousand tests, and others may be waiting for its place.
    pub async fn judge_in_turns(&self, case: &Case, turn: Turn<'_>) -> Result<Judgement, Fault> {
        let submission = &case.submission;
        let mut judgement = Judgement {
            verdict: Verdict::JudgeError,
            passed: 0,
            total: case.tests.len(),
            tests: Vec::new(),
            reward: None,
            channels: None,
            suite: None,
            integrity: Integrity::Isolated,
            compile: None,
            usage: Usage::default(),
            backend: submission.runtime.backend,
            runtime: Arc::clone(&submission.runtime),
        };
        let trials = match self.open(case).await? {
            Opened::Ready(mut trials) => {
                judgement.compile = trials.compile.take();
                trials
            }
            Opened::Broken { compile, reason } => {
                judgement.compile = compile;
                tracing::warn!(%reason, "a case cannot be tried");
                judgement.tests = case
                    .tests
                    .iter()
                    .take(1)
                    .map(|t| untried(t, reason.clone()))
                    .collect();
                return Ok(judgement);
            }
            Opened::Refused(report) => {
                judgement.compile = Some(report);
                judgement.verdict = Verdict::CompileError;
                let refused = Trial {
                    verdict: Verdict::CompileError,
                    input_bytes: 0,
                    violated: false,
                };
                judgement.reward = case.reward.reward(&[refused], case.tests.len());
                judgement.channels = case.reward.channels(&[refused], case.tests.len());
                return Ok(judgement);
            }
        };
        for (index, test) in case.tests.iter().enumerate() {
            if index > 0 {
                turn().await;
            }
            let result = again::steady(&trials, test, turn).await?;
            let runtime = trials.runtime_of(&result);
            if index == 0 || runtime.backend == Backend::Native {
                judgement.runtime = Arc::clone(runtime);
                judgement.backend = runtime.backend;
            }
            add(&mut judgement.usage, &result.usage);
            judgement.integrity = judgement.integrity.max(result.integrity);
            let passed = result.verdict == Verdict::Accepted;
            judgement.passed += usize::from(passed);
            judgement.tests.push(result);
            if !passed && case.stop_on_first_failure {
                break;
            }
        }
        let ran: Vec<Trial> = judgement.tests.iter().zip(&case.tests).map(trial).collect();
        let verdicts = ran.iter().map(|t| t.verdict);
        judgement.verdict = Verdict::fold(verdicts).unwrap_or(Verdict::JudgeError);
        judgement.suite = suite::worth(case, &judgement.tests);
        let total = case.tests.len() - suite::unrewarded(case);
        let ran = suite::rewarded(case, ran);
        judgement.reward = case.reward.reward(&ran, total);
        judgement.channels = case.reward.channels(&ran, total);
        Ok(judgement)
    }

    /// One test. A fault of ours is a `judge_error` of this test, so that one
    /// lost cell does not lose the verdicts of the others.
    pub(crate) async fn try_test(
        &self,
        trials: &Trials<'_>,
        test: &Test,
        by: &Comparison,
    ) -> Result<TestResult, Fault> {
        let Trials {
            submission,
            runnable,
            ..
        } = trials;
        let tried: Result<Tried, Fault> = match &test.kind {
            TestKind::Program { stdin, stdout } => trials.program(stdin, stdout, by).await,
            TestKind::Output {
                file,
                stdin,
                stdout,
            } => trials.output(file, stdin, stdout, by).await,
            TestKind::Subject {
                program,
                sound,
                place,
            } => suite::run(trials, program, *sound, *place).await,
            TestKind::Prediction(prediction) => predict::look(trials, prediction).await,
            TestKind::Query { database, gold } => trials.query(database, gold, by).await,
            TestKind::Call {
                function,
                args,
                kwargs,
                returns,
            } => self
                .call_test(trials, function, args, kwargs, returns)
                .await
                .map(Tried::from),
            TestKind::Script {
                script,
                names,
                place,
            } => {
                let trial = script::Trial {
                    executor: &self.executor,
                    submission,
                    candidate: runnable,
                    script,
                    names: names.as_deref(),
                    known: &self.known,
                    hostile: false,
                };
                trial.run(*place).await
            }
        };
        match tried {
            Ok(tried) => Ok(TestResult {
                id: test.id.clone(),
                verdict: tried.verdict,
                detail: tried.detail,
                score: tried.score,
                attempts: 1,
                usage: tried.outcome.as_ref().map(|o| o.usage).unwrap_or_default(),
                integrity: tried.integrity,
                subtests: tried.subtests,
                outcome: tried.outcome,
            }),
            // The caller's to know as an answer of its own, not as a verdict.
            Err(
                fault @ (Fault::ShuttingDown | Fault::Unenforceable { .. } | Fault::NoBackend(_)),
            ) => Err(fault),
            Err(fault) => {
                tracing::error!(%fault, "a test could not be tried");
                Ok(untried(test, format!("{}: {fault}", fault.code())))
            }
        }
    }

    async fn call_test(
        &self,
        trials: &Trials<'_>,
        function: &str,
        args: &[Json],
        kwargs: &[(String, Json)],
        returns: &Json,
    ) -> Result<(Verdict, String, Outcome), Fault> {
        let Trials {
            case,
            submission,
            runnable,
            ..
        } = trials;
        let Submission {
            limits,
            policy,
            runtime,
            ..
        } = &**submission;
        let harness = runtime.manifest.harness.as_ref();
        let dialect = harness.ok_or_else(|| Fault::Host("a language without harness".into()))?;
        let mut attempt = 0;
        let (answer, outcome) = loop {
            attempt += 1;
            let (ours, theirs) = script::pair(submission)?;
            let mut plan = runnable
                .plan(Role::Candidate, *limits, policy, &[])
                .map_err(|e| Fault::Host(e.to_string()))?;
            plan.channel = Some(theirs);
            let asking = ask(ours, dialect.dialect, function, args, kwargs);
            match hear_out(asking, self.executor.run(plan)).await {
                (answer, Ok(outcome)) => break (answer, outcome),
                (_, Err(fault)) if fault.retryable() && attempt < 3 => {}
                (_, Err(fault)) => return Err(fault),
            }
        };
        let (verdict, detail) = match (limit_verdict(&outcome.end), answer) {
            (Some(verdict), _) => (verdict, not_accepted(&outcome)),
            (None, Answer::Value(value)) => {
                let tolerance = match case.checker.rule() {
                    Some(Checker::Float(tolerance)) => Some(tolerance),
                    Some(
                        Checker::Tokens
                        | Checker::Exact
                        | Checker::Lines
                        | Checker::Unordered
                        | Checker::Json
                        | Checker::Kattis(_),
                    )
                    | None => None,
                };
                match equals_json(&value, returns, tolerance) {
                    Ok(()) => (Verdict::Accepted, String::new()),
                    Err(mismatch) => (Verdict::WrongAnswer, mismatch.to_string()),
                }
            }
            (None, Answer::Raised(alleged)) => (raised(&outcome), alleged.to_string()),
            (None, Answer::Load(alleged)) => (
                Verdict::RunTimeError,
                format!("while it was loaded: {alleged}"),
            ),
            (None, Answer::Missing) => (
                Verdict::RunTimeError,
                format!("there is no function {function:?}"),
            ),
            (None, Answer::NotPlain(reason)) => (
                Verdict::WrongAnswer,
                format!("the result is not plain data: {reason}"),
            ),
            (None, Answer::Gone) => (
                Verdict::RunTimeError,
                format!("{} before it answered", not_accepted(&outcome)),
            ),
            (None, Answer::Nonsense(reason)) => (
                Verdict::WrongAnswer,
                format!("it answered nonsense: {reason}"),
            ),
        };
        Ok((verdict, detail, outcome))
    }
}

/// Whether a quick try said all there is to say: it ended by itself, in good
/// order, and was refused nothing.
fn passed(result: &RunResult) -> bool {
    let clean = |o: &Outcome| o.end == End::Exited(0) && o.violations.is_empty();
    result.outcome.as_ref().is_some_and(clean)
}

/// How long an answer may be on its way when its process is gone.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Asks while the run lasts. What the dead have said is there to be read, so
/// whoever still waits a while later waits for nothing.
async fn hear_out<R>(
    asking: impl Future<Output = Answer>,
    running: impl Future<Output = R>,
) -> (Answer, R) {
    let (mut asking, mut running) = (pin!(asking), pin!(running));
    tokio::select! {
        answer = &mut asking => (answer, running.await),
        ran = &mut running => {
            let answer = tokio::time::timeout(LAST_WORDS, asking).await;
            (answer.unwrap_or(Answer::Gone), ran)
        }
    }
}

/// Standard input as sealed memory; none when empty.
pub(crate) fn input(stdin: &[u8]) -> Result<Option<Sealed>, Fault> {
    if stdin.is_empty() {
        return Ok(None);
    }
    Sealed::new(&[stdin])
        .map(Some)
        .map_err(|e| Fault::Host(e.to_string()))
}

/// The verdict of a run that was ended for something, whatever it printed.
pub(crate) fn limit_verdict(end: &End) -> Option<Verdict> {
    match end {
        End::Limit(Limit::Cpu | Limit::Wall) => Some(Verdict::TimeLimitExceeded),
        End::Limit(Limit::Memory) => Some(Verdict::MemoryLimitExceeded),
        End::Limit(Limit::Output) => Some(Verdict::OutputLimitExceeded),
        End::Violation => Some(Verdict::SecurityViolation),
        End::Exited(_) | End::Signaled(_) | End::Trapped(_) => None,
    }
}

/// The verdict of a candidate that raised. In wasm a program that asks for too
/// much memory is told no and may live to raise `MemoryError`; natively the
/// kernel would have ended it. The limit is the cause in both.
pub(crate) fn raised(outcome: &Outcome) -> Verdict {
    if outcome.violations.iter().any(|v| v.kind == "memory") {
        Verdict::MemoryLimitExceeded
    } else {
        Verdict::RunTimeError
    }
}

/// How a run ended, in a few words.
pub(crate) fn not_accepted(outcome: &Outcome) -> String {
    match &outcome.end {
        End::Exited(status) => format!("it exited with status {status}"),
        End::Signaled(signal) => format!("it was ended by signal {signal}"),
        End::Trapped(trap) => format!("it trapped: {trap}"),
        End::Violation => "it did what its policy forbids".to_owned(),
        End::Limit(Limit::Cpu) => "CPU time ran out".to_owned(),
        End::Limit(Limit::Wall) => "wall time ran out (it was waiting or sleeping)".to_owned(),
        End::Limit(Limit::Memory) => "memory ran out".to_owned(),
        End::Limit(Limit::Output) => "it wrote more than it may".to_owned(),
    }
}

/// A test as rewards see it.
fn trial((result, test): (&TestResult, &Test)) -> Trial {
    let input_bytes = match &test.kind {
        TestKind::Program { stdin, .. } => stdin.len(),
        TestKind::Call { args, kwargs, .. } => {
            let named: usize = kwargs.iter().map(|(k, v)| k.len() + v.text_len()).sum();
            args.iter().map(Json::text_len).sum::<usize>() + named
        }
        TestKind::Output { stdin, .. } => stdin.len(),
        TestKind::Query { database, .. } => database.len(),
        TestKind::Subject { program, .. } => program.files.iter().map(|f| f.data.len()).sum(),
        TestKind::Prediction(prediction) => prediction.program.len(),
        TestKind::Script { script, .. } => script.len(),
    };
    let refused = |o: &Outcome| o.violations.iter().any(|v| v.kind == "syscall");
    Trial {
        verdict: result.verdict,
        input_bytes: input_bytes as u64,
        violated: result.outcome.as_ref().is_some_and(refused),
    }
}
