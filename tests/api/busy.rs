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

/// Six tenths of its CPU limit.
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
    }
    assert_eq!(text.lines().count(), last + 1);
}

#[test]
fn waiting_for_a_turn_is_no_part_of_the_wall_limit() {
    let process = Process::start("turn", "queue = 100\n");
    let run = |code: &str, wall: u64| {
        let limits = json!({"wall_ms": wall});
        let run = json!({"language": "bash", "backend": "native", "code": code, "limits": limits});
        process.send_kept("/v1/runs", "application/json", run.to_string().into_bytes())
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    let held: Vec<_> = (0..cores).map(|_| run("sleep 5", 60_000)).collect();
    while process.load()["running"] != cores {}
    let url = format!("http://{}/v1/runs", process.address);
    let late = json!({"language": "bash", "backend": "native", "code": "echo late",
        "limits": {"wall_ms": 3000}});
    let mut answer = ureq::post(&url)
        .content_type("application/json")
        .send(late.to_string())
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["status"], "finished", "{answer}");
    assert!(answer["queued_ms"].as_f64().unwrap() > 3000.0, "{answer}");
    drop(held);
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
