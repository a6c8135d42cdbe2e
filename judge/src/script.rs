//! Test scripts: the script in one cell, the candidate in another.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use assize_executor::{Channel, End, Executor, Fault, FileSource, Limit, Outcome, Plan, Sealed};
use assize_policies::Limits;
use assize_runtimes::{Built, Program, Role, Runnable};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::case::{Integrity, Place, Submission, Subtest};
use crate::engine::{limit_verdict, not_accepted, raised};
use crate::shared;
use crate::trials::Tried;
use crate::verdict::Verdict;

/// Most bytes of a tester's report.
pub(crate) const REPORT_BYTES: u64 = 1 << 20;
/// What is said of a script that passes without having asked anything.
pub(crate) const NEVER_USED: &str = "the test script never used the program";
/// Most tests of a suite that are told apart.
const MAX_SUBTESTS: usize = 1000;
/// Times a pair is started before a lost cell becomes a fault.
const ATTEMPTS: u32 = 3;

#[derive(Debug, Deserialize)]
struct Report {
    outcome: String,
    message: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    line: Option<u64>,
    calls: u64,
    given: u64,
    #[serde(default)]
    tests: Vec<Reported>,
    /// The names it took for the candidate's, where it was not told.
    #[serde(default)]
    names: Option<Vec<String>>,
}

/// One test of a suite, as the tester saw it.
#[derive(Debug, Deserialize)]
pub(crate) struct Reported {
    pub(crate) name: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// A script, a candidate, and what it takes to bring them together.
pub(crate) struct Trial<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) submission: &'a Submission,
    pub(crate) candidate: &'a Runnable,
    pub(crate) script: &'a str,
    pub(crate) names: Option<&'a [String]>,
    pub(crate) known: &'a Known,
    /// Whether the script is the submission and the candidate the author's.
    pub(crate) hostile: bool,
}

impl Trial<'_> {
    /// Runs the script where it may and can run.
    pub(crate) async fn run(&self, place: Place) -> Result<Tried, Fault> {
        let beside = self.submission.runtime.has_shared_mode();
        match place {
            Place::Beside if beside => shared::run(self).await,
            Place::Beside | Place::Apart => Ok(self.apart().await?.0),
            Place::Auto => match self.apart().await? {
                // Said of the script alone, whatever the candidate does.
                (_, true) if beside => shared::run(self).await,
                (tried, _) => Ok(tried),
            },
        }
    }

    /// Runs the script against the candidate in another cell; whether the
    /// script turned out to need live objects.
    async fn apart(&self) -> Result<(Tried, bool), Fault> {
        let submission = self.submission;
        let tester = self.tester().await?;
        let stem = submission.program.entry.rsplit_once('.');
        let modules = [stem.map_or("main", |s| s.0), "solution", "candidate"];
        // What a suite that is the submission reports is for its own case only.
        let key = (self.names.is_none() && !self.hostile).then(|| Known::key(self.script));
        let inferred = key.and_then(|key| self.known.get(&key));
        let config = json!({ "names": self.names, "inferred": inferred, "modules": modules });
        let config = config.to_string();
        let mut attempt = 1;
        loop {
            let (ours, theirs) = pair(submission)?;
            let limits = submission.limits;
            let mut a = self.plan(self.candidate, Role::Candidate, limits)?;
            let tester_limits = match self.hostile {
                true => limits,
                false => tester_limits(submission),
            };
            let mut b = self.plan(&tester, Role::Tester(&config), tester_limits)?;
            a.channel = Some(ours);
            b.channel = Some(theirs);
            b.stdin =
                Some(Sealed::new(&[config.as_bytes()]).map_err(|e| Fault::Host(e.to_string()))?);
            b.report_bytes = REPORT_BYTES;
            // Hash order of the test side is not the candidate's to foresee.
            b.env.retain(|(k, _)| k != "PYTHONHASHSEED");
            match self.executor.run_pair(a, b).await {
                (Ok(candidate), Ok(tester)) => {
                    let report = serde_json::from_slice::<Report>(&tester.report.data).ok();
                    if let (Some(key), None, Some(report)) = (key, &inferred, &report)
                        && let Some(names) = &report.names
                    {
                        self.known.put(key, names);
                    }
                    let (mut tried, live) = conclude(candidate, &tester, report);
                    if self.hostile {
                        tried.outcome = Some(tester);
                    }
                    return Ok((tried, live));
                }
                (Err(fault), _) | (_, Err(fault)) if fault.retryable() && attempt < ATTEMPTS => {
                    tracing::warn!(%fault, attempt, "a pair lost a cell, trying again");
                    attempt += 1;
                }
                (Err(fault), _) | (_, Err(fault)) => return Err(fault),
            }
        }
    }

    /// The script as a program of the same runtime.
    async fn tester(&self) -> Result<Runnable, Fault> {
        let Self { submission, .. } = self;
        let extension = submission.runtime.manifest.extensions.first();
        let path = format!("assize_test.{}", extension.map_or("txt", |e| e));
        let file = FileSource {
            path: path.clone(),
            data: self.script.as_bytes().to_vec(),
            executable: false,
        };
        let program = Program {
            files: vec![file],
            entry: path,
            time: submission.program.time,
        };
        match program
            .build(self.executor, &submission.runtime, &submission.policy)
            .await?
        {
            Built::Ready { runnable, .. } => Ok(runnable),
            Built::Refused(_) => Err(Fault::Host("a test script does not compile".into())),
        }
    }

    /// A plan under the submission's policy.
    pub(crate) fn plan(
        &self,
        runnable: &Runnable,
        role: Role<'_>,
        limits: Limits,
    ) -> Result<Plan, Fault> {
        runnable
            .plan(role, limits, &self.submission.policy, &[])
            .map_err(|e| Fault::Host(e.to_string()))
    }
}

