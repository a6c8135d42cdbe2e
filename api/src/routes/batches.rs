//! `POST /v1/batches`: many cases in, answers out in the order they come.
//!
//! Cases are read as fast as they are tried and no faster: a window of them is
//! in flight, the rest waits in the client's socket, so a batch of a hundred
//! thousand costs the memory of a window. A client that goes away takes its
//! running cases with it: dropping a case's future kills its cell.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assize_executor::Fault;
use assize_judge::reward::Advantage;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::admit::{judgement_for, run_for};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::extract::{MAX_BODY, aside, parse, read_json, too_large};
use crate::ndjson::{self, Ended, Line};
use crate::queue::Patience;
use crate::routes::groups::{self, Groups};
use crate::routes::tries::new_id;
use crate::server::App;
use crate::types::{Answer, BatchRequest, ErrorBody, JudgementRequest, RunRequest};

/// Largest body of a JSON batch, in bytes; NDJSON has no such limit.
const MAX_BATCH: usize = 64 << 20;

/// Tries many cases. `application/json` with `cases`, or `application/x-ndjson`
/// with one case a line; answers are NDJSON in completion order, each with the
/// `index` of its case. With `group_advantage` (in the body; for NDJSON in the
/// query) a line per group follows the last answer.
#[utoipa::path(
    post,
    path = "/v1/batches",
    request_body(content(
        (BatchRequest = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "NDJSON, one answer a line", content_type = "application/x-ndjson"),
        (status = 400, body = ErrorBody, description = "The request; `details.field` says where"),
        (status = 403, body = ErrorBody, description = "This key does not grant the policy"),
        (status = 413, body = ErrorBody),
        (status = 415, body = ErrorBody),
        (status = 429, body = ErrorBody, description = "Too many batches; see Retry-After"),
    )
)]
pub(crate) async fn batches(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let caller = app.keys.caller(request.headers())?;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let ndjson = content_type
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.starts_with("application/x-ndjson"));
    let permit = Arc::clone(&app.batches).try_acquire_owned().map_err(|_| {
        let message = "too many batches at once; try again later";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_batches", message).retry_after(5)
    })?;
    // A line is taken from the channel when the window has room for it.
    let (lines, cases) = mpsc::channel(1);
    let (gone, left) = oneshot::channel();
    let mut advantage = groups::in_query(request.uri().query())?;
    let reader = if ndjson {
        let body = request.into_body();
        tokio::spawn(async move {
            if ndjson::read(body, lines).await == Ended::Left {
                let _ = gone.send(());
            }
        })
    } else {
        let (body, share) = read_json(&app, request, MAX_BATCH).await?;
        let (server, asks) = (Arc::clone(&app), Arc::clone(&caller));
        let (checked, named) = aside(body.len(), move || check(&server, &asks, &body)).await?;
        if named != Advantage::None {
            advantage = named;
        }
        drop(gone);
        tokio::spawn(async move {
            let _share = share;
            for raw in checked {
                let line = Line::Whole(raw.get().as_bytes().to_vec());
                if lines.send(line).await.is_err() {
                    return;
                }
            }
        })
    };
    let (answers, stream) = mpsc::channel::<Bytes>(64);
    tokio::spawn(async move {
        let _permit = permit;
        drive(app, caller, Groups::new(advantage), cases, left, answers).await;
        reader.abort();
    });
    let stream = futures::stream::unfold(stream, |mut stream| async move {
        stream
            .recv()
            .await
            .map(|line| (Ok::<_, Infallible>(line), stream))
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((StatusCode::OK, headers, Body::from_stream(stream)).into_response())
}

/// One case of a batch.
pub(crate) enum Case {
    Run(Box<RunRequest>),
    Judgement(Box<JudgementRequest>),
}

/// Everything in a JSON batch is checked before any of it runs.
fn check(
    app: &App,
    caller: &Caller,
    body: &[u8],
) -> Result<(Vec<Box<RawValue>>, Advantage), ApiError> {
    let rights = &caller.rights;
    let batch: BatchRequest = parse(body, "")?;
    let advantage = groups::named(batch.group_advantage.as_deref())?;
    if batch.cases.is_empty() {
        let error = ApiError::new(StatusCode::BAD_REQUEST, "empty_batch", "there are no cases");
        return Err(error.field("cases"));
    }
    for (index, raw) in batch.cases.iter().enumerate() {
        let prefix = format!("cases[{index}].");
        let case = parse_case(raw.get().as_bytes(), &prefix)?;
        let refusal = match &case {
            Case::Run(run) => run_for(rights, &app.engine, run).err(),
            Case::Judgement(judgement) => judgement_for(rights, &app.engine, judgement).err(),
        };
        if let Some(refusal) = refusal {
            let field = format!("{prefix}{}", refusal.field);
            let mut error = ApiError::from(refusal);
            error.message = format!("{prefix}{}", error.message);
            return Err(error.field(field));
        }
    }
    Ok((batch.cases, advantage))
}

/// What has `tests` is a judgement, what has none is a run.
pub(crate) fn parse_case(text: &[u8], prefix: &str) -> Result<Case, ApiError> {
    #[derive(serde::Deserialize)]
    struct Shape {
        // Not copied: they are the most of it.
        tests: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = parse(text, prefix)?;
    Ok(match shape.tests {
        Some(_) => Case::Judgement(Box::new(parse(text, prefix)?)),
        None => Case::Run(Box::new(parse(text, prefix)?)),
    })
}

#[derive(Serialize)]
struct AnswerLine {
    index: usize,
    #[serde(flatten)]
    answer: Answer,
}

/// Tries cases in a moving window until they or the client are gone.
async fn drive(
    app: Arc<App>,
    caller: Arc<Caller>,
    groups: Groups,
    mut cases: mpsc::Receiver<Line>,
    left: oneshot::Receiver<()>,
    answers: mpsc::Sender<Bytes>,
) {
    let window = Arc::new(Semaphore::new(app.window));
    // Dropping the set, when the client is gone, drops its tasks' futures.
    let mut running = JoinSet::new();
    let groups = Arc::new(Mutex::new(groups));
    let work = async {
        let mut index = 0;
        while let Some((room, line)) = next_case(&window, &mut cases).await {
            let (app, answers) = (Arc::clone(&app), answers.clone());
            let (caller, groups) = (Arc::clone(&caller), Arc::clone(&groups));
            running.spawn(async move {
                let answer = try_case(&app, &caller, line).await;
                lock(&groups).note(index, &answer);
                let _ = answers.send(encode(index, answer)).await;
                // Not before its answer is taken: else those of a client that
                // reads slowly pile up here.
                drop(room);
            });
            index += 1;
            while running.try_join_next().is_some() {}
        }
        while running.join_next().await.is_some() {}
        let lines = lock(&groups).lines();
        for line in lines {
            let _ = answers.send(line.into()).await;
        }
    };
    let gone = async {
        // An error means that reading ended well.
        if left.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = work => {}
        () = gone => {}
        () = answers.closed() => {}
    }
}

fn lock(groups: &Mutex<Groups>) -> MutexGuard<'_, Groups> {
    groups.lock().unwrap_or_else(PoisonError::into_inner)
}

type Room = tokio::sync::OwnedSemaphorePermit;

async fn next_case(
    window: &Arc<Semaphore>,
    cases: &mut mpsc::Receiver<Line>,
) -> Option<(Room, Line)> {
    let room = Arc::clone(window).acquire_owned().await.ok()?;
    Some((room, cases.recv().await?))
}

async fn try_case(app: &App, caller: &Caller, line: Line) -> Result<Answer, ApiError> {
    let text = match line {
        Line::Whole(text) => text,
        Line::TooLong => return Err(too_large(MAX_BODY)),
    };
    match aside(text.len(), move || parse_case(&text, "")).await? {
        Case::Run(run) => {
            let body = app.try_run(caller, Patience::Admitted, &run).await?;
            Ok(Answer::Run(Box::new(body)))
        }
        Case::Judgement(judgement) => {
            let body = app
                .try_judgement(caller, Patience::Admitted, *judgement)
                .await?;
            Ok(Answer::Judgement(Box::new(body)))
        }
    }
}

fn encode(index: usize, answer: Result<Answer, ApiError>) -> Bytes {
    let answer = answer.unwrap_or_else(|e| Answer::Error(e.body(&new_id("req"))));
    let mut line = serde_json::to_vec(&AnswerLine { index, answer }).unwrap_or_else(|e| {
        let error = ApiError::from(Fault::Host(e.to_string()));
        serde_json::to_vec(&error.body("")).unwrap_or_default()
    });
    line.push(b'\n');
    line.into()
}
