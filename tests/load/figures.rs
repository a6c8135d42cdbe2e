//! First figures: what a run costs beside a bare process, interleaved in one
//! run, as ratios. `make bench` prints them; nothing asserts on them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assize_executor::{Executor, Module, Outcome, Plan, Target, Time};
use assize_tests::{block_on, plan, profile, python, server, with_files};

const ROUNDS: usize = 300;

struct Contender {
    name: &'static str,
    beside: &'static str,
    run: Box<dyn Fn() -> Duration>,
    bare: Box<dyn Fn() -> Duration>,
}

/// posix_spawn and wait, output thrown away.
fn bare(argv: &'static [&'static str]) -> Box<dyn Fn() -> Duration> {
    Box::new(move || {
        let start = Instant::now();
        let status = Command::new(argv[0])
            .args(&argv[1..])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let took = start.elapsed();
        assert!(status.is_ok_and(|s| s.success()), "{argv:?}");
        took
    })
}

fn celled(
    executor: std::sync::Arc<Executor>,
    make: impl Fn() -> Plan + 'static,
) -> Box<dyn Fn() -> Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    Box::new(move || {
        let plan = make();
        let start = Instant::now();
        let outcome: Outcome = runtime.block_on(executor.run(plan)).expect("no fault");
        let took = start.elapsed();
        assert_eq!(outcome.end, assize_executor::End::Exited(0));
        took
    })
}

fn wasi_python() -> Plan {
    let base = plan(&["python3", "/work/main.py"]);
    let mut plan = with_files(base, &[("main.py", b"print(1)\n")]);
    plan.target = Target::Wasi(Module::Guest("python".into()), Time::Real);
    plan
}

fn percentile(sorted: &[f64], p: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * p).round() as usize]
}

fn main() {
    let engine = block_on(server::engine(4));
    let executor = engine.executor();
    let at = |make: fn() -> Plan| celled(std::sync::Arc::clone(executor), make);
    let _ = profile("default");
    let contenders = [
        Contender {
            name: "native true",
            beside: "posix_spawn true",
            run: at(|| plan(&["/usr/bin/true"])),
            bare: bare(&["/usr/bin/true"]),
        },
        Contender {
            name: "native python print(1)",
            beside: "python3 -I -c print(1)",
            run: at(|| python("print(1)\n")),
            bare: bare(&["/usr/bin/python3", "-I", "-c", "print(1)"]),
        },
        Contender {
            name: "wasi python print(1)",
            beside: "python3 -I -c print(1)",
            run: at(wasi_python),
            bare: bare(&["/usr/bin/python3", "-I", "-c", "print(1)"]),
        },
    ];
    println!(
        "{:<24} {:<24} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7}",
        "cell", "bare", "p10 µs", "p50 µs", "bare p10", "bare p50", "× p10", "× p50"
    );
    for contender in contenders {
        for _ in 0..20 {
            (contender.run)();
            (contender.bare)();
        }
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push((contender.run)().as_secs_f64() * 1e6);
            bare.push((contender.bare)().as_secs_f64() * 1e6);
        }
        ours.sort_by(f64::total_cmp);
        bare.sort_by(f64::total_cmp);
        let [o10, o50] = [0.1, 0.5].map(|p| percentile(&ours, p));
        let [b10, b50] = [0.1, 0.5].map(|p| percentile(&bare, p));
        println!(
            "{:<24} {:<24} {o10:>9.0} {o50:>9.0} {b10:>9.0} {b50:>9.0} {:>7.2} {:>7.2}",
            contender.name,
            contender.beside,
            o10 / b10,
            o50 / b50
        );
    }
    executor.shutdown();
}
