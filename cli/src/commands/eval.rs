//! `assize eval DATASET`: grades samples and prints pass@k.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use assize_api::types::JudgementRequest;
use assize_judge::metrics::mean_pass_at_k;
use serde_json::{Value, json};

use crate::args::{Eval, Host};
use crate::dataset::{self, Sample, Task};
use crate::grading::Grader;
use crate::{Usage, show, status};

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
    let grader = Grader::start(host, &args.place, args.json).await?;
    let start = Instant::now();
    let graded = grader.grade("graded", cases).await;
    let took = start.elapsed();
    grader.stop().await;
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
        require_integrity: args.require_isolated.then(|| "isolated".to_owned()),
        ..task.request(
            task.program(sample),
            args.place.backend,
            args.cpu,
            args.memory,
        )
    }
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
