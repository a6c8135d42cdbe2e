//! Measures a run from request to report, over the socket, in a worker of its
//! own: `cargo run --release -p assize-wasm --example latency -- GUESTS [N]`.
//! Needs a release build of the binary beside it.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

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
    let mut args = std::env::args().skip(1);
    let guests = args.next().expect("usage: latency GUESTS [N]");
    let n = args.next().map_or(2000, |n| n.parse().expect("a number"));
    let worker = Worker::start(Path::new(&guests));
    let native = support::compile(&wat::parse_str(HELLO).expect("text format")).expect("compiles");
    let module = support::sealed(&native);
    let attached = || {
        let mut run = Run::compiled(&[], &["hello"]);
        run.replace_module(module.try_clone().expect("descriptor"));
        run
    };
    let print = || Run::guest("python", &["python3", "-c", "print(1)"]);
    let file =
        || Run::guest("python", &["python3", "/work/main.py"]).file("main.py", b"print(1)\n");
    let code = |source: &'static str| move || Run::guest("python", &["python3", "-c", source]);
    measure(&worker, "native code, 5 bytes", n, attached);
    if worker.guests.iter().any(|guest| guest == "javascript") {
        let node = |source: &'static str| move || Run::guest("javascript", &["node", "-e", source]);
        let main = || {
            Run::guest("javascript", &["node", "/work/main.js"])
                .file("main.js", b"console.log(1)\n")
        };
        measure(&worker, "node -e ''", n, node(""));
        measure(&worker, "node -e console.log(1)", n, node("console.log(1)"));
        measure(&worker, "node main.js: console.log(1)", n, main);
        measure(&worker, "node, 12 built-in modules", n, node(REQUIRES));
    }
    if !worker.guests.iter().any(|guest| guest == "python") {
        return;
    }
    measure(&worker, "python -c pass", n, code("pass"));
    measure(&worker, "python -c print(1)", n, print);
    measure(&worker, "python main.py: print(1)", n, file);
    measure(&worker, "python, 12 frozen imports", n, code(IMPORTS));
    measure(
        &worker,
        "python -c import colorsys",
        n / 4,
        code("import colorsys"),
    );
}

const REQUIRES: &str = "for (const name of ['assert', 'buffer', 'events', 'fs', 'os', 'path', \
                        'readline', 'stream', 'string_decoder', 'url', 'util', 'vm']) require(name); \
                        console.log(1)";

const IMPORTS: &str = "import json, re, math, collections, itertools, functools, heapq, bisect, \
                       string, random, datetime, typing; print(1)";

fn measure(worker: &Worker, name: &str, n: usize, run: impl Fn() -> Run) {
    let mut walls = Vec::with_capacity(n);
    let mut inside = Vec::with_capacity(n);
    let begun = Instant::now();
    for id in 0..n {
        let run = run().id(id as u64);
        let start = Instant::now();
        let report: WasiReport = worker.run(run);
        walls.push(start.elapsed());
        inside.push(Duration::from_nanos(report.cpu_ns));
        assert_eq!(
            report.end,
            WasiEnd::Exited(0),
            "{}",
            String::from_utf8_lossy(&report.stderr.data)
        );
    }
    let rate = n as f64 / begun.elapsed().as_secs_f64();
    let at = |times: &mut Vec<Duration>, p: f64| {
        times.sort_unstable();
        times[((times.len() - 1) as f64 * p) as usize].as_nanos() as f64 / 1000.0
    };
    println!(
        "{name:28} round trip p10 {:7.1} p50 {:7.1} p99 {:8.1} µs   guest cpu p10 {:7.1} p50 {:7.1} µs   {rate:6.0}/s",
        at(&mut walls, 0.1),
        at(&mut walls, 0.5),
        at(&mut walls, 0.99),
        at(&mut inside, 0.1),
        at(&mut inside, 0.5),
    );
}
