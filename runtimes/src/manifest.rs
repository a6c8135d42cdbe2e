//! The shape of a runtime's TOML file.

use std::collections::BTreeMap;

use assize_policies::Limits;
use serde::Deserialize;

use crate::build::Program;

/// Native runtimes that ship.
const NATIVE: &[&str] = &[
    include_str!("../native/bash.toml"),
    include_str!("../native/c.toml"),
    include_str!("../native/cpp.toml"),
    include_str!("../native/java.toml"),
    include_str!("../native/javascript.toml"),
    include_str!("../native/python.toml"),
    include_str!("../native/sql.toml"),
];

/// WASI runtimes that ship.
const WASI: &[&str] = &[
    include_str!("../wasi/c.toml"),
    include_str!("../wasi/cpp.toml"),
    include_str!("../wasi/javascript.toml"),
    include_str!("../wasi/python.toml"),
    include_str!("../wasi/wasm.toml"),
];

/// One runtime as its file says it.
///
/// In every `argv`: `{bin}` is the program found by `detect`, `{entry}` the
/// file to start with, `{artefact}` what compiling made, `{sources}` the files
/// to compile, `{flags}` and `{headers}` what [`Compile`] says of them,
/// `{config}` the harness's configuration, `{memory_mib}` the memory that a
/// run's program was granted, in MiB.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name on the wire.
    pub language: String,
    /// Name for people.
    pub title: String,
    /// Other names it answers to.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// File name given to a program that comes as bare code.
    pub entry: String,
    /// File name extensions, the first being the usual one.
    pub extensions: Vec<String>,
    /// What to look for on the host.
    #[serde(default)]
    pub detect: Option<Detect>,
    /// Name of the guest that runs it in the WASI worker.
    #[serde(default)]
    pub guest: Option<String>,
    /// How to compile.
    #[serde(default)]
    pub compile: Option<Compile>,
    /// How to run.
    pub run: Run,
    /// How to serve function tests.
    #[serde(default)]
    pub harness: Option<Harness>,
    /// Whether interpreters are started before their programs come.
    #[serde(default)]
    pub warm: Option<Warm>,
    /// What the runtime itself needs on top of a program's limits.
    #[serde(default)]
    pub limits: Overhead,
    /// Further host trees it needs, shown at the same path.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// Modules that this runtime lacks and its language elsewhere has: a program
    /// that imports one is not tried here where the choice is ours.
    #[serde(default)]
    pub without: Vec<String>,
}

impl Manifest {
    /// Whether the program imports nothing that this runtime is known to lack.
    /// A glance at the text: what it overlooks costs a failed try.
    #[must_use]
    pub fn suits(&self, program: &Program) -> bool {
        let word = |c: char| !(c.is_alphanumeric() || c == '_');
        let imports = |line: &str| {
            (line.contains("import") || line.contains("require"))
                && line
                    .split(word)
                    .any(|name| self.without.iter().any(|w| w == name))
        };
        let sources = program.files.iter().filter(|f| {
            let extension = f.path.rsplit_once('.').map(|(_, e)| e);
            extension.is_some_and(|e| self.extensions.iter().any(|own| own == e))
        });
        !sources
            .filter_map(|f| std::str::from_utf8(&f.data).ok())
            .any(|text| text.lines().any(imports))
    }
}

/// How to find a runtime on the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    /// Paths to try, in order.
    pub any: Vec<String>,
    /// Command that prints the version: its first dotted number is taken.
    pub version: Vec<String>,
}

/// How to compile.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compile {
    /// The compiler's command; empty where the submission is a wasm module
    /// already.
    pub argv: Vec<String>,
    /// What stands for `{flags}`: the options that change what is made, and
    /// that a precompiled header has to be made with.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Extensions of the files that stand for `{sources}`.
    pub sources: Vec<String>,
    /// Name of the file it makes.
    pub artefact: String,
    /// Whether the artefact is a wasm module that our own compiler, in a cell
    /// of its own, turns into machine code.
    #[serde(default)]
    pub wasm: bool,
    /// Programs that the compiler starts, asked for by `-print-prog-name`:
    /// what was compiled with others is not taken from the cache.
    #[serde(default)]
    pub tools: Vec<String>,
    /// What can be made ahead; where it stands ready, `{headers}` is the option
    /// that names it.
    #[serde(default)]
    pub precompile: Option<Precompile>,
}

/// What a compiler can be given ahead.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precompile {
    /// A header that most programs include, for GCC.
    Header(String),
    /// The classes of a compiler written in Java, which this source starts.
    Classes(String),
}

impl Precompile {
    /// The header, or the source.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Header(name) | Self::Classes(name) => name,
        }
    }
}

/// How to run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The command.
    pub argv: Vec<String>,
    /// Variables set unless the request sets them.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// What interpreters do before their programs come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warm {
    /// Modules that are loaded for programs that import them.
    #[serde(default)]
    pub preload: Vec<String>,
}

