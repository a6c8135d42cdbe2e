//! The worker against small modules that each do one thing.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use assize_wire::worker::{WasiEnd, WorkerRequest};
use support::{Run, TempDir, Worker, compile, spawn, timed};

const SECOND: u64 = 1_000_000_000;

/// Writes "hello" once, then exits with `status`.
fn hello(status: u8) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\05\00\00\00")
        (data (i32.const 16) "hello")
        (func (export "_start")
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          (call $exit (i32.const {status}))))"#
    )
}

/// Writes "hello" for ever to descriptor `fd`, ignoring errors.
fn chatter(fd: u8) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\05\00\00\00")
        (data (i32.const 16) "hello")
        (func (export "_start") (loop $again
          (drop (call $write (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 8)))
          (br $again))))"#
    )
}

const SPIN: &str = r#"(module (memory (export "memory") 1)
    (func (export "_start") (loop $again (br $again))))"#;

/// Sleeps for `ns` by a relative clock subscription, then returns.
fn sleeper(ns: u64) -> String {
    let timeout: String = ns
        .to_le_bytes()
        .iter()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "\01")
        (data (i32.const 24) "{timeout}")
        (func (export "_start")
          (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))
            (then unreachable))))"#
    )
}

#[test]
fn stdout_and_exit_status_come_back() {
    let report = Worker::bare().run(Run::wat(&hello(3)));
    assert_eq!(report.end, WasiEnd::Exited(3));
    assert_eq!(
        (report.stdout.data.as_slice(), report.stdout.total),
        (b"hello".as_slice(), 5)
    );
    assert!(report.cpu_ns > 0 && report.wall_ns > 0);
    assert_eq!(report.memory_peak_bytes, 64 << 10);
}

#[test]
fn an_exit_status_above_125_is_an_exit_status() {
    assert_eq!(
        Worker::bare().run(Run::wat(&hello(255))).end,
        WasiEnd::Exited(255)
    );
}

#[test]
fn returning_from_start_is_exit_status_zero() {
    let module = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    assert_eq!(Worker::bare().run(Run::wat(module)).end, WasiEnd::Exited(0));
}

#[test]
fn one_byte_over_the_output_limit_ends_the_run() {
    let worker = Worker::bare();
    let exact = worker.run(Run::wat(&hello(0)).limits(|limits| limits.stdout_bytes = 5));
    assert_eq!(exact.end, WasiEnd::Exited(0));
    let over = worker.run(Run::wat(&hello(0)).limits(|limits| limits.stdout_bytes = 4));
    assert_eq!(over.end, WasiEnd::OutputLimit);
    assert_eq!(
        (over.stdout.data.as_slice(), over.stdout.total),
        (b"hell".as_slice(), 5)
    );
}

#[test]
fn endless_output_is_stopped_long_before_the_cpu_limit() {
    let report = Worker::bare().run(Run::wat(&chatter(1)));
    assert_eq!(report.end, WasiEnd::OutputLimit);
    assert_eq!(report.stdout.data.len(), 1 << 20);
    assert!(report.cpu_ns < 5 * SECOND);
}

#[test]
fn stderr_is_cut_and_counted_but_ends_nothing() {
    let run = Run::wat(&chatter(2)).limits(|limits| {
        limits.stderr_bytes = 7;
        limits.cpu_ns = SECOND / 10;
    });
    let report = Worker::bare().run(run);
    assert_eq!(report.end, WasiEnd::CpuLimit);
    assert_eq!(report.stderr.data, b"hellohe");
    assert!(report.stderr.total > 1000);
}

#[test]
fn an_endless_loop_is_stopped_by_the_cpu_limit() {
    let run = Run::wat(SPIN).limits(|limits| limits.cpu_ns = SECOND / 5);
    let report = Worker::bare().run(run);
    assert_eq!(report.end, WasiEnd::CpuLimit);
    assert!(
        (SECOND / 5..SECOND / 2).contains(&report.cpu_ns),
        "{} ns",
        report.cpu_ns
    );
}

