//! The output matrix, selection among candidates, and preference pairs.

use std::collections::BTreeMap;

use assize_judge::select::rrtf::Level;
use assize_judge::verdict::Verdict;
use assize_policies::LimitsRequest;
use assize_runtimes::BackendChoice;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CheckerSpec, CompileBody, FileSpec, JudgementRequest, StreamBody, TestSpec, UsageBody,
};

/// Programs × inputs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixRequest {
    /// The programs.
    pub programs: Vec<CandidateSpec>,
    /// The inputs; they need not be valid ones.
    pub inputs: Vec<InputSpec>,
    /// How often each program runs on each input: 2 finds out which are not
    /// deterministic. 1 when absent, at most 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<usize>,
    /// Language of the programs that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where to run them.
    #[serde(default)]
    #[schema(value_type = String, example = "auto")]
    pub backend: BackendChoice,
    /// Policy name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Limits of each run.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub limits: LimitsRequest,
}

/// One program of several.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidateSpec {
    /// Its name in the answer; its position, from 1, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its language, when it is not that of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The program, when it is one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The program, when it is several files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// The file to start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// What a model thinks of it, for selection; the higher the better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// One input.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Its name in the answer; its position, from 1, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Standard input.
    pub stdin: String,
}

/// What every program did on every input.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MatrixBody {
    /// Id of this matrix.
    pub id: String,
    /// Names of the inputs.
    pub inputs: Vec<String>,
    /// The programs, in order.
    pub programs: Vec<ProgramBody>,
    /// Names of the programs that did the same on every input, the largest
    /// cluster first.
    pub clusters: Vec<Vec<String>>,
    /// Programs that did different things on one input; in no cluster.
    pub unstable: Vec<String>,
    /// Programs that did not compile; in no cluster.
    pub not_built: Vec<String>,
    /// Programs of which some run failed for a reason of ours; in no cluster.
    pub unknown: Vec<String>,
    /// Share of pairs of programs and inputs whose outputs differ; null without
    /// any to compare.
    pub incoherence: Option<f64>,
    /// Sum over all runs.
    pub usage: UsageBody,
    /// Longest time a program waited, in milliseconds.
    pub queued_ms: f64,
}

/// One program's row.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProgramBody {
    /// Its name.
    pub id: String,
    /// Why there is no program, when it did not compile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compile: Option<CompileBody>,
    /// Whether it did the same each time; null when that was not tried, or is
    /// not known.
    pub stable: Option<bool>,
    /// Which of `clusters` it is in.
    pub cluster: Option<usize>,
    /// What it did on each input.
    pub cells: Vec<CellBody>,
}

/// One cell of the matrix.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CellBody {
    /// How the run ended: as a run's status; `run_time_error` for one that
    /// ended with another exit status than 0 or by a signal; `compile_error`
    /// without a program; `fault` when we failed.
    pub status: &'static str,
    /// Exit status, when it exited.
    pub exit_code: Option<i32>,
    /// Signal that ended it, when one did.
    pub signal: Option<i32>,
    /// The beginning of its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<StreamBody>,
    /// SHA-256 of its output, as far as its limit kept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Cells of one input with the same number behaved the same.
    pub class: Option<usize>,
    /// Code of our failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// What the run used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageBody>,
}

/// Candidates, and how to choose among them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectRequest {
    /// The candidates.
    pub candidates: Vec<CandidateSpec>,
    /// `alphacode`, `codet`, `mbr_exec` or `hybrid`.
    pub strategy: String,
    /// Tests with known answers: who fails one is left out. For `hybrid` the
    /// regression tests, which leave nobody out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public_tests: Vec<TestSpec>,
    /// Generated tests, which may be wrong: `codet` and `hybrid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestSpec>,
    /// How often each of `tests` was generated; once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_weights: Option<Vec<u64>>,
    /// Inputs without an answer: `alphacode` and `mbr_exec`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputSpec>,
    /// How outputs are compared with answers.
    #[serde(default)]
    pub checker: CheckerSpec,
    /// How many to pick; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picks: Option<usize>,
    /// How many `hybrid` considers, by score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<usize>,
    /// How often each candidate runs on each of `inputs`; 2 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<usize>,
    /// Language of the candidates that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where to run them.
    #[serde(default)]
    #[schema(value_type = String, example = "auto")]
    pub backend: BackendChoice,
    /// Policy name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Limits of each run.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub limits: LimitsRequest,
}