/// Commands of the two sides of a function test.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Harness {
    /// How plain data is spelt for it.
    pub dialect: Dialect,
    /// Loads the candidate's program and serves calls on its channel.
    pub candidate: Vec<String>,
    /// Runs a test script against a channel and reports.
    pub tester: Vec<String>,
    /// Runs program and test script in one interpreter, for scripts that need
    /// live objects; none where there is no such mode.
    #[serde(default)]
    pub shared: Vec<String>,
    /// Looks at predictions about programs; none where that is not done.
    #[serde(default)]
    pub predict: Vec<String>,
}

/// What a language's plain data is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Ints of any size beside floats; calls may have keyword arguments.
    Python,
    /// Every number is a double, unless it is a bigint; no keyword arguments.
    Javascript,
}

/// What a runtime needs on top of what its programs are granted, and how much
/// slower than native its programs are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overhead {
    /// Time limits are multiplied by this, in percent.
    pub time_percent: u64,
    /// Added to the memory limit, in bytes.
    pub memory_extra_bytes: u64,
    /// Added to the process limit.
    pub processes_extra: u64,
}

impl Default for Overhead {
    fn default() -> Self {
        Self {
            time_percent: 100,
            memory_extra_bytes: 0,
            processes_extra: 0,
        }
    }
}

impl Overhead {
    /// The limits of a run whose program was granted `limits`.
    #[must_use]
    pub fn apply(&self, limits: Limits) -> Limits {
        let scale = |ms: u64| {
            u64::try_from(u128::from(ms) * u128::from(self.time_percent) / 100).unwrap_or(u64::MAX)
        };
        Limits {
            cpu_ms: scale(limits.cpu_ms),
            wall_ms: scale(limits.wall_ms),
            memory_bytes: limits.memory_bytes.saturating_add(self.memory_extra_bytes),
            processes: limits.processes.saturating_add(self.processes_extra),
            ..limits
        }
    }
}

/// Native manifests, parsed.
pub fn native() -> Result<Vec<Manifest>, toml::de::Error> {
    NATIVE.iter().map(|text| toml::from_str(text)).collect()
}

/// WASI manifests, parsed.
pub fn wasi() -> Result<Vec<Manifest>, toml::de::Error> {
    WASI.iter().map(|text| toml::from_str(text)).collect()
}

/// Puts values into the holes of an argv. The holes of `lists` stand alone and
/// become as many arguments as their lists are long.
#[must_use]
pub fn fill(argv: &[String], holes: &[(&str, &str)], lists: &[(&str, &[String])]) -> Vec<String> {
    let mut filled = Vec::with_capacity(argv.len());
    for argument in argv {
        if let Some((_, list)) = lists.iter().find(|(hole, _)| argument == hole) {
            filled.extend_from_slice(list);
            continue;
        }
        // One pass from left to right: what was put in is never looked at
        // again, so a file named "{config}" is just a file.
        let mut text = String::new();
        let mut rest = argument.as_str();
        while let Some(open) = rest.find('{') {
            text.push_str(&rest[..open]);
            rest = &rest[open..];
            let hole = holes
                .iter()
                .find(|(name, _)| rest[1..].starts_with(&format!("{name}}}")));
            match hole {
                Some((name, value)) => {
                    text.push_str(value);
                    rest = &rest[name.len() + 2..];
                }
                None => {
                    text.push('{');
                    rest = &rest[1..];
                }
            }
        }
        text.push_str(rest);
        filled.push(text);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_manifest_is_sound() {
        for manifest in native().unwrap() {
            let detect = manifest
                .detect
                .as_ref()
                .expect("native runtimes are detected");
            assert!(
                detect.any.iter().all(|p| p.starts_with('/')),
                "{}",
                manifest.language
            );
            let from_compile = manifest.compile.is_some()
                && manifest.run.argv.iter().any(|a| a.contains("{artefact}"));
            assert!(
                from_compile || manifest.run.argv[0] == "{bin}",
                "{}",
                manifest.language
            );
        }
        for manifest in wasi().unwrap() {
            assert!(
                manifest.guest.is_some() != manifest.compile.is_some(),
                "{}",
                manifest.language
            );
        }
    }

    #[test]
    fn a_filled_hole_is_not_filled_again() {
        let argv = [
            "{bin}".to_owned(),
            "a{entry}b".to_owned(),
            "{sources}".to_owned(),
        ];
        let sources = ["x".to_owned(), "y".to_owned()];
        let filled = fill(
            &argv,
            &[("bin", "{entry}"), ("entry", "{bin}")],
            &[("{sources}", &sources)],
        );
        assert_eq!(filled, ["{entry}", "a{bin}b", "x", "y"]);
    }
}
