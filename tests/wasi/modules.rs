//! Submissions that are wasm modules: lowered in a limited cell, run in the
//! worker, and never anybody else's problem.

use assize_executor::{End, Limit};

use crate::{module, out, run, wat};

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\06\00\00\00") (data (i32.const 16) "hello\n")
    (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// How it ended; none when it was never lowered.
fn end(request: &assize_api::types::RunRequest) -> Option<End> {
    run(request).outcome.map(|o| o.end)
}

fn refused(request: &assize_api::types::RunRequest, why: &str) {
    let result = run(request);
    assert!(result.outcome.is_none(), "it ran: {:?}", result.outcome);
    let compile = result.compile.expect("what the compiler said");
    let said = String::from_utf8_lossy(&compile.outcome.stderr.data).into_owned();
    assert!(!compile.succeeded && said.contains(why), "{said}");
}

#[test]
fn a_module_runs_and_the_worker_outlives_it() {
    assert_eq!(out(&run(&wat(HELLO))), "hello\n");
}

#[test]
fn what_is_no_module_of_ours_is_a_compile_error() {
    refused(&module(b"not wasm"), "not a WebAssembly module");
    refused(&module(b"\0asm\x0d\0\x01\0"), "not a core module");
    refused(&module(b"\0asm\x01\0\0\0\x01\xff"), "bad module");
    for (text, why) in [
        (
            r#"(module (memory (export "memory") 1))"#,
            "neither _start nor run",
        ),
        (
            r#"(module (import "env" "system" (func)) (func (export "_start")))"#,
            "unknown import",
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
            r#"(module (memory 1) (memory 1) (func (export "_start")))"#,
            "bad module",
        ),
        (
            r#"(module (table 200000 funcref) (func (export "_start")))"#,
            "initial table over",
        ),
        (
            r#"(module (func (export "_start") (drop (v128.const i64x2 0 0))))"#,
            "SIMD",
        ),
    ] {
        refused(&wat(text), why);
    }
}

#[test]
fn a_bomb_for_the_compiler_ends_in_the_compilers_cell() {
    // One function of millions of instructions with every value alive.
    let body: String = (0..400_000)
        .map(|i| {
            format!(
                "(local.set {} (i32.add (local.get {}) (local.get {})))",
                i % 1000,
                (i * 7) % 1000,
                (i * 13) % 1000
            )
        })
        .collect();
    let locals = "i32 ".repeat(1000);
    let bomb = format!(r#"(module (func (export "_start") (local {locals}) {body}))"#);
    let result = run(&wat(&bomb));
    // Lowered in time or not: the server and the next run do not notice.
    assert!(result.compile.is_some());
    assert_eq!(out(&run(&wat(HELLO))), "hello\n");
}

#[test]
fn limits_hold_for_modules() {
    let spin =
        r#"(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))"#;
    let mut request = wat(spin);
    request.limits.cpu_ms = Some(100);
    assert_eq!(end(&request), Some(End::Limit(Limit::Cpu)));
    // The start function runs before there is an entry point to call.
    let start = r#"(module (memory (export "memory") 1) (func $s (loop $l (br $l))) (start $s) (func (export "_start")))"#;
    let mut request = wat(start);
    request.limits.cpu_ms = Some(100);
    assert_eq!(end(&request), Some(End::Limit(Limit::Cpu)));
    let grow = r#"(module (memory (export "memory") 1) (func (export "_start")
        (loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))"#;
    assert_eq!(end(&wat(grow)), Some(End::Limit(Limit::Memory)));
    let recurse = r#"(module (func $f (export "_start") (call $f)))"#;
    assert!(matches!(end(&wat(recurse)), Some(End::Trapped(t)) if t.contains("stack")));
    let big = r#"(module (memory (export "memory") 65536) (func (export "_start")))"#;
    assert_eq!(end(&wat(big)), Some(End::Limit(Limit::Memory)));
    let table = r#"(module (table $t 1 funcref) (func (export "_start")
        (loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable))"#;
    assert!(matches!(end(&wat(table)), Some(End::Trapped(_))));
    assert_eq!(out(&run(&wat(HELLO))), "hello\n");
}

#[test]
fn a_sleep_in_a_host_call_ends_with_the_wall_limit() {
    // One relative clock subscription of an hour.
    let sleep = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
          (i32.store (i32.const 16) (i32.const 1))
          (i64.store (i32.const 24) (i64.const 3600000000000))
          (drop (call $poll (i32.const 0) (i32.const 1000) (i32.const 1) (i32.const 2000)))))"#;
    let mut request = wat(sleep);
    request.limits.wall_ms = Some(200);
    assert_eq!(end(&request), Some(End::Limit(Limit::Wall)));
}

#[test]
fn pointers_that_lie_are_traps_of_the_liar() {
    for (function, arguments) in [
        (
            "fd_write",
            "(i32.const 1) (i32.const -8) (i32.const 1) (i32.const 0)",
        ),
        (
            "fd_write",
            "(i32.const 1) (i32.const 0) (i32.const 1) (i32.const -1)",
        ),
        (
            "fd_read",
            "(i32.const 0) (i32.const -1) (i32.const 1) (i32.const 0)",
        ),
    ] {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "{function}" (func $f (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (func (export "_start") (drop (call $f {arguments}))))"#
        );
        assert!(matches!(end(&wat(&text)), Some(End::Trapped(_))), "{text}");
    }
    // No memory to point into at all.
    let text = r#"(module (import "wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32)))
        (func (export "_start") (drop (call $f (i32.const 0) (i32.const 8)))))"#;
    assert!(matches!(end(&wat(text)), Some(End::Trapped(_))));
}

#[test]
fn no_path_leads_out() {
    // Exits with the errno of opening `path` below descriptor 3.
    let open = |path: &str| {
        format!(
            r#"(module
            (import "wasi_snapshot_preview1" "path_open"
              (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1) (data (i32.const 0) "{path}")
            (func (export "_start") (call $exit (call $open (i32.const 3) (i32.const 1) (i32.const 0)
              (i32.const {}) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 5000)))))"#,
            path.len()
        )
    };
    for (path, errno) in [
        ("main.wasm", 0),
        ("../etc/passwd", 63),
        ("a/../../x", 44),
        ("./../x", 63),
        ("/etc/passwd", 63),
        ("proc/self/mem", 44),
        ("main.wasm/x", 54),
        ("", 44),
    ] {
        assert_eq!(end(&wat(&open(path))), Some(End::Exited(errno)), "{path:?}");
    }
}

#[test]
fn modules_of_noise_never_hurt_the_server() {
    // Real modules with bytes changed here and there, by a fixed generator.
    let seed = wat::parse_str(HELLO).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..60 {
        let mut bytes = seed.clone();
        for _ in 0..=next() % 4 {
            let at = 8 + usize::try_from(next()).unwrap_or(0) % (bytes.len() - 8);
            bytes[at] = (next() & 0xff) as u8;
        }
        let mut request = module(&bytes);
        request.limits.cpu_ms = Some(200);
        let result = run(&request);
        assert!(result.compile.is_some());
    }
    assert_eq!(out(&run(&wat(HELLO))), "hello\n");
}
