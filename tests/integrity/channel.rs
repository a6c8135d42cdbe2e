//! What a candidate can put into its channel besides bytes: nothing.

use std::sync::mpsc;
use std::time::Duration;

use assize_api::types::{CallSpec, JudgementRequest, TestSpec};
use assize_judge::case::Judgement;
use assize_judge::verdict::Verdict;
use assize_runtimes::BackendChoice;
use serde_json::value::RawValue;

use crate::{BACKENDS, judge};

/// Judges one call; panics when the judge never comes back from it.
fn call(backend: BackendChoice, code: &str, argument: &str, returns: &str) -> Judgement {
    let raw = |s: &str| RawValue::from_string(s.to_owned()).unwrap();
    let test = TestSpec {
        call: Some(CallSpec {
            function: "f".into(),
            args: vec![raw(argument)],
            kwargs: Default::default(),
        }),
        returns: Some(raw(returns)),
        ..TestSpec::default()
    };
    let request = JudgementRequest {
        language: "python".into(),
        code: Some(code.to_owned()),
        backend,
        tests: vec![test],
        ..JudgementRequest::default()
    };
    let (done, judged) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(judge(&request));
    });
    let patience = Duration::from_secs(120);
    judged
        .recv_timeout(patience)
        .expect("the judge still waits")
}

/// Descriptors in a Unix socket are closed by whoever reads it, in that
/// thread, for as long as they like (a TCP socket may linger for years).
#[test]
fn a_candidate_cannot_send_descriptors_to_the_judge() {
    let code = "import array, errno, socket\n\
        def f(x):\n\
        \x20   seen = []\n\
        \x20   for fd in (3, 5):\n\
        \x20       rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))]\n\
        \x20       try:\n\
        \x20           s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)\n\
        \x20           try:\n\
        \x20               s.sendmsg([b'x'], rights)\n\
        \x20               seen.append('sent')\n\
        \x20           finally:\n\
        \x20               s.detach()\n\
        \x20       except OSError as e:\n\
        \x20           seen.append(errno.errorcode[e.errno])\n\
        \x20   return seen\n";
    let judged = call(
        BackendChoice::Native,
        code,
        "0",
        "[\"ENOTSOCK\", \"ENOTSOCK\"]",
    );
    let test = &judged.tests[0];
    assert_eq!(test.verdict, Verdict::Accepted, "{}", test.detail);
}

/// Its own end of the channel, sent into the channel, would outlive it there:
/// a question that does not fit the buffers would then never be refused.
#[test]
fn a_dead_candidate_does_not_keep_the_judge_asking() {
    let code = "import os\n\
        try:\n\
        \x20   import _assize\n\
        \x20   _assize.send(b'{\"ready\":true}')\n\
        except ImportError:\n\
        \x20   import array, socket\n\
        \x20   hello = b'{\"ready\":true}'\n\
        \x20   os.write(3, len(hello).to_bytes(4, 'little') + hello)\n\
        \x20   try:\n\
        \x20       s = socket.socket(fileno=3)\n\
        \x20       rights = array.array('i', [3])\n\
        \x20       s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])\n\
        \x20   except OSError:\n\
        \x20       pass\n\
        os._exit(0)\n";
    let large = format!("\"{}\"", "x".repeat(2 << 20));
    for backend in BACKENDS {
        let judged = call(backend, code, &large, "1");
        let test = &judged.tests[0];
        assert_eq!(test.verdict, Verdict::RunTimeError, "{}", test.detail);
        assert_eq!(judged.reward, Some(0.0));
    }
}

/// Frames larger than any buffer between the two go both ways.
#[test]
fn megabytes_travel_both_ways() {
    let large = format!("\"{}\"", "x".repeat(3 << 20));
    for backend in BACKENDS {
        let judged = call(backend, "def f(x): return x\n", &large, &large);
        let test = &judged.tests[0];
        assert_eq!(test.verdict, Verdict::Accepted, "{}", test.detail);
    }
}
