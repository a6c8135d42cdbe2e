//! A server in this process, on a loopback port of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use assize_api::{App, Keys, Options};
use assize_executor::{Config, Executor};
use assize_judge::engine::Engine;
use assize_policies::{LimitsRequest, Profiles};
use assize_runtimes::{Compiling, HEADERS};
use serde_json::Value;
use tokio::sync::oneshot;

/// A running server. Dropping it stops it.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    engine: Arc<Engine>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An answer: status, body and the Retry-After header.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body, `null` when it is not JSON.
    pub body: Value,
    /// The Retry-After header.
    pub retry_after: Option<u64>,
}

impl Server {
    /// Starts one with the WASI backend when `ASSIZE_GUESTS` names guests.
    ///
    /// # Panics
    /// When this host cannot run cells.
    #[must_use]
    pub fn start(concurrency: usize, queue: usize, grace: Duration) -> Self {
        Self::start_for(Keys::default(), concurrency, queue, grace)
    }

    /// The same for those who have these keys.
    ///
    /// # Panics
    /// When this host cannot run cells.
    #[must_use]
    pub fn start_for(keys: Keys, concurrency: usize, queue: usize, grace: Duration) -> Self {
        let (ready, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let engine = engine(u32::try_from(concurrency * 2).unwrap_or(4)).await;
                engine.executor().prove().await;
                let options = Options {
                    concurrency,
                    queue,
                    batches: 8,
                    grace,
                    keys,
                };
                let app = App::new(Arc::clone(&engine), &options).expect("an app");
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
                    .await
                    .expect("a port");
                let address = listener.local_addr().expect("an address");
                ready
                    .send((address, Arc::clone(&engine)))
                    .expect("the starter waits");
                let stop = async {
                    let _ = stopped.await;
                };
                assize_api::serve(app, listener, stop)
                    .await
                    .expect("serving");
                let executor = Arc::clone(engine.executor());
                let _ = tokio::task::spawn_blocking(move || executor.shutdown()).await;
            });
        });
        let (address, engine) = started.recv().expect("the server starts");
        Self {
            address,
            engine,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The engine behind it.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Tells it to stop, without waiting.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits until it has stopped.
    pub fn join(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Posts JSON.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string().as_bytes(), "application/json")
    }

    /// Posts JSON with an API key.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        let request = agent()
            .post(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("x-api-key", key);
        read(request.send(body.to_string()).expect("an answer"))
    }

    /// Posts bytes.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn post_bytes(&self, path: &str, body: &[u8], kind: &str) -> Answer {
        post_to(self.address, path, body, kind)
    }

    /// Gets a path.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        read(
            agent()
                .get(format!("http://{}{path}", self.address))
                .call()
                .expect("an answer"),
        )
    }

    /// Gets a path as text.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn text(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.address);
        let mut response = agent().get(url).call().expect("an answer");
        response.body_mut().read_to_string().expect("text")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.join();
    }
}

/// Posts bytes to a server that another thread owns.
///
/// # Panics
/// When the server does not answer.
#[must_use]
pub fn post_to(address: SocketAddr, path: &str, body: &[u8], kind: &str) -> Answer {
    let request = agent()
        .post(format!("http://{address}{path}"))
        .header("content-type", kind);
    read(request.send(body).expect("an answer"))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let retry = response
        .headers()
        .get("retry-after")
        .and_then(|v| v.to_str().ok());
    let retry_after = retry.and_then(|v| v.parse().ok());
    let text = response.body_mut().read_to_string().expect("a body");
    Answer {
        status: response.status().as_u16(),
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        retry_after,
    }
}

/// An engine over freshly built binaries.
///
/// # Panics
/// When this host cannot run cells.
pub async fn engine(slots: u32) -> Arc<Engine> {
    engine_with(slots, 1, assize_executor::WORKER_RUNS).await
}

/// The same with so many WASI workers, each for so many runs.
///
/// # Panics
/// When this host cannot run cells.
pub async fn engine_with(slots: u32, workers: u32, worker_runs: u64) -> Arc<Engine> {
    let bin = crate::binaries();
    let wasm = std::env::var_os("ASSIZE_GUESTS")
        .map(|guests| (bin.join("assize-wasm"), std::path::PathBuf::from(guests)));
    let config = Config {
        bin: bin.clone(),
        wasm,
        slots,
        workers,
        worker_runs,
        binds: Vec::new(),
        guest_files: assize_runtimes::guest_files(),
        warmth: assize_executor::Warmth::Seen,
        without: Vec::new(),
        best_effort: false,
    };
    let executor = tokio::task::spawn_blocking(move || Executor::start(&config))
        .await
        .expect("the starter does not panic")
        .unwrap_or_else(|fault| panic!("no cell can be built on this host: {fault}"));
    Arc::new(Engine::start(Arc::new(executor)).await.expect("an engine"))
}

/// An engine of native cells that compiles so, under this ceiling of the host.
///
/// # Panics
/// When this host cannot run cells.
pub async fn engine_compiling(how: &Compiling, ceiling: &LimitsRequest) -> Arc<Engine> {
    let mut config = Config {
        bin: crate::binaries(),
        wasm: None,
        slots: 4,
        workers: 0,
        worker_runs: assize_executor::WORKER_RUNS,
        binds: Vec::new(),
        guest_files: assize_runtimes::guest_files(),
        warmth: assize_executor::Warmth::Seen,
        without: Vec::new(),
        best_effort: false,
    };
    if let Some(dir) = &how.headers {
        config.binds.push((dir.clone(), HEADERS.to_owned()));
    }
    let executor = tokio::task::spawn_blocking(move || Executor::start(&config))
        .await
        .expect("the starter does not panic")
        .unwrap_or_else(|fault| panic!("no cell can be built on this host: {fault}"));
    let profiles = Profiles::shipped().expect("sound profiles");
    let profiles = profiles.under(ceiling).expect("a sound ceiling");
    let engine = Engine::compiling(Arc::new(executor), profiles, how);
    Arc::new(engine.await.expect("an engine"))
}
