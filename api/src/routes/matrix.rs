//! `POST /v1/matrix`: programs × inputs, what each did, and who did the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use assize_executor::End;
use assize_judge::case::millis;
use assize_judge::engine::Engine;
use assize_judge::select::cluster::{Clusters, clusters};
use assize_judge::select::incoherence::incoherence;
use assize_judge::sweep::{Behaviour, Cell, Swept};
use assize_judge::verdict::Verdict;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::admit::{Refusal, refuse};
use crate::error::{ApiError, Refusals};
use crate::extract::Json;
use crate::rights::Rights;
use crate::routes::present;
use crate::routes::sweeps::{Asked, Plan, total};
use crate::routes::tries::new_id;
use crate::server::App;
use crate::types::{CellBody, MatrixBody, MatrixRequest, ProgramBody};

/// Runs every program on every input.
///
/// With `"repeat": 2` each runs twice, and those that do not do the same are
/// marked. Programs that did the same on every input form a cluster; what we
/// failed to try, what did not compile and what is not deterministic is in none.
#[utoipa::path(
    post,
    path = "/v1/matrix",
    request_body = MatrixRequest,
    responses(
        (status = 200, body = MatrixBody),
        Refusals,
    )
)]
pub(crate) async fn matrix(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request, _share): Json<MatrixRequest>,
) -> Result<Response, ApiError> {
    let caller = app.keys.caller(&headers)?;
    let plan = plan_for(&caller.rights, &app.engine, &request)?;
    let _permit = app.many()?;
    let (swept, queued) = app.sweep_all(&caller, &plan.sweeps).await?;
    let body = body(new_id("mtx"), &plan, &swept, queued);
    Ok((StatusCode::OK, axum::Json(body)).into_response())
}

/// Checks a matrix, for a caller who may ask for all that profiles grant.
pub fn plan(engine: &Engine, request: &MatrixRequest) -> Result<Plan, Refusal> {
    plan_for(&Rights::all(), engine, request)
}

fn plan_for(rights: &Rights, engine: &Engine, request: &MatrixRequest) -> Result<Plan, Refusal> {
    if request.inputs.is_empty() {
        return Err(refuse("missing_field", "inputs", "there are none"));
    }
    if let Some(index) = request.programs.iter().position(|p| p.score.is_some()) {
        let message = "a matrix ranks nobody; scores are for selection";
        let field = format!("programs[{index}].score");
        return Err(refuse("invalid_field", field, message));
    }
    let asked = Asked {
        field: "programs",
        programs: &request.programs,
        language: request.language.as_ref(),
        backend: request.backend,
        policy: request.policy.as_ref(),
        limits: request.limits,
        tests: Vec::new(),
        checker: None,
        inputs: &request.inputs,
        repeat: request.repeat.unwrap_or(1),
        filter: false,
    };
    asked.admit(rights, engine)
}

/// Behaviours of each program and its clusters. One that is not known to be
/// stable, where that was tried, is unknown.
pub(crate) fn behaviours(swept: &[Swept], repeated: bool) -> (Vec<Row>, Clusters) {
    let row = |s: &Swept| -> Row {
        let unsure = repeated && s.built && s.stable.is_none();
        if s.cells.is_empty() {
            // Not looked at: no row of no cells, which would equal any other.
            return vec![None];
        }
        let known = |c: &Cell| c.behaviour().filter(|_| !unsure);
        s.cells.iter().map(known).collect()
    };
    let rows: Vec<Row> = swept.iter().map(row).collect();
    let stable: Vec<bool> = swept.iter().map(|s| s.stable != Some(false)).collect();
    let found = clusters(&rows, &stable);
    (rows, found)
}

/// What one program did on each input, where that is known.
pub(crate) type Row = Vec<Option<Behaviour>>;

