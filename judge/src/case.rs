//! A case, ready to be tried, and what trying it said.

use std::sync::Arc;
use std::time::Duration;

use assize_executor::{Backend, Collect, Outcome, Usage};
use assize_policies::{Limits, Profile};
use assize_runtimes::{CompileReport, Program, Runtime};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::checker::Checker;
use crate::plain::Json;
use crate::reward::{Channels, Scheme};
use crate::rows::{Row, RowOrder};
use crate::validator::Validator;
use crate::verdict::Verdict;

/// One program and one input.
#[derive(Debug, Clone)]
pub struct Run {
    /// What to run.
    pub submission: Submission,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// Arguments.
    pub args: Vec<String>,
    /// Variables on top of the runtime's.
    pub env: Vec<(String, String)>,
    /// Files to hand back.
    pub collect: Vec<Collect>,
}

/// A program with the runtime, policy and limits it gets, all checked.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Whose it is: what it is compiled to is kept for nobody else. Empty for
    /// the local user.
    pub tenant: Arc<str>,
    /// The program.
    pub program: Program,
    /// What compiles and runs it.
    pub runtime: Arc<Runtime>,
    /// What it may do.
    pub policy: Arc<Profile>,
    /// What each of its runs may use.
    pub limits: Limits,
    /// What tries it first, cheaply: a pass there is final, and everything else
    /// is tried again on `runtime`, whose verdict stands.
    pub quick: Option<Arc<Runtime>>,
}

/// CPU time of a quick try, in milliseconds of native time: a program that
/// takes longer gains little from starting sooner.
const QUICK_CPU_MS: u64 = 150;
/// Its wall time: a program that sleeps has to sleep again.
const QUICK_WALL_MS: u64 = 1_500;

impl Submission {
    /// The same for its quick try.
    #[must_use]
    pub fn quickly(&self) -> Option<Self> {
        let runtime = Arc::clone(self.quick.as_ref()?);
        Some(Self {
            runtime,
            limits: Limits {
                cpu_ms: self.limits.cpu_ms.min(QUICK_CPU_MS),
                wall_ms: self.limits.wall_ms.min(QUICK_WALL_MS),
                ..self.limits
            },
            quick: None,
            ..self.clone()
        })
    }
}

/// What one run said.
#[derive(Debug)]
pub struct RunResult {
    /// What the compiler said, for languages that have one.
    pub compile: Option<CompileReport>,
    /// The run; none when there was nothing to run.
    pub outcome: Option<Outcome>,
    /// What ran it.
    pub runtime: Arc<Runtime>,
}

/// One submission and the tests of one problem.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is tried.
    pub submission: Submission,
    /// The tests, at least one.
    pub tests: Vec<Test>,
    /// How outputs and returned values are compared.
    pub checker: Comparison,
    /// The program that each test's candidate talks with, which then decides.
    pub interactor: Option<Arc<Validator>>,
    /// Whether later tests are skipped once one has failed.
    pub stop_on_first_failure: bool,
    /// How verdicts become a reward.
    pub reward: Scheme,
    /// How often each test is tried again, to see whether it agrees with itself.
    pub reruns: u32,
}

/// Who compares outputs.
#[derive(Debug, Clone)]
pub enum Comparison {
    /// We do, by a rule.
    Pure(Checker),
    /// A program of the problem's author, in a cell of its own.
    Program(Arc<Validator>),
    /// We do, rows of a database with rows.
    Rows(RowOrder),
}

impl Comparison {
    /// The rule, where there is one.
    #[must_use]
    pub fn rule(&self) -> Option<Checker> {
        match self {
            Self::Pure(checker) => Some(*checker),
            Self::Program(_) | Self::Rows(_) => None,
        }
    }
}

/// One test.
#[derive(Debug, Clone)]
pub struct Test {
    /// Its name in the result.
    pub id: String,
    /// What it does.
    pub kind: TestKind,
    /// Whether feedback may show its data.
    pub public: bool,
}

