//! The targets and the promises they hold their parsers to.

use std::io::Write;
use std::os::unix::net::UnixStream;

use assize_api::types::{BatchRequest, JudgementRequest, RunRequest};
use assize_judge::checker::{Checker, Tolerance};
use assize_judge::package::grading;
use assize_judge::plain::{Json, PlainValue, equals_json, to_python_tagged};
use assize_judge::rows::{RowOrder, compare};
use assize_policies::bpf::{Answer, Call, Program};
use assize_policies::{Profiles, list::List};
use assize_wire::cell::{CellReply, CellSpec};
use assize_wire::frame;
use assize_wire::plan::{JailEvent, Order, Plan, RunReport};
use assize_wire::worker::{WorkerReply, WorkerRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A parser under arbitrary bytes.
pub struct Target {
    /// Its name, for `make fuzz`.
    pub name: &'static str,
    /// Bytes to start from.
    pub seeds: &'static [&'static [u8]],
    /// Tries of the smoke test: fewer where one costs more.
    pub tries: usize,
    /// One try.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "frame",
        seeds: &[b"\x05\0\0\0\0\0\0\0\0", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x02\0\0\0\x01\x07"],
        tries: 2000,
        run: raw_frame,
    },
    Target {
        name: "messages",
        seeds: &[&[0; 64], &[1; 64], b"\x01\x05/work\x02ab", b"\0\x80\x80\x80\x80\x10\0\0\xff\x0f"],
        tries: 2000,
        run: messages,
    },
    Target {
        name: "channel",
        seeds: &[
            br#"{"id":1,"value":{"l":[1,"a",null,{"f":"1.5"}]}}"#,
            br#"{"id":1,"raised":{"type":"ValueError","message":"no"}}"#,
            br#"{"id":1,"not_plain":"a lock"}"#,
            br#"{"ready":true}"#,
        ],
        tries: 5000,
        run: assize_judge::fuzz::reply,
    },
    Target {
        name: "plain",
        seeds: &[
            br#"[null,true,-12,{"i":"123456789012345678901234567890"},{"f":"nan"}]"#,
            br#"{"d":[["a",1],[{"t":[1,2]},{"s":[1]}]]}"#,
            br#"{"b":"00ff"}"#,
            br#"{"a":[1,2.5,"x"],"b":{"c":1e300}}"#,
        ],
        tries: 5000,
        run: plain,
    },
    Target {
        name: "checker",
        seeds: &[b"1 2.5 3\n\xff1 2.50 3\n", b"a\r\nb \n\n\xffa\nb", b"1e-9\xff0", b"0x1p3 1_0\xffnan inf"],
        tries: 5000,
        run: checker,
    },
    Target {
        name: "rows",
        seeds: &[b"[1,2.5,\"a\",null]\n[{\"blob\":\"00ff\"},{\"real\":\"inf\"}]\n{\"rows\":2}\n", b"{\"rows\":0}\n"],
        tries: 5000,
        run: rows,
    },
    Target {
        name: "package",
        seeds: &[
            b"name: x\ntype: scoring\nvalidation: custom score\nlimits:\n  memory: 5\n",
            b"problem_format_version: 2023-07\nname: {en: x}\ntype: [interactive]\n",
            b"a: &x [1]\nb: *x\n",
            b"AC 1.5\n",
        ],
        tries: 2000,
        run: package,
    },
    Target {
        name: "canonical",
        seeds: &[
            br#"{"b":[1.0,1e5,null],"a":{"\u0061":"\ud800","":[]}}"#,
            br#" [ {} , "\/\n" , -0 ]"#,
        ],
        tries: 5000,
        run: assize_api::fuzz::canonical,
    },
    Target {
        name: "requests",
        seeds: &[
            br#"{"language":"python","code":"print(1)","limits":{"cpu_ms":5},"files":{"a":{"text":""}}}"#,
            br#"{"language":"c","code":"","tests":[{"call":{"function":"f","args":[1],"kwargs":{}},"returns":null}],"checker":{"kind":"float","abs":1e-6}}"#,
            br#"{"cases":[{"language":"c"},1,[]]}"#,
        ],
        tries: 5000,
        run: requests,
    },
    Target {
        name: "ndjson",
        seeds: &[b"\x03{\"a\":1}\n\n \r\n{\"b\":2}", b"\x01ab\ncd", b"\xff\n\n"],
        tries: 5000,
        run: assize_api::fuzz::lines,
    },
    Target {
        name: "profile",
        seeds: &[
            b"description = \"x\"\nrequestable = true\ninherits = \"default\"\nsockets = \"unix\"\n[ceiling]\ncpu_ms = 5000\n[files]\nread_only = [\"/usr/lib\"]\n[syscalls]\ndeny = [\"kill\"]\n",
            b"description = \"x\"\nrequestable = true\ninherits = \"strict\"\nmust_deny = [{ syscall = \"fork\", args = [1, -1], why = \"x\" }]\n",
            b"description = \"x\"\nrequestable = false\ninherits = \"x\"\n",
        ],
        tries: 100,
        run: profile,
    },
    Target {
        name: "syscalls",
        seeds: &[b"[[allow]]\ncomment = \"x\"\nwhen = [[{ index = 0, op = \"ne\", val = 1 }]]\n[allow.names]\nread = \"y\"\n[[quiet]]\ncomment = \"x\"\nnames = { write = \"z\" }\n"],
        tries: 2000,
        run: syscalls,
    },
    Target {
        name: "bpf",
        seeds: &[
            b"\x20\0\0\0\0\0\0\0\x15\0\0\x01\x07\0\0\0\x06\0\0\0\0\0\xff\x7f\x06\0\0\0\0\0\0\x80",
            b"\x20\0\0\0\x10\0\0\0\x54\0\0\0\xff\0\0\0\x45\0\x01\0\x01\0\0\0\x05\0\0\0\0\0\0\0\x06\0\0\0\x01\0\x05\0",
        ],
        tries: 5000,
        run: bpf,
    },
];

