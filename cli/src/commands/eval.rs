//! `assize eval DATASET`: grades samples and prints pass@k.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use assize_api::types::JudgementRequest;
use assize_api::{App, Keys, Options};
use assize_judge::metrics::mean_pass_at_k;
use assize_policies::LimitsRequest;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::args::{Eval, Host};
use crate::dataset::{self, Sample, Task};
use crate::{Usage, client, setup, show, status};

pub(crate) async fn eval(host: &Host, args: Eval) -> Result<u8> {
    let tasks = dataset::tasks(&args.dataset)?;
    let samples = samples(&args, &tasks)?;
    let mut cases = Vec::with_capacity(samples.len());
    for sample in &samples {
        let task = tasks
            .get(&sample.task_id)
            .ok_or_else(|| Usage(format!("sample for unknown task {:?}", sample.task_id)))?;
        cases.push(case(&args, task, sample));
    }
    let own = match &args.server {
        Some(_) => None,
        None => Some(Own::start(host, args.jobs.unwrap_or_else(setup::cores)).await?),
    };
    let server = match (&args.server, &own) {
        (Some(server), _) => server.clone(),
        (None, Some(own)) => own.url.clone(),
        (None, None) => unreachable!("one of the two was just made"),
    };
    let (key, json) = (args.key.clone(), args.json);
    let start = Instant::now();
    let graded =
        tokio::task::spawn_blocking(move || grade(&server, key.as_deref(), &cases, json)).await?;
    let took = start.elapsed();
    if let Some(own) = own {
        own.stop().await;
    }
    let answers = graded?;
    let report = Report::of(&tasks, &samples, &answers, &args.k, took);
    if let Some(out) = &args.out {
        report.write(out, &samples, &answers)?;
    }
    if args.json {
        println!("{}", report.json());
    } else {
        report.print();
    }
    Ok(if report.faults > 0 {
        status::FAULT
    } else {
        status::DONE
    })
}

fn samples(args: &Eval, tasks: &BTreeMap<String, Task>) -> Result<Vec<Sample>> {
    if let Some(path) = &args.samples {
        return dataset::lines(path);
    }
    let sample = |t: &Task, completion: &str| Sample {
        task_id: t.id.clone(),
        completion: Some(completion.to_owned()),
        solution: None,
    };
    if args.stub {
        return Ok(tasks.values().map(|t| sample(t, &t.stub)).collect());
    }
    if let Some(text) = &args.completion {
        return Ok(tasks.values().map(|t| sample(t, text)).collect());
    }
    let own = |t: &Task| Some(sample(t, t.canonical.as_deref()?));
    let samples: Option<Vec<Sample>> = tasks.values().map(own).collect();
    let none = || Usage("this data set has no canonical solutions".into());
    Ok(samples.ok_or_else(none)?)
}

