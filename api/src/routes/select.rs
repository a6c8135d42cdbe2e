//! `POST /v1/select`: which of many candidates to hand in.

mod strategy;

use std::sync::Arc;
use std::time::Duration;

use assize_judge::case::millis;
use assize_judge::engine::Engine;
use assize_judge::select::{cluster, codet, hybrid, mbr};
use assize_judge::sweep::{Cell, Swept, Tried};
use assize_judge::verdict::Verdict;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::admit::{Refusal, refuse};
use crate::error::{ApiError, Refusals};
use crate::extract::Json;
use crate::rights::Rights;
use crate::routes::matrix::{Row, behaviours};
use crate::routes::present;
use crate::routes::select::strategy::{Strategy, strategy};
use crate::routes::sweeps::{Asked, Plan, total};
use crate::routes::tries::new_id;
use crate::server::App;
use crate::types::{CandidateBody, ClusterBody, PickBody, SelectBody, SelectRequest};

/// Picks when a request names no number: AlphaCode's submissions.
const PICKS: usize = 10;

/// Filters, clusters and ranks candidates by what they do.
///
/// `alphacode` leaves out who fails a public test, clusters the rest by what
/// they print on `inputs`, and takes one from each cluster in turn, the largest
/// first; with scores, the best of each. `codet` groups by the generated tests
/// passed, `mbr_exec` ranks by how many others differ, `hybrid` adds a score to
/// the tests passed. docs/selection.md has the formulas.
#[utoipa::path(
    post,
    path = "/v1/select",
    request_body = SelectRequest,
    responses(
        (status = 200, body = SelectBody),
        Refusals,
    )
)]
pub(crate) async fn select(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request, _share): Json<SelectRequest>,
) -> Result<Response, ApiError> {
    let caller = app.keys.caller(&headers)?;
    let plan = plan_for(&caller.rights, &app.engine, &request)?;
    let _permit = app.many()?;
    let (swept, queued) = app.sweep_all(&caller, &plan.plan.sweeps).await?;
    let body = body(new_id("sel"), &plan, &swept, queued);
    Ok((StatusCode::OK, axum::Json(body)).into_response())
}

/// A checked selection.
pub struct Selection {
    /// What to try.
    pub plan: Plan,
    name: String,
    strategy: Strategy,
    picks: usize,
    /// How many of each candidate's tests are public ones.
    public: usize,
}

/// Checks a selection, for a caller who may ask for all that profiles grant.
pub fn plan(engine: &Engine, request: &SelectRequest) -> Result<Selection, Refusal> {
    plan_for(&Rights::all(), engine, request)
}

fn plan_for(
    rights: &Rights,
    engine: &Engine,
    request: &SelectRequest,
) -> Result<Selection, Refusal> {
    let strategy = strategy(request)?;
    let picks = request.picks.unwrap_or(PICKS);
    if picks == 0 {
        return Err(refuse("invalid_field", "picks", "must be at least 1"));
    }
    let on_inputs = matches!(strategy, Strategy::AlphaCode { .. } | Strategy::MbrExec);
    if request.repeat.is_some() && !on_inputs {
        let message = "only alphacode and mbr_exec run candidates on inputs";
        return Err(refuse("invalid_field", "repeat", message));
    }
    let asked = Asked {
        field: "candidates",
        programs: &request.candidates,
        language: request.language.as_ref(),
        backend: request.backend,
        policy: request.policy.as_ref(),
        limits: request.limits,
        tests: vec![
            ("public_tests", &request.public_tests),
            ("tests", &request.tests),
        ],
        checker: Some(&request.checker),
        inputs: &request.inputs,
        repeat: request.repeat.unwrap_or(2),
        filter: on_inputs,
    };
    Ok(Selection {
        plan: asked.admit(rights, engine)?,
        name: request.strategy.clone(),
        strategy,
        picks,
        public: request.public_tests.len(),
    })
}

