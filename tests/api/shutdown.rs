//! Overload and the end: nothing accepted is lost, nothing is a false verdict.

use std::time::{Duration, Instant};

use assize_tests::server::{Answer, Server, post_to};
use serde_json::json;

/// Posts from another thread.
fn post(server: &Server, code: &str) -> std::thread::JoinHandle<Answer> {
    let address = server.address;
    let body = json!({"language": "bash", "code": code, "limits": {"wall_ms": 60_000}});
    std::thread::spawn(move || {
        post_to(
            address,
            "/v1/runs",
            body.to_string().as_bytes(),
            "application/json",
        )
    })
}

fn until(server: &Server, running: u64, waiting: u64) {
    let since = Instant::now();
    loop {
        let load = server.get("/readyz").body;
        if load["running"] == running && load["waiting"] == waiting {
            return;
        }
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "never came to {running}/{waiting}: {load}"
        );
    }
}

#[test]
fn a_full_queue_answers_429_at_once_and_the_others_still_pass() {
    let server = Server::start(1, 1, Duration::from_secs(20));
    let first = post(&server, "sleep 2; echo one");
    until(&server, 1, 0);
    let second = post(&server, "echo two");
    until(&server, 1, 1);
    let start = Instant::now();
    let third = post(&server, "echo three").join().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "overload must be told quickly"
    );
    assert_eq!(
        (third.status, &third.body["error"]["code"]),
        (429, &json!("queue_full"))
    );
    assert!(third.retry_after.is_some_and(|s| s >= 1));
    assert_eq!(first.join().unwrap().body["stdout"]["text"], "one\n");
    let second = second.join().unwrap();
    assert_eq!(second.body["stdout"]["text"], "two\n");
    assert!(
        second.body["queued_ms"].as_f64().unwrap() > 500.0,
        "{}",
        second.body
    );
}

#[test]
fn stopping_finishes_what_runs_and_reports_what_waits() {
    let mut server = Server::start(1, 8, Duration::from_secs(20));
    let running = post(&server, "sleep 1; echo finished");
    until(&server, 1, 0);
    let waiting = post(&server, "echo never");
    until(&server, 1, 1);
    server.stop();
    let waiting = waiting.join().unwrap();
    assert_eq!(
        (waiting.status, &waiting.body["error"]["code"]),
        (503, &json!("fault.shutting_down"))
    );
    assert!(waiting.retry_after.is_some());
    let running = running.join().unwrap();
    assert_eq!(
        (running.status, &running.body["stdout"]["text"]),
        (200, &json!("finished\n"))
    );
    server.join();
}

#[test]
fn when_grace_is_over_what_still_runs_is_reported_as_our_fault() {
    let mut server = Server::start(1, 8, Duration::from_millis(300));
    let endless = post(&server, "sleep 50");
    until(&server, 1, 0);
    let start = Instant::now();
    server.join();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "stopping took {:?}",
        start.elapsed()
    );
    let endless = endless.join().unwrap();
    assert_eq!(
        (endless.status, &endless.body["error"]["code"]),
        (503, &json!("fault.shutting_down"))
    );
}
