//! `POST /v1/pairs`: preferences and ranks from verdicts.

use std::sync::Arc;

use assize_executor::Fault;
use assize_judge::case::Case;
use assize_judge::engine::Engine;
use assize_judge::metrics::Undefined;
use assize_judge::select::pairs::{self, AceCoder, Fact, Pair};
use assize_judge::select::rrtf::{self, Level};
use assize_judge::verdict::Verdict;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt};

use crate::admit::{Refusal, judgement_for, refuse};
use crate::auth::Caller;
use crate::error::{ApiError, Refusals};
use crate::extract::Json;
use crate::queue::Patience;
use crate::rights::Rights;
use crate::routes::sweeps::{MAX_RUNS, names};
use crate::routes::tries::new_id;
use crate::server::App;
use crate::types::{
    AnswerFact, GroupBody, JudgementRequest, PairBody, PairsBody, PairsRequest, RankBody,
};

/// Most answers of one request.
const MAX_ANSWERS: usize = 16_384;
/// Pairs of a group when a request names no number.
const PAIRS: usize = 1000;
/// Most pairs of a group that a request may name.
const MAX_PAIRS: usize = 100_000;

/// Makes preference pairs and ranks of judged answers, or of cases it judges.
///
/// Pairs are of a full pass and a genuine failure; what we failed to judge is in
/// no pair and has no rank. docs/selection.md has the rules.
#[utoipa::path(
    post,
    path = "/v1/pairs",
    request_body = PairsRequest,
    responses(
        (status = 200, body = PairsBody),
        Refusals,
    )
)]
pub(crate) async fn pairs(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request, _share): Json<PairsRequest>,
) -> Result<Response, ApiError> {
    let caller = app.keys.caller(&headers)?;
    let plan = plan_for(&caller.rights, &app.engine, request)?;
    let answers = match plan.cases {
        Some(cases) => {
            let _permit = app.many()?;
            app.judge_all(&caller, cases).await?
        }
        None => plan.answers,
    };
    // A group of thousands has millions of pairs to look at.
    let (ids, rule) = (plan.ids, plan.rule);
    let paired =
        tokio::task::spawn_blocking(move || body(new_id("prs"), ids, &answers, &rule)).await;
    let body = paired.map_err(|e| ApiError::from(Fault::Host(e.to_string())))?;
    Ok((StatusCode::OK, axum::Json(body)).into_response())
}

/// Which answers are paired.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    scheme: PairScheme,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum PairScheme {
    Dpo,
    AceCoder,
}

/// An answer with all that is known of it.
#[derive(Debug, Clone)]
pub struct Answer {
    group: Option<String>,
    fact: Fact,
    level: Option<Level>,
    log_prob: Option<f64>,
}

/// A checked request.
pub struct Plan {
    /// Cases to judge first, when there are.
    pub cases: Option<Vec<JudgementRequest>>,
    /// Answers that were judged before.
    pub answers: Vec<Answer>,
    /// Names of either.
    pub ids: Vec<String>,
    /// Which are paired.
    pub rule: Rule,
}

/// Checks a request for pairs, for a caller who may ask for all that profiles
/// grant. Without an engine only judged answers are taken.
pub fn plan(engine: &Engine, request: PairsRequest) -> Result<Plan, Refusal> {
    plan_for(&Rights::all(), engine, request)
}

fn plan_for(rights: &Rights, engine: &Engine, request: PairsRequest) -> Result<Plan, Refusal> {
    let judged = judged(&request)?;
    let Some(cases) = request.cases else {
        return Ok(judged);
    };
    let mut runs = 0;
    for (index, case) in cases.iter().enumerate() {
        judgement_for(rights, engine, case).map_err(|mut refusal| {
            refusal.field = format!("cases[{index}].{}", refusal.field);
            refusal
        })?;
        runs += case.tests.len();
    }
    if runs > MAX_RUNS {
        let message = format!("{runs} tests in all, at most {MAX_RUNS}; use a batch");
        return Err(refuse("too_many_runs", "cases", message));
    }
    Ok(Plan {
        cases: Some(cases),
        ..judged
    })
}

