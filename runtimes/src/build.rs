//! From a program to something that can be run, compiling it if need be.

use std::sync::Arc;

use assize_executor::{
    Backend, Collect, End, Executor, Fault, FileSource, Limit, Module, Outcome, Pack, PackError,
    Plan, Sealed, Target, Time,
};
use assize_policies::{Limits, Profile};

use crate::manifest::fill;
use crate::registry::Runtime;

/// Largest artefact a compiler may make, in bytes.
const ARTEFACT_BYTES: u64 = 128 << 20;

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

    /// Checks and packs it without running anything: for errors that are the
    /// caller's.
    pub fn check(&self) -> Result<Pack, ProgramError> {
        if !self.files.iter().any(|f| f.path == self.entry) {
            return Err(ProgramError::NoEntry(self.entry.clone()));
        }
        Ok(Pack::new(&self.files)?)
    }

    /// Builds it: compiles in a cell where the language compiles.
    pub async fn build(
        &self,
        executor: &Executor,
        runtime: &Arc<Runtime>,
        compile_policy: &Arc<Profile>,
    ) -> Result<Built, Fault> {
        let pack = self.check().map_err(|e| Fault::Host(e.to_string()))?;
        let runnable = |pack: Pack, target: Target| Runnable {
            runtime: Arc::clone(runtime),
            pack,
            entry: self.entry.clone(),
            target,
        };
        let Some(compile) = &runtime.manifest.compile else {
            let target = match (&runtime.backend, &runtime.manifest.guest) {
                (Backend::Wasi, Some(guest)) => {
                    Target::Wasi(Module::Guest(guest.clone()), self.time)
                }
                (Backend::Wasi | Backend::Native, _) => Target::Native,
            };
            return Ok(Built::Ready {
                runnable: runnable(pack, target),
                compile: None,
            });
        };
        if compile.argv.is_empty() {
            return self.lowered(executor, compile_policy, pack, runnable).await;
        }
        let sources: Vec<String> = self
            .files
            .iter()
            .filter(|f| compile.sources.iter().any(|e| has_extension(&f.path, e)))
            .filter(|f| is_source(&f.path))
            .map(|f| operand(&f.path))
            .collect();
        let holes = [
            ("bin", runtime.bin.as_str()),
            ("artefact", compile.artefact.as_str()),
        ];
        let argv = fill(&compile.argv, &holes, &sources);
        let mut plan = compile_plan(argv, pack, &compile.artefact, compile_policy);
        if self.time == Time::Counted {
            // Compilers put this in the place of today's date.
            let beginning = ("SOURCE_DATE_EPOCH".to_owned(), "1577836800".to_owned());
            plan.env.push(beginning);
        }
        let outcome = executor.run(plan).await?;
        let (report, artefact) = take_artefact(outcome, &compile.artefact);
        let Some(artefact) = artefact else {
            return Ok(Built::Refused(report));
        };
        if !compile.wasm {
            let file = FileSource {
                path: compile.artefact.clone(),
                data: artefact,
                executable: true,
            };
            let pack = Pack::new(&[file]).map_err(|e| Fault::Host(e.to_string()))?;
            let runnable = runnable(pack, Target::Native);
            return Ok(Built::Ready {
                runnable,
                compile: Some(report),
            });
        }
        let (lowered, module) = lower(executor, artefact, self.time, compile_policy).await?;
        let Some(module) = module else {
            return Ok(Built::Refused(lowered));
        };
        let none = Pack::new(&[]).map_err(|e| Fault::Host(e.to_string()))?;
        let runnable = runnable(none, Target::Wasi(Module::Compiled(module), self.time));
        Ok(Built::Ready {
            runnable,
            compile: Some(report),
        })
    }

    /// A submission that is a wasm module already.
    async fn lowered(
        &self,
        executor: &Executor,
        policy: &Arc<Profile>,
        pack: Pack,
        runnable: impl Fn(Pack, Target) -> Runnable,
    ) -> Result<Built, Fault> {
        let entry = self.files.iter().find(|f| f.path == self.entry);
        let wasm = entry.map(|f| f.data.clone()).unwrap_or_default();
        let (report, module) = lower(executor, wasm, self.time, policy).await?;
        Ok(match module {
            Some(module) => Built::Ready {
                runnable: runnable(pack, Target::Wasi(Module::Compiled(module), self.time)),
                compile: Some(report),
            },
            None => Built::Refused(report),
        })
    }
}

