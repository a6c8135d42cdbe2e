//! Many programs on the same tests and inputs: checking them, and trying them
//! within the queue.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assize_executor::{Fault, Usage};
use assize_judge::case::{Case, Comparison, Test, add};
use assize_judge::checker::Checker;
use assize_judge::engine::Engine;
use assize_judge::reward::Scheme;
use assize_judge::sweep::{Cell, Sweep, Swept};
use assize_policies::LimitsRequest;
use assize_runtimes::BackendChoice;
use axum::http::StatusCode;
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::admit::{Refusal, judgement_for, refuse, run_for};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::queue::Patience;
use crate::rights::Rights;
use crate::server::App;
use crate::types::{CandidateSpec, CheckerSpec, InputSpec, JudgementRequest, RunRequest, TestSpec};

/// Most programs of one request.
const MAX_PROGRAMS: usize = 1024;
/// Most runs of one request: 512 candidates, 16 inputs, twice.
pub(crate) const MAX_RUNS: usize = 16_384;
/// Most times a program runs on one input.
const MAX_REPEAT: usize = 4;
/// Most bytes of an output that a cell of a matrix carries.
const EXCERPT: usize = 256;

/// What programs are tried on, as a request has it.
pub(crate) struct Asked<'a> {
    /// The request's name for its programs.
    pub(crate) field: &'static str,
    pub(crate) programs: &'a [CandidateSpec],
    pub(crate) language: Option<&'a String>,
    pub(crate) backend: BackendChoice,
    pub(crate) policy: Option<&'a String>,
    pub(crate) limits: LimitsRequest,
    /// The request's name for each list of tests, in the order they run.
    pub(crate) tests: Vec<(&'static str, &'a [TestSpec])>,
    pub(crate) checker: Option<&'a CheckerSpec>,
    pub(crate) inputs: &'a [InputSpec],
    pub(crate) repeat: usize,
    /// Whether who fails a test is not tried any further.
    pub(crate) filter: bool,
}

/// Checked programs, and their names.
pub struct Plan {
    /// What to try, in order.
    pub sweeps: Vec<Sweep>,
    pub(crate) ids: Vec<String>,
    pub(crate) inputs: Vec<String>,
}

impl Asked<'_> {
    /// Checks everything before any of it runs.
    pub(crate) fn admit(&self, rights: &Rights, engine: &Engine) -> Result<Plan, Refusal> {
        let field = self.field;
        if self.programs.is_empty() {
            return Err(refuse("missing_field", field, "there are none"));
        }
        if self.programs.len() > MAX_PROGRAMS {
            let message = format!("{} of them, at most {MAX_PROGRAMS}", self.programs.len());
            return Err(refuse("too_many_programs", field, message));
        }
        if !(1..=MAX_REPEAT).contains(&self.repeat) {
            let message = format!("must be from 1 to {MAX_REPEAT}");
            return Err(refuse("invalid_field", "repeat", message));
        }
        let tests: usize = self.tests.iter().map(|(_, tests)| tests.len()).sum();
        let each = tests.saturating_add(self.inputs.len().saturating_mul(self.repeat));
        let runs = each.saturating_mul(self.programs.len());
        if runs > MAX_RUNS {
            let message = format!("{runs} runs in all, at most {MAX_RUNS}");
            return Err(refuse("too_many_runs", field, message));
        }
        let ids = names(field, self.programs.iter().map(|p| p.id.as_ref()))?;
        let names = names("inputs", self.inputs.iter().map(|i| i.id.as_ref()))?;
        let inputs = self.inputs.iter().map(|i| i.stdin.clone().into_bytes());
        let inputs: Arc<[Vec<u8>]> = inputs.collect();
        // Which tests a language can be given is the same for all its programs.
        let mut able = BTreeSet::new();
        let mut judged: Option<(Arc<[Test]>, Comparison)> = None;
        let mut sweeps = Vec::with_capacity(self.programs.len());
        for (index, spec) in self.programs.iter().enumerate() {
            let place = |mut refusal: Refusal| {
                let own = ["code", "files", "entry"];
                let named = refusal.field.split('.').next().unwrap_or_default();
                if own.contains(&named) || (named == "language" && spec.language.is_some()) {
                    refusal.field = format!("{field}[{index}].{}", refusal.field);
                }
                refusal
            };
            let run = self.run(index, spec)?;
            if tests > 0 && able.insert(run.language.clone()) {
                let case = self.judgement(&run);
                let case =
                    judgement_for(rights, engine, &case).map_err(|r| place(self.test_of(r)))?;
                judged.get_or_insert((case.tests.into(), case.checker));
            }
            let submission = run_for(rights, engine, &run).map_err(place)?.submission;
            let (tests, checker) = judged
                .clone()
                .unwrap_or_else(|| (Arc::new([]), Comparison::Pure(Checker::Tokens)));
            sweeps.push(Sweep {
                case: Case {
                    submission,
                    tests: Vec::new(),
                    checker,
                    interactor: None,
                    reruns: 0,
                    stop_on_first_failure: self.filter,
                    reward: Scheme::Binary,
                },
                tests,
                inputs: Arc::clone(&inputs),
                repeat: self.repeat,
                only_if_passed: self.filter,
                excerpt: EXCERPT,
            });
        }
        Ok(Plan {
            sweeps,
            ids,
            inputs: names,
        })
    }

    fn run(&self, index: usize, spec: &CandidateSpec) -> Result<RunRequest, Refusal> {
        let language = spec.language.as_ref().or(self.language);
        let field = || format!("{}[{index}].language", self.field);
        let language = language.ok_or_else(|| {
            let message = "name a language here or for the whole request";
            refuse("missing_field", field(), message)
        })?;
        Ok(RunRequest {
            language: language.clone(),
            code: spec.code.clone(),
            files: spec.files.clone(),
            entry: spec.entry.clone(),
            backend: self.backend,
            policy: self.policy.cloned(),
            limits: self.limits,
            ..RunRequest::default()
        })
    }

    fn judgement(&self, run: &RunRequest) -> JudgementRequest {
        let all = self.tests.iter();
        JudgementRequest {
            language: run.language.clone(),
            code: run.code.clone(),
            files: run.files.clone(),
            entry: run.entry.clone(),
            backend: self.backend,
            policy: self.policy.cloned(),
            limits: self.limits,
            tests: all
                .flat_map(|(name, tests)| {
                    let of_list = move |(index, test): (usize, &TestSpec)| TestSpec {
                        // Positions would be those among all lists.
                        id: Some(match &test.id {
                            Some(id) => id.clone(),
                            None => format!("{name}[{index}]"),
                        }),
                        ..test.clone()
                    };
                    tests.iter().enumerate().map(of_list)
                })
                .collect(),
            checker: self.checker.cloned().unwrap_or_default(),
            ..JudgementRequest::default()
        }
    }

    /// Names the test at fault by its place in its own list.
    fn test_of(&self, mut refusal: Refusal) -> Refusal {
        let Some((index, rest)) = refusal
            .field
            .strip_prefix("tests[")
            .and_then(|f| f.split_once(']'))
        else {
            return refusal;
        };
        let Ok(mut index) = index.parse::<usize>() else {
            return refusal;
        };
        for (name, tests) in &self.tests {
            if index < tests.len() {
                refusal.field = format!("{name}[{index}]{rest}");
                break;
            }
            index -= tests.len();
        }
        refusal
    }
}