#[test]
fn an_endless_loop_is_stopped_by_the_wall_limit() {
    let run = Run::wat(SPIN).limits(|limits| limits.wall_ns = SECOND / 5);
    assert_eq!(Worker::bare().run(run).end, WasiEnd::WallLimit);
}

#[test]
fn sleeping_in_a_host_call_is_stopped_by_the_wall_limit() {
    let run = Run::wat(&sleeper(60 * SECOND)).limits(|limits| limits.wall_ns = SECOND / 5);
    let (report, took) = timed(|| Worker::bare().run(run));
    assert_eq!(report.end, WasiEnd::WallLimit);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(report.cpu_ns < SECOND / 5);
}

#[test]
fn a_short_sleep_ends_by_itself_and_costs_no_cpu() {
    let report = Worker::bare().run(Run::wat(&sleeper(SECOND / 5)));
    assert_eq!(report.end, WasiEnd::Exited(0));
    assert!(report.wall_ns >= SECOND / 5 && report.cpu_ns < SECOND / 10);
}

#[test]
fn one_guest_that_sleeps_does_not_hold_up_another() {
    let worker = Worker::bare();
    Run::wat(&sleeper(5 * SECOND)).id(1).start(&worker);
    let report = worker.run(Run::wat(&hello(0)).id(2));
    assert_eq!((report.id, report.end), (2, WasiEnd::Exited(0)));
}

#[test]
fn one_guest_that_spins_does_not_hold_up_another() {
    let worker = Worker::bare();
    Run::wat(SPIN).id(1).start(&worker);
    let (report, took) = timed(|| worker.run(Run::wat(&sleeper(1_000_000)).id(2)));
    assert_eq!((report.id, report.end), (2, WasiEnd::Exited(0)));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn cpu_time_of_one_run_is_not_charged_to_another() {
    let worker = Worker::bare();
    Run::wat(SPIN)
        .id(1)
        .limits(|limits| limits.cpu_ns = SECOND / 2)
        .start(&worker);
    Run::wat(&sleeper(SECOND / 5))
        .id(2)
        .limits(|l| l.cpu_ns = SECOND / 10)
        .start(&worker);
    let first = worker.receive();
    assert_eq!((first.id, first.end), (2, WasiEnd::Exited(0)));
    assert_eq!(worker.receive().end, WasiEnd::CpuLimit);
}

#[test]
fn memory_over_the_limit_is_denied_and_the_guest_goes_on() {
    let module = r#"(module (memory (export "memory") 1)
        (func (export "run") (result i32) (memory.grow (i32.const 1024))))"#;
    let worker = Worker::bare();
    let denied = worker.run(Run::wat(module).limits(|limits| limits.memory_bytes = 1 << 20));
    assert_eq!(denied.end, WasiEnd::Exited(255), "memory.grow says -1");
    assert!(denied.memory_denied);
    assert_eq!(denied.memory_peak_bytes, 64 << 10);
    let granted = worker.run(Run::wat(module));
    assert_eq!(
        granted.end,
        WasiEnd::Exited(1),
        "memory.grow says the old size"
    );
    assert!(!granted.memory_denied);
    assert_eq!(granted.memory_peak_bytes, 1025 << 16);
}

#[test]
fn initial_memory_over_the_limit_is_the_programs_failure() {
    let module = r#"(module (memory (export "memory") 100) (func (export "_start")))"#;
    let report =
        Worker::bare().run(Run::wat(module).limits(|limits| limits.memory_bytes = 1 << 20));
    assert!(
        matches!(report.end, WasiEnd::Trapped(_)),
        "{:?}",
        report.end
    );
    assert!(report.memory_denied);
}

#[test]
fn nothing_is_left_in_memory_for_the_next_run() {
    // Exits with what it finds, then writes there: 0 every time.
    let module = r#"(module (memory (export "memory") 16)
        (func (export "run") (result i32)
          (i32.load (i32.const 500000)) (i32.store (i32.const 500000) (i32.const 7))))"#;
    let worker = Worker::bare();
    let native = compile(&wat::parse_str(module).unwrap()).unwrap();
    for _ in 0..200 {
        assert_eq!(
            worker.run(Run::compiled(&native, &[])).end,
            WasiEnd::Exited(0)
        );
    }
}

