//! `POST /v1/runs` and `POST /v1/judgements`: one case, one answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assize_executor::Fault;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::admit::{judgement_for, run_for};
use crate::auth::Caller;
use crate::error::{ApiError, Refusals};
use crate::extract::{Json, aside};
use crate::queue::{Denied, Patience, Permit};
use crate::receipt::{self, Digests};
use crate::routes::present;
use crate::server::App;
use crate::types::{JudgementBody, JudgementRequest, RunBody, RunRequest, TestSpec};

/// Runs one program on one input.
#[utoipa::path(
    post,
    path = "/v1/runs",
    request_body = RunRequest,
    responses(
        (status = 200, body = RunBody),
        Refusals,
    )
)]
pub(crate) async fn runs(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request, _share): Json<RunRequest>,
) -> Result<Response, ApiError> {
    let caller = app.keys.caller(&headers)?;
    let body = app.try_run(&caller, Patience::Bounded, &request).await?;
    Ok((StatusCode::OK, axum::Json(body)).into_response())
}

/// Judges one submission against one problem's tests.
#[utoipa::path(
    post,
    path = "/v1/judgements",
    request_body = JudgementRequest,
    responses(
        (status = 200, body = JudgementBody),
        Refusals,
    )
)]
pub(crate) async fn judgements(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request, _share): Json<JudgementRequest>,
) -> Result<Response, ApiError> {
    let caller = app.keys.caller(&headers)?;
    let body = app
        .try_judgement(&caller, Patience::Bounded, request)
        .await?;
    Ok((StatusCode::OK, axum::Json(body)).into_response())
}

impl App {
    pub(super) async fn enter(
        &self,
        tenant: &str,
        patience: Patience,
    ) -> Result<(Permit, Duration), ApiError> {
        match self.queue.enter(tenant, patience).await {
            Ok((permit, queued)) => {
                self.metrics.queued.observe(queued.as_secs_f64());
                Ok((permit, queued))
            }
            Err(Denied::Full(seconds)) => {
                let message = "the queue is full; try again later";
                let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message);
                Err(error.retry_after(seconds))
            }
            Err(Denied::Closed) => Err(ApiError::from(Fault::ShuttingDown)),
        }
    }

    pub(super) fn count_fault(&self, fault: Fault) -> ApiError {
        self.metrics.faults.with_label_values(&[fault.code()]).inc();
        ApiError::from(fault)
    }

    pub(crate) async fn try_run(
        &self,
        caller: &Caller,
        patience: Patience,
        request: &RunRequest,
    ) -> Result<RunBody, ApiError> {
        let run = run_for(&caller.rights, &self.engine, request)?;
        let (permit, queued) = self.enter(&caller.tenant, patience).await?;
        // On the heap, and only now: whoever waits for a turn holds no room for
        // what comes after it.
        let result = Box::pin(self.engine.run(&run))
            .await
            .map_err(|fault| self.count_fault(fault))?;
        drop(permit);
        let body = present::run(new_id("run"), &result, queued);
        if let Some(outcome) = &result.outcome {
            self.metrics.cpu.observe(outcome.usage.cpu.as_secs_f64());
        }
        self.metrics
            .runs
            .with_label_values(&[body.backend, status_label(&body)])
            .inc();
        Ok(body)
    }

    pub(crate) async fn try_judgement(
        &self,
        caller: &Caller,
        patience: Patience,
        mut request: JudgementRequest,
    ) -> Result<JudgementBody, ApiError> {
        let group = request.group.take();
        let feedback = request.feedback;
        let (rights, engine) = (caller.rights.clone(), Arc::clone(&self.engine));
        let bytes = plain_data(&request);
        let check = move || {
            let case = judgement_for(&rights, &engine, &request)?;
            let digests = request
                .receipt
                .then(|| Digests::of(&request, &case.submission));
            Ok((case, digests))
        };
        let (case, digests) = aside(bytes, check).await?;
        let (permit, queued) = self.enter(&caller.tenant, patience).await?;
        let place = Arc::new(Mutex::new(Some(permit)));
        let mut turn = || -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let (queue, tenant) = (self.queue.clone(), caller.tenant.clone());
            let place = Arc::clone(&place);
            Box::pin(async move { queue.next_turn(&tenant, &place).await })
        };
        let judged = Box::pin(self.engine.judge_in_turns(&case, &mut turn))
            .await
            .map_err(|fault| self.count_fault(fault))?;
        drop(place);
        self.metrics.cpu.observe(judged.usage.cpu.as_secs_f64());
        self.metrics
            .verdicts
            .with_label_values(&[judged.verdict.name()])
            .inc();
        if judged.verdict.is_fault() {
            self.metrics
                .faults
                .with_label_values(&["fault.judge_error"])
                .inc();
        }
        let mut body = present::judgement(new_id("jdg"), &judged, queued, group);
        body.feedback = feedback.then(|| assize_judge::feedback::of(&case, &judged));
        body.receipt = digests.map(|digests| receipt::issue(&self.signer, digests, &body));
        Ok(body)
    }
}

/// Bytes of arguments and expected values, which checking a judgement reads;
/// with a receipt also of all else that is digested.
fn plain_data(request: &JudgementRequest) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let digested = || {
        let files = request.files.iter().flat_map(|f| f.values());
        let files: usize = files.map(|f| text(&f.text) + text(&f.base64)).sum();
        let tests = request.tests.iter();
        let tests = tests.map(|t| text(&t.stdin) + text(&t.stdout) + text(&t.script));
        text(&request.code) + files + tests.sum::<usize>()
    };
    let digested = if request.receipt { digested() } else { 0 };
    let test = |test: &TestSpec| {
        let call = test.call.iter();
        let values = call.flat_map(|c| c.args.iter().chain(c.kwargs.values()));
        let values = values.chain(&test.returns);
        values.map(|raw| raw.get().len()).sum::<usize>()
    };
    digested + request.tests.iter().map(test).sum::<usize>()
}

/// A label out of the closed set of statuses.
fn status_label(body: &RunBody) -> &'static str {
    use crate::types::RunStatus;
    match body.status {
        RunStatus::Finished => "finished",
        RunStatus::TimeLimitExceeded => "time_limit_exceeded",
        RunStatus::MemoryLimitExceeded => "memory_limit_exceeded",
        RunStatus::OutputLimitExceeded => "output_limit_exceeded",
        RunStatus::SecurityViolation => "security_violation",
        RunStatus::CompileError => "compile_error",
    }
}

/// An id that sorts by time.
pub(crate) fn new_id(kind: &str) -> String {
    format!("{kind}_{}", uuid::Uuid::now_v7().simple())
}