/// Names as given, or positions from 1; each once.
pub(crate) fn names<'a>(
    field: &str,
    given: impl Iterator<Item = Option<&'a String>>,
) -> Result<Vec<String>, Refusal> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, id) in given.enumerate() {
        let id = id.cloned().unwrap_or_else(|| (index + 1).to_string());
        if !seen.insert(id.clone()) {
            let message = format!("{id:?} is taken twice");
            return Err(refuse(
                "duplicate_id",
                format!("{field}[{index}].id"),
                message,
            ));
        }
        all.push(id);
    }
    Ok(all)
}

/// Tries programs on this host, so many at once, without a queue.
pub async fn sweep_here(
    engine: &Engine,
    sweeps: &[Sweep],
    at_once: usize,
) -> Result<Vec<Swept>, Fault> {
    let one = |sweep| async move {
        engine
            .sweep(sweep, &mut || Box::pin(std::future::ready(())))
            .await
    };
    futures::stream::iter(sweeps.iter().map(one))
        .buffered(at_once.max(1))
        .try_collect()
        .await
}

impl App {
    /// The right to have one request that is many cases in progress.
    pub(crate) fn many(&self) -> Result<tokio::sync::OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.batches).try_acquire_owned().map_err(|_| {
            let message = "too many batches at once; try again later";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_batches", message).retry_after(5)
        })
    }

    /// Tries programs, each queued like a judgement: so many in flight that no
    /// slot waits, and giving way to others between any two runs. Dropping the
    /// future, when the client is gone, kills their cells.
    pub(crate) async fn sweep_all(
        &self,
        caller: &Caller,
        sweeps: &[Sweep],
    ) -> Result<(Vec<Swept>, Duration), ApiError> {
        let one = |sweep| async move {
            let (permit, queued) = self.enter(&caller.tenant, Patience::Admitted).await?;
            let place = Arc::new(Mutex::new(Some(permit)));
            let mut turn = || -> Pin<Box<dyn Future<Output = ()> + Send>> {
                let (queue, tenant) = (self.queue.clone(), caller.tenant.clone());
                let place = Arc::clone(&place);
                Box::pin(async move { queue.next_turn(&tenant, &place).await })
            };
            let swept = self.engine.sweep(sweep, &mut turn).await;
            let swept = swept.map_err(|fault| self.count_fault(fault))?;
            self.metrics.cpu.observe(swept.usage.cpu.as_secs_f64());
            for cell in &swept.cells {
                if let Cell::Fault(code) = cell {
                    self.metrics.faults.with_label_values(&[*code]).inc();
                }
            }
            Ok::<_, ApiError>((swept, queued))
        };
        // Boxed: the compiler does not see that a closure over borrowed items
        // does for every lifetime.
        let all: Vec<_> = sweeps.iter().map(|s| one(s).boxed()).collect();
        let all: Vec<(Swept, Duration)> = futures::stream::iter(all)
            .buffered(self.window)
            .try_collect()
            .await?;
        let queued = all.iter().map(|(_, q)| *q).max().unwrap_or_default();
        Ok((all.into_iter().map(|(swept, _)| swept).collect(), queued))
    }
}

/// What all of them used: times summed, memory at its highest.
pub(crate) fn total(swept: &[Swept]) -> Usage {
    let mut sum = Usage::default();
    for one in swept {
        add(&mut sum, &one.usage);
    }
    sum
}