#[test]
fn a_trap_is_named() {
    let module = r#"(module (memory (export "memory") 1)
        (func (export "_start") (drop (i32.load (i32.const 100000)))))"#;
    let report = Worker::bare().run(Run::wat(module));
    let WasiEnd::Trapped(name) = report.end else {
        panic!("{:?}", report.end)
    };
    assert!(name.contains("out of bounds memory access"), "{name}");
}

#[test]
fn endless_recursion_is_a_trap() {
    let module = r#"(module (memory (export "memory") 1)
        (func $f (export "_start") (call $f)))"#;
    let report = Worker::bare().run(Run::wat(module));
    assert_eq!(
        report.end,
        WasiEnd::Trapped("wasm trap: call stack exhausted".to_owned())
    );
}

/// Copies stdin to stdout, at most 16 bytes.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\10\00\00\00")
    (func (export "_start")
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

#[test]
fn stdin_is_read_from_its_beginning_by_every_run_that_shares_it() {
    let worker = Worker::bare();
    let input = support::sealed(b"shared");
    for id in 0..2 {
        let run = Run::wat(ECHO).id(id).stdin_fd(input.try_clone().unwrap());
        assert_eq!(worker.run(run).stdout.data, b"shared");
    }
}

#[test]
fn stdin_that_could_block_is_refused() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let report = Worker::bare().run(Run::wat(ECHO).stdin_fd(OwnedFd::from(reader)));
    assert!(matches!(report.end, WasiEnd::Fault(_)), "{:?}", report.end);
}

/// Sends "hello" on its channel, then waits for a frame and reports it.
const TALKER: &str = r#"(module
    (import "assize" "channel_send" (func $send (param i32 i32) (result i32)))
    (import "assize" "channel_next" (func $next (result i32)))
    (import "assize" "channel_take" (func $take (param i32 i32) (result i32)))
    (import "assize" "report" (func $report (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "hello")
    (func (export "run") (result i32) (local $len i32)
      (if (call $send (i32.const 0) (i32.const 5)) (then (return (i32.const 1))))
      (local.set $len (call $next))
      (if (i32.lt_s (local.get $len) (i32.const 0)) (then (return (i32.const 2))))
      (if (i32.ne (call $take (i32.const 64) (i32.const 100)) (local.get $len))
        (then (return (i32.const 3))))
      (call $report (i32.const 64) (local.get $len))))"#;

#[test]
fn two_runs_talk_over_a_channel() {
    let worker = Worker::bare();
    let (left, right) = UnixStream::pair().unwrap();
    for (id, end) in [(1, left), (2, right)] {
        Run::wat(TALKER)
            .id(id)
            .channel(end)
            .limits(|l| l.report_bytes = 100)
            .start(&worker);
    }
    for _ in 0..2 {
        let report = worker.receive();
        assert_eq!(
            (report.end, report.report.data.as_slice()),
            (WasiEnd::Exited(0), b"hello".as_slice())
        );
    }
}

#[test]
fn a_channel_whose_other_end_is_gone_answers_minus_one() {
    let worker = Worker::bare();
    let (left, right) = UnixStream::pair().unwrap();
    drop(right);
    assert_eq!(
        worker.run(Run::wat(TALKER).channel(left)).end,
        WasiEnd::Exited(1)
    );
    assert_eq!(
        worker.run(Run::wat(TALKER)).end,
        WasiEnd::Exited(1),
        "no channel at all"
    );
}

#[test]
fn waiting_for_a_frame_is_stopped_by_the_wall_limit() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let run = Run::wat(TALKER)
        .channel(theirs)
        .limits(|limits| limits.wall_ns = SECOND / 5);
    assert_eq!(Worker::bare().run(run).end, WasiEnd::WallLimit);
    drop(ours);
}

#[test]
fn a_frame_over_the_limit_breaks_the_channel_and_reserves_nothing() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(&u32::MAX.to_le_bytes()).unwrap();
    let report = Worker::bare().run(Run::wat(TALKER).channel(theirs));
    assert_eq!(report.end, WasiEnd::Exited(2));
}