fn receive<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (mut ours, theirs) = UnixStream::pair().ok()?;
    // Fits the socket's buffer: nobody reads while we write.
    ours.write_all(&bytes[..bytes.len().min(32 << 10)]).ok()?;
    drop(ours);
    frame::recv(&theirs).ok().map(|(message, _)| message)
}

/// A peer that writes anything: an error or a message, never more.
fn raw_frame(data: &[u8]) {
    let _: Option<JailEvent> = receive(data);
}

/// A well-framed body of anything: what decodes must survive a round trip,
/// or two processes would disagree about what was said.
fn messages(data: &[u8]) {
    fn one<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(framed: &[u8]) {
        let Some(message) = receive::<T>(framed) else {
            return;
        };
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        frame::send(&ours, &message, &[]).expect("what was received can be sent");
        let (again, _) = frame::recv::<T>(&theirs).expect("and received again");
        assert_eq!(message, again);
    }
    let data = &data[..data.len().min(16 << 10)];
    let length = u32::try_from(data.len()).unwrap_or(0);
    let framed = [&length.to_le_bytes()[..], data].concat();
    one::<CellSpec>(&framed);
    one::<CellReply>(&framed);
    one::<Plan>(&framed);
    one::<Order>(&framed);
    one::<JailEvent>(&framed);
    one::<RunReport>(&framed);
    one::<WorkerRequest>(&framed);
    one::<WorkerReply>(&framed);
}

/// A candidate's value against an expected one.
fn plain(data: &[u8]) {
    let value = PlainValue::from_slice(data);
    let json = std::str::from_utf8(data).map(Json::parse);
    if let Ok(Ok(json)) = &json {
        let _ = to_python_tagged(json);
        if let Ok(value) = &value {
            let _ = equals_json(value, json, Tolerance::new(1e-6, 1e-6));
        }
    }
}

/// Expected and actual output, split at the first 0xFF byte. Comparison is
/// total, and every output equals itself.
/// What was read compares equal to itself, however rows are compared.
fn rows(bytes: &[u8]) {
    let Ok(rows) = assize_judge::rows::read(bytes) else {
        return;
    };
    for order in [RowOrder::Set, RowOrder::Multiset, RowOrder::Ordered] {
        assert_eq!(compare(order, &rows, &rows), Ok(()));
    }
}

fn package(bytes: &[u8]) {
    if let Some(graded) = grading::answer(bytes) {
        assert!(graded.score.is_finite());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assize_judge::package::fuzz(text);
    }
}

fn checker(data: &[u8]) {
    let cut = data.iter().position(|b| *b == 0xFF).unwrap_or(data.len());
    let (want, got) = (&data[..cut], &data[(cut + 1).min(data.len())..]);
    let mut checkers = vec![
        Checker::Tokens,
        Checker::Exact,
        Checker::Lines,
        Checker::Unordered,
        Checker::Json,
    ];
    checkers.extend(Tolerance::new(1e-6, 1e-6).map(Checker::Float));
    for checker in checkers {
        if let Err(difference) = checker.check(want, got) {
            let _ = difference.to_string();
        }
        // What is no JSON is not even the same as itself.
        let same = checker.check(want, want).is_ok();
        assert!(same || checker == Checker::Json, "{checker:?} {want:?}");
    }
    if Checker::Exact.check(want, got).is_ok() {
        assert!(Checker::Lines.check(want, got).is_ok());
    }
    if Checker::Lines.check(want, got).is_ok() {
        assert!(Checker::Tokens.check(want, got).is_ok());
    }
}

/// Request bodies: what is accepted can be written and read again.
fn requests(data: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<RunRequest>(data) {
        let text = serde_json::to_vec(&request).expect("a request can be written");
        assert!(serde_json::from_slice::<RunRequest>(&text).is_ok());
    }
    if let Ok(request) = serde_json::from_slice::<JudgementRequest>(data) {
        let text = serde_json::to_vec(&request).expect("a request can be written");
        assert!(serde_json::from_slice::<JudgementRequest>(&text).is_ok());
    }
    let _ = serde_json::from_slice::<BatchRequest>(data);
}

/// Whatever an operator writes: what loads is within its parent.
fn profile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(profiles) = Profiles::load([("x", text)]) else {
        return;
    };
    let mine = profiles.get("x").expect("what loads is there");
    let parent = mine.inherits.as_ref().and_then(|p| profiles.get(p));
    let parent = parent.expect("only the root has no parent");
    assert!(mine.grant().within(&parent.grant()));
    assert_eq!(mine.limits.meet(mine.ceiling), mine.limits);
}

fn syscalls(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = List::parse(text);
    }
}

/// Any program that parses ends.
fn bpf(data: &[u8]) {
    if let Ok(program) = Program::parse(data) {
        let first = u64::from_le_bytes(data.first_chunk().copied().unwrap_or_default());
        let call = Call {
            number: u32::try_from(data.len()).unwrap_or(0),
            arch: 0xC000_003E,
            instruction_pointer: first,
            args: [first; 6],
        };
        let _ = Answer::together(&[&program, &program], &call);
    }
}
