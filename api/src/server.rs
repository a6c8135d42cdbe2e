//! Putting the server together, and taking it down without losing a case.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use assize_judge::engine::Engine;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::Keys;
use crate::error::ApiError;
use crate::extract::BODY_UNITS;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::receipt::Signer;
use crate::routes::{batches, info, matrix, pairs, select, tries};

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Cases tried at once.
    pub concurrency: usize,
    /// Cases that may wait.
    pub queue: usize,
    /// Batches served at once.
    pub batches: usize,
    /// How long running cases may take to finish when the server stops.
    pub grace: Duration,
    /// Who may ask.
    pub keys: Keys,
}

/// The server's state.
pub struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) queue: Queue,
    pub(crate) batches: Arc<Semaphore>,
    /// Memory for bodies, see [`crate::extract::BODY_UNITS`].
    pub(crate) bodies: Arc<Semaphore>,
    /// Cases of one batch in flight.
    pub(crate) window: usize,
    pub(crate) metrics: Metrics,
    pub(crate) keys: Keys,
    pub(crate) signer: Signer,
    stopping: AtomicBool,
    grace: Duration,
}

impl App {
    /// A server over an engine. Says so when a key is limited to a profile
    /// that the engine does not have. Receipts are signed with a key that is
    /// forgotten when the server stops.
    pub fn new(engine: Arc<Engine>, options: &Options) -> Result<Arc<Self>, String> {
        let signer = Signer::generate().map_err(|e| e.to_string())?;
        Self::with_signer(engine, options, signer)
    }

    /// The same, with a key for receipts.
    pub fn with_signer(
        engine: Arc<Engine>,
        options: &Options,
        signer: Signer,
    ) -> Result<Arc<Self>, String> {
        options.keys.check(engine.all_profiles())?;
        let metrics = Metrics::new(&engine).map_err(|e| e.to_string())?;
        Ok(Arc::new(Self {
            engine,
            queue: Queue::new(options.concurrency.max(1), options.queue),
            batches: Arc::new(Semaphore::new(options.batches.max(1))),
            bodies: Arc::new(Semaphore::new(BODY_UNITS)),
            // Enough that a slot never waits for the next case to be parsed.
            window: options.concurrency.max(1) * 2,
            metrics,
            keys: options.keys.clone(),
            signer,
            stopping: AtomicBool::new(false),
            grace: options.grace,
        }))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/runs", post(tries::runs))
        .route("/v1/judgements", post(tries::judgements))
        .route("/v1/batches", post(batches::batches))
        .route("/v1/matrix", post(matrix::matrix))
        .route("/v1/select", post(select::select))
        .route("/v1/pairs", post(pairs::pairs))
        .route("/v1/runtimes", get(info::runtimes))
        .route("/v1/policies", get(info::policies))
        .route("/v1/receipts/key", get(info::receipts_key))
        .route("/v1/capabilities", get(info::capabilities))
        .route("/healthz", get(info::healthz))
        .route("/readyz", get(info::readyz))
        .route("/metrics", get(info::metrics))
        .route("/openapi.json", get(info::openapi))
        .route("/docs", get(info::docs))
        .fallback(async || {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is nothing at this path",
            )
        })
        .method_not_allowed_fallback(async || {
            let message = "this path does not take that method";
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                message,
            )
        })
        // Bodies are bounded where they are read, by what they are.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a handler panicked");
            let message = "an internal error";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "fault.panic", message).into_response()
        }))
        .layer(from_fn_with_state(Arc::clone(&app), finish))
        .with_state(app)
}

/// The outermost layer: request ids, error bodies, counting, refusing when
/// stopping.
async fn finish(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = tries::new_id("req");
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |p| p.as_str().to_owned());
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        app.metrics.refused.with_label_values(&[error.code]).inc();
        let body = axum::Json(error.body(&id));
        let retry = response.headers().get(header::RETRY_AFTER).cloned();
        response = (error.status, body).into_response();
        if let Some(retry) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, retry);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    let status = response.status().as_u16().to_string();
    app.metrics
        .requests
        .with_label_values(&[route.as_str(), status.as_str()])
        .inc();
    tracing::info!(%id, %route, %status, ms = start.elapsed().as_millis(), "request");
    response
}

/// Serves until `stop` resolves, then lets accepted cases finish: cases that
/// run have `grace` to end; cases that wait are told so; nothing is dropped
/// without an answer.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    if app.keys.open() && !address.ip().is_loopback() {
        let message = "without API keys the server listens on loopback only; configure keys";
        return Err(std::io::Error::other(message));
    }
    let (a, b) = (Arc::clone(&app), Arc::clone(&app));
    let stopped = async move {
        stop.await;
        tracing::info!("stopping: no new cases, running ones finish");
        a.stopping.store(true, Ordering::Relaxed);
        a.queue.close();
    };
    let (done, finished) = tokio::sync::oneshot::channel::<()>();
    let watchdog = tokio::spawn(async move {
        let mut finished = finished;
        loop {
            tokio::select! {
                _ = &mut finished => return,
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            if b.is_stopping() {
                break;
            }
        }
        tokio::select! {
            _ = &mut finished => {}
            () = tokio::time::sleep(b.grace) => {
                tracing::warn!("grace is over: cases still running are reported as faults");
                let executor = Arc::clone(b.engine.executor());
                let _ = tokio::task::spawn_blocking(move || executor.shutdown()).await;
            }
        }
    });
    let served = axum::serve(listener, router(app))
        .with_graceful_shutdown(stopped)
        .await;
    drop(done);
    let _ = watchdog.await;
    served
}