#[test]
fn a_report_over_its_limit_is_cut_counted_and_refused() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(b"\x04\x00\x00\x00abcd").unwrap();
    let run = Run::wat(TALKER)
        .channel(theirs)
        .limits(|limits| limits.report_bytes = 3);
    let report = Worker::bare().run(run);
    assert_eq!(report.end, WasiEnd::Exited(255), "report says -1");
    assert_eq!(
        (report.report.data.as_slice(), report.report.total),
        (b"abc".as_slice(), 4)
    );
}

#[test]
fn a_cancelled_run_ends_at_once() {
    let worker = Worker::bare();
    Run::wat(SPIN).id(7).start(&worker);
    Run::wat(&sleeper(60 * SECOND)).id(8).start(&worker);
    for id in [7, 8] {
        worker.send(&WorkerRequest::Cancel { id }, &[]);
    }
    for _ in 0..2 {
        assert_eq!(worker.receive().end, WasiEnd::Cancelled);
    }
    worker.send(&WorkerRequest::Cancel { id: 7 }, &[]);
    assert_eq!(
        worker.run(Run::wat(&hello(0))).end,
        WasiEnd::Exited(0),
        "late cancels are ignored"
    );
}

#[test]
fn an_unknown_guest_is_our_fault() {
    let report = Worker::bare().run(Run::guest("cobol", &["cobol"]));
    assert_eq!(report.end, WasiEnd::Fault("no guest \"cobol\"".to_owned()));
}

#[test]
fn a_module_that_is_not_sealed_is_refused() {
    let dir = TempDir::new();
    let path = dir.path().join("m.cwasm");
    fs::write(&path, compile(&wat::parse_str(hello(0)).unwrap()).unwrap()).unwrap();
    let mut run = Run::wat(&hello(0));
    run.replace_module(File::open(path).unwrap().into());
    let report = Worker::bare().run(run);
    let WasiEnd::Fault(reason) = report.end else {
        panic!("{:?}", report.end)
    };
    assert!(reason.contains("not a sealed memfd"), "{reason}");
}

#[test]
fn a_path_that_leaves_work_is_refused() {
    let worker = Worker::bare();
    for path in ["../x", "/etc/x", "a/../../x", "a\0b"] {
        let report = worker.run(Run::wat(&hello(0)).file(path, b"x"));
        let WasiEnd::Fault(reason) = report.end else {
            panic!("{path:?}: {:?}", report.end)
        };
        assert!(
            reason.contains("cannot lay out /work: Errno(28)"),
            "{reason}"
        );
    }
}

#[test]
fn a_file_outside_its_pack_is_refused() {
    let mut run = Run::wat(&hello(0)).file("a", b"x");
    run.plan.files[0].len = 2;
    let report = Worker::bare().run(run);
    let WasiEnd::Fault(reason) = report.end else {
        panic!("{:?}", report.end)
    };
    assert!(
        reason.contains("cannot lay out /work: Errno(28)"),
        "{reason}"
    );
}

