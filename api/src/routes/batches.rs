//! `POST /v1/batches`: many cases in, answers out in the order they come.
//!
//! Cases are read as fast as they are tried and no faster: a window of them is
//! in flight, the rest waits in the client's socket, so a batch of a hundred
//! thousand costs the memory of a window. A client that goes away takes its
//! running cases with it: dropping a case's future kills its cell.

use std::convert::Infallible;
use std::sync::Arc;

use assize_executor::Fault;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::error::ApiError;
use crate::extract::{MAX_BODY, parse, read_body};
use crate::queue::Patience;
use crate::routes::tries::new_id;
use crate::server::App;
use crate::types::{Answer, BatchRequest, ErrorBody, JudgementRequest, RunRequest};

/// Largest body of a JSON batch, in bytes; NDJSON has no such limit.
const MAX_BATCH: usize = 64 << 20;

/// Tries many cases. `application/json` with `cases`, or `application/x-ndjson`
/// with one case a line; answers are NDJSON in completion order, each with the
/// `index` of its case.
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
        (status = 413, body = ErrorBody),
        (status = 429, body = ErrorBody, description = "Too many batches; see Retry-After"),
    )
)]
pub(crate) async fn batches(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let tenant = app.keys.tenant(request.headers())?;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let ndjson = content_type
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.starts_with("application/x-ndjson"));
    let permit = Arc::clone(&app.batches).try_acquire_owned().map_err(|_| {
        let message = "too many batches at once; try again later";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_batches", message).retry_after(5)
    })?;
    // A line is taken from the channel when the window has room for it.
    let (lines, cases) = mpsc::channel::<Result<Case, ApiError>>(1);
    let reader = if ndjson {
        tokio::spawn(read_lines(request.into_body(), lines))
    } else {
        let body = read_body(request.into_body(), MAX_BATCH).await?;
        let checked = check(&app, &body)?;
        tokio::spawn(async move {
            for case in checked {
                if lines.send(Ok(case)).await.is_err() {
                    return;
                }
            }
        })
    };
    let (answers, stream) = mpsc::channel::<Bytes>(64);
    tokio::spawn(async move {
        let _permit = permit;
        drive(app, tenant, cases, answers).await;
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
enum Case {
    Run(Box<RunRequest>),
    Judgement(Box<JudgementRequest>),
}

/// Everything in a JSON batch is checked before any of it runs.
fn check(app: &App, body: &[u8]) -> Result<Vec<Case>, ApiError> {
    let batch: BatchRequest = parse(body, "")?;
    if !matches!(batch.group_advantage.as_deref(), None | Some("none")) {
        let message = "group_advantage: only \"none\" is available on this server";
        let error = ApiError::new(StatusCode::BAD_REQUEST, "invalid_field", message);
        return Err(error.field("group_advantage"));
    }
    if batch.cases.is_empty() {
        let error = ApiError::new(StatusCode::BAD_REQUEST, "empty_batch", "there are no cases");
        return Err(error.field("cases"));
    }
    let mut cases = Vec::with_capacity(batch.cases.len());
    for (index, raw) in batch.cases.iter().enumerate() {
        let prefix = format!("cases[{index}].");
        let case = parse_case(raw.get().as_bytes(), &prefix)?;
        let refusal = match &case {
            Case::Run(run) => crate::admit_run(&app.engine, run).err(),
            Case::Judgement(judgement) => crate::admit_judgement(&app.engine, judgement).err(),
        };
        if let Some(refusal) = refusal {
            let field = format!("{prefix}{}", refusal.field);
            let mut error = ApiError::from(refusal);
            error.message = format!("{prefix}{}", error.message);
            return Err(error.field(field));
        }
        cases.push(case);
    }
    Ok(cases)
}

/// What has `tests` is a judgement, what has none is a run.
fn parse_case(text: &[u8], prefix: &str) -> Result<Case, ApiError> {
    #[derive(serde::Deserialize)]
    struct Shape {
        tests: Option<Box<RawValue>>,
    }
    let shape: Shape = parse(text, prefix)?;
    Ok(match shape.tests {
        Some(_) => Case::Judgement(Box::new(parse(text, prefix)?)),
        None => Case::Run(Box::new(parse(text, prefix)?)),
    })
}

/// Splits an NDJSON body into cases as it arrives.
async fn read_lines(body: Body, lines: mpsc::Sender<Result<Case, ApiError>>) {
    let mut stream = body.into_data_stream();
    let mut pending: Vec<u8> = Vec::new();
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else {
            let message = "the request body broke off before its end";
            let error = ApiError::new(StatusCode::BAD_REQUEST, "body_incomplete", message);
            let _ = lines.send(Err(error)).await;
            return;
        };
        pending.extend_from_slice(&chunk);
        let mut start = 0;
        while let Some(length) = pending[start..].iter().position(|b| *b == b'\n') {
            let line = &pending[start..start + length];
            start += length + 1;
            if !send_line(line, &lines).await {
                return;
            }
        }
        pending.drain(..start);
        if pending.len() > MAX_BODY {
            let _ = lines.send(Err(crate::extract::too_large(MAX_BODY))).await;
            return;
        }
    }
    send_line(&pending, &lines).await;
}

async fn send_line(line: &[u8], lines: &mpsc::Sender<Result<Case, ApiError>>) -> bool {
    if line.iter().all(u8::is_ascii_whitespace) {
        return true;
    }
    lines.send(parse_case(line, "")).await.is_ok()
}

#[derive(Serialize)]
struct Line {
    index: usize,
    #[serde(flatten)]
    answer: Answer,
}

/// Tries cases in a moving window until they or the client are gone.
async fn drive(
    app: Arc<App>,
    tenant: String,
    mut cases: mpsc::Receiver<Result<Case, ApiError>>,
    answers: mpsc::Sender<Bytes>,
) {
    let window = Arc::new(Semaphore::new(app.window));
    // Dropping the set, when the client is gone, drops its tasks' futures.
    let mut running = JoinSet::new();
    let mut index = 0;
    loop {
        let next = tokio::select! {
            () = answers.closed() => return,
            next = next_case(&window, &mut cases) => next,
        };
        let Some((room, case)) = next else { break };
        let (app, tenant, answers) = (Arc::clone(&app), tenant.clone(), answers.clone());
        running.spawn(async move {
            let answer = try_case(&app, &tenant, case).await;
            drop(room);
            let _ = answers.send(encode(index, answer)).await;
        });
        index += 1;
        while running.try_join_next().is_some() {}
    }
    loop {
        tokio::select! {
            () = answers.closed() => return,
            done = running.join_next() => if done.is_none() { return },
        }
    }
}

type Room = tokio::sync::OwnedSemaphorePermit;

async fn next_case(
    window: &Arc<Semaphore>,
    cases: &mut mpsc::Receiver<Result<Case, ApiError>>,
) -> Option<(Room, Result<Case, ApiError>)> {
    let room = Arc::clone(window).acquire_owned().await.ok()?;
    Some((room, cases.recv().await?))
}

async fn try_case(
    app: &App,
    tenant: &str,
    case: Result<Case, ApiError>,
) -> Result<Answer, ApiError> {
    match case? {
        Case::Run(run) => {
            let body = app.try_run(tenant, Patience::Admitted, &run).await?;
            Ok(Answer::Run(Box::new(body)))
        }
        Case::Judgement(judgement) => {
            let body = app
                .try_judgement(tenant, Patience::Admitted, *judgement)
                .await?;
            Ok(Answer::Judgement(Box::new(body)))
        }
    }
}

fn encode(index: usize, answer: Result<Answer, ApiError>) -> Bytes {
    let answer = answer.unwrap_or_else(|e| Answer::Error(e.body(&new_id("req"))));
    let mut line = serde_json::to_vec(&Line { index, answer }).unwrap_or_else(|e| {
        let error = ApiError::from(Fault::Host(e.to_string()));
        serde_json::to_vec(&error.body("")).unwrap_or_default()
    });
    line.push(b'\n');
    line.into()
}