/// Checks everything that takes no engine.
pub fn judged(request: &PairsRequest) -> Result<Plan, Refusal> {
    let scheme = match request.scheme.as_deref() {
        None | Some("dpo") => PairScheme::Dpo,
        Some("acecoder") => PairScheme::AceCoder,
        Some(_) => {
            let message = "must be dpo or acecoder";
            return Err(refuse("unknown_scheme", "scheme", message));
        }
    };
    let most = request.max_pairs.unwrap_or(PAIRS);
    if !(1..=MAX_PAIRS).contains(&most) {
        let message = format!("must be from 1 to {MAX_PAIRS}");
        return Err(refuse("invalid_field", "max_pairs", message));
    }
    let rule = Rule { scheme, most };
    let (field, count) = match (&request.answers, &request.cases) {
        (Some(answers), None) => ("answers", answers.len()),
        (None, Some(cases)) => ("cases", cases.len()),
        (Some(_), Some(_)) | (None, None) => {
            let message = "give exactly one of answers and cases";
            return Err(refuse("invalid_field", "answers", message));
        }
    };
    if count == 0 || count > MAX_ANSWERS {
        let message = format!("must be from 1 to {MAX_ANSWERS}");
        return Err(refuse("invalid_field", field, message));
    }
    let Some(given) = &request.answers else {
        let ids = (1..=count).map(|n| n.to_string()).collect();
        let (answers, cases) = (Vec::new(), None);
        return Ok(Plan {
            cases,
            answers,
            ids,
            rule,
        });
    };
    let ids = names("answers", given.iter().map(|a| a.id.as_ref()))?;
    let answers = given.iter().enumerate().map(|(index, a)| answer(index, a));
    Ok(Plan {
        cases: None,
        answers: answers.collect::<Result<_, Refusal>>()?,
        ids,
        rule,
    })
}

fn answer(index: usize, given: &AnswerFact) -> Result<Answer, Refusal> {
    let at = |name: &str| format!("answers[{index}].{name}");
    let fact = Fact {
        verdict: given.verdict,
        passed: given.passed,
        total: given.total,
    };
    let fact = fact
        .check()
        .map_err(|Undefined { field, reason }| refuse("invalid_field", at(&field), reason))?;
    if given.log_prob.is_some_and(|p| !p.is_finite() || p > 0.0) {
        let message = "must be finite and at most 0";
        return Err(refuse("invalid_field", at("log_prob"), message));
    }
    Ok(Answer {
        group: given.group.clone(),
        fact,
        level: Level::of(given.verdict),
        log_prob: given.log_prob,
    })
}

impl Answer {
    /// What a judgement says. Its level is that of its worst test, not of the
    /// first that failed.
    fn of(
        group: Option<String>,
        verdict: Verdict,
        tests: impl Iterator<Item = Verdict>,
        fact: (usize, usize),
    ) -> Self {
        let level = match verdict {
            Verdict::CompileError => Some(Level::Compile),
            Verdict::Accepted
            | Verdict::WrongAnswer
            | Verdict::TimeLimitExceeded
            | Verdict::MemoryLimitExceeded
            | Verdict::OutputLimitExceeded
            | Verdict::RunTimeError
            | Verdict::SecurityViolation
            | Verdict::JudgeError
            | Verdict::Flaky => Level::worst(tests),
        };
        let (passed, total) = fact;
        Self {
            group,
            fact: Fact {
                verdict,
                passed,
                total,
            },
            level,
            log_prob: None,
        }
    }
}

/// Judges cases on this host, one after the other, without a queue. Each with
/// its group.
pub async fn judge_here(
    engine: &Engine,
    cases: &[(Option<String>, Case)],
) -> Result<Vec<Answer>, Fault> {
    let mut answers = Vec::with_capacity(cases.len());
    for (group, case) in cases {
        let judged = engine.judge(case).await?;
        let tests = judged.tests.iter().map(|t| t.verdict);
        let fact = (judged.passed, judged.total);
        answers.push(Answer::of(group.clone(), judged.verdict, tests, fact));
    }
    Ok(answers)
}