/// What a candidate came to before any strategy looks at it.
enum Standing {
    /// It can be picked.
    In,
    /// It cannot, and why.
    Out(&'static str, String),
}

impl Selection {
    fn standing(&self, s: &Swept) -> Standing {
        let lost_test = s.tests.iter().find(|t| !t.verdict.is_conclusive());
        let lost_cell = s.cells.iter().find_map(|c| match c {
            Cell::Fault(code) => Some(*code),
            Cell::Ran(_) | Cell::NotBuilt => None,
        });
        // A checker that cannot be built is no fault of the candidate, which may
        // have been compiled well.
        if let Some(report) = s.compile.as_ref().filter(|r| !r.succeeded) {
            return Standing::Out("compile_error", report.reason());
        }
        let filters = !matches!(self.strategy, Strategy::Hybrid { .. });
        let public = &s.tests[..self.public.min(s.tests.len())];
        let failed = |t: &&Tried| t.verdict.is_conclusive() && t.verdict != Verdict::Accepted;
        if let (true, Some(test)) = (filters, public.iter().find(failed)) {
            let reason = format!("{} on public test {:?}", test.verdict, test.id);
            return Standing::Out("filtered", reason);
        }
        if let Some(test) = lost_test {
            return Standing::Out("unknown", format!("test {:?}: {}", test.id, test.detail));
        }
        if let Some(code) = lost_cell {
            return Standing::Out("unknown", code.to_owned());
        }
        Standing::In
    }

    /// Picks and clusters among those that can be picked, best first, as places.
    fn choose(&self, swept: &[Swept], standing: &[Standing]) -> Chosen {
        let inside = |place: usize| matches!(standing[place], Standing::In);
        match &self.strategy {
            Strategy::AlphaCode { scores } => {
                let (_, found) = self.clusters(swept, standing);
                let picks = cluster::picks(&found.clusters, self.picks, scores.as_deref());
                let home = |p: usize| found.clusters.iter().position(|c| c.contains(&p));
                let reason = |p: usize| {
                    let at = home(p).unwrap_or_default();
                    let size = found.clusters[at].len();
                    let score = scores.as_ref().map(|s| format!(", score {}", s[p]));
                    let number = at + 1;
                    format!(
                        "of cluster {number}, which has {size}{}",
                        score.unwrap_or_default()
                    )
                };
                Chosen {
                    picks: picks.into_iter().map(|p| (p, reason(p))).collect(),
                    clusters: found.clusters.iter().map(|c| (c.clone(), None)).collect(),
                    unstable: found.unstable,
                    scores: scores.clone().map(|s| s.into_iter().map(Some).collect()),
                }
            }
            Strategy::MbrExec => {
                let (rows, found) = self.clusters(swept, standing);
                let others = found.clusters.iter().map(Vec::len).sum::<usize>();
                let ranked = mbr::mbr_exec(&rows);
                let mut scores = vec![None; swept.len()];
                for (place, risk) in &ranked {
                    scores[*place] = Some(-(*risk as f64));
                }
                let reason = |risk: usize| {
                    format!(
                        "differs from {risk} of the other {}",
                        others.saturating_sub(1)
                    )
                };
                Chosen {
                    picks: ranked
                        .into_iter()
                        .take(self.picks)
                        .map(|(p, risk)| (p, reason(risk)))
                        .collect(),
                    clusters: found.clusters.iter().map(|c| (c.clone(), None)).collect(),
                    unstable: found.unstable,
                    scores: Some(scores),
                }
            }
            Strategy::CodeT { weights } => {
                let row = |(place, s): (usize, &Swept)| -> Vec<Option<bool>> {
                    let generated = s.tests.get(self.public..).unwrap_or_default();
                    let known = generated.iter().filter(|_| inside(place));
                    let mut row: Vec<Option<bool>> = known
                        .map(|t| Some(t.verdict == Verdict::Accepted))
                        .collect();
                    row.resize(weights.len(), None);
                    row
                };
                let rows: Vec<_> = swept.iter().enumerate().map(row).collect();
                let groups = codet::codet(&rows, weights);
                let members: Vec<Vec<usize>> = groups.iter().map(|g| g.solutions.clone()).collect();
                let reason = |p: usize| {
                    let group = groups.iter().find(|g| g.solutions.contains(&p));
                    group.map_or_else(String::new, |g| {
                        let (size, tests) = (g.solutions.len(), g.tests.len());
                        format!(
                            "one of {size} that pass the same {tests} tests: {:.3}",
                            g.score
                        )
                    })
                };
                Chosen {
                    picks: cluster::picks(&members, self.picks, None)
                        .into_iter()
                        .map(|p| (p, reason(p)))
                        .collect(),
                    clusters: groups
                        .iter()
                        .map(|g| (g.solutions.clone(), Some(g.score)))
                        .collect(),
                    unstable: Vec::new(),
                    scores: None,
                }
            }
            Strategy::Hybrid { scores, top_n } => {
                let places: Vec<usize> = (0..swept.len()).filter(|p| inside(*p)).collect();
                let passed = |tests: &[Tried]| {
                    let passed = tests.iter().filter(|t| t.verdict == Verdict::Accepted);
                    passed.count() as f64
                };
                let candidate = |place: &usize| {
                    let tests = &swept[*place].tests;
                    let (public, generated) = tests.split_at(self.public.min(tests.len()));
                    hybrid::Candidate {
                        regression: passed(public),
                        tests: passed(generated),
                        judged: scores[*place],
                    }
                };
                let known: Vec<_> = places.iter().map(candidate).collect();
                // Scores and the number were checked before anything ran.
                let ranked = hybrid::hybrid(&known, *top_n).unwrap_or_default();
                let mut all = vec![None; swept.len()];
                for r in &ranked {
                    all[places[r.candidate]] = r.score;
                }
                let picks = ranked.iter().filter_map(|r| {
                    let score = r.score?;
                    let (eb, ef) = (r.execution, r.judged);
                    let reason = format!("{eb} by tests and {ef} by score: {score}");
                    Some((places[r.candidate], reason))
                });
                Chosen {
                    picks: picks.take(self.picks).collect(),
                    clusters: Vec::new(),
                    unstable: Vec::new(),
                    scores: Some(all),
                }
            }
        }
    }

