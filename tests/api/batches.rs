//! Batches: NDJSON both ways, and what happens when a client leaves.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{add, echo, server};

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn post(body: &str, kind: &str) -> Vec<Value> {
    post_asking("", body, kind)
}

fn post_asking(query: &str, body: &str, kind: &str) -> Vec<Value> {
    let url = format!("http://{}/v1/batches{query}", server().address);
    let mut response = ureq::post(&url)
        .header("content-type", kind)
        .send(body)
        .unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    lines(&response.body_mut().read_to_string().unwrap())
}

#[test]
fn every_case_is_answered_once_with_its_index() {
    let cases: Vec<Value> = (0..30)
        .map(|n| match n % 3 {
            0 => echo(),
            1 => add("def add(a, b): return a + b"),
            _ => add("def add(a, b): return a"),
        })
        .collect();
    let ndjson: String = cases.iter().map(|c| format!("{c}\n")).collect();
    for answers in [
        post(&ndjson, "application/x-ndjson"),
        post(&json!({ "cases": cases }).to_string(), "application/json"),
    ] {
        let indices: BTreeSet<u64> = answers.iter().filter_map(|a| a["index"].as_u64()).collect();
        assert_eq!((answers.len(), indices.len()), (30, 30));
        for answer in answers {
            match answer["index"].as_u64().unwrap() % 3 {
                0 => assert_eq!(answer["status"], "finished"),
                1 => assert_eq!(answer["verdict"], "accepted"),
                _ => assert_eq!(answer["verdict"], "wrong_answer"),
            }
        }
    }
}

#[test]
fn a_line_per_group_follows_with_its_advantages() {
    let in_group = |code: &str, group: &str| {
        let mut case = add(code);
        case["group"] = json!(group);
        case
    };
    let right = "def add(a, b): return a + b";
    let wrong = "def add(a, b): return a";
    let cases = [
        in_group(right, "p"),
        in_group(wrong, "p"),
        in_group(right, "q"),
        in_group(wrong, "p"),
        in_group(right, "p"),
        add(right),
    ];
    let ndjson: String = cases.iter().map(|c| format!("{c}\n")).collect();
    let body = json!({"cases": cases, "group_advantage": "grpo"}).to_string();
    for answers in [
        post(&body, "application/json"),
        post_asking("?group_advantage=grpo", &ndjson, "application/x-ndjson"),
    ] {
        assert_eq!(answers.len(), 8);
        let (p, q) = (&answers[6], &answers[7]);
        assert_eq!(
            (&p["group"], &p["indexes"]),
            (&json!("p"), &json!([0, 1, 3, 4]))
        );
        assert_eq!(p["rewards"], json!([1.0, 0.0, 0.0, 1.0]));
        let first = p["advantages"][0].as_f64().unwrap();
        assert!((first - 0.866_023_9).abs() < 1e-6, "{p}");
        assert_eq!(
            (&p["informative"], &q["informative"]),
            (&json!(true), &json!(false))
        );
    }
    let answer = server().post(
        "/v1/batches",
        &json!({"cases": cases, "group_advantage": "ppo"}),
    );
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.body["error"]["details"]["field"], "group_advantage");
}

#[test]
fn a_bad_line_is_answered_in_its_place_and_the_others_run() {
    let body = format!(
        "{}\n{{\"language\":\"bash\",\"colour\":1}}\n\n{{half\n{}",
        echo(),
        echo()
    );
    let mut answers = post(&body, "application/x-ndjson");
    answers.sort_by_key(|a| a["index"].as_u64());
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0]["status"], "finished");
    assert_eq!(answers[1]["error"]["details"]["field"], "colour");
    assert_eq!(answers[2]["error"]["code"], "invalid_json");
    assert_eq!(answers[3]["status"], "finished");
}

fn open(stream: &mut TcpStream) {
    let head = "POST /v1/batches HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
                content-type: application/x-ndjson\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("an open socket");
}

fn send_line(stream: &mut TcpStream, case: &Value) {
    let line = format!("{case}\n");
    write!(stream, "{:x}\r\n{line}\r\n", line.len()).expect("an open socket");
}

/// The answer to the first case arrives while the request is still open.
#[test]
fn answers_come_while_the_client_is_still_sending() {
    let mut stream = TcpStream::connect(server().address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    open(&mut stream);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for index in 0..3 {
        send_line(&mut stream, &echo());
        let mut line = String::new();
        while !line.contains(&format!("\"index\":{index}")) {
            line.clear();
            assert!(
                reader.read_line(&mut line).unwrap() > 0,
                "the server closed early"
            );
        }
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut rest = String::new();
    // Keep-alive: read just the end of the chunked body.
    let mut byte = [0; 5];
    reader.read_exact(&mut byte).unwrap();
    rest.push_str(&String::from_utf8_lossy(&byte));
    assert!(rest.contains('0'), "{rest:?}");
}

#[test]
fn a_client_that_leaves_takes_its_cases_along() {
    let busy = |want: bool| {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(20) {
            let running = server().get("/readyz").body["running"].as_u64().unwrap();
            if (running >= 2) == want {
                return true;
            }
            std::thread::yield_now();
        }
        false
    };
    let sleeper = json!({"language": "bash", "code": "sleep 300", "limits": {"wall_ms": 300_000}});
    let mut stream = TcpStream::connect(server().address).unwrap();
    open(&mut stream);
    for _ in 0..6 {
        send_line(&mut stream, &sleeper);
    }
    assert!(busy(true), "the sleepers never started");
    drop(stream);
    assert!(busy(false), "the sleepers outlived their client");
    // And the slots they held take cases again.
    assert_eq!(server().post("/v1/runs", &echo()).status, 200);
}
