//! A busy machine makes nobody's program late: CPU time decides, and waiting
//! for a turn is no part of any limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use assize_tests::process::Process;
use serde_json::{Value, json};

/// Load of nobody's account: twice as many threads as there are cores.
struct Burners {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Burners {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let many = 2 * std::thread::available_parallelism().unwrap().get();
        let burn = |_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..many).map(burn).collect();
        Self { stop, threads }
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Six tenths of its CPU limit; twelve of them wait in line for longer than
/// their wall limit of six seconds where two cores are shared by six.
fn case(n: usize) -> Value {
    json!({
        "language": "python", "backend": "native",
        "code": "import time\nwhile time.process_time() < 0.6: pass\nprint(input())\n",
        "limits": {"cpu_ms": 1000},
        "tests": [{"stdin": format!("{n}\n"), "stdout": format!("{n}\n")}],
    })
}

#[test]
fn a_right_program_is_right_when_twice_the_cores_are_busy_and_a_slow_one_is_slow() {
    let process = Process::start("busy", "queue = 100\n");
    let _burners = Burners::start();
    let mut slow = case(0);
    slow["code"] = json!("while True: pass");
    let cases: Vec<Value> = (0..12).map(case).chain([slow]).collect();
    let last = cases.len() - 1;
    let url = format!("http://{}/v1/batches", process.address);
    let mut answer = ureq::post(&url)
        .content_type("application/json")
        .send(json!({ "cases": cases }).to_string())
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let mut longest = 0.0_f64;
    for line in text.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        let late = answer["index"] == last;
        let want = if late {
            "time_limit_exceeded"
        } else {
            "accepted"
        };
        assert_eq!(answer["verdict"], want, "{answer}");
        if !late {
            // Not once tried again either: nothing was near a limit.
            assert_eq!(
                answer["tests"][0]["attempts"].as_u64().unwrap_or(1),
                1,
                "{answer}"
            );
            let cpu = answer["usage"]["cpu_ms"].as_f64().unwrap();
            assert!((600.0..1000.0).contains(&cpu), "{answer}");
        }
        longest = longest.max(answer["queued_ms"].as_f64().unwrap());
    }
    assert_eq!(text.lines().count(), last + 1);
    println!("the longest wait for a turn: {longest} ms");
}

#[test]
fn as_many_cases_run_at_once_as_there_are_cores() {
    let process = Process::start("cores", "queue = 1000\n");
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    let lines: String = (0..4 * cores)
        .map(|n| {
            let code = "import time\ntime.sleep(0.3)\n";
            let run = json!({"language": "python", "backend": "native", "code": code, "args": [n.to_string()]});
            format!("{run}\n")
        })
        .collect();
    let stream = process.send("/v1/batches", "application/x-ndjson", lines.into_bytes());
    let mut most = 0;
    loop {
        let load = process.load();
        let running = load["running"].as_u64().unwrap();
        most = most.max(running);
        if most > 0 && running == 0 && load["waiting"] == 0 {
            break;
        }
    }
    drop(stream);
    assert_eq!(most, cores);
}