    /// Behaviours and clusters of those that can be picked.
    fn clusters(&self, swept: &[Swept], standing: &[Standing]) -> (Vec<Row>, cluster::Clusters) {
        let repeated = self.plan.sweeps.first().is_some_and(|s| s.repeat > 1);
        let (mut rows, _) = behaviours(swept, repeated);
        let mut stable: Vec<bool> = swept.iter().map(|s| s.stable != Some(false)).collect();
        for (place, row) in rows.iter_mut().enumerate() {
            if !matches!(standing[place], Standing::In) {
                *row = vec![None];
                stable[place] = true;
            }
        }
        let found = cluster::clusters(&rows, &stable);
        for place in &found.unstable {
            rows[*place] = vec![None];
        }
        (rows, found)
    }
}

/// What a strategy says.
struct Chosen {
    picks: Vec<(usize, String)>,
    clusters: Vec<(Vec<usize>, Option<f64>)>,
    unstable: Vec<usize>,
    scores: Option<Vec<Option<f64>>>,
}

/// The answer.
#[must_use]
pub fn body(id: String, selection: &Selection, swept: &[Swept], queued: Duration) -> SelectBody {
    let ids = &selection.plan.ids;
    let standing: Vec<Standing> = swept.iter().map(|s| selection.standing(s)).collect();
    let chosen = selection.choose(swept, &standing);
    let one = |(place, s): (usize, &Swept)| {
        let picked = chosen.picks.iter().find(|(p, _)| *p == place);
        let known = chosen.clusters.iter().any(|(c, _)| c.contains(&place));
        let clusters = !matches!(selection.strategy, Strategy::Hybrid { .. });
        let (outcome, reason) = match (&standing[place], picked) {
            (Standing::Out(outcome, reason), _) => (*outcome, reason.clone()),
            (Standing::In, Some((_, reason))) => ("picked", reason.clone()),
            (Standing::In, None) if chosen.unstable.contains(&place) => (
                "unstable",
                "it did different things on one input".to_owned(),
            ),
            (Standing::In, None) if clusters && !known => match selection.strategy {
                Strategy::CodeT { .. } => ("kept", "it passes no generated test".to_owned()),
                Strategy::AlphaCode { .. } | Strategy::MbrExec | Strategy::Hybrid { .. } => {
                    ("unknown", "a run of it was lost".to_owned())
                }
            },
            (Standing::In, None) => ("kept", "others stand before it".to_owned()),
        };
        CandidateBody {
            id: ids[place].clone(),
            outcome,
            reason,
            passed: s
                .tests
                .iter()
                .filter(|t| t.verdict == Verdict::Accepted)
                .count(),
            score: chosen.scores.as_ref().and_then(|all| all[place]),
        }
    };
    SelectBody {
        id,
        strategy: selection.name.clone(),
        candidates: swept.iter().enumerate().map(one).collect(),
        picks: chosen
            .picks
            .iter()
            .map(|(place, reason)| PickBody {
                id: ids[*place].clone(),
                index: *place,
                reason: reason.clone(),
            })
            .collect(),
        clusters: chosen
            .clusters
            .iter()
            .map(|(members, score)| ClusterBody {
                members: members.iter().map(|p| ids[*p].clone()).collect(),
                score: *score,
            })
            .collect(),
        usage: present::usage(&total(swept)),
        queued_ms: millis(queued),
    }
}
