//! `deterministic: true`: the same run comes to the same result, to the byte
//! and to the instruction.

use assize_executor::{Backend, End, Limit};
use assize_judge::verdict::Verdict;
use assize_policies::LimitsRequest;
use assize_runtimes::BackendChoice;

use crate::{engine, judge, out, program, python, run, wat};

/// Asks everything that differs from run to run.
const CURIOUS: &str = r#"
import os, random, secrets, sys, tempfile, time, uuid, datetime, hashlib
print(random.random(), secrets.token_hex(4), os.urandom(4).hex(), uuid.uuid4(), uuid.uuid1().time_low)
print(time.time(), time.monotonic(), time.perf_counter_ns(), time.process_time(), datetime.datetime.now())
a = time.monotonic(); time.sleep(0.25); print(time.monotonic() - a >= 0.25)
open('a', 'w').write('x'); os.mkdir('d'); print(os.listdir('.'), os.stat('a'), os.stat('main.py'))
print(tempfile.mkdtemp(), id(object()), hash('text'), {'a', 'b', 'c'}, object())
print(sum(1 / n for n in range(1, 1000)), float('nan') * -1, sys.getsizeof([]))
"#;

#[test]
fn two_runs_of_one_program_are_one_run() {
    let mut request = python(BackendChoice::Auto, CURIOUS);
    request.deterministic = true;
    request.stdin = "input".into();
    let (a, b) = (run(&request), run(&request));
    let (x, y) = (a.outcome.as_ref().unwrap(), b.outcome.as_ref().unwrap());
    assert_eq!(
        x.end,
        End::Exited(0),
        "{}",
        String::from_utf8_lossy(&x.stderr.data)
    );
    assert_eq!(out(&a), out(&b));
    assert_eq!(x.backend, Backend::Wasi);
    assert!(x.usage.instructions.is_some_and(|n| n > 100_000));
    assert_eq!(x.usage.instructions, y.usage.instructions);
    assert_eq!(x.usage.memory_peak, y.usage.memory_peak);
    // Otherwise there was nothing to make equal.
    request.deterministic = false;
    assert_ne!(out(&run(&request)), out(&run(&request)));
}

#[test]
fn the_budget_ends_a_run_at_the_same_instruction() {
    let mut request = python(
        BackendChoice::Wasi,
        "i = 0\nwhile True:\n    i += 1\n    if i % 1000 == 0: print(i, flush=True)",
    );
    request.deterministic = true;
    request.limits = LimitsRequest {
        cpu_ms: Some(20),
        ..LimitsRequest::default()
    };
    let (a, b) = (run(&request), run(&request));
    let outcome = a.outcome.as_ref().unwrap();
    assert_eq!(outcome.end, End::Limit(Limit::Cpu));
    assert_eq!(out(&a), out(&b));
    assert!(out(&a).lines().count() > 3);
    let spent = |r: &assize_judge::case::RunResult| r.outcome.as_ref().unwrap().usage.instructions;
    assert_eq!(spent(&a), spent(&b));
}

#[test]
fn sleeping_takes_no_time_and_counts_all_the_same() {
    let mut request = python(
        BackendChoice::Wasi,
        "import time; time.sleep(3600); print('awake')",
    );
    request.deterministic = true;
    request.limits.wall_ms = Some(2_000);
    let begun = std::time::Instant::now();
    let outcome = run(&request).outcome.unwrap();
    assert_eq!(outcome.end, End::Limit(Limit::Wall));
    assert!(begun.elapsed().as_secs() < 60);
    request.limits = LimitsRequest::default();
    request.code = Some("import time; time.sleep(1.5); print('awake')".into());
    assert_eq!(out(&run(&request)), "awake\n");
}

#[test]
fn judgements_repeat_too() {
    let code = "import time, random\nprint(int(input()) + 1, random.random() == RANDOM)";
    let first = python(BackendChoice::Wasi, "import random; print(random.random())");
    let mut first = first;
    first.deterministic = true;
    let drawn = out(&run(&first));
    let mut request = program(&code.replace("RANDOM", drawn.trim()), &[("1", "2 True")]);
    request.deterministic = true;
    let (a, b) = (judge(&request), judge(&request));
    assert_eq!(a.verdict, Verdict::Accepted, "{}", a.tests[0].detail);
    assert_eq!(a.usage.instructions, b.usage.instructions);
    assert!(a.usage.instructions.is_some());
}

#[test]
fn a_script_test_repeats_with_both_its_sides() {
    let mut request = program(
        "import random\ndef draw(): return random.random()",
        &[("", "")],
    );
    request.tests[0].stdin = None;
    request.tests[0].stdout = None;
    request.tests[0].script = Some("assert draw() != draw()\nassert 0 <= draw() < 1\n".into());
    request.deterministic = true;
    let (a, b) = (judge(&request), judge(&request));
    assert_eq!(a.verdict, Verdict::Accepted, "{}", a.tests[0].detail);
    assert_eq!(a.usage.instructions, b.usage.instructions);
}

#[test]
fn modules_are_counted_instruction_by_instruction() {
    let mut request = wat(r#"(module (memory (export "memory") 1)
            (func (export "_start") (local $i i32)
              (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))))"#);
    request.deterministic = true;
    let count = |request| run(request).outcome.unwrap().usage.instructions.unwrap();
    let once = count(&request);
    assert_eq!(once, count(&request));
    assert!((4_000..20_000).contains(&once), "{once}");
}

#[test]
fn the_native_backend_cannot_promise_it() {
    let mut request = python(BackendChoice::Native, "print(1)");
    request.deterministic = true;
    let refusal = assize_api::admit_run(&engine().1, &request).unwrap_err();
    assert_eq!(refusal.field, "deterministic");
}
