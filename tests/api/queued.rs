//! Tens of thousands of cases that wait: each is answered once, they take
//! little memory, and whoever leaves or reads slowly harms nobody.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use assize_tests::process::Process;
use serde_json::{Value, json};

use crate::{echo, server};

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// A case for which nothing has to run; every third one is wrong.
fn case(n: usize) -> Value {
    json!({
        "language": "output",
        "files": {"answer.txt": {"text": format!("{n}\n")}},
        "tests": [{"file": "answer.txt", "stdout": format!("{}\n", if n.is_multiple_of(3) { n + 1 } else { n })}],
    })
}

fn ndjson(cases: usize) -> Vec<u8> {
    let lines: String = (0..cases).map(|n| format!("{}\n", case(n))).collect();
    lines.into_bytes()
}

fn document(cases: usize) -> Vec<u8> {
    let cases: Vec<Value> = (0..cases).map(case).collect();
    json!({ "cases": cases }).to_string().into_bytes()
}

/// Wants exactly one right answer to each case.
fn all_answered(text: &str, cases: usize) {
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|l| l.starts_with('{')) {
        let answer: Value = serde_json::from_str(line).unwrap();
        let index = usize::try_from(answer["index"].as_u64().unwrap()).unwrap();
        let want = if index.is_multiple_of(3) {
            "wrong_answer"
        } else {
            "accepted"
        };
        assert_eq!(answer["verdict"], want, "{answer}");
        assert!(seen.insert(index), "{index} was answered twice");
    }
    assert_eq!(seen.len(), cases, "some cases were lost");
    assert_eq!(seen.last(), Some(&(cases - 1)));
}

/// Everything that comes until the connection ends, without the marks of
/// chunks: an answer is a line of its own.
fn rest(stream: TcpStream) -> String {
    let mut text = String::new();
    BufReader::new(stream).read_to_string(&mut text).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200"),
        "{}",
        &text[..text.len().min(400)]
    );
    text
}

#[test]
fn of_twenty_thousand_queued_cases_none_is_lost_and_none_doubled() {
    for (kind, body) in [(NDJSON, ndjson(20_000)), (JSON, document(20_000))] {
        let url = format!("http://{}/v1/batches", server().address);
        let mut answer = ureq::post(&url)
            .header("content-type", kind)
            .send(&body)
            .unwrap();
        let reading = answer.body_mut().with_config().limit(u64::MAX);
        all_answered(&reading.read_to_string().unwrap(), 20_000);
    }
}