/// Turns an untrusted wasm module into machine code with our own compiler, in
/// a cell of its own: compilers have bombs too, and the cell that ran a
/// compiler over hostile source is not one to take machine code from.
async fn lower(
    executor: &Executor,
    wasm: Vec<u8>,
    time: Time,
    policy: &Arc<Profile>,
) -> Result<(CompileReport, Option<Sealed>), Fault> {
    let file = FileSource {
        path: "module.wasm".into(),
        data: wasm,
        executable: false,
    };
    let pack = Pack::new(&[file]).map_err(|e| Fault::Host(e.to_string()))?;
    let mut argv = vec!["/assize/bin/assize-wasm", "compile"];
    if time == Time::Counted {
        argv.push("--deterministic");
    }
    argv.extend(["module.wasm", "module.cwasm"]);
    let argv = argv.into_iter().map(str::to_owned).collect();
    let outcome = executor
        .run(compile_plan(argv, pack, "module.cwasm", policy))
        .await?;
    let (report, code) = take_artefact(outcome, "module.cwasm");
    let sealed = code.map(|code| Sealed::new(&[&code])).transpose();
    Ok((report, sealed.map_err(|e| Fault::Host(e.to_string()))?))
}

fn compile_plan(argv: Vec<String>, pack: Pack, artefact: &str, policy: &Arc<Profile>) -> Plan {
    Plan {
        argv,
        env: base_env(),
        files: Some(pack),
        stdin: None,
        channel: None,
        report_bytes: 0,
        collect: vec![Collect {
            path: artefact.to_owned(),
            max_bytes: ARTEFACT_BYTES,
        }],
        limits: policy.limits,
        policy: Arc::clone(policy),
        target: Target::Native,
    }
}

fn take_artefact(mut outcome: Outcome, name: &str) -> (CompileReport, Option<Vec<u8>>) {
    let artefact = outcome.files.remove(name).and_then(Result::ok);
    let succeeded = outcome.end == End::Exited(0) && artefact.is_some();
    (
        CompileReport { outcome, succeeded },
        artefact.filter(|_| succeeded),
    )
}

/// A file name that no command takes for an option (`-fplugin=x.c`) or for a
/// file of options (`@x.c`).
fn operand(path: &str) -> String {
    if path.starts_with(['-', '@']) {
        format!("./{path}")
    } else {
        path.to_owned()
    }
}

/// Whether a compiler may be given this file. Compilers hand the last part of
/// a name on to their own programs, which then look for options in it: with
/// `@x.c` a source would choose what runs in the compiler's place, under the
/// compiler's profile instead of its own.
fn is_source(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !name.starts_with(['-', '@'])
}

fn has_extension(path: &str, extension: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|e| e == extension)
}

/// The environment every program starts from: nothing of the server's own.
fn base_env() -> Vec<(String, String)> {
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
        let holes = [
            ("bin", self.runtime.bin.as_str()),
            ("entry", entry.as_str()),
            ("artefact", artefact),
            ("config", config),
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
        })
    }

    /// The same with these files beside its own.
    pub fn with(&self, files: &[FileSource]) -> Result<Self, PackError> {
        Ok(Self {
            pack: self.pack.with(files)?,
            ..self.clone()
        })
    }

    /// The runtime it is built for.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }
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
    fn no_file_name_is_an_option() {
        for name in ["-fplugin=x.c", "@options.c", "a/@b.c", "a/-b.c"] {
            assert!(!is_source(name), "{name}");
        }
        assert!(is_source("main.c") && is_source("@a/b-@.c"));
        for (name, given) in [("-c", "./-c"), ("@a/b.c", "./@a/b.c"), ("a", "a")] {
            assert_eq!(operand(name), given);
        }
    }
}