/// What a test does.
#[derive(Debug, Clone)]
pub enum TestKind {
    /// Runs the program on an input and compares its output.
    Program {
        /// Input; of an interactive problem, what its interactor reads.
        stdin: Vec<u8>,
        /// Expected output, or what a checker or interactor of the author's
        /// reads in its place; empty when there is none.
        stdout: Vec<u8>,
    },
    /// Calls a function and compares what it returns.
    Call {
        /// Name, or `Class.method`.
        function: String,
        /// Positional arguments.
        args: Vec<Json>,
        /// Keyword arguments.
        kwargs: Vec<(String, Json)>,
        /// Expected value.
        returns: Json,
    },
    /// Looks at a file of the submission; nothing runs.
    Output {
        /// Which one.
        file: String,
        /// What a checker of the author's reads as the input.
        stdin: Vec<u8>,
        /// Expected contents.
        stdout: Vec<u8>,
    },
    /// Runs the program, a query, on a database and compares its rows.
    Query {
        /// The script that makes the database.
        database: String,
        /// What the rows are compared with.
        gold: Gold,
    },
    /// Runs the submission, a test script, against this program.
    Subject {
        /// What is tested.
        program: Program,
        /// Whether a good suite passes it.
        sound: bool,
        /// Where the suite may run.
        place: Place,
    },
    /// Looks at the submission, a prediction about a program; it never runs.
    Prediction(Prediction),
    /// Runs a test script that calls the candidate's functions.
    Script {
        /// The script.
        script: String,
        /// Names it takes from the candidate; found out when absent.
        names: Option<Vec<String>>,
        /// Where it may run.
        place: Place,
    },
}

/// What is predicted of a program, as CRUXEval asks.
#[derive(Debug, Clone, Serialize)]
pub struct Prediction {
    /// Which of the two.
    #[serde(flatten)]
    pub known: Known,
    /// The program.
    pub program: String,
    /// Its function.
    pub function: String,
}

/// What is known of the call; the other is predicted.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Known {
    /// The output is predicted.
    Output {
        /// The arguments, as they stand between the parentheses.
        input: String,
    },
    /// An input is predicted: any that gives this.
    Input {
        /// The value, as an expression.
        output: String,
    },
}

/// What the rows of a query are compared with.
#[derive(Debug, Clone)]
pub enum Gold {
    /// Those of this query, in a cell of its own.
    Query(String),
    /// These.
    Rows(Vec<Row>),
}

/// Where a test script may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Apart from the candidate, unless the script itself needs live objects.
    Auto,
    /// Apart from the candidate, or not at all.
    Apart,
    /// In the candidate's interpreter.
    Beside,
}

/// What a case came to.
#[derive(Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Tests that passed.
    pub passed: usize,
    /// Tests there are, run or not.
    pub total: usize,
    /// Tests that ran, in order.
    pub tests: Vec<TestResult>,
    /// The reward; none where we do not know.
    pub reward: Option<f64>,
    /// The reward's channels, when they were asked for.
    pub channels: Option<Channels>,
    /// Of a submission that is a test suite: what it is worth.
    pub suite: Option<Suite>,
    /// Whether tests and candidate were in different processes.
    pub integrity: Integrity,
    /// What the compiler said, for languages that have one.
    pub compile: Option<CompileReport>,
    /// CPU and wall time summed, memory at its highest.
    pub usage: Usage,
    /// Where it ran; native if any of its tests did.
    pub backend: Backend,
    /// What ran it.
    pub runtime: Arc<Runtime>,
}

/// What a test suite is worth: one that fails a sound program is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Suite {
    /// Whether it passes every sound program.
    pub valid: bool,
    /// Wrong programs that it fails.
    pub killed: usize,
    /// Wrong programs there are.
    pub mutants: usize,
}

/// How far the tests were from the candidate's reach. The greater, the nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Another process in another cell.
    Isolated,
    /// The same interpreter, behind a nonce: honest against accidents and known
    /// hacks, weaker against a determined one.
    Shared,
}

/// What one test came to.
#[derive(Debug)]
pub struct TestResult {
    /// The test's name.
    pub id: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// One line of why, empty when it passed.
    pub detail: String,
    /// The score that a program of the author's gave.
    pub score: Option<f64>,
    /// What the candidate's run used.
    pub usage: Usage,
    /// How often it was tried.
    pub attempts: u32,
    /// How far this test was from the candidate.
    pub integrity: Integrity,
    /// The tests of a suite by name, in the order they ran.
    pub subtests: Vec<Subtest>,
    /// The candidate's run, unless it never came to one.
    pub outcome: Option<Outcome>,
}

/// One test function of a test script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtest {
    /// Its name, as `Class.method` or `describe > it`.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// One line of why, empty when it passed.
    pub detail: String,
}

/// Expected values and arguments as they stand in a request.
pub fn json(raw: &RawValue) -> Result<Json, String> {
    Json::from_raw(raw).map_err(|e| e.to_string())
}

/// Adds one run to a sum: times summed, memory at its highest.
pub fn add(sum: &mut Usage, run: &Usage) {
    sum.cpu += run.cpu;
    sum.wall += run.wall;
    sum.memory_peak = sum.memory_peak.max(run.memory_peak);
    sum.processes_peak = sum.processes_peak.max(run.processes_peak);
    sum.instructions = match (sum.instructions, run.instructions) {
        (None, other) | (other, None) => other,
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
    };
}

/// A time as milliseconds with three decimals, for people and JSON.
#[must_use]
pub fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
