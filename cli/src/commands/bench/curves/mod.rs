//! `assize bench --curves`: how cost grows with clients, output, tests and
//! queued cases, drawn, with the numbers beside the pictures.

mod draw;
mod queued;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use assize_executor::Backend;
use serde_json::{Value, json};

use self::draw::{Panel, Picture, Series, svg};
use super::machine::machine;
use super::ours::{agent, ask, program, said};
use super::program::{argv, run};
use super::programs::sums;
use super::scratch::Scratch;
use super::served::Served;
use super::stats::{percentile, sorted};
use crate::args::Host;
use crate::{setup, status};

/// How far each curve goes.
struct Reach {
    clients: usize,
    /// Requests of each client.
    requests: usize,
    outputs: &'static [usize],
    tests: &'static [usize],
    queued: &'static [usize],
    rounds: usize,
}

impl Reach {
    fn full() -> Self {
        Self {
            clients: 2 * setup::cores(),
            requests: 60,
            outputs: &[1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20],
            tests: &[1, 3, 10, 30, 100, 300, 1000],
            queued: &[1, 10, 100, 1000, 10_000, 100_000],
            rounds: 5,
        }
    }

    fn quick() -> Self {
        Self {
            clients: 2,
            requests: 2,
            outputs: &[1 << 10, 64 << 10],
            tests: &[1, 3],
            queued: &[1, 200],
            rounds: 1,
        }
    }
}

/// Draws all curves into `dir`: `NAME.svg` and `curves.json`.
pub(super) fn curves(host: &Host, dir: &Path, quick: bool, json: bool) -> Result<u8> {
    let reach = if quick { Reach::quick() } else { Reach::full() };
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let say = |what: &str| {
        if !json {
            eprintln!("{what}");
        }
    };
    let scratch = Scratch::new()?;
    let mut pictures = Vec::new();
    let machine = machine();
    {
        let served = Served::start(host, scratch.path())?;
        let field = Field {
            backends: backends(&served)?,
            url: served.url.clone(),
            reach: &reach,
        };
        say("clients");
        pictures.push(clients(&field)?);
        say("output");
        pictures.push(output(&field)?);
        say("tests");
        pictures.push(tests(&field)?);
    }
    say("queued cases");
    pictures.push(queued::queued(host, scratch.path(), reach.queued)?);
    for picture in &pictures {
        let path = dir.join(format!("{}.svg", picture.name));
        std::fs::write(&path, svg(picture, &machine)?)?;
    }
    let document = json!({"machine": machine, "quick": quick, "pictures": pictures});
    let path = dir.join("curves.json");
    std::fs::write(&path, serde_json::to_string_pretty(&document)? + "\n")?;
    if json {
        println!("{document}");
    } else {
        println!("{} pictures in {}", pictures.len(), dir.display());
    }
    Ok(status::DONE)
}

struct Field<'a> {
    backends: Vec<&'static str>,
    url: String,
    reach: &'a Reach,
}

/// Backends that run Python here; native always does, or there is nothing to draw.
fn backends(served: &Served) -> Result<Vec<&'static str>> {
    let languages = served.languages()?;
    let has = |b: Backend| languages.iter().any(|(l, on)| l == "python" && *on == b);
    ensure!(has(Backend::Native), "this host runs no Python");
    let wasi = has(Backend::Wasi).then_some("wasi");
    Ok(std::iter::once("native").chain(wasi).collect())
}

impl Field<'_> {
    /// A curve for the bare process and one for each backend, of each of the
    /// numbers that `measure` comes to. It is told the backend, none for the
    /// bare one, and takes turns with the others; what has many `parts` is
    /// measured less often.
    fn series<const K: usize>(
        &self,
        xs: &[usize],
        parts: impl Fn(usize) -> usize,
        measure: impl Fn(Option<&str>, usize) -> Result<[f64; K]>,
    ) -> Result<[Vec<Series>; K]> {
        let who: Vec<Option<&str>> = std::iter::once(None)
            .chain(self.backends.iter().copied().map(Some))
            .collect();
        let name = |who: &Option<&str>| match who {
            None => "bare python3".to_owned(),
            Some(backend) => format!("assize {backend}"),
        };
        let empty = || {
            let series = who.iter().map(|who| Series {
                name: name(who),
                points: Vec::new(),
            });
            series.collect::<Vec<_>>()
        };
        let mut all: [Vec<Series>; K] = std::array::from_fn(|_| empty());
        for &x in xs {
            let rounds = (300 / parts(x).max(1)).clamp(1, self.reach.rounds);
            let mut seen = vec![Vec::new(); who.len()];
            for _ in 0..rounds {
                for (seen, who) in seen.iter_mut().zip(&who) {
                    seen.push(measure(*who, x)?);
                }
            }
            for (k, series) in all.iter_mut().enumerate() {
                for (series, seen) in series.iter_mut().zip(&seen) {
                    let values = sorted(seen.iter().map(|values| values[k]));
                    series.points.push((x as f64, percentile(&values, 0.5)));
                }
            }
        }
        Ok(all)
    }
}

