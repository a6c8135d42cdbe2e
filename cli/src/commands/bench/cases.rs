//! Programs that are cases: something compiled and tried on many inputs, and
//! many cases at once.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use assize_executor::Backend;
use serde_json::{Value, json};

use super::ours::{case, judged};
use super::outside::which;
use super::program::{Measure, Program, argv, run, timed};
use super::programs::{Field, compile, sums};
use crate::setup;

const CPP: &str = "#include <iostream>\n\
    int main() { long a, b; std::cin >> a >> b; std::cout << a + b << std::endl; }\n";
const PYTHON: &str = "a, b = map(int, input().split())\nprint(a + b)\n";

/// Tests of the C++ case.
const TESTS: usize = 20;

/// One C++ case: compiled, then tried on each input.
pub(super) fn cpp(field: &Field<'_>, name: &'static str) -> Result<Program> {
    let mut program = Program::new(name, "test");
    program.most = 8;
    let Some(compiler) = which("g++") else {
        program.missing("all", "not installed: apt install g++");
        return Ok(program);
    };
    let dir = field.scratch.path().join("cpp");
    std::fs::create_dir_all(&dir)?;
    let once = bare_case(compiler.clone(), dir.clone(), false);
    let each = bare_case(compiler, dir, true);
    program.add("bare, compiled once", once);
    program.add("bare, compiled for each test", each);
    if field.has("cpp", Backend::Native) {
        let request = json!({
            "language": "cpp", "backend": "native", "code": CPP, "tests": sums(TESTS),
        });
        let fresh = case(field.url, &request, true);
        program.add("assize native, a new source", fresh);
        let seen = case(field.url, &request, false);
        program.add("assize native, the same source again", seen);
    } else {
        program.missing("assize native", "this server has no such runtime");
    }
    Ok(program)
}

fn bare_case(compiler: PathBuf, dir: PathBuf, each: bool) -> Measure {
    Box::new(move || {
        let built = || compile(&compiler, &dir, "main.cpp", CPP, "main", &["-std=gnu++20"]);
        let sample = timed(TESTS, || {
            let mut binary = built()?;
            for n in 0..TESTS {
                if each && n > 0 {
                    binary = built()?;
                }
                right(&[binary.to_string_lossy().into_owned()], n)?;
            }
            Ok(())
        })?;
        Ok(vec![sample])
    })
}

/// Runs a command on the input of test `n` and compares what it prints.
fn right(command: &[String], n: usize) -> Result<()> {
    let printed = run(command, format!("{n} 2\n").as_bytes())?;
    let printed = String::from_utf8_lossy(&printed);
    ensure!(
        printed.trim() == format!("{}", n + 2),
        "it printed {printed:?}"
    );
    Ok(())
}

/// Many Python cases of several tests each, with as many at once as there are
/// cores: bare processes, and batches.
pub(super) fn python(field: &Field<'_>, name: &'static str) -> Result<Program> {
    let mut program = Program::new(name, "test");
    program.most = 10;
    let size = field.size;
    let path = field.scratch.path().join("main.py");
    std::fs::write(&path, PYTHON)?;
    let bare = bare_batch(&path, size.cases, size.tests);
    program.add(format!("bare, {} at once", setup::cores()), bare);
    for (backend, name) in [(Backend::Native, "native"), (Backend::Wasi, "wasi")] {
        if field.has("python", backend) {
            let case: Value = json!({
                "language": "python", "backend": name, "code": PYTHON, "tests": sums(size.tests),
            });
            program.add(
                format!("assize {name}, in a batch"),
                judged(field.url, &case, size.cases),
            );
        } else {
            program.missing(&format!("assize {name}"), "this server has no such runtime");
        }
    }
    Ok(program)
}

fn bare_batch(program: &Path, cases: usize, tests: usize) -> Measure {
    let command = argv(&["/usr/bin/python3", "-I", &program.to_string_lossy()]);
    Box::new(move || {
        let next = AtomicUsize::new(0);
        let work = || {
            while next.fetch_add(1, Ordering::Relaxed) < cases {
                (0..tests).try_for_each(|n| right(&command, n))?;
            }
            Ok(())
        };
        let sample = timed(cases * tests, || {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..setup::cores()).map(|_| scope.spawn(work)).collect();
                threads.into_iter().try_for_each(|thread| {
                    let done: Result<()> = thread
                        .join()
                        .unwrap_or_else(|_| Err(anyhow::anyhow!("a thread ended early")));
                    done
                })
            })
        })?;
        Ok(vec![sample])
    })
}
