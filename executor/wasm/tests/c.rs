//! A C program: compiled to wasm by clang, then by `assize-wasm compile`.
//!
//! Needs a clang with wasi-libc (Debian: clang lld wasi-libc
//! libclang-rt-dev-wasm32); fails without.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use std::fs;
use std::process::Command;

use assize_wire::worker::WasiEnd;
use support::{Run, TempDir, Worker, compile};

const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    long sum = 0, number;
    while (scanf("%ld", &number) == 1) sum += number;
    printf("%s %ld\n", argv[1], sum);
    fprintf(stderr, "%d arguments\n", argc - 1);
    return atoi(argv[2]);
}
"#;

/// The newest clang here that knows the wasm target.
fn clang() -> String {
    let versions = (14..=30).rev().map(|version| format!("clang-{version}"));
    versions
        .chain(["clang".to_owned()])
        .find(|name| Command::new(name).arg("--version").output().is_ok())
        .expect("no clang: install clang, lld, wasi-libc and libclang-rt-dev-wasm32")
}

fn build(source: &str) -> Vec<u8> {
    let dir = TempDir::new();
    let (main, wasm) = (dir.path().join("main.c"), dir.path().join("main.wasm"));
    fs::write(&main, source).unwrap();
    let done = Command::new(clang())
        // Not wasm32-wasip1: Debian's headers lie under this name.
        .args(["--target=wasm32-wasi", "-O2", "-o"])
        .args([&wasm, &main])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    compile(&fs::read(wasm).unwrap()).unwrap()
}

#[test]
fn a_c_program_reads_stdin_and_arguments_and_exits_with_its_status() {
    let run = Run::compiled(&build(PROGRAM), &["main", "sum", "200"]).stdin(b"1 2\n39\n");
    let report = Worker::bare().run(run);
    assert_eq!(report.end, WasiEnd::Exited(200));
    assert_eq!(report.stdout.data, b"sum 42\n");
    assert_eq!(report.stderr.data, b"2 arguments\n");
}

#[test]
fn a_c_program_finds_its_files_and_makes_its_own() {
    let source = r#"
        #include <stdio.h>
        int main(void) {
            char text[16] = {0};
            FILE *in = fopen("/work/data/in.txt", "r");
            if (!in || !fgets(text, sizeof text, in)) return 1;
            printf("%s", text);
            FILE *out = fopen("data/out.txt", "w");
            if (!out || fputs("made", out) < 0 || fclose(out)) return 2;
            return fopen("/work/data/out.txt", "r") ? 0 : 3;
        }"#;
    let run = Run::compiled(&build(source), &["main"]).file("data/in.txt", b"inside");
    let report = Worker::bare().run(run);
    assert_eq!(
        (report.end, report.stdout.data),
        (WasiEnd::Exited(0), b"inside".to_vec())
    );
}

#[test]
fn abort_is_a_trap() {
    let source = "#include <stdlib.h>\nint main(void) { abort(); }";
    let report = Worker::bare().run(Run::compiled(&build(source), &["main"]));
    assert!(
        matches!(report.end, WasiEnd::Trapped(_)),
        "{:?}",
        report.end
    );
}