/// Clients that each ask again as soon as they are answered.
fn clients(field: &Field<'_>) -> Result<Picture> {
    let bare = argv(&["/usr/bin/python3", "-I", "-c", "print(1)"]);
    let many = field.reach.requests;
    let ask_all = |backend: Option<&str>, clients: usize| -> Result<[f64; 2]> {
        let request = backend.map(|b| program("python", b, "print(1)\n").to_string());
        let client = || -> Result<Vec<f64>> {
            let (agent, url) = (agent(), format!("{}/v1/runs", field.url));
            let one = |_| {
                let start = Instant::now();
                match &request {
                    None => run(&bare, &[]).map(drop)?,
                    Some(body) => said(&ask(&agent, &url, body)?, "1\n")?,
                }
                Ok(start.elapsed().as_secs_f64())
            };
            (0..many).map(one).collect()
        };
        let start = Instant::now();
        let each: Vec<f64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            let mut all = Vec::new();
            for thread in threads {
                let done = thread.join();
                all.extend(done.map_err(|_| anyhow::anyhow!("a client ended early"))??);
            }
            anyhow::Ok(all)
        })?;
        let rate = each.len() as f64 / start.elapsed().as_secs_f64();
        Ok([rate, 1e3 * percentile(&sorted(each.into_iter()), 0.5)])
    };
    let xs: Vec<usize> = (1..=field.reach.clients).collect();
    let [rate, wait] = field.series(&xs, |_| 1, ask_all)?;
    let panel = |y, series| Panel {
        x: "clients, each with one run after another",
        y,
        log: true,
        base: 2.0,
        series,
    };
    Ok(Picture {
        name: "clients",
        title: "Python print(1) over HTTP by number of clients",
        panels: vec![
            panel("runs a second", rate),
            panel("milliseconds a run (median)", wait),
        ],
    })
}

/// A program that prints so many bytes, until its answer has been read.
fn output(field: &Field<'_>) -> Result<Picture> {
    let url = format!("{}/v1/runs", field.url);
    let agent = agent();
    let measure = |backend: Option<&str>, bytes: usize| {
        let code = format!("import sys; sys.stdout.write('x' * {bytes})");
        let start = Instant::now();
        let seen = match backend {
            None => {
                let mut command = Command::new("/usr/bin/python3");
                command
                    .args(["-I", "-c", &code])
                    .env_clear()
                    .output()?
                    .stdout
                    .len()
            }
            Some(backend) => {
                let mut request = program("python", backend, &code);
                request["limits"] = json!({"stdout_bytes": 16 << 20});
                let answer = ask(&agent, &url, &request.to_string())?;
                answer["stdout"]["text"].as_str().map_or(0, str::len)
            }
        };
        ensure!(seen == bytes, "{seen} bytes of {bytes}");
        Ok([start.elapsed().as_secs_f64() * 1e3])
    };
    let [series] = field.series(field.reach.outputs, |_| 1, measure)?;
    Ok(Picture {
        name: "output",
        title: "Python that prints so much, over HTTP",
        panels: vec![Panel {
            x: "bytes of standard output",
            y: "milliseconds a run (median)",
            log: true,
            base: 10.0,
            series,
        }],
    })
}

/// A case of so many tests.
fn tests(field: &Field<'_>) -> Result<Picture> {
    let code = "a, b = map(int, input().split())\nprint(a + b)\n";
    let url = format!("{}/v1/judgements", field.url);
    let agent = agent();
    let bare = argv(&["/usr/bin/python3", "-I", "-c", code]);
    let measure = |backend: Option<&str>, tests: usize| {
        let start = Instant::now();
        match backend {
            None => {
                (0..tests).try_for_each(|n| run(&bare, format!("{n} 2\n").as_bytes()).map(drop))?
            }
            Some(backend) => {
                let mut case: Value = program("python", backend, code);
                case["tests"] = sums(tests).into();
                let answer = ask(&agent, &url, &case.to_string())?;
                ensure!(answer["verdict"] == "accepted", "{}", answer["verdict"]);
            }
        }
        Ok([start.elapsed().as_secs_f64() * 1e3 / tests as f64])
    };
    let [series] = field.series(field.reach.tests, |tests| tests, measure)?;
    Ok(Picture {
        name: "tests",
        title: "One Python case by number of its tests, over HTTP",
        panels: vec![Panel {
            x: "tests of the case",
            y: "milliseconds a test (median)",
            log: true,
            base: 10.0,
            series,
        }],
    })
}
