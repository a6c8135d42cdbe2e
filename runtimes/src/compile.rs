//! One compile: what is done, and what came of it.

use std::sync::Arc;

use assize_executor::{
    Collect, End, Executor, Fault, FileSource, Outcome, Pack, Plan, Target, Time,
};
use assize_policies::Profile;

use crate::build::{CompileReport, Program, base_env, operand};
use crate::digest::Fields;
use crate::manifest::fill;
use crate::registry::Runtime;
use crate::toolchain::Stamp;

/// Largest artefact a compiler may make, in bytes.
const ARTEFACT_BYTES: u64 = 128 << 20;

/// Changes with the meaning of a key or of what is kept under it.
const FORMAT: u64 = 1;

/// What our own compiler, which turns wasm into machine code, reads and makes.
const LOWER: (&str, &str) = ("module.wasm", "module.cwasm");

/// What is done to compile a program: one command, or two.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The language's compiler; none where the program is wasm already.
    compile: Option<Command>,
    /// Our own, for wasm. An untrusted module becomes machine code in a cell
    /// of its own: compilers have bombs too, and the cell that ran a compiler
    /// over hostile source is not one to take machine code from.
    lower: Option<Command>,
}

#[derive(Debug)]
struct Command {
    argv: Vec<String>,
    env: Vec<(String, String)>,
    artefact: String,
}

/// What a compile came to.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) report: CompileReport,
    /// What it made: a program, or the machine code of a wasm module.
    pub(crate) artefact: Option<Arc<[u8]>>,
    /// Whether the same compile would say the same at any other time: it ended
    /// by itself, with or without errors of the source.
    pub(crate) steady: bool,
}

impl Recipe {
    /// The recipe of a program of a language that compiles; `headers` are the
    /// options that name precompiled ones.
    pub(crate) fn new(program: &Program, runtime: &Runtime, headers: &[String]) -> Option<Self> {
        let compile = runtime.manifest.compile.as_ref()?;
        let lower = || {
            let counted = (program.time == Time::Counted).then_some("--deterministic");
            let argv = ["/assize/bin/assize-wasm", "compile"].into_iter();
            let argv = argv.chain(counted).chain([LOWER.0, LOWER.1]);
            Command {
                argv: argv.map(str::to_owned).collect(),
                env: base_env(),
                artefact: LOWER.1.to_owned(),
            }
        };
        if compile.argv.is_empty() {
            return Some(Self {
                compile: None,
                lower: Some(lower()),
            });
        }
        let sources: Vec<String> = program
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
        let lists: [(&str, &[String]); 3] = [
            ("{sources}", &sources),
            ("{flags}", &compile.flags),
            ("{headers}", headers),
        ];
        let mut env = base_env();
        if program.time == Time::Counted {
            // Compilers put this in the place of today's date.
            env.push(("SOURCE_DATE_EPOCH".to_owned(), "1577836800".to_owned()));
        }
        Some(Self {
            compile: Some(Command {
                argv: fill(&compile.argv, &holes, &lists),
                env,
                artefact: compile.artefact.clone(),
            }),
            lower: compile.wasm.then(lower),
        })
    }

    /// Everything that the result depends on, and for whom it is: nothing that
    /// a tenant sends reaches, by its contents or by its time, an entry of
    /// another's. What a source can read besides its own files (`__DATE__`,
    /// /proc, /dev/urandom) reaches only what is made of that same source.
    pub(crate) fn key(
        &self,
        tenant: &str,
        program: &Program,
        runtime: &Runtime,
        stamp: Stamp,
        policy: &Profile,
    ) -> [u8; 32] {
        let mut fields = Fields::default();
        fields.numbers(&[FORMAT]);
        fields.text(tenant);
        let manifest = &runtime.manifest;
        fields.texts(
            [
                manifest.language.as_str(),
                match runtime.backend {
                    assize_executor::Backend::Native => "native",
                    assize_executor::Backend::Wasi => "wasi",
                },
                std::env::consts::ARCH,
                &runtime.bin,
                &runtime.version,
                &runtime.digest,
            ]
            .into_iter(),
        );
        fields.bytes(&stamp.0);
        // All of the profile: its limits, trees, calls and filter.
        fields.text(&format!("{policy:?}"));
        for command in [&self.compile, &self.lower] {
            let Some(command) = command else {
                fields.numbers(&[]);
                continue;
            };
            fields.texts(command.argv.iter().map(String::as_str));
            fields.numbers(&[command.env.len() as u64]);
            for (name, value) in &command.env {
                fields.text(name);
                fields.text(value);
            }
            fields.text(&command.artefact);
        }
        fields.text(&program.entry);
        fields.numbers(&[program.files.len() as u64]);
        for file in &program.files {
            fields.text(&file.path);
            fields.numbers(&[u64::from(file.executable)]);
            fields.bytes(&file.data);
        }
        fields.digest()
    }

