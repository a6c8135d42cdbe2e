//! How late a time limit is decided: how much more CPU time or wall time than
//! its limit a program has had when it is dead, with idle CPUs and with busy
//! ones. Prints figures; nothing asserts on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use assize_executor::{End, Executor, Limit};
use assize_tests::hostile::{hostile, show};
use assize_tests::{executor, limited, run};

const ROUNDS: usize = 40;

fn main() {
    let cells = executor(2, &[]);
    for busy in [0, 2] {
        let stop = Arc::new(AtomicBool::new(false));
        // Load of this process's own: not in a cell, so on nobody's account.
        let load: Vec<_> = (0..busy)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        for (limit, ms, program) in [
            (Limit::Cpu, 100, ["spin", "0"]),
            (Limit::Cpu, 1000, ["spin", "0"]),
            (Limit::Cpu, 1000, ["spin-threads", "2"]),
            (Limit::Wall, 100, ["sleep", "0"]),
        ] {
            measure(&cells, busy, limit, ms, program);
        }
        stop.store(true, Ordering::Relaxed);
        for thread in load {
            let _ = thread.join();
        }
    }
}

fn measure(cells: &Executor, busy: usize, limit: Limit, ms: u64, program: [&str; 2]) {
    let mut late: Vec<Duration> = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let plan = limited(hostile("processes", &program), |l| match limit {
            Limit::Cpu => (l.cpu_ms, l.wall_ms) = (ms, 60_000),
            Limit::Wall | Limit::Memory | Limit::Output => l.wall_ms = ms,
        });
        let outcome = run(cells, plan);
        assert_eq!(outcome.end, End::Limit(limit), "{}", show(&outcome));
        let had = match limit {
            Limit::Cpu => outcome.usage.cpu,
            Limit::Wall | Limit::Memory | Limit::Output => outcome.usage.wall,
        };
        late.push(had.saturating_sub(Duration::from_millis(ms)));
    }
    late.sort_unstable();
    let at = |p: usize| late[(ROUNDS - 1) * p / 100].as_secs_f64() * 1e3;
    println!(
        "{busy} busy, {limit:?} {ms} ms, {}: over by {:.2} ms median, {:.2} p90, {:.2} worst of {ROUNDS}",
        program[0],
        at(50),
        at(90),
        at(100)
    );
}
