//! From a program to something that can be run, compiling it if need be.

use std::sync::Arc;

use assize_executor::{
    Backend, End, Executor, Fault, FileSource, Limit, Module, Outcome, Pack, PackError, Plan,
    Sealed, Target, Time, Warm,
};
use assize_policies::{Limits, Profile};

use crate::compile::{Compiled, Recipe};
use crate::manifest::fill;
use crate::registry::Runtime;

/// A submission.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its files.
    pub files: Vec<FileSource>,
    /// The one to start with.
    pub entry: String,
    /// What its runs take for time, where they have a choice.
    pub time: Time,
}

/// A program that cannot be accepted as it is.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The entry is none of the files.
    #[error("entry {0:?} is not among the files")]
    NoEntry(String),
    /// A file name, or their number.
    #[error(transparent)]
    Files(#[from] PackError),
    /// The language has no harness for function tests on this backend.
    #[error("language {0:?} has no function tests on this backend")]
    NoHarness(String),
}

/// What compiling said.
#[derive(Debug, Clone)]
pub struct CompileReport {
    /// How the compiler ended, and what it used and printed.
    pub outcome: Outcome,
    /// Whether there is something to run.
    pub succeeded: bool,
    /// Whether this was said before, of the same program: what it used, it
    /// used then.
    pub cached: bool,
}

/// A built program, or why there is none.
#[derive(Debug)]
pub enum Built {
    /// Ready to run.
    Ready {
        /// The program.
        runnable: Runnable,
        /// What its compiler said, if it has one.
        compile: Option<CompileReport>,
    },
    /// The compiler refused it or ran into its own limits.
    Refused(CompileReport),
}

/// What a program is run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role<'a> {
    /// A program of its own, with arguments.
    Program(&'a [String]),
    /// The candidate side of a function test.
    Candidate,
    /// The trusted test side, with the harness's configuration.
    Tester(&'a str),
    /// The trusted side that looks at a prediction; its configuration comes as
    /// standard input, the program is data.
    Predict,
    /// Both in one interpreter; the configuration comes as standard input.
    Shared,
}

/// A program ready to run any number of times. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runnable {
    runtime: Arc<Runtime>,
    pack: Pack,
    entry: String,
    target: Target,
    /// What an interpreter loads before it waits for runs of this.
    preload: Arc<str>,
    /// Whether the entry can be a source: it has no byte of zero.
    text: bool,
}

impl Program {
    /// A program that comes as bare code.
    #[must_use]
    pub fn single(runtime: &Runtime, code: Vec<u8>) -> Self {
        let path = runtime.manifest.entry.clone();
        let file = FileSource {
            path: path.clone(),
            data: code,
            executable: false,
        };
        Self {
            files: vec![file],
            entry: path,
            time: Time::Real,
        }
    }

    /// Bytes of all its files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|f| f.data.len() as u64).sum()
    }

    fn is_text(&self) -> bool {
        let entry = self.files.iter().find(|f| f.path == self.entry);
        entry.is_some_and(|f| !f.data.contains(&0))
    }

    /// Checks and packs it without running anything: for errors that are the
    /// caller's.
    pub fn check(&self) -> Result<Pack, ProgramError> {
        if !self.files.iter().any(|f| f.path == self.entry) {
            return Err(ProgramError::NoEntry(self.entry.clone()));
        }
        Ok(Pack::new(&self.files)?)
    }

    /// Builds it: compiles in a cell where the language compiles, whatever was
    /// compiled before. [`crate::Compiler`] remembers.
    pub async fn build(
        &self,
        executor: &Executor,
        runtime: &Arc<Runtime>,
        compile_policy: &Arc<Profile>,
    ) -> Result<Built, Fault> {
        match Recipe::new(self, runtime, &[]) {
            Some(recipe) => {
                let compiled = recipe.run(executor, compile_policy, self).await?;
                self.finish(runtime, &compiled, false)
            }
            None => self.ready(runtime),
        }
    }

    /// As it is: nothing of this language compiles.
    pub(crate) fn ready(&self, runtime: &Arc<Runtime>) -> Result<Built, Fault> {
        let target = match (&runtime.backend, &runtime.manifest.guest) {
            (Backend::Wasi, Some(guest)) => Target::Wasi(Module::Guest(guest.clone()), self.time),
            (Backend::Wasi | Backend::Native, _) => Target::Native,
        };
        Ok(Built::Ready {
            runnable: Runnable {
                runtime: Arc::clone(runtime),
                pack: self.check().map_err(host)?,
                entry: self.entry.clone(),
                target,
                preload: preload(self, runtime),
                text: self.is_text(),
            },
            compile: None,
        })
    }

    /// What it was compiled to, in sealed memory of its own.
    pub(crate) fn finish(
        &self,
        runtime: &Arc<Runtime>,
        compiled: &Compiled,
        cached: bool,
    ) -> Result<Built, Fault> {
        let report = CompileReport {
            cached,
            ..compiled.report.clone()
        };
        let Some(compile) = runtime.manifest.compile.as_ref() else {
            return Err(Fault::Host("a language that does not compile".to_owned()));
        };
        let Some(artefact) = &compiled.artefact else {
            return Ok(Built::Refused(report));
        };
        let (pack, target) = if compile.wasm {
            let module = Module::Compiled(Sealed::new(&[artefact]).map_err(host)?);
            // The files of a program that came as a module are there when it
            // runs; sources of one that was compiled are not.
            let pack = match compile.argv.is_empty() {
                true => self.check().map_err(host)?,
                false => Pack::new(&[]).map_err(host)?,
            };
            (pack, Target::Wasi(module, self.time))
        } else {
            let pack = Pack::of(&compile.artefact, artefact, true).map_err(host)?;
            (pack, Target::Native)
        };
        Ok(Built::Ready {
            runnable: Runnable {
                runtime: Arc::clone(runtime),
                pack,
                entry: self.entry.clone(),
                target,
                preload: "".into(),
                text: false,
            },
            compile: Some(report),
        })
    }
}

