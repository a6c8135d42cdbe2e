//! Measures a run from request to report, over the socket, in a worker of its
//! own: `cargo run --release -p assize-wasm --example latency -- [N] GUESTS...`.
//! Needs a release build of the binary beside it.
//!
//! With several directories of guests the runs are interleaved, so that what
//! else the machine does falls on all of them alike. Per kind of run:
//!
//! - the time from request to report, as the executor sees it,
//! - the CPU time that the report says,
//! - the CPU time of the whole worker, which includes preparing and resetting,
//! - page faults of the worker,
//! - pages that a run writes to in its memory, and how many stretches they
//!   form: what has to be copied and reset.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use assize_wire::worker::{WasiEnd, WasiReport};
use support::{Run, Worker};

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\05\00\00\00hello")
    (func (export "_start")
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let n = match args.first().and_then(|n| n.parse().ok()) {
        Some(n) => {
            args.remove(0);
            n
        }
        None => 2000,
    };
    assert!(!args.is_empty(), "usage: latency [N] GUESTS...");
    let native = support::compile(&wat::parse_str(HELLO).expect("text format")).expect("compiles");
    let module = support::sealed(&native);
    let attached = || {
        let mut run = Run::compiled(&[], &["hello"]);
        run.replace_module(module.try_clone().expect("descriptor"));
        run
    };
    let file =
        || Run::guest("python", &["python3", "/work/main.py"]).file("main.py", b"print(1)\n");
    let code = |source: &'static str| move || code_of(source);
    let count = Cell::new(0);
    let fresh = || {
        count.set(count.get() + 1);
        code_of(&format!("{PROGRAM}# {}", count.get()))
    };
    let node = |source: &'static str| move || Run::guest("javascript", &["node", "-e", source]);
    let main_js = || {
        Run::guest("javascript", &["node", "/work/main.js"]).file("main.js", b"console.log(1)\n")
    };
    let cases: [(&str, usize, &dyn Fn() -> Run); 12] = [
        ("native code, 5 bytes", n, &attached),
        ("node -e ''", n, &node("")),
        ("node -e console.log(1)", n, &node("console.log(1)")),
        ("node main.js: console.log(1)", n, &main_js),
        ("node, 12 built-in modules", n, &node(REQUIRES)),
        ("python -c pass", n, &code("pass")),
        ("python -c print(1)", n, &code("print(1)")),
        ("python main.py: print(1)", n, &file),
        ("python, 12 frozen imports", n, &code(IMPORTS)),
        ("python, a program of 60 lines", n, &code(PROGRAM)),
        ("the same, another each time", n, &fresh),
        ("python -c import colorsys", n / 4, &code("import colorsys")),
    ];
    for (name, n, run) in cases {
        measure(&args, name, n, run);
    }
}

fn code_of(source: &str) -> Run {
    Run::guest("python", &["python3", "-c", source])
}

const REQUIRES: &str = "for (const name of ['assert', 'buffer', 'events', 'fs', 'os', 'path', \
                        'readline', 'stream', 'string_decoder', 'url', 'util', 'vm']) require(name); \
                        console.log(1)";

const IMPORTS: &str = "import json, re, math, collections, itertools, functools, heapq, bisect, \
                       string, random, datetime, typing; print(1)";

/// What a model may write: classes, a parser, a sort, formatting.
const PROGRAM: &str = include_str!("program.py");

/// What one directory of guests has taken.
struct Side<'a> {
    guests: &'a str,
    worker: Worker,
    walls: Vec<Duration>,
    inside: Vec<Duration>,
    dirty: Option<(usize, usize)>,
    before: (Duration, u64),
}

