//! Many cases at once, by a server of our own or by one that runs already.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use assize_api::{App, Keys, Options};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::args::{Host, Place};
use crate::{client, setup};

/// What judges batches of cases.
pub(crate) struct Grader {
    url: String,
    key: Option<String>,
    own: Option<Own>,
    quiet: bool,
}

impl Grader {
    /// Starts a server of our own, unless the caller names one. `quiet`: no
    /// progress is shown.
    pub(crate) async fn start(host: &Host, place: &Place, quiet: bool) -> Result<Self> {
        let (url, own) = match &place.server {
            Some(url) => (url.clone(), None),
            None => {
                let own = Own::start(host, place.jobs.unwrap_or_else(setup::cores)).await?;
                (own.url.clone(), Some(own))
            }
        };
        Ok(Self {
            url,
            key: place.key.clone(),
            own,
            quiet,
        })
    }

    /// Sends everything as one batch; answers come back in the order of the
    /// cases. `what` says in the progress what becomes of them.
    pub(crate) async fn grade<T: Serialize + Send + 'static>(
        &self,
        what: &str,
        cases: Vec<T>,
    ) -> Result<Vec<Value>> {
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        let (url, key, what, quiet) = (
            self.url.clone(),
            self.key.clone(),
            what.to_owned(),
            self.quiet,
        );
        let grading = move || grade(&url, key.as_deref(), &cases, &what, quiet);
        tokio::task::spawn_blocking(grading).await?
    }

    /// Ends the server, when it is our own.
    pub(crate) async fn stop(self) {
        if let Some(own) = self.own {
            own.stop().await;
        }
    }
}

/// A server of our own on a free loopback port.
struct Own {
    url: String,
    engine: Arc<assize_judge::engine::Engine>,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Own {
    async fn start(host: &Host, jobs: usize) -> Result<Self> {
        let engine = setup::engine(host, jobs).await?;
        let options = Options {
            concurrency: jobs,
            queue: 1024,
            batches: 4,
            grace: Duration::from_secs(30),
            keys: Keys::default(),
        };
        let app = App::new(Arc::clone(&engine), &options).map_err(anyhow::Error::msg)?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(assize_api::serve(app, listener, async {
            let _ = stopped.await;
        }));
        Ok(Self {
            url,
            engine,
            stop,
            task,
        })
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
        setup::shut_down(&self.engine).await;
    }
}

fn grade<T: Serialize>(
    server: &str,
    key: Option<&str>,
    cases: &[T],
    what: &str,
    quiet: bool,
) -> Result<Vec<Value>> {
    let terminal = std::io::stderr().is_terminal();
    let bar = if quiet || !terminal {
        ProgressBar::hidden()
    } else {
        let style = "{wide_bar} {pos}/{len} · {per_sec} · {msg} · {eta} left";
        ProgressBar::new(cases.len() as u64).with_style(ProgressStyle::with_template(style)?)
    };
    let mut answers = vec![Value::Null; cases.len()];
    let (mut accepted, mut done) = (0, 0);
    client::batch(server, key, cases, |answer| {
        done += 1;
        accepted += u64::from(answer["verdict"] == "accepted");
        bar.set_message(format!("{accepted} accepted"));
        bar.inc(1);
        if !quiet && !terminal && (done % 50 == 0 || done == cases.len()) {
            eprintln!("{done}/{} {what}, {accepted} accepted", cases.len());
        }
        let index = answer["index"]
            .as_u64()
            .and_then(|i| usize::try_from(i).ok());
        if let Some(place) = index.and_then(|i| answers.get_mut(i)) {
            *place = answer;
        }
    })?;
    bar.finish_and_clear();
    Ok(answers)
}