    /// Does it, in cells.
    pub(crate) async fn run(
        &self,
        executor: &Executor,
        policy: &Arc<Profile>,
        program: &Program,
    ) -> Result<Compiled, Fault> {
        let first = match &self.compile {
            Some(command) => {
                let pack = program.check().map_err(|e| Fault::Host(e.to_string()))?;
                let outcome = executor.run(command.plan(pack, policy)).await?;
                Some(command.compiled(outcome))
            }
            None => None,
        };
        let (Some(command), wasm) = (&self.lower, &first) else {
            return first.ok_or_else(|| Fault::Host("a compile without a command".to_owned()));
        };
        let wasm = match wasm {
            Some(Compiled {
                artefact: Some(wasm),
                ..
            }) => wasm.to_vec(),
            Some(refused) => return Ok(refused.clone()),
            None => {
                let entry = program.files.iter().find(|f| f.path == program.entry);
                entry.map(|f| f.data.clone()).unwrap_or_default()
            }
        };
        let file = FileSource {
            path: LOWER.0.to_owned(),
            data: wasm,
            executable: false,
        };
        let pack = Pack::new(&[file]).map_err(|e| Fault::Host(e.to_string()))?;
        let outcome = executor.run(command.plan(pack, policy)).await?;
        let lowered = command.compiled(outcome);
        Ok(match first {
            // What the source's own compiler said is what its author reads.
            Some(first) if lowered.artefact.is_some() => Compiled {
                report: first.report,
                ..lowered
            },
            Some(_) | None => lowered,
        })
    }
}

impl Command {
    fn plan(&self, pack: Pack, policy: &Arc<Profile>) -> Plan {
        Plan {
            env: self.env.clone(),
            ..plan(
                self.argv.clone(),
                Some(pack),
                (&self.artefact, ARTEFACT_BYTES),
                policy,
            )
        }
    }

    fn compiled(&self, mut outcome: Outcome) -> Compiled {
        let artefact = outcome.files.remove(&self.artefact).and_then(Result::ok);
        let succeeded = outcome.end == End::Exited(0) && artefact.is_some();
        let steady = match outcome.end {
            End::Exited(0) => succeeded && !limited(&outcome),
            // What compilers say of a source that is wrong. Other statuses are
            // crashes of theirs in disguise.
            End::Exited(1) => !ran_out(&outcome),
            End::Exited(_)
            | End::Signaled(_)
            | End::Trapped(_)
            | End::Limit(_)
            | End::Violation => false,
        };
        Compiled {
            report: CompileReport {
                outcome,
                succeeded,
                cached: false,
            },
            artefact: artefact.filter(|_| succeeded).map(Arc::from),
            steady,
        }
    }
}

/// A plan for a compiler, or for what belongs to one.
pub(crate) fn plan(
    argv: Vec<String>,
    files: Option<Pack>,
    (artefact, max_bytes): (&str, u64),
    policy: &Arc<Profile>,
) -> Plan {
    Plan {
        argv,
        env: base_env(),
        files,
        stdin: None,
        channel: None,
        report_bytes: 0,
        collect: vec![Collect {
            path: artefact.to_owned(),
            max_bytes,
        }],
        limits: policy.limits,
        policy: Arc::clone(policy),
        target: Target::Native,
        warm: None,
    }
}

