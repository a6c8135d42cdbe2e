//! The hot path of a case without its cell, in pieces: `assize-counts NAME N T`
//! does one of them T times for a case of N parts; with 0 times it does all but
//! that, so that the difference of two counts of instructions is the piece's own.
//!
//! What is deliberately absent: clocks, threads, randomness. The same piece
//! costs the same instructions each time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use assize_executor::{Backend, End, Outcome, Stream, Usage};
use assize_judge::case::{Integrity, Judgement, Submission, TestResult};
use assize_judge::checker::{Checker, Tolerance};
use assize_judge::plain::{Json, PlainValue, equals_json};
use assize_judge::reward::{Scheme, Trial};
use assize_judge::verdict::Verdict;
use assize_policies::{Limits, Profile};
use assize_runtimes::manifest::Manifest;
use assize_runtimes::{Program, Runtime};
use assize_wire::frame;
use assize_wire::plan::{self, JailEvent, Order, PackEntry, RunReport};

/// One piece: makes what it needs for so many parts, and the work itself.
type Piece = fn(usize) -> Box<dyn FnMut() -> usize>;

/// Pieces in the order in which a case meets them.
const PIECES: [(&str, Piece); 11] = [
    ("lines", lines),
    ("parse", parse),
    ("admit", admit),
    ("queue", queue),
    ("frame", frame),
    ("tokens", |n| check(n, Checker::Tokens)),
    ("exact", |n| check(n, Checker::Exact)),
    ("float", float),
    ("plain", plain),
    ("conclude", conclude),
    ("present", present),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, parts, times) = match args.as_slice() {
        [name] if name == "list" => {
            PIECES.iter().for_each(|(name, _)| println!("{name}"));
            return ExitCode::SUCCESS;
        }
        [name, parts, times] => (
            name.as_str(),
            parts.parse::<usize>(),
            times.parse::<usize>(),
        ),
        _ => return usage(),
    };
    let piece = PIECES.iter().find(|(known, _)| *known == name);
    let (Some((_, piece)), Ok(parts), Ok(times)) = (piece, parts, times) else {
        return usage();
    };
    let mut work = piece(parts);
    for _ in 0..times {
        let done = black_box(work());
        assert_eq!(done, parts, "{name} did not do its work");
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: assize-counts list | NAME PARTS TIMES");
    ExitCode::from(2)
}

fn case(tests: usize) -> String {
    let mut line = String::from(
        r#"{"language":"python","code":"a, b = map(int, input().split())\nprint(a + b)\n","tests":["#,
    );
    for n in 0..tests {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(
            line,
            r#"{comma}{{"id":"t{n}","stdin":"{n} 2\n","stdout":"{}\n"}}"#,
            n + 2
        );
    }
    line + "]}"
}

fn lines(n: usize) -> Box<dyn FnMut() -> usize> {
    let body = format!("{}\n", case(4)).repeat(n);
    Box::new(move || assize_api::counted::lines(body.as_bytes()))
}

fn parse(n: usize) -> Box<dyn FnMut() -> usize> {
    let line = case(n);
    Box::new(move || assize_api::counted::parse(&line))
}

fn admit(n: usize) -> Box<dyn FnMut() -> usize> {
    let (line, submission) = (case(n), submission());
    Box::new(move || assize_api::counted::admit(&line, &submission))
}

fn queue(n: usize) -> Box<dyn FnMut() -> usize> {
    Box::new(move || assize_api::counted::queue(n))
}

/// An order with so many files to the jail and its report back.
fn frame(n: usize) -> Box<dyn FnMut() -> usize> {
    let file = |n: usize| PackEntry {
        path: format!("dir/file{n}.py"),
        mode: 0o644,
        offset: 100 * n as u64,
        len: 100,
    };
    let plan = plan::Plan {
        argv: vec![b"/usr/bin/python3".to_vec(), b"main.py".to_vec()],
        env: vec![b"PATH=/usr/bin".to_vec(), b"HOME=/work".to_vec()],
        files: (0..n).map(file).collect(),
        extra_fds: vec![3],
        disk_bytes: 1 << 26,
        inodes: 4096,
        rlimits: vec![(4, 0), (7, 256)],
        collect: Vec::new(),
        filter: vec![0; 800],
        sockets: true,
        read_only: vec!["/usr".to_owned()],
        read_write: vec!["/work".to_owned()],
        warm: None,
    };
    let report = RunReport {
        end: plan::End::Exited(0),
        collected: Vec::new(),
        leftovers: 0,
        refused: Vec::new(),
        backlog: false,
        cpu_us: 9000,
        warm: Vec::new(),
    };
    let (order, event) = (Order::Run(Box::new(plan)), JailEvent::Done(report));
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    Box::new(move || {
        frame::send(&ours, &order, &[]).expect("it is read below");
        let (order, _) = frame::recv::<Order>(&theirs).expect("what was sent");
        frame::send(&theirs, &event, &[]).expect("it is read below");
        let (event, _) = frame::recv::<JailEvent>(&ours).expect("what was sent");
        match (order, event) {
            (Order::Run(plan), JailEvent::Done(_)) => plan.files.len(),
            (Order::Run(_) | Order::Kill | Order::Warm(_), _) => 0,
        }
    })
}