#[test]
fn two_batches_of_thousands_share_the_places_and_lose_nothing() {
    let process = Process::start("shared", "queue = 4\n");
    let batches: Vec<TcpStream> = [ndjson(5000), ndjson(5000)]
        .map(|body| process.send("/v1/batches", NDJSON, body))
        .into();
    let threads: Vec<_> = batches
        .into_iter()
        .map(|stream| std::thread::spawn(move || all_answered(&rest(stream), 5000)))
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Takes every place of this server.
fn sleepers(process: &Process) -> Vec<TcpStream> {
    let sleeping = json!({
        "language": "bash", "backend": "native", "code": "sleep 600",
        "limits": {"wall_ms": 600_000},
    });
    let many = std::thread::available_parallelism().unwrap().get();
    let held: Vec<TcpStream> = (0..many)
        .map(|_| process.send_kept("/v1/runs", JSON, sleeping.to_string().into_bytes()))
        .collect();
    until(process, "the sleepers run", |load| load["running"] == many);
    held
}

/// A thread may still hold the other end of what is only dropped.
fn leave(streams: Vec<TcpStream>) {
    for stream in streams {
        stream.shutdown(Shutdown::Both).unwrap();
    }
}

fn until(process: &Process, what: &str, reached: impl Fn(&Value) -> bool) {
    let since = Instant::now();
    loop {
        let load = process.load();
        if reached(&load) {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{what}: {load}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn queued_cases_take_less_than_two_kilobytes_each_beyond_their_bytes() {
    const CASES: usize = 20_000;
    // Not every byte of growth is the cases': threads, the allocator's rounding.
    const SLACK: u64 = 8 << 20;
    for (kind, body) in [(NDJSON, ndjson(CASES)), (JSON, document(CASES))] {
        let process = Process::start("memory", "queue = 1000000\n[host]\nrequire = []\n");
        let held = sleepers(&process);
        let before = process.memory();
        let bytes = body.len() as u64;
        let batch = process.send_kept("/v1/batches", kind, body);
        until(&process, "cases wait", |load| {
            load["waiting"].as_u64() > Some(0)
        });
        let grown = process.memory().saturating_sub(before);
        println!("{kind}: {bytes} bytes of {CASES} cases, grown by {grown}");
        assert!(
            grown <= bytes + 2048 * CASES as u64 && grown <= 2 * bytes + SLACK,
            "{kind}: {CASES} cases of {bytes} bytes took {grown}"
        );
        // Whoever leaves takes everything along, and the others go on.
        batch.shutdown(Shutdown::Both).unwrap();
        until(&process, "its cases leave", |load| load["waiting"] == 0);
        leave(held);
        until(&process, "the places are free", |load| load["running"] == 0);
        let next = rest(process.send("/v1/batches", NDJSON, ndjson(100)));
        all_answered(&next, 100);
    }
}

#[test]
fn a_client_that_reads_nothing_stops_its_own_batch_only_and_loses_nothing() {
    const CASES: usize = 20_000;
    let process = Process::start("slow", "queue = 1000\n");
    let before = process.memory();
    let slow = process.send("/v1/batches", NDJSON, ndjson(CASES));
    let grown = process.memory().saturating_sub(before);
    // Its answers wait in its socket, its cases on its own side of it.
    assert!(grown < 24 << 20, "grown by {grown}");
    all_answered(&rest(process.send("/v1/batches", NDJSON, ndjson(500))), 500);
    let run = rest(process.send("/v1/runs", JSON, echo().to_string().into_bytes()));
    assert!(run.contains("\"status\":\"finished\""), "{run}");
    all_answered(&rest(slow), CASES);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_answers_leaves_nothing_behind() {
    let process = Process::start("leaver", "queue = 1000\n");
    for _ in 0..3 {
        let stream = process.send_kept("/v1/batches", JSON, document(5000));
        let mut lines = BufReader::new(stream).lines();
        let seen = lines
            .by_ref()
            .map_while(Result::ok)
            .filter(|l| l.starts_with('{'));
        assert_eq!(seen.take(50).count(), 50);
        drop(lines);
    }
    until(&process, "nothing is left", |load| {
        load["waiting"] == 0 && load["running"] == 0
    });
    all_answered(&rest(process.send("/v1/batches", JSON, document(300))), 300);
}

/// Each page once. Summed by process, as ps shows it, a page of the C library
/// counts for all of them: that is 89 MB with WASI workers, and is no bound here
/// because it does not hold (docs/benchmarks.md).
#[test]
fn an_idle_server_holds_at_most_eighty_megabytes_of_memory() {
    let process = Process::start("idle", "");
    // It is not idle while it compiles headers ahead, which takes seconds.
    let start = std::time::Instant::now();
    let mut memory = process.memory();
    while memory > 80_000_000 && start.elapsed().as_secs() < 120 {
        memory = process.memory();
    }
    println!("an idle server: {memory} bytes");
    assert!(memory <= 80_000_000, "{memory} bytes");
}

#[test]
fn a_full_queue_turns_hundreds_away_while_it_is_full_and_says_when_to_come_again() {
    let process = Process::start("full", "queue = 2\n");
    let held = sleepers(&process);
    let body = echo().to_string().into_bytes();
    let waiting: Vec<TcpStream> = (0..2)
        .map(|_| process.send("/v1/runs", JSON, body.clone()))
        .collect();
    until(&process, "two wait", |load| load["waiting"] == 2);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    // None of these can be answered by a place that became free: they sleep.
    for _ in 0..300 {
        let mut answer = agent
            .post(format!("http://{}/v1/runs", process.address))
            .header("content-type", JSON)
            .send(&body)
            .unwrap();
        assert_eq!(answer.status(), 429);
        let after: u64 = answer.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=60).contains(&after));
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(text.contains("queue_full"), "{text}");
    }
    assert_eq!(process.load()["waiting"], 2);
    leave(held);
    for stream in waiting {
        assert!(rest(stream).contains("\"status\":\"finished\""));
    }
}
