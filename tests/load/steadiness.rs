//! Whether a run's CPU time depends on what else the machine does: the same
//! programs with everything idle, with every other slot busy, and with load
//! outside as well. Prints figures; nothing asserts on them.

use std::process::{Child, Command};
use std::time::Duration;

use assize_tests::process::Process;
use serde_json::{Value, json};

const ROUNDS: usize = 15;

const PROGRAMS: [(&str, &str); 3] = [
    (
        "arithmetic",
        "x = 1\nfor i in range(3_000_000): x = (x * 31 + i) % 1000003\nprint(x)\n",
    ),
    (
        "memory",
        "a = list(range(600_000))\nfor r in range(4): a = [v + 1 for v in a]\nprint(sum(a))\n",
    ),
    ("start", "print(1)\n"),
];

fn main() {
    let process = Process::start("steadiness", "queue = 100\n[host]\nrequire = []\n");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for (name, code) in PROGRAMS {
        let idle = median(&process, code, 0);
        let slots = median(&process, code, cores - 1);
        let burners: Vec<Child> = (0..cores)
            .map(|_| {
                let mut python = Command::new("/usr/bin/python3");
                python
                    .args(["-c", "while True: pass"])
                    .spawn()
                    .expect("python3")
            })
            .collect();
        let both = median(&process, code, cores - 1);
        for mut burner in burners {
            let _ = burner.kill();
            let _ = burner.wait();
        }
        println!(
            "{name}: {idle:.1} ms of CPU idle; all {cores} cores busy with runs × {:.3}; and {cores} processes outside × {:.3}",
            slots / idle,
            both / idle
        );
    }
}

/// Median CPU time of a program while so many others compute in their slots.
fn median(process: &Process, code: &str, busy: usize) -> f64 {
    let other = json!({
        "language": "python", "backend": "native", "code": "while True: pass",
        "limits": {"cpu_ms": 600_000, "wall_ms": 600_000},
    });
    let held: Vec<_> = (0..busy)
        .map(|_| {
            process.send_kept(
                "/v1/runs",
                "application/json",
                other.to_string().into_bytes(),
            )
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let run = json!({"language": "python", "backend": "native", "code": code}).to_string();
    let mut used: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let url = format!("http://{}/v1/runs", process.address);
            let request = ureq::post(&url).content_type("application/json");
            let mut answer = request.send(&run).expect("an answer");
            let text = answer.body_mut().read_to_string().expect("a body");
            let answer: Value = serde_json::from_str(&text).expect("a document");
            assert_eq!(answer["status"], "finished", "{answer}");
            answer["usage"]["cpu_ms"].as_f64().expect("a number")
        })
        .collect();
    for stream in held {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    used.sort_by(f64::total_cmp);
    used[ROUNDS / 2]
}