fn check(n: usize, checker: Checker) -> Box<dyn FnMut() -> usize> {
    let text = "12345 word 0.250 -7 x\n".repeat(n);
    Box::new(
        move || match checker.check(text.as_bytes(), black_box(text.as_bytes())) {
            Ok(()) => n,
            Err(_) => 0,
        },
    )
}

fn float(n: usize) -> Box<dyn FnMut() -> usize> {
    let tolerance = Tolerance::new(1e-6, 1e-6).expect("a tolerance");
    let (want, got) = ("12345 0.2500001\n".repeat(n), "12345 0.25\n".repeat(n));
    let checker = Checker::Float(tolerance);
    Box::new(
        move || match checker.check(want.as_bytes(), got.as_bytes()) {
            Ok(()) => n,
            Err(_) => 0,
        },
    )
}

fn plain(n: usize) -> Box<dyn FnMut() -> usize> {
    let list: Vec<String> = (0..n).map(|n| format!("[{n},\"a{n}\",null]")).collect();
    let text = format!("[{}]", list.join(","));
    let want = Json::parse(&text).expect("JSON");
    Box::new(move || {
        let got = PlainValue::from_slice(text.as_bytes()).expect("plain data");
        match equals_json(&got, &want, None) {
            Ok(()) => n,
            Err(_) => 0,
        }
    })
}

/// The verdict and the reward of so many tests.
fn conclude(n: usize) -> Box<dyn FnMut() -> usize> {
    let trial = Trial {
        verdict: Verdict::Accepted,
        input_bytes: 4,
        violated: false,
    };
    let trials = vec![trial; n];
    Box::new(move || {
        let verdict = Verdict::fold(trials.iter().map(|t| t.verdict));
        let reward = Scheme::Fraction.reward(&trials, n);
        match (verdict, reward) {
            (Some(Verdict::Accepted), Some(1.0)) => n,
            (_, _) => 0,
        }
    })
}

/// A judgement as JSON.
fn present(n: usize) -> Box<dyn FnMut() -> usize> {
    let enforced: Arc<[String]> = ["namespaces", "seccomp", "landlock", "cgroup.memory"]
        .map(str::to_owned)
        .into();
    let test = |n: usize| TestResult {
        id: format!("t{n}"),
        verdict: Verdict::Accepted,
        detail: String::new(),
        score: None,
        usage: used(),
        attempts: 1,
        integrity: Integrity::Isolated,
        subtests: Vec::new(),
        outcome: Some(Outcome {
            end: End::Exited(0),
            stdout: Stream {
                data: format!("{n}\n").into_bytes(),
                ..Stream::default()
            },
            stderr: Stream::default(),
            report: Stream::default(),
            files: BTreeMap::new(),
            usage: used(),
            backend: Backend::Native,
            enforced: Arc::clone(&enforced),
            missing: Arc::new([]),
            violations: Vec::new(),
            attempts: 1,
        }),
    };
    let judged = Judgement {
        verdict: Verdict::Accepted,
        passed: n,
        total: n,
        tests: (0..n).map(test).collect(),
        reward: Some(1.0),
        channels: None,
        suite: None,
        integrity: Integrity::Isolated,
        compile: None,
        usage: used(),
        backend: Backend::Native,
        runtime: submission().runtime,
    };
    Box::new(move || {
        let id = "jdg_0".to_owned();
        let body = assize_api::present::judgement(id, &judged, Duration::from_micros(200), None);
        let text = serde_json::to_vec(&body).expect("a document");
        if text.is_empty() { 0 } else { body.tests.len() }
    })
}

fn used() -> Usage {
    Usage {
        cpu: Duration::from_micros(9123),
        wall: Duration::from_micros(10_456),
        ..Usage::default()
    }
}

fn submission() -> Submission {
    let text = include_str!("../../runtimes/native/python.toml");
    let manifest: Manifest = toml::from_str(text).expect("a shipped manifest");
    let runtime = Runtime {
        manifest,
        backend: Backend::Native,
        bin: "/usr/bin/python3".to_owned(),
        version: "3.11.2".to_owned(),
        digest: "sha256:0".to_owned(),
        tools: Default::default(),
    };
    let profiles = Profile::shipped().expect("shipped profiles are sound");
    let policy = profiles.into_iter().find(|p| p.name == "default");
    let policy = Arc::new(policy.expect("the default profile"));
    let limits: Limits = policy.limits;
    Submission {
        program: Program::single(&runtime, b"print(1)\n".to_vec()),
        runtime: Arc::new(runtime),
        policy,
        limits,
        quick: None,
        tenant: "".into(),
    }
}