/// The answer.
#[must_use]
pub fn body(id: String, plan: &Plan, swept: &[Swept], queued: Duration) -> MatrixBody {
    let repeated = plan.sweeps.first().is_some_and(|s| s.repeat > 1);
    let (rows, found) = behaviours(swept, repeated);
    let mut classes: Vec<HashMap<Behaviour, usize>> = vec![HashMap::new(); plan.inputs.len()];
    let programs = swept.iter().enumerate().map(|(index, s)| {
        let cells = s.cells.iter().zip(&mut classes).map(|(cell, classes)| {
            let next = classes.len();
            let class = cell.behaviour();
            let class = class.map(|b| *classes.entry(b).or_insert(next));
            cell_body(cell, class)
        });
        ProgramBody {
            id: plan.ids[index].clone(),
            compile: s
                .compile
                .as_ref()
                .filter(|r| !r.succeeded)
                .map(present::compile),
            stable: s.stable,
            cluster: found.clusters.iter().position(|c| c.contains(&index)),
            cells: cells.collect(),
        }
    });
    let programs: Vec<ProgramBody> = programs.collect();
    let named =
        |places: &[usize]| -> Vec<String> { places.iter().map(|p| plan.ids[*p].clone()).collect() };
    let lost = |s: &Swept| s.cells.iter().any(|c| matches!(c, Cell::Fault(_)));
    let (not_built, unknown): (Vec<usize>, Vec<usize>) = found
        .unknown
        .iter()
        .partition(|p| !swept[**p].built && !lost(&swept[**p]));
    MatrixBody {
        id,
        inputs: plan.inputs.clone(),
        programs,
        clusters: found.clusters.iter().map(|c| named(c)).collect(),
        unstable: named(&found.unstable),
        not_built: named(&not_built),
        unknown: named(&unknown),
        incoherence: incoherence(&rows),
        usage: present::usage(&total(swept)),
        queued_ms: millis(queued),
    }
}

fn cell_body(cell: &Cell, class: Option<usize>) -> CellBody {
    let empty = CellBody {
        status: "compile_error",
        exit_code: None,
        signal: None,
        stdout: None,
        digest: None,
        class,
        fault: None,
        usage: None,
    };
    match cell {
        Cell::NotBuilt => empty,
        Cell::Fault(code) => CellBody {
            status: "fault",
            fault: Some(code),
            ..empty
        },
        Cell::Ran(seen) => {
            let (exit_code, signal) = match seen.end {
                End::Exited(code) => (Some(code), None),
                End::Signaled(signal) => (None, Some(signal)),
                End::Trapped(_) | End::Limit(_) | End::Violation => (None, None),
            };
            let hex: String = seen.digest.iter().map(|b| format!("{b:02x}")).collect();
            CellBody {
                status: match seen.ended {
                    Verdict::Accepted => "finished",
                    other => other.name(),
                },
                exit_code,
                signal,
                stdout: Some(present::stream(&seen.excerpt)),
                digest: Some(format!("sha256:{hex}")),
                usage: Some(present::usage(&seen.usage)),
                ..empty
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use assize_executor::{Stream, Usage};
    use assize_judge::sweep::Seen;

    use super::*;

    fn swept(cells: Vec<Cell>, stable: Option<bool>) -> Swept {
        Swept {
            compile: None,
            built: true,
            tests: Vec::new(),
            cells,
            stable,
            usage: Usage::default(),
        }
    }

    fn printed(text: &str) -> Cell {
        Cell::Ran(Box::new(Seen {
            ended: Verdict::Accepted,
            end: End::Exited(0),
            excerpt: Stream::default(),
            digest: [0; 32],
            behaviour: Behaviour::of(Verdict::Accepted, text.as_bytes()),
            usage: Usage::default(),
        }))
    }

    #[test]
    fn a_fault_of_ours_forms_no_cluster_and_joins_none() {
        let lost = || Cell::Fault("fault.cell_lost");
        let all = [
            swept(vec![printed("1"), printed("2")], None),
            swept(vec![printed("1"), lost()], None),
            swept(vec![lost(), lost()], None),
            swept(vec![lost(), lost()], None),
            swept(vec![printed(" 1"), printed("2\n")], None),
        ];
        let (_, found) = behaviours(&all, false);
        assert_eq!(found.clusters, [[0, 4]]);
        assert_eq!(found.unknown, [1, 2, 3]);
    }

    #[test]
    fn what_ran_once_where_it_should_have_run_twice_is_unknown() {
        let all = [
            swept(vec![printed("1")], Some(true)),
            swept(vec![printed("1")], None),
            swept(vec![printed("1")], Some(false)),
            swept(vec![], None),
        ];
        let (_, found) = behaviours(&all, true);
        assert_eq!(found.clusters, [[0]]);
        assert_eq!((found.unknown, found.unstable), (vec![1, 3], vec![2]));
    }
}