fn measure(directories: &[String], name: &str, n: usize, run: &dyn Fn() -> Run) {
    let mut sides: Vec<Side<'_>> = directories
        .iter()
        .map(|guests| Side {
            guests,
            worker: Worker::start(Path::new(guests)),
            walls: Vec::with_capacity(n),
            inside: Vec::with_capacity(n),
            dirty: dirty(Path::new(guests), run()),
            before: Default::default(),
        })
        .collect();
    for id in 0..n + WARM_UP {
        for side in &mut sides {
            if id == WARM_UP {
                side.before = used(&side.worker);
            }
            let run = run().id(id as u64);
            let start = Instant::now();
            let report: WasiReport = side.worker.run(run);
            let wall = start.elapsed();
            assert_eq!(
                report.end,
                WasiEnd::Exited(0),
                "{}",
                String::from_utf8_lossy(&report.stderr.data)
            );
            if id >= WARM_UP {
                side.walls.push(wall);
                side.inside.push(Duration::from_nanos(report.cpu_ns));
            }
        }
    }
    println!("{name}");
    for mut side in sides {
        let (cpu, faults) = used(&side.worker);
        let per_run = (cpu - side.before.0).as_nanos() as f64 / 1000.0 / n as f64;
        let faults = (faults - side.before.1) as f64 / n as f64;
        let at = |times: &mut Vec<Duration>, p: f64| {
            times.sort_unstable();
            times[((times.len() - 1) as f64 * p) as usize].as_nanos() as f64 / 1000.0
        };
        println!(
            "  {:24} round trip p10 {:7.1} p50 {:7.1} µs   guest p10 {:7.1} p50 {:7.1} µs   \
             worker {per_run:7.1} µs, {faults:5.1} faults{}",
            side.guests,
            at(&mut side.walls, 0.1),
            at(&mut side.walls, 0.5),
            at(&mut side.inside, 0.1),
            at(&mut side.inside, 0.5),
            side.dirty
                .map_or(String::new(), |(pages, stretches)| format!(
                    "   writes {pages} pages in {stretches} stretches"
                )),
        );
    }
}

/// Runs before counting: the first ones fill caches and slots.
const WARM_UP: usize = 50;

/// CPU time and page faults of the worker's threads so far.
fn used(worker: &Worker) -> (Duration, u64) {
    let process = format!("/proc/{}", worker.child.id());
    let mut time = 0;
    for thread in fs::read_dir(format!("{process}/task")).expect("threads") {
        let path = thread.expect("thread").path().join("schedstat");
        let text = fs::read_to_string(path).expect("schedstat");
        time += text
            .split(' ')
            .next()
            .and_then(|ns| ns.parse::<u64>().ok())
            .expect("a number");
    }
    let stat = fs::read_to_string(format!("{process}/stat")).expect("stat");
    // The tenth field; the second ends with the last parenthesis.
    let fields = stat.rsplit(") ").next().expect("fields");
    let faults = fields
        .split(' ')
        .nth(7)
        .and_then(|n| n.parse().ok())
        .expect("a number");
    (Duration::from_nanos(time), faults)
}

/// Pages of its memory that a run of Python writes to, and how many stretches
/// they form: the run is held at its end, and its worker looked at.
fn dirty(guests: &Path, mut run: Run) -> Option<(usize, usize)> {
    const HOLD: &str = "\nimport _assize; _assize.send(b''); _assize.recv()";
    let flag = run.plan.argv.iter().position(|argument| argument == "-c")?;
    run.plan.argv[flag + 1].push_str(HOLD);
    let worker = Worker::start(guests);
    let (mut ours, theirs) = UnixStream::pair().expect("socket pair");
    run.channel(theirs).start(&worker);
    ours.read_exact(&mut [0; 4]).expect("the run holds");
    let process = format!("/proc/{}", worker.child.id());
    let maps = fs::read_to_string(format!("{process}/maps")).expect("maps");
    // The memory begins with the only private, writable mapping of a file
    // which is larger than a megabyte; what grew lies right behind it.
    let mut memory: Option<(u64, u64)> = None;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, mode) = (words.next()?, words.next()?);
        let (start, end) = range.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let inode = words.nth(2)?;
        match memory {
            None if mode.starts_with("rw-p") && inode != "0" && end - start > 1 << 20 => {
                memory = Some((start, end));
            }
            Some((first, last)) if last == start && mode.starts_with("rw-p") => {
                memory = Some((first, end));
            }
            Some(_) | None => {}
        }
    }
    let (start, end) = memory?;
    let mut entries = vec![0; usize::try_from((end - start) / PAGE * 8).ok()?];
    File::open(format!("{process}/pagemap"))
        .and_then(|file| file.read_exact_at(&mut entries, start / PAGE * 8))
        .expect("pagemap");
    let written = |entry: &[u8]| {
        // Bit 63: present; bit 61: still the file's.
        let entry = u64::from_le_bytes(entry.try_into().unwrap_or_default());
        entry >> 63 == 1 && entry >> 61 & 1 == 0
    };
    let written: Vec<bool> = entries.chunks(8).map(written).collect();
    if std::env::var_os("PAGES").is_some() {
        for (page, _) in written.iter().enumerate().filter(|(_, written)| **written) {
            println!("page {:#x}", page as u64 * PAGE);
        }
    }
    let pages = written.iter().filter(|&&written| written).count();
    let stretches = written
        .windows(2)
        .filter(|pair| pair[1] && !pair[0])
        .count();
    Some((
        pages,
        stretches + usize::from(written.first() == Some(&true)),
    ))
}

const PAGE: u64 = 4096;