fn case(args: &Eval, task: &Task, sample: &Sample) -> JudgementRequest {
    JudgementRequest {
        language: task.language.into(),
        code: Some(task.program(sample)),
        backend: args.backend.into(),
        limits: LimitsRequest {
            cpu_ms: Some(args.cpu),
            wall_ms: Some(args.cpu.saturating_mul(3)),
            memory_bytes: Some(args.memory),
            ..LimitsRequest::default()
        },
        tests: task.tests.clone(),
        require_integrity: args.require_isolated.then(|| "isolated".to_owned()),
        ..JudgementRequest::default()
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

/// Sends everything as one batch; answers come back in the order of the cases.
fn grade(
    server: &str,
    key: Option<&str>,
    cases: &[JudgementRequest],
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
            eprintln!("{done}/{} graded, {accepted} accepted", cases.len());
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

/// What grading came to.
struct Report {
    samples: usize,
    tasks: usize,
    passed: usize,
    faults: usize,
    verdicts: BTreeMap<String, usize>,
    backends: BTreeMap<String, usize>,
    /// How many were judged isolated and how many shared.
    integrity: BTreeMap<String, usize>,
    pass_at: Vec<(u64, Option<f64>)>,
    cpu_ms: f64,
    took: Duration,
}

impl Report {
    fn of(
        tasks: &BTreeMap<String, Task>,
        samples: &[Sample],
        answers: &[Value],
        ks: &[u64],
        took: Duration,
    ) -> Self {
        let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
        let mut backends: BTreeMap<String, usize> = BTreeMap::new();
        let mut integrity: BTreeMap<String, usize> = BTreeMap::new();
        let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let (mut passed, mut faults, mut cpu_ms) = (0, 0, 0.0);
        for (sample, answer) in samples.iter().zip(answers) {
            let verdict = answer["verdict"]
                .as_str()
                .or(answer["error"]["code"].as_str())
                .unwrap_or("no_answer");
            *verdicts.entry(verdict.to_owned()).or_default() += 1;
            if let Some(backend) = answer["backend"].as_str() {
                *backends.entry(backend.to_owned()).or_default() += 1;
            }
            if let Some(how) = answer["integrity"].as_str() {
                *integrity.entry(how.to_owned()).or_default() += 1;
            }
            let good = verdict == "accepted";
            passed += usize::from(good);
            let conclusive = answer["reward"].is_number();
            faults += usize::from(!conclusive);
            cpu_ms += answer["usage"]["cpu_ms"].as_f64().unwrap_or_default();
            // A fault says nothing of the sample: it does not count as tried.
            if conclusive {
                let count = counts.entry(sample.task_id.as_str()).or_default();
                count.0 += 1;
                count.1 += u64::from(good);
            }
        }
        let tried: Vec<(u64, u64)> = counts.values().copied().collect();
        let pass_at = ks
            .iter()
            .map(|k| (*k, mean_pass_at_k(&tried, *k)))
            .collect();
        let (samples, tasks) = (samples.len(), tasks.len().max(counts.len()));
        Self {
            samples,
            tasks,
            passed,
            faults,
            verdicts,
            backends,
            integrity,
            pass_at,
            cpu_ms,
            took,
        }
    }

    fn per_second(&self) -> f64 {
        self.samples as f64 / self.took.as_secs_f64().max(1e-9)
    }

    fn json(&self) -> Value {
        let pass: BTreeMap<String, f64> = self
            .pass_at
            .iter()
            .filter_map(|(k, p)| Some((format!("pass@{k}"), (*p)?)))
            .collect();
        json!({
            "tasks": self.tasks,
            "samples": self.samples,
            "passed": self.passed,
            "faults": self.faults,
            "verdicts": self.verdicts,
            "backends": self.backends,
            "integrity": self.integrity,
            "pass_at_k": pass,
            "cpu_ms": self.cpu_ms,
            "seconds": self.took.as_secs_f64(),
            "cases_per_second": self.per_second(),
        })
    }

    fn print(&self) {
        let mut table = show::table(&["verdict", "samples"]);
        for (verdict, count) in &self.verdicts {
            table.add_row(vec![verdict.into(), show::right(count)]);
        }
        println!("{table}\n");
        for (k, value) in &self.pass_at {
            if let Some(value) = value {
                println!("pass@{k}: {value:.4}");
            }
        }
        let places: Vec<String> = self
            .backends
            .iter()
            .chain(&self.integrity)
            .map(|(b, n)| format!("{n} {b}"))
            .collect();
        println!(
            "{} of {} samples accepted ({}), {:.2} s, {:.1} cases/s, {:.1} ms CPU per case",
            self.passed,
            self.samples,
            places.join(", "),
            self.took.as_secs_f64(),
            self.per_second(),
            self.cpu_ms / self.samples.max(1) as f64,
        );
        if self.faults > 0 {
            println!(
                "{} samples have no verdict through a failure of ours; they count nowhere",
                self.faults
            );
        }
    }

    fn write(&self, out: &Path, samples: &[Sample], answers: &[Value]) -> Result<()> {
        std::fs::create_dir_all(out).with_context(|| format!("{}", out.display()))?;
        let mut lines = String::new();
        for (sample, answer) in samples.iter().zip(answers) {
            let passed = answer["verdict"] == "accepted";
            let line = json!({
                "task_id": sample.task_id,
                "completion": sample.completion,
                "solution": sample.solution,
                "passed": passed,
                "result": answer,
            });
            lines.push_str(&format!("{line}\n"));
        }
        std::fs::write(out.join("results.jsonl"), lines)?;
        std::fs::write(out.join("report.json"), format!("{:#}\n", self.json()))?;
        Ok(())
    }
}
