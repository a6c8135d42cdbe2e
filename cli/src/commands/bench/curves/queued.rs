//! Memory of cases that wait: every place is taken by a program that sleeps,
//! and more and more cases are sent.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::super::process::resident;
use super::super::served::Served;
use super::draw::{Panel, Picture, Series};
use crate::args::Host;
use crate::setup;

/// Single requests are a connection each, of which a process has not so many.
const MOST_SINGLE: usize = 1000;

/// Bytes a case may take beyond those of its request.
const ALLOWED: f64 = 2048.0;

/// How cases are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Lines,
    Document,
    Single,
}

impl How {
    fn name(self) -> &'static str {
        match self {
            Self::Lines => "one NDJSON batch",
            Self::Document => "one JSON batch",
            Self::Single => "a request each",
        }
    }
}

/// Connections that are held, with the threads that write to them: a server
/// that has read enough lets them wait.
#[derive(Default)]
struct Held(Vec<(TcpStream, JoinHandle<()>)>);

impl Held {
    fn send(&mut self, url: &str, path: &str, kind: &str, body: Vec<u8>) -> Result<()> {
        let address = url.strip_prefix("http://").context("an address")?;
        let stream = TcpStream::connect(address)?;
        let mut writer = stream.try_clone()?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let write = move || {
            let _ = writer.write_all(head.as_bytes());
            let _ = writer.write_all(&body);
        };
        self.0.push((stream, std::thread::spawn(write)));
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for (stream, thread) in self.0.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }
}

/// The picture: growth of all the server's processes together.
pub(super) fn queued(host: &Host, dir: &Path, depths: &[usize]) -> Result<Picture> {
    let mut growth = Vec::new();
    let mut each = Vec::new();
    let mut sent = Series {
        name: "bytes of the requests".to_owned(),
        points: Vec::new(),
    };
    let mut allowed = Series {
        name: "and 2 KiB a case".to_owned(),
        points: Vec::new(),
    };
    for how in [How::Lines, How::Document, How::Single] {
        let mut curve = Vec::new();
        let mut beyond = Vec::new();
        for &depth in depths {
            if how == How::Single && depth > MOST_SINGLE {
                continue;
            }
            let (grown, bytes) = measure(host, dir, how, depth)?;
            let x = depth as f64;
            curve.push((x, (grown / 1e6).max(0.01)));
            // A page more or less says nothing of a few cases.
            if depth >= 100 {
                beyond.push((x, ((grown - bytes) / x).max(1.0)));
            }
            if how == How::Document {
                sent.points.push((x, (bytes / 1e6).max(0.01)));
                let most = (bytes + ALLOWED * x) / 1e6;
                allowed.points.push((x, most.max(0.01)));
            }
        }
        let name = how.name().to_owned();
        growth.push(Series {
            name: name.clone(),
            points: curve,
        });
        each.push(Series {
            name,
            points: beyond,
        });
    }
    growth.extend([sent, allowed]);
    Ok(Picture {
        name: "queued",
        title: "Memory of a server (all its processes) by cases that wait",
        panels: vec![
            panel("growth of resident memory, MB", growth),
            panel("bytes a case beyond its request (1: none)", each),
        ],
    })
}

fn panel(y: &'static str, series: Vec<Series>) -> Panel {
    Panel {
        x: "cases that wait",
        y,
        log: true,
        base: 10.0,
        series,
    }
}

/// By how much a fresh server grows when so many cases wait, and the bytes of
/// their requests.
fn measure(host: &Host, dir: &Path, how: How, depth: usize) -> Result<(f64, f64)> {
    let served = Served::start(host, dir)?;
    let mut held = Held::default();
    let json = "application/json";
    let sleeping = json!({
        "language": "python", "backend": "native", "code": "import time\ntime.sleep(600)\n",
        "limits": {"wall_ms": 600_000},
    });
    for _ in 0..setup::cores() {
        let body = sleeping.to_string().into_bytes();
        held.send(&served.url, "/v1/runs", json, body)?;
    }
    let before = settled(served.pid());
    let case = |n: usize| {
        let code = format!("a = {n}\nprint(a)\n{}", "# a comment\n".repeat(40));
        json!({"language": "python", "code": code, "stdin": "7\n"}).to_string()
    };
    let mut bytes = 0;
    let mut send = |path, kind, body: Vec<u8>| {
        bytes += body.len();
        held.send(&served.url, path, kind, body)
    };
    match how {
        How::Lines => {
            let lines: String = (0..depth).map(|n| case(n) + "\n").collect();
            send("/v1/batches", "application/x-ndjson", lines.into_bytes())?;
        }
        How::Document => {
            let cases: Vec<String> = (0..depth).map(case).collect();
            let body = format!("{{\"cases\":[{}]}}", cases.join(","));
            send("/v1/batches", json, body.into_bytes())?;
        }
        How::Single => {
            for n in 0..depth {
                send("/v1/runs", json, case(n).into_bytes())?;
            }
        }
    }
    let after = settled(served.pid());
    Ok((after as f64 - before as f64, bytes as f64))
}

/// Memory when it has not changed for a second.
fn settled(pid: u32) -> u64 {
    const SAME: u64 = 64 << 10;
    let (mut last, mut still) = (resident(pid), 0);
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(100));
        let now = resident(pid);
        still = if now.abs_diff(last) <= SAME {
            still + 1
        } else {
            0
        };
        last = now;
        if still >= 10 {
            break;
        }
    }
    last
}