/// Whether a compiler that says "error" may have met a limit, or lost one of
/// its own programs, instead of an error in its source. A source that merely
/// prints such words is compiled again each time, which harms nobody.
fn ran_out(outcome: &Outcome) -> bool {
    const WORDS: [&str; 12] = [
        "No space left on device",
        "Disk quota exceeded",
        "Cannot allocate memory",
        "memory exhausted",
        "out of memory",
        "Resource temporarily unavailable",
        "Too many open files",
        "terminated with signal",
        "signal terminated program",
        // javac, which survives what others do not.
        "OutOfMemoryError",
        "out of resources",
        "exception has occurred in the compiler",
    ];
    let said = String::from_utf8_lossy(&outcome.stderr.data);
    limited(outcome) || outcome.stderr.truncated() || WORDS.iter().any(|word| said.contains(word))
}

/// Whether it was refused processes or memory and went on.
fn limited(outcome: &Outcome) -> bool {
    outcome.violations.iter().any(|v| v.kind != "syscall")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_source_is_an_option() {
        for name in ["-fplugin=x.c", "@options.c", "a/@b.c", "a/-b.c"] {
            assert!(!is_source(name), "{name}");
        }
        assert!(is_source("main.c") && is_source("@a/b-@.c"));
    }

    #[test]
    fn whatever_a_compile_depends_on_is_in_its_key() {
        use assize_executor::Backend;

        let mut manifest = crate::manifest::native().unwrap();
        manifest.retain(|m| m.language == "cpp");
        let runtime = Runtime {
            manifest: manifest.remove(0),
            backend: Backend::Native,
            bin: "/usr/bin/g++".to_owned(),
            version: "12.2.0".to_owned(),
            digest: "sha256:0".to_owned(),
            tools: crate::toolchain::Toolchain::default(),
        };
        let program = Program::single(&runtime, b"int main() {}".to_vec());
        let policy = Profile::shipped().unwrap().remove(0);
        let key = |tenant: &str, program: &Program, runtime: &Runtime, stamp, policy: &Profile| {
            let recipe = Recipe::new(program, runtime, &[]).unwrap();
            recipe.key(tenant, program, runtime, Stamp([stamp; 32]), policy)
        };
        let changed = |change: &dyn Fn(&mut Program, &mut Runtime, &mut Profile)| {
            let (mut p, mut r, mut policy) = (program.clone(), runtime.clone(), policy.clone());
            change(&mut p, &mut r, &mut policy);
            key("t", &p, &r, 0, &policy)
        };
        let mut keys = vec![
            key("t", &program, &runtime, 0, &policy),
            key("u", &program, &runtime, 0, &policy),
            key("t", &program, &runtime, 1, &policy),
            changed(&|p, _, _| p.files[0].data.push(b' ')),
            changed(&|p, _, _| p.files[0].executable = true),
            changed(&|p, _, _| p.files[0].path = "x.cpp".to_owned()),
            changed(&|p, _, _| p.entry = "x.cpp".to_owned()),
            changed(&|p, _, _| p.time = Time::Counted),
            changed(&|p, _, _| {
                let file = p.files[0].clone();
                p.files.push(FileSource {
                    path: "x.h".to_owned(),
                    ..file
                });
            }),
            changed(&|_, r, _| r.backend = Backend::Wasi),
            changed(&|_, r, _| r.bin = "/usr/bin/c++".to_owned()),
            changed(&|_, r, _| r.version = "12.2.1".to_owned()),
            changed(&|_, r, _| r.digest = "sha256:1".to_owned()),
            changed(&|_, r, _| {
                r.manifest.compile.as_mut().unwrap().flags[1] = "-O3".to_owned();
            }),
            changed(&|_, r, _| r.manifest.compile.as_mut().unwrap().wasm = true),
            changed(&|_, _, policy| policy.limits.memory_bytes -= 1),
            changed(&|_, _, policy| policy.files.read_only.clear()),
        ];
        let with = ["-isystem".to_owned(), "x".to_owned()];
        let with = Recipe::new(&program, &runtime, &with).unwrap();
        keys.push(with.key("t", &program, &runtime, Stamp([0; 32]), &policy));
        assert_eq!(keys[0], changed(&|_, _, _| ()));
        let all: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(all.len(), keys.len());
    }
}