/// Who was picked, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SelectBody {
    /// Id of this selection.
    pub id: String,
    /// The strategy.
    pub strategy: String,
    /// The picks, best first.
    pub picks: Vec<PickBody>,
    /// Candidates that did the same (`alphacode`, `mbr_exec`) or passed the same
    /// tests (`codet`), best first.
    pub clusters: Vec<ClusterBody>,
    /// What became of each candidate, in order.
    pub candidates: Vec<CandidateBody>,
    /// Sum over all runs.
    pub usage: UsageBody,
    /// Longest time a candidate waited, in milliseconds.
    pub queued_ms: f64,
}

/// One pick.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PickBody {
    /// The candidate's name.
    pub id: String,
    /// Its position, from 0.
    pub index: usize,
    /// Why it stands here.
    pub reason: String,
}

/// Candidates that are alike.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClusterBody {
    /// Their names.
    pub members: Vec<String>,
    /// What the strategy gives them; null where it only counts members.
    pub score: Option<f64>,
}

/// What became of one candidate.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CandidateBody {
    /// Its name.
    pub id: String,
    /// `picked`, `kept`, `filtered` (failed a public test), `compile_error`,
    /// `unstable`, or `unknown` (we failed).
    pub outcome: &'static str,
    /// Why, in one line.
    pub reason: String,
    /// Tests it passed, of those that ran.
    pub passed: usize,
    /// What the strategy gives it, where it scores candidates one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// Judged answers, or cases to judge.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PairsRequest {
    /// Answers that were judged before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<AnswerFact>>,
    /// Cases to judge; their `group` is the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub cases: Option<Vec<JudgementRequest>>,
    /// `dpo` (full pass over genuine fail) or `acecoder` (by pass rates); `dpo`
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Most pairs of a group; 1000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pairs: Option<usize>,
}

/// What is known of one answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerFact {
    /// Its name; its position, from 1, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The prompt it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its verdict.
    #[schema(value_type = String, example = "wrong_answer")]
    pub verdict: Verdict,
    /// Tests that passed.
    pub passed: usize,
    /// Tests there are.
    pub total: usize,
    /// Its length-normalised log-probability, for the ranking loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_prob: Option<f64>,
}

/// Pairs and ranks of each group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PairsBody {
    /// Id of this answer.
    pub id: String,
    /// The groups, in order of their first answers.
    pub groups: Vec<GroupBody>,
}

/// Pairs and ranks of one group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupBody {
    /// Its name; null for answers without one.
    pub group: Option<String>,
    /// Its answers, in order.
    pub answers: Vec<RankBody>,
    /// Names of the answers that have a rank, best first.
    pub order: Vec<String>,
    /// Pairs for preference training.
    pub pairs: Vec<PairBody>,
    /// Pairs there would be beyond `max_pairs`.
    pub pairs_left_out: usize,
    /// RRTF's ranking loss; null unless every answer came with a `log_prob`.
    pub ranking_loss: Option<f64>,
}

/// One answer and its rank.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RankBody {
    /// Its name.
    pub id: String,
    /// Its verdict.
    pub verdict: &'static str,
    /// Tests that passed.
    pub passed: usize,
    /// Tests there are.
    pub total: usize,
    /// `compile`, `runtime`, `partial` or `all`; null when we do not know.
    #[schema(value_type = Option<String>)]
    pub level: Option<Level>,
    /// The level as a number, from 0 to 3.
    pub rank: Option<u8>,
}

/// A preference.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PairBody {
    /// Name of the better answer.
    pub chosen: String,
    /// Name of the worse one.
    pub rejected: String,
}