fn host(error: impl std::fmt::Display) -> Fault {
    Fault::Host(error.to_string())
}

/// A file name that no command takes for an option (`-fplugin=x.c`) or for a
/// file of options (`@x.c`).
pub(crate) fn operand(path: &str) -> String {
    if path.starts_with(['-', '@']) {
        format!("./{path}")
    } else {
        path.to_owned()
    }
}

/// The environment every program starts from: nothing of the server's own.
pub(crate) fn base_env() -> Vec<(String, String)> {
    [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/work"),
        ("TMPDIR", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .to_vec()
}

impl Runnable {
    /// A plan for one run of it. The caller adds input, channel and the like.
    pub fn plan(
        &self,
        role: Role<'_>,
        limits: Limits,
        policy: &Arc<Profile>,
        env: &[(String, String)],
    ) -> Result<Plan, ProgramError> {
        let manifest = &self.runtime.manifest;
        let harness = || {
            manifest
                .harness
                .as_ref()
                .ok_or(ProgramError::NoHarness(manifest.language.clone()))
        };
        let (argv, args, config): (_, &[String], _) = match role {
            Role::Program(args) => (&manifest.run.argv, args, ""),
            Role::Candidate => (&harness()?.candidate, &[], ""),
            Role::Tester(config) => (&harness()?.tester, &[], config),
            Role::Predict => (&harness()?.predict, &[], ""),
            Role::Shared => (&harness()?.shared, &[], ""),
        };
        let artefact = manifest
            .compile
            .as_ref()
            .map_or("", |c| c.artefact.as_str());
        let entry = operand(&self.entry);
        let memory_mib = (limits.memory_bytes >> 20).max(1).to_string();
        let holes = [
            ("bin", self.runtime.bin.as_str()),
            ("entry", entry.as_str()),
            ("artefact", artefact),
            ("config", config),
            ("memory_mib", memory_mib.as_str()),
        ];
        let mut argv = fill(argv, &holes, &[]);
        argv.extend_from_slice(args);
        let mut variables = base_env();
        for (key, value) in manifest.run.env.iter().map(|(k, v)| (k.clone(), v.clone())) {
            set(&mut variables, key, value);
        }
        for (key, value) in env {
            set(&mut variables, key.clone(), value.clone());
        }
        let warm = match (role, self.target.clone()) {
            // What the submission chose must not be read by an interpreter
            // that has not given up its rights yet.
            (_, Target::Wasi(..)) => None,
            (_, Target::Native) if !args.is_empty() || !env.is_empty() => None,
            // The name that such an argument is, is ours.
            (Role::Tester(_) | Role::Predict | Role::Shared, Target::Native) => self.warm(None),
            (_, Target::Native) if self.entry != manifest.entry => None,
            // An archive or bytecode, which the interpreter tells from a source
            // before the wait.
            (Role::Program(_), Target::Native) if !self.text => None,
            (Role::Program(_), Target::Native) => self.warm(Some(entry.clone())),
            (Role::Candidate, Target::Native) => self.warm(None),
        };
        Ok(Plan {
            argv,
            env: variables,
            files: Some(self.pack.clone()),
            stdin: None,
            channel: None,
            report_bytes: 0,
            collect: Vec::new(),
            limits: manifest.limits.apply(limits),
            policy: Arc::clone(policy),
            target: self.target.clone(),
            warm,
        })
    }

    /// How an interpreter is started for runs of it.
    fn warm(&self, program: Option<String>) -> Option<Warm> {
        self.runtime.manifest.warm.as_ref()?;
        Some(Warm {
            before: self.preload.clone(),
            program,
        })
    }

    /// The same with these files beside its own.
    pub fn with(&self, files: &[FileSource]) -> Result<Self, PackError> {
        let warm = self.runtime.manifest.warm.as_ref();
        let shadowed = warm.is_some_and(|warm| warm.preload.iter().any(|n| is_among(n, files)));
        Ok(Self {
            pack: self.pack.with(files)?,
            preload: match shadowed {
                true => "".into(),
                false => Arc::clone(&self.preload),
            },
            ..self.clone()
        })
    }

    /// The runtime it is built for.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }
}

/// A call that loads what this program imports of the modules that interpreters
/// may have ready. A glance at the text: what it overlooks is loaded later. A
/// module of the program's own of that name is the one it means.
fn preload(program: &Program, runtime: &Runtime) -> Arc<str> {
    let Some(warm) = &runtime.manifest.warm else {
        return "".into();
    };
    let texts = || {
        program
            .files
            .iter()
            .filter_map(|f| std::str::from_utf8(&f.data).ok())
    };
    let imports = |line: &str, name: &str| {
        let line = line.trim_start();
        (line.starts_with("import ") || line.starts_with("from "))
            && line
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .any(|word| word == name)
    };
    let wanted = |name: &&String| {
        !is_among(name, &program.files)
            && texts().any(|text| text.lines().any(|line| imports(line, name)))
    };
    let names: Vec<&String> = warm.preload.iter().filter(wanted).collect();
    match names.is_empty() {
        true => "".into(),
        false => format!("preload({names:?})").into(),
    }
}

/// Whether a module of this name may be one of these files, wherever it lies: a
/// program may look for its modules in any of its directories.
fn is_among(name: &str, files: &[FileSource]) -> bool {
    let named = |part: &str| part.split('.').next() == Some(name);
    files.iter().any(|f| f.path.split('/').any(named))
}

fn set(variables: &mut Vec<(String, String)>, key: String, value: String) {
    match variables.iter_mut().find(|(k, _)| *k == key) {
        Some(entry) => entry.1 = value,
        None => variables.push((key, value)),
    }
}

impl CompileReport {
    /// One line on why there is no program, for people.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.outcome.end {
            End::Exited(0) => "the compiler made no program".to_owned(),
            End::Exited(status) => format!("the compiler ended with status {status}"),
            End::Signaled(signal) => format!("the compiler was ended by signal {signal}"),
            End::Trapped(trap) => format!("the compiler trapped: {trap}"),
            End::Violation => "the compiler did what its policy forbids".to_owned(),
            End::Limit(Limit::Cpu | Limit::Wall) => "the compiler ran out of time".to_owned(),
            End::Limit(Limit::Memory) => "the compiler ran out of memory".to_owned(),
            End::Limit(Limit::Output) => "the compiler printed too much".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_and_bytecode_are_no_sources() {
        let program = |data: &[u8]| Program {
            files: vec![FileSource {
                path: "main.py".to_owned(),
                data: data.to_vec(),
                executable: false,
            }],
            entry: "main.py".to_owned(),
            time: Time::Real,
        };
        // The end of every zip archive, the head of every .pyc.
        let archive = [b"#!python\n".as_slice(), b"PK\x05\x06", &[0; 18]].concat();
        assert!(!program(&archive).is_text());
        assert!(!program(b"\xa7\x0d\x0d\x0a\0\0\0\0").is_text());
        assert!(program("# \u{e9}\nprint(1)\n".as_bytes()).is_text());
    }

    #[test]
    fn a_module_of_the_programs_own_is_found_wherever_it_lies() {
        let file = |path: &str| FileSource {
            path: path.to_owned(),
            data: Vec::new(),
            executable: false,
        };
        for path in [
            "numpy.py",
            "numpy/__init__.py",
            "vendor/numpy.py",
            "a/numpy/b.py",
        ] {
            assert!(is_among("numpy", &[file("main.py"), file(path)]), "{path}");
        }
        assert!(!is_among("numpy", &[file("main.py"), file("my_numpy.py")]));
    }

    #[test]
    fn no_file_name_is_an_option() {
        for (name, given) in [("-c", "./-c"), ("@a/b.c", "./@a/b.c"), ("a", "a")] {
            assert_eq!(operand(name), given);
        }
    }
}
