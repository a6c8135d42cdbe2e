//! `backend: auto`: a pass in the worker is final, anything else is the native
//! backend's to say.

use assize_executor::{Backend, End, Limit};
use assize_judge::verdict::Verdict;
use assize_policies::LimitsRequest;
use assize_runtimes::BackendChoice::{Auto, Native, Wasi};

use crate::{judge, out, program, python, run};

#[test]
fn a_program_that_passes_in_the_worker_has_passed() {
    let judged = judge(&program(
        "print(int(input()) * 2)",
        &[("4\n", "8"), ("5\n", "10")],
    ));
    assert_eq!(
        (judged.verdict, judged.backend),
        (Verdict::Accepted, Backend::Wasi)
    );
    assert_eq!(judged.runtime.backend, Backend::Wasi);
    let ran = run(&python(Auto, "print('hello')"));
    assert_eq!(ran.outcome.as_ref().unwrap().backend, Backend::Wasi);
    assert_eq!(out(&ran), "hello\n");
}

#[test]
fn what_the_worker_cannot_do_is_done_natively() {
    // Each is fine natively and fails in wasm; the last two hide their imports
    // from the glance that admission takes.
    for source in [
        "import threading\nt = threading.Thread(target=print, args=('done',)); t.start(); t.join()",
        "import subprocess\nprint(subprocess.run(['echo', 'done'], capture_output=True, text=True).stdout, end='')",
        "t = __import__('threa' + 'ding').Thread(target=print, args=('done',)); t.start(); t.join()",
        "import sys\nassert sys.maxsize > 2 ** 32\nprint('done')",
    ] {
        let wasi = run(&python(Wasi, source));
        assert_ne!(
            out(&wasi),
            "done\n",
            "a control: wasm can do this: {source}"
        );
        let auto = run(&python(Auto, source));
        assert_eq!(out(&auto), "done\n", "{source}");
        assert_eq!(auto.outcome.as_ref().unwrap().backend, Backend::Native);
        let judged = judge(&program(source, &[("", "done")]));
        assert_eq!(
            (judged.verdict, judged.backend),
            (Verdict::Accepted, Backend::Native)
        );
    }
}

#[test]
fn every_failure_is_the_native_backends_word() {
    let judged = judge(&program("print(1)", &[("", "1"), ("", "2"), ("", "1")]));
    let each: Vec<_> = judged
        .tests
        .iter()
        .map(|t| (t.verdict, t.outcome.as_ref().unwrap().backend))
        .collect();
    assert_eq!(
        each,
        [
            (Verdict::Accepted, Backend::Wasi),
            (Verdict::WrongAnswer, Backend::Native),
            (Verdict::Accepted, Backend::Wasi),
        ]
    );
    assert_eq!(
        (judged.verdict, judged.backend),
        (Verdict::WrongAnswer, Backend::Native)
    );
    let failed = run(&python(Auto, "import sys; sys.exit(3)"));
    let outcome = failed.outcome.unwrap();
    assert_eq!(
        (outcome.end, outcome.backend),
        (End::Exited(3), Backend::Native)
    );
}

#[test]
fn a_long_program_gets_its_whole_time_natively() {
    let limits = LimitsRequest {
        cpu_ms: Some(20_000),
        wall_ms: Some(60_000),
        ..LimitsRequest::default()
    };
    let mut long = python(Auto, "t = 0\nfor i in range(9_000_000): t += i\nprint(t)");
    long.limits = limits;
    let ran = run(&long);
    assert_eq!(out(&ran), "40499995500000\n");
    assert_eq!(ran.outcome.unwrap().backend, Backend::Native);
    let mut endless = python(Auto, "while True: pass");
    endless.limits.cpu_ms = Some(300);
    let outcome = run(&endless).outcome.unwrap();
    assert_eq!(
        (outcome.end, outcome.backend),
        (End::Limit(Limit::Cpu), Backend::Native)
    );
}

#[test]
fn the_backend_that_is_asked_for_is_the_one_that_runs() {
    for (choice, backend) in [(Native, Backend::Native), (Wasi, Backend::Wasi)] {
        let ran = run(&python(choice, "print(1)"));
        assert_eq!(ran.outcome.unwrap().backend, backend);
        let failed = run(&python(choice, "raise SystemExit(1)"));
        assert_eq!(failed.outcome.unwrap().backend, backend);
    }
}

#[test]
fn files_are_handed_back_by_every_backend() {
    for choice in [Auto, Native, Wasi] {
        let mut request = python(
            choice,
            "open('out.txt', 'w').write('made'); open('/tmp/x', 'w')",
        );
        request.collect = vec!["out.txt".into(), "missing.txt".into()];
        let outcome = run(&request).outcome.unwrap();
        assert_eq!(
            outcome.files["out.txt"].as_deref(),
            Ok(&b"made"[..]),
            "{choice:?}"
        );
        assert!(outcome.files["missing.txt"].is_err());
    }
}