/// Names that test scripts were found to take from the candidate: a script is
/// the same for every program that is tried on it, and looking takes as long as
/// many a script itself.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Key, Vec<String>>>);

type Key = [u8; 32];

impl Known {
    /// Scripts remembered; then all are forgotten.
    const MOST: usize = 4096;
    /// Names of one script.
    const NAMES: usize = 64;

    fn key(script: &str) -> Key {
        Sha256::digest(script.as_bytes()).into()
    }

    fn get(&self, key: &Key) -> Option<Vec<String>> {
        self.lock().get(key).cloned()
    }

    fn put(&self, key: Key, names: &[String]) {
        if names.len() > Self::NAMES || names.iter().any(|n| n.len() > 256) {
            return;
        }
        let mut known = self.lock();
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(key, names.to_vec());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The test side waits for the candidate and compares what may be large, so
/// it gets more of everything; the candidate's limits still end the pair.
fn tester_limits(submission: &Submission) -> Limits {
    let limits = submission.limits;
    Limits {
        cpu_ms: limits.cpu_ms.saturating_mul(2).saturating_add(5_000),
        wall_ms: limits.wall_ms.saturating_mul(2).saturating_add(10_000),
        memory_bytes: limits.memory_bytes.max(512 << 20),
        // The harness keeps 8192 characters of what a script prints. Fewer bytes
        // here, and a result that the script prints would end the tests.
        stdout_bytes: limits.stdout_bytes.max(64 << 10),
        ..limits
    }
}

pub(crate) fn pair(submission: &Submission) -> Result<(Channel, Channel), Fault> {
    Channel::pair(submission.runtime.backend).map_err(|e| Fault::Host(e.to_string()))
}

/// What both sides' outcomes mean together, and whether the script needs live
/// objects.
fn conclude(candidate: Outcome, tester: &Outcome, report: Option<Report>) -> (Tried, bool) {
    let subtests = report
        .as_ref()
        .map_or_else(Vec::new, |r| subtests(&r.tests));
    let live = report.as_ref().is_some_and(|r| r.outcome == "unsupported");
    let (verdict, detail) = verdict(&candidate, tester, report);
    let tried = Tried {
        verdict,
        detail,
        score: None,
        integrity: Integrity::Isolated,
        subtests,
        outcome: Some(candidate),
    };
    (tried, live)
}

/// Statuses by name, bounded and harmless to show: messages hold what the
/// candidate chose.
pub(crate) fn subtests(reported: &[Reported]) -> Vec<Subtest> {
    let clip = |s: &str, n: usize| s.chars().take(n).flat_map(char::escape_debug).collect();
    let one = |t: &Reported| Subtest {
        name: clip(&t.name, 200),
        verdict: match t.status.as_str() {
            "passed" => Verdict::Accepted,
            "failed" => Verdict::WrongAnswer,
            _ => Verdict::RunTimeError,
        },
        detail: clip(&t.message, 300),
    };
    let ran = reported.iter().filter(|t| t.status != "skipped");
    ran.take(MAX_SUBTESTS).map(one).collect()
}

/// The candidate's limits come first: a test that fails because the candidate
/// was ended is not a wrong answer, and one that passes in a cell that broke
/// its limits did not pass.
fn verdict(candidate: &Outcome, tester: &Outcome, report: Option<Report>) -> (Verdict, String) {
    if let Some(verdict) = limit_verdict(&candidate.end) {
        return (verdict, not_accepted(candidate));
    }
    let report = match report {
        Some(report) => report,
        // The candidate can hand over results so large that the test side
        // chokes on them: that is its doing and must not look like ours.
        None => {
            return match &tester.end {
                End::Limit(Limit::Cpu | Limit::Wall) => {
                    let why = "the tests ran out of time on the candidate's results";
                    (Verdict::TimeLimitExceeded, why.to_owned())
                }
                End::Limit(Limit::Memory) => {
                    let why = "the tests ran out of memory on the candidate's results";
                    (Verdict::MemoryLimitExceeded, why.to_owned())
                }
                // White space on the report: the candidate had been heard.
                End::Signaled(signal) if !tester.report.data.is_empty() => {
                    let why = "the tests' interpreter broke down on the candidate's results";
                    (Verdict::RunTimeError, format!("{why} (signal {signal})"))
                }
                End::Trapped(trap) if !tester.report.data.is_empty() => {
                    let why = "the tests' interpreter broke down on the candidate's results";
                    (Verdict::RunTimeError, format!("{why} ({trap})"))
                }
                End::Limit(Limit::Output) => (
                    Verdict::JudgeError,
                    "the test script printed too much".to_owned(),
                ),
                end => (
                    Verdict::JudgeError,
                    format!("the test side ended without report: {end:?}"),
                ),
            };
        }
    };
    let what = describe(&report);
    match report.outcome.as_str() {
        "passed" if report.calls == 0 && report.given == 0 => {
            (Verdict::JudgeError, NEVER_USED.to_owned())
        }
        "passed" => (Verdict::Accepted, String::new()),
        "assertion" | "raised" | "bad_data" => (Verdict::WrongAnswer, what),
        "candidate_raised" if !report.tests.is_empty() => (Verdict::WrongAnswer, what),
        "candidate_raised" | "load" => (raised(candidate), what),
        "missing" => (
            Verdict::RunTimeError,
            format!("a name the tests need is missing: {what}"),
        ),
        "candidate_gone" => (Verdict::RunTimeError, gone(candidate, report.calls)),
        "unsupported" => (
            Verdict::JudgeError,
            format!("the tests need live objects: {what}"),
        ),
        "broken" => (
            Verdict::JudgeError,
            format!("the test script itself failed: {what}"),
        ),
        other => (Verdict::JudgeError, format!("unknown report {other:?}")),
    }
}

fn describe(report: &Report) -> String {
    let mut text = report.kind.clone().unwrap_or_default();
    if !report.message.is_empty() {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&report.message);
    }
    let mut text: String = text
        .chars()
        .take(400)
        .flat_map(char::escape_debug)
        .collect();
    if let Some(line) = report.line {
        text.push_str(&format!(" (test line {line})"));
    }
    text
}

/// A process that ended before its tests were over.
fn gone(candidate: &Outcome, calls: u64) -> String {
    let when = if calls == 0 {
        "before the tests began"
    } else {
        "before the tests were over"
    };
    match &candidate.end {
        End::Exited(status) => format!("it exited with status {status} {when}"),
        _ => format!("{} {when}", not_accepted(candidate)),
    }
}
