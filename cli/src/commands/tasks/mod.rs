//! `assize tasks check FILE`: which tasks of a data set teach nothing, or the
//! wrong thing. Gold must pass every time, and the stub must fail.

mod read;
mod standing;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::args::{Check, Host, Tasks, TasksCommand};
use crate::grading::Grader;
use crate::{show, status};
use read::{Case, Trial, trials};
use standing::{Standing, standing};

pub(crate) async fn tasks(host: &Host, args: Tasks) -> Result<u8> {
    let TasksCommand::Check(args) = args.command;
    let trials = trials(&args)?;
    let grader = Grader::start(host, &args.place, args.json).await?;
    let start = Instant::now();
    let answers = ask(&grader, &args, &trials).await;
    let took = start.elapsed();
    grader.stop().await;
    let (gold, stub) = answers?;
    let standings: Vec<Standing> = trials
        .iter()
        .map(|t| {
            let none = Vec::new();
            let gold = gold.get(t.id.as_str()).unwrap_or(&none);
            standing(&t.id, gold, stub.get(t.id.as_str()))
        })
        .collect();
    let report = Report {
        standings,
        stubs: stub.len(),
        runs: args.runs,
        took,
    };
    if let Some(out) = &args.out {
        let sound = report.standings.iter().filter(|s| s.is_sound());
        let ids: String = sound.map(|s| format!("{}\n", s.id)).collect();
        std::fs::write(out, ids).with_context(|| format!("{}", out.display()))?;
    }
    if args.json {
        println!("{}", report.json());
    } else {
        report.print();
    }
    Ok(if report.unsound().next().is_some() {
        status::FAILED
    } else if report.undecided().next().is_some() {
        status::FAULT
    } else {
        status::DONE
    })
}

/// All answers to the gold of each task, and those to the stubs.
type Answers<'a> = (BTreeMap<&'a str, Vec<Value>>, BTreeMap<&'a str, Value>);

async fn ask<'a>(grader: &Grader, args: &Check, trials: &'a [Trial]) -> Result<Answers<'a>> {
    let with = |case: fn(&Trial) -> Option<&Case>| -> (Vec<&'a str>, Vec<Case>) {
        let own = |t: &'a Trial| Some((t.id.as_str(), case(t)?.clone()));
        trials.iter().filter_map(own).unzip()
    };
    let mut gold: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let (ids, cases) = with(|t| t.gold.as_ref());
    for run in 1..=args.runs {
        let what = format!("gold ({run} of {})", args.runs);
        let answers = grader.grade(&what, cases.clone()).await?;
        for (id, answer) in ids.iter().zip(answers) {
            gold.entry(id).or_default().push(answer);
        }
    }
    let (ids, cases) = with(|t| t.stub.as_ref());
    let answers = grader.grade("stubs", cases).await?;
    Ok((gold, ids.into_iter().zip(answers).collect()))
}

struct Report {
    standings: Vec<Standing>,
    /// How many tasks have a stub.
    stubs: usize,
    runs: u32,
    took: Duration,
}

impl Report {
    fn unsound(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().filter(|s| !s.reasons.is_empty())
    }

    fn undecided(&self) -> impl Iterator<Item = &Standing> {
        let open = |s: &&Standing| s.reasons.is_empty() && s.fault;
        self.standings.iter().filter(open)
    }

    fn sound(&self) -> usize {
        self.standings.iter().filter(|s| s.is_sound()).count()
    }

    fn json(&self) -> Value {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in self.unsound().flat_map(|s| &s.reasons) {
            *reasons.entry(reason.name()).or_default() += 1;
        }
        let undecided: Vec<Value> = self
            .undecided()
            .map(|s| json!({"id": s.id, "detail": s.detail}))
            .collect();
        let unsound: Vec<&Standing> = self.unsound().collect();
        json!({
            "tasks": self.standings.len(),
            "sound": self.sound(),
            "unsound": unsound,
            "undecided": undecided,
            "reasons": reasons,
            "stubs": self.stubs,
            "runs": self.runs,
            "seconds": self.took.as_secs_f64(),
        })
    }

    fn print(&self) {
        let mut table = show::table(&["task", "reason", "detail"]);
        for standing in self.unsound().chain(self.undecided()) {
            let names: Vec<&str> = standing.reasons.iter().map(|r| r.name()).collect();
            let what = match names.is_empty() {
                true => "undecided".to_owned(),
                false => names.join(", "),
            };
            table.add_row(vec![
                show::harmless(&standing.id),
                what,
                show::harmless(&standing.detail),
            ]);
        }
        if self.sound() < self.standings.len() {
            println!("{table}\n");
        }
        let undecided = self.undecided().count();
        println!(
            "{} of {} tasks are sound, {} unsound, {undecided} undecided; gold {} times, {} stubs once, {:.2} s",
            self.sound(),
            self.standings.len(),
            self.unsound().count(),
            self.runs,
            self.stubs,
            self.took.as_secs_f64(),
        );
        if undecided > 0 {
            println!("undecided is what a failure of ours left open; nothing is said of these");
        }
    }
}
