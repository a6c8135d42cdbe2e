//! How many runs a second the workers carry, one against two, interleaved:
//! `cargo run --release -p assize-wasm --example throughput -- GUESTS [ROUNDS]`.
//! Needs a release build of the binary beside it. Runs are kept in flight, so
//! that no worker waits for us.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use assize_wire::worker::WasiEnd;
use support::{Run, Worker};

/// Runs each worker has before it at any time.
const IN_FLIGHT: u64 = 8;
/// How long one measurement lasts.
const ROUND: Duration = Duration::from_millis(1500);

fn main() {
    let mut args = std::env::args().skip(1);
    let guests = args.next().expect("usage: throughput GUESTS [ROUNDS]");
    let rounds: usize = args.next().map_or(7, |n| n.parse().expect("a number"));
    let workers = [(); 2].map(|()| Worker::start(Path::new(&guests)));
    let python = || Run::guest("python", &["python3", "-c", "print(1)"]);
    let javascript =
        || Run::guest("javascript", &["node", "/work/main.js"]).file("main.js", b"console.log(1)");
    compare("python print(1)", &workers, rounds, python);
    if workers[0].guests.iter().any(|g| g == "javascript") {
        compare("javascript console.log(1)", &workers, rounds, javascript);
    }
}

/// Medians of runs a second with one worker and with two, and their ratio; and
/// of runs for each second of the workers' own CPU time, which is what they
/// carry when nothing else takes it, this program included.
fn compare(name: &str, workers: &[Worker; 2], rounds: usize, run: fn() -> Run) {
    carry(workers, run);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        one.push(carry(&workers[..1], run));
        two.push(carry(workers, run));
    }
    let median = |rates: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        let mut rates: Vec<f64> = rates.iter().map(of).collect();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let [a, b] = [&one, &two].map(|rates| median(rates, |r| r.0));
    let [x, y] = [&one, &two].map(|rates| median(rates, |r| r.1));
    println!(
        "{name:28} one worker {a:6.0}/s   two {b:6.0}/s   × {:.2}   \
         by its CPU time: one {x:6.0}/s   two {:6.0}/s   × {:.2}",
        b / a,
        2.0 * y,
        2.0 * y / x
    );
}

/// Runs a second of all of them together, and runs for each second of CPU time
/// of one of them.
fn carry(workers: &[Worker], run: fn() -> Run) -> (f64, f64) {
    std::thread::scope(|scope| {
        let each: Vec<_> = workers
            .iter()
            .map(|worker| scope.spawn(move || drive(worker, run)))
            .collect();
        let each: Vec<_> = each
            .into_iter()
            .map(|one| one.join().expect("driven"))
            .collect();
        let cpu = each.iter().map(|(_, cpu)| cpu).sum::<f64>() / each.len() as f64;
        (each.iter().map(|(rate, _)| rate).sum(), cpu)
    })
}

/// Seconds of CPU time that the worker's guests and what serves them have had.
fn cpu(worker: &Worker) -> f64 {
    let path = format!("/proc/{}/schedstat", worker.child.id());
    let text = std::fs::read_to_string(path).expect("a live worker");
    let nanoseconds = text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    nanoseconds.expect("a number") / 1e9
}

fn drive(worker: &Worker, run: fn() -> Run) -> (f64, f64) {
    let (begun, before) = (Instant::now(), cpu(worker));
    for id in 0..IN_FLIGHT {
        run().id(id).start(worker);
    }
    let (mut done, mut out) = (0_u64, IN_FLIGHT);
    while out > 0 {
        let report = worker.receive();
        assert_eq!(report.end, WasiEnd::Exited(0));
        done += 1;
        if begun.elapsed() < ROUND {
            run().id(report.id).start(worker);
        } else {
            out -= 1;
        }
    }
    let used = cpu(worker) - before;
    (
        done as f64 / begun.elapsed().as_secs_f64(),
        done as f64 / used,
    )
}
