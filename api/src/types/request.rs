//! Requests.

use std::collections::BTreeMap;

use assize_policies::LimitsRequest;
use assize_runtimes::BackendChoice;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One program, one input.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Language name, see `GET /v1/runtimes`.
    pub language: String,
    /// The program, when it is one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The program, when it is several files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// The file to start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Standard input.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdin: String,
    /// Arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment on top of the runtime's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Where to run it.
    #[serde(default)]
    #[schema(value_type = String, example = "auto")]
    pub backend: BackendChoice,
    /// Policy name, see `GET /v1/policies`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Limits; what is absent comes from the policy.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub limits: LimitsRequest,
    /// Files under the working directory to hand back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collect: Vec<String>,
    /// Fixed clocks and randomness, and instructions in place of time: the same
    /// run comes to the same result on every machine (docs/wasi.md).
    #[serde(default)]
    pub deterministic: bool,
}

/// A file: exactly one of `text` and `base64`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Contents as UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Contents as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// One submission against one problem's tests.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgementRequest {
    /// Language name.
    pub language: String,
    /// The program, when it is one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The program, when it is several files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// The file to start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Where to run it.
    #[serde(default)]
    #[schema(value_type = String, example = "auto")]
    pub backend: BackendChoice,
    /// Fixed clocks and randomness, and instructions in place of time, for every
    /// test.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deterministic: bool,
    /// Policy name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Limits of each run.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub limits: LimitsRequest,
    /// The tests; an empty list is refused.
    pub tests: Vec<TestSpec>,
    /// How outputs are compared.
    #[serde(default)]
    pub checker: CheckerSpec,
    /// The program that every test's candidate talks with, and that decides.
    /// Of each test it reads `stdin` and `stdout`; the candidate neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactor: Option<ProgramSpec>,
    /// Skip later tests once one has failed.
    #[serde(default)]
    pub stop_on_first_failure: bool,
    /// How verdicts become a reward.
    #[serde(default)]
    pub reward: RewardSpec,
    /// The prompt this belongs to; echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How often each test is tried again, to see whether it agrees with
    /// itself: from 0 to 10. A test near a limit, or under host pressure, is
    /// tried twice anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reruns: Option<u32>,
    /// Ask for feedback that a model may be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub feedback: bool,
    /// Refuse a weaker integrity than this (`isolated`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_integrity: Option<String>,
    /// Whether the answer comes with a signed receipt (docs/receipts.md).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub receipt: bool,
    /// A challenge for the receipt to carry: who chose it knows that the receipt
    /// is no older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// One test: `stdout` (with `stdin`), or `call` with `returns`, or `script`, or
/// `file` with `stdout`, or `database` with `query` or `rows`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestSpec {
    /// Its name in the answer; its position when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Input of a program test; of an interactive one, what its interactor
    /// reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Expected output of a program test; may be absent where a program of
    /// the author's decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// The submission's file that is compared, where nothing runs (language
    /// `output`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The database that a query runs on (language `sql`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseSpec>,
    /// The query whose rows are expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The rows that are expected: null, numbers, texts, booleans (as 0 and
    /// 1) and `{"blob": hex}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<Object>>>)]
    pub rows: Option<Vec<Vec<Value>>>,
    /// The call of a function test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallSpec>,
    /// Expected value of a function test; `null` is a value.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<Object>)]
    pub returns: Option<Box<RawValue>>,
    /// A test script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Names the script takes from the candidate; found out when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// The program that the submission, a test suite, is run against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectSpec>,
    /// Whether a good suite passes (`pass`) or fails (`fail`) the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// What the submission, a literal, predicts about a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<PredictionSpec>,
    /// Whether feedback may show this test's data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// Where the script runs: `isolated` from the candidate, `shared` with it,
    /// or (when absent) shared only if the script needs live objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<String>,
}

/// A program that a test suite is run against: gold or mutant, in the
/// submission's language.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectSpec {
    /// The program, when it is one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The program, when it is several files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// The file to start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

/// A prediction about a call: of its output, where `input` is given, or of an
/// input, where `output` is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictionSpec {
    /// The program.
    pub program: String,
    /// Its function; `f` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Arguments, as they stand between the parentheses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// What the call gives, as an expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// A database that is made for one query.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSpec {
    /// SQL that makes it.
    pub script: String,
}

/// Tells `"returns": null`, an expected `None`, from no `returns` at all.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(d).map(Some)
}

/// A call with plain data.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallSpec {
    /// Function name, or `Class.method`.
    pub function: String,
    /// Positional arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub args: Vec<Box<RawValue>>,
    /// Keyword arguments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub kwargs: BTreeMap<String, Box<RawValue>>,
}

/// How outputs are compared: `tokens`, `exact`, `lines`, `unordered`, `json`,
/// `float`, `kattis`, `program` or `sqlite`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckerSpec {
    /// Its name.
    pub kind: String,
    /// Absolute tolerance of `float`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abs: Option<f64>,
    /// Relative tolerance of `float`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rel: Option<f64>,
    /// Whether `float` is tolerant where the expected token is an integer
    /// literal too; not by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integers: Option<bool>,
    /// Flags of `kattis`, the default validator of that problem format, such
    /// as `case_sensitive` or `float_tolerance` and its number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// How `sqlite` compares rows: `set`, `multiset` (the default) or
    /// `ordered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The checker of `program`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramSpec>,
}

/// A program of the problem's author that takes part in judging, natively and
/// in a cell of its own for each test.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramSpec {
    /// Language name.
    pub language: String,
    /// The program, when it is one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The program, when it is several files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// The file to start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Its own limits; by default more than a candidate's.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub limits: LimitsRequest,
    /// How it is called and what its end means: `kattis` (`input answer
    /// feedback_dir`, 42 accepts, 43 rejects) or `testlib` (`input output
    /// answer`, 0 accepts, 1 and 2 reject, 7 gives points).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convention: Option<String>,
    /// Arguments after those of the convention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Points that accept, for a testlib program that gives points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_points: Option<f64>,
}

impl Default for CheckerSpec {
    fn default() -> Self {
        Self {
            kind: "tokens".into(),
            abs: None,
            rel: None,
            integers: None,
            flags: Vec::new(),
            order: None,
            program: None,
        }
    }
}

/// How verdicts become a reward.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardSpec {
    /// Its name, see docs/rewards.md.
    pub scheme: String,
    /// Parameters of the scheme.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
}

impl Default for RewardSpec {
    fn default() -> Self {
        Self {
            scheme: "binary".into(),
            params: Map::new(),
        }
    }
}

/// Many cases, each a run or a judgement (which has `tests`).
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// The cases.
    #[schema(value_type = Vec<Object>)]
    pub cases: Vec<Box<RawValue>>,
    /// `none`, `grpo`, `dr_grpo` or `rloo`: a line per group follows the answers.
    #[serde(default)]
    pub group_advantage: Option<String>,
}