impl App {
    /// Judges cases as a batch does. One that ends in a fault of ours is an
    /// answer of which nothing is known.
    async fn judge_all(
        &self,
        caller: &Caller,
        cases: Vec<JudgementRequest>,
    ) -> Result<Vec<Answer>, ApiError> {
        let one = |case: JudgementRequest| async move {
            let (group, total) = (case.group.clone(), case.tests.len());
            match self.try_judgement(caller, Patience::Admitted, case).await {
                Ok(body) => {
                    let tests = body.tests.iter().filter_map(|t| named(t.verdict));
                    let verdict = named(body.verdict).unwrap_or(Verdict::JudgeError);
                    let fact = (body.passed, body.total);
                    Ok(Answer::of(group, verdict, tests, fact))
                }
                Err(e) if e.status == StatusCode::INTERNAL_SERVER_ERROR => {
                    let none = std::iter::empty();
                    Ok(Answer::of(group, Verdict::JudgeError, none, (0, total)))
                }
                Err(e) => Err(e),
            }
        };
        futures::stream::iter(cases.into_iter().map(one))
            .buffered(self.window)
            .try_collect()
            .await
    }
}

fn named(name: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|v| v.name() == name)
}

/// The answer. `ids` are the names of `answers`.
#[must_use]
pub fn body(id: String, ids: Vec<String>, answers: &[Answer], rule: &Rule) -> PairsBody {
    let mut order: Vec<&Option<String>> = Vec::new();
    let mut members: std::collections::HashMap<&Option<String>, Vec<usize>> =
        std::collections::HashMap::new();
    for (place, answer) in answers.iter().enumerate() {
        let group = members.entry(&answer.group).or_default();
        if group.is_empty() {
            order.push(&answer.group);
        }
        group.push(place);
    }
    let groups = order.into_iter().map(|name| {
        let places = &members[name];
        group(name.clone(), places, &ids, answers, rule)
    });
    PairsBody {
        id,
        groups: groups.collect(),
    }
}

fn group(
    name: Option<String>,
    places: &[usize],
    ids: &[String],
    answers: &[Answer],
    rule: &Rule,
) -> GroupBody {
    let facts: Vec<Fact> = places.iter().map(|p| answers[*p].fact).collect();
    let levels: Vec<Option<Level>> = places.iter().map(|p| answers[*p].level).collect();
    let id = |place: usize| ids[places[place]].clone();
    let pair = |p: Pair| PairBody {
        chosen: id(p.chosen),
        rejected: id(p.rejected),
    };
    let (kept, pairs_left_out) = match rule.scheme {
        PairScheme::Dpo => {
            let all = pairs::dpo(&facts);
            let left_out = all.len().saturating_sub(rule.most);
            (all.take(rule.most).map(pair).collect(), left_out)
        }
        PairScheme::AceCoder => {
            let mut all = pairs::acecoder(&facts, AceCoder::default());
            let kept: Vec<PairBody> = all.by_ref().take(rule.most).map(pair).collect();
            (kept, all.count())
        }
    };
    let log_probs: Option<Vec<f64>> = places.iter().map(|p| answers[*p].log_prob).collect();
    let rank = |(place, fact): (usize, &Fact)| RankBody {
        id: id(place),
        verdict: fact.verdict.name(),
        passed: fact.passed,
        total: fact.total,
        level: levels[place],
        rank: levels[place].map(Level::rank),
    };
    GroupBody {
        group: name,
        answers: facts.iter().enumerate().map(rank).collect(),
        order: rrtf::order(&levels).into_iter().map(id).collect(),
        pairs: kept,
        pairs_left_out,
        // They were checked to be finite and not positive.
        ranking_loss: log_probs.and_then(|p| rrtf::ranking_loss(&levels, &p).ok()),
    }
}