#[test]
fn a_malformed_module_is_refused_by_the_compiler() {
    let cases: [(&[u8], &str); 4] = [
        (b"", "not a WebAssembly module"),
        (b"\0asm\x0d\0\x01\0", "not a core module"),
        (b"\0asm\x01\0\0\0\x01\x05garbage", "bad module"),
        (b"(module)", "not a WebAssembly module"),
    ];
    for (wasm, expected) in cases {
        let said = compile(wasm).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_module_that_could_not_run_here_is_refused_by_the_compiler() {
    let cases = [
        (
            r#"(module (import "env" "system" (func)) (func (export "_start")))"#,
            "env::system",
        ),
        (
            r#"(module (func (export "main")))"#,
            "neither _start nor run",
        ),
        (
            r#"(module (memory i64 1) (func (export "_start")))"#,
            "memory64",
        ),
        (
            r#"(module (memory 1 1 shared) (func (export "_start")))"#,
            "threads",
        ),
        (
            r#"(module (table 200000 funcref) (func (export "_start")))"#,
            "initial table",
        ),
        (
            r#"(module (memory 1) (memory 1) (func (export "_start")))"#,
            "memor",
        ),
    ];
    for (text, expected) in cases {
        let said = compile(&wat::parse_str(text).unwrap()).unwrap_err();
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn a_guest_that_is_not_what_the_build_listed_is_refused() {
    let dir = TempDir::new();
    let guest = dir.path().join("tiny.cwasm");
    let native = compile(&wat::parse_str(hello(4)).unwrap()).unwrap();
    fs::write(&guest, &native).unwrap();
    let sums = Command::new("sha256sum")
        .arg("tiny.cwasm")
        .current_dir(dir.path())
        .output();
    fs::write(dir.path().join("SHA256SUMS"), sums.unwrap().stdout).unwrap();
    let worker = Worker::start(dir.path());
    assert_eq!(worker.guests, ["tiny"]);
    assert_eq!(
        worker.run(Run::guest("tiny", &["tiny"])).end,
        WasiEnd::Exited(4)
    );

    let mut corrupted = native;
    let middle = corrupted.len() / 2;
    corrupted[middle] ^= 1;
    fs::write(&guest, &corrupted).unwrap();
    assert_refused(dir.path(), "checksum of");

    fs::write(dir.path().join("SHA256SUMS"), "").unwrap();
    assert_refused(dir.path(), "not listed");
}

fn assert_refused(guests: &std::path::Path, expected: &str) {
    let (mut child, _socket) = spawn(guests, &[]);
    let status = child.wait().unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(expected), "{said}");
}

#[test]
fn the_worker_ends_when_its_socket_closes_whatever_runs() {
    let mut worker = Worker::bare();
    Run::wat(SPIN).id(1).start(&worker);
    Run::wat(&sleeper(60 * SECOND))
        .id(2)
        .file("a", b"x")
        .start(&worker);
    worker.socket.shutdown(std::net::Shutdown::Both).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = worker.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "still running");
        thread::yield_now();
    };
    assert!(status.success());
    let left = format!("assize-{}-", worker.child.id());
    let entries = fs::read_dir(std::env::temp_dir()).unwrap();
    let left = entries.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(&left)
    });
    assert_eq!(left.count(), 0, "files of an interrupted run are removed");
}

#[test]
fn an_executor_that_leaves_without_reading_is_no_error() {
    let dir = TempDir::new();
    fs::write(dir.path().join("SHA256SUMS"), "").unwrap();
    let (mut child, mut socket) = spawn(dir.path(), &[]);
    // One byte of the greeting is read, so that the rest is waiting.
    socket.read_exact(&mut [0]).unwrap();
    drop(socket);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_worker_without_its_socket_says_so() {
    let out = Command::new(support::binary())
        .args(["worker", "--guests", "/nonexistent"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no socket on descriptor 3"));
}

#[test]
fn a_long_report_arrives_whole_and_holds_up_nobody() {
    let worker = Worker::bare();
    let long = Run::wat(&chatter(1))
        .id(1)
        .limits(|limits| limits.stdout_bytes = 8 << 20);
    long.start(&worker);
    Run::wat(&sleeper(SECOND / 10)).id(2).start(&worker);
    let (first, second) = (worker.receive(), worker.receive());
    let (long, short) = if first.id == 1 {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!(
        (long.end, long.stdout.data.len()),
        (WasiEnd::OutputLimit, 8 << 20)
    );
    assert_eq!(short.end, WasiEnd::Exited(0));
}

#[test]
fn more_runs_than_slots_are_refused_not_queued() {
    let worker = Worker::bare();
    let native = compile(&wat::parse_str(sleeper(SECOND)).unwrap()).unwrap();
    for id in 0..65 {
        Run::compiled(&native, &[]).id(id).start(&worker);
    }
    let first = worker.receive();
    assert_eq!(first.end, WasiEnd::Fault("every slot is taken".to_owned()));
    for _ in 0..64 {
        assert_eq!(worker.receive().end, WasiEnd::Exited(0));
    }
}
