//! The program of a request: its runtime, policy, limits and files.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use assize_executor::{FileSource, Time, plain_relative};
use assize_judge::case::Submission;
use assize_judge::engine::Engine;
use assize_policies::{Limits, LimitsRequest, Profile};
use assize_runtimes::{BackendChoice, Program, Runtime, SelectError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Refusal, RefusalKind, refuse, unenforceable};
use crate::rights::Rights;
use crate::types::FileSpec;

/// Most memory of a program on the WASI backend, in bytes: a worker holds
/// several programs at once, and together they must fit its own cell.
const WASI_MEMORY: u64 = 768 << 20;

/// Most bytes of its files there: they are in the worker's memory.
const WASI_DISK: u64 = 1 << 30;

/// The parts that runs and judgements share.
pub(super) struct Common<'a> {
    pub(super) language: &'a str,
    pub(super) code: Option<&'a String>,
    pub(super) files: Option<&'a BTreeMap<String, FileSpec>>,
    pub(super) entry: Option<&'a String>,
    pub(super) backend: BackendChoice,
    pub(super) deterministic: bool,
    pub(super) policy: Option<&'a String>,
    pub(super) limits: &'a LimitsRequest,
}

pub(super) fn submission(
    engine: &Engine,
    rights: &Rights,
    common: &Common<'_>,
) -> Result<Submission, Refusal> {
    let backend = match (common.deterministic, common.backend) {
        (false, asked) => asked,
        // Only there are instructions counted.
        (true, BackendChoice::Auto | BackendChoice::Wasi) => BackendChoice::Wasi,
        (true, BackendChoice::Native) => {
            let message = "the native backend cannot repeat a run exactly; use wasi or auto";
            return Err(unenforceable("deterministic", message));
        }
    };
    let runtime = engine
        .registry()
        .select(common.language, backend)
        .map_err(|e| {
            let message = e.to_string();
            match e {
                SelectError::UnknownLanguage(..) => refuse("unknown_language", "language", message),
                SelectError::Unavailable { .. } if common.deterministic => {
                    unenforceable("deterministic", message)
                }
                SelectError::Unavailable { .. } => Refusal {
                    kind: RefusalKind::Unenforceable,
                    code: "unavailable_backend",
                    field: "backend".into(),
                    message,
                },
            }
        })?;
    let policy = rights.choose(engine.profiles(), common.policy.map(String::as_str))?;
    let limits = limits(engine, policy, rights, common.limits)?;
    if runtime.backend == assize_executor::Backend::Wasi && limits.memory_bytes > WASI_MEMORY {
        let message = format!("the wasi backend grants at most {WASI_MEMORY} bytes; use native");
        return Err(unenforceable("limits.memory_bytes", message));
    }
    if runtime.backend == assize_executor::Backend::Wasi && limits.disk_bytes > WASI_DISK {
        let message = format!("the wasi backend grants at most {WASI_DISK} bytes; use native");
        return Err(unenforceable("limits.disk_bytes", message));
    }
    let sources = Sources {
        code: common.code,
        files: common.files,
        entry: common.entry,
    };
    let mut program = checked_program(&sources, &runtime, &limits)?;
    if common.deterministic {
        program.time = Time::Counted;
    }
    let quick = match backend {
        BackendChoice::Auto
            if limits.memory_bytes <= WASI_MEMORY && limits.disk_bytes <= WASI_DISK =>
        {
            engine.registry().quick(&runtime, &program)
        }
        BackendChoice::Auto | BackendChoice::Native | BackendChoice::Wasi => None,
    };
    Ok(Submission {
        tenant: Arc::clone(rights.tenant()),
        program,
        runtime,
        policy: Arc::clone(policy),
        limits,
        quick,
    })
}

/// A program as a request gives it.
pub(super) struct Sources<'a> {
    pub(super) code: Option<&'a String>,
    pub(super) files: Option<&'a BTreeMap<String, FileSpec>>,
    pub(super) entry: Option<&'a String>,
}

/// A program that fits its limits.
pub(super) fn checked_program(
    sources: &Sources<'_>,
    runtime: &Runtime,
    limits: &Limits,
) -> Result<Program, Refusal> {
    let program = program(sources, runtime)?;
    program.check().map_err(|e| {
        let field = match &e {
            assize_runtimes::ProgramError::NoEntry(_) => "entry",
            _ => "files",
        };
        refuse("invalid_files", field, e.to_string())
    })?;
    if program.size() > limits.disk_bytes {
        let message = format!(
            "the files have {} bytes, more than limits.disk_bytes ({})",
            program.size(),
            limits.disk_bytes
        );
        return Err(refuse("files_too_large", "files", message));
    }
    if program.files.len() as u64 > limits.files {
        let message = format!("{} files, more than limits.files", program.files.len());
        return Err(refuse("too_many_files", "files", message));
    }
    Ok(program)
}

fn limits(
    engine: &Engine,
    policy: &Profile,
    rights: &Rights,
    asked: &LimitsRequest,
) -> Result<Limits, Refusal> {
    let granted = rights.limits(policy, asked)?;
    let memory = host_memory();
    if granted.memory_bytes > memory {
        let message = format!("this host has {memory} bytes of memory");
        return Err(unenforceable("limits.memory_bytes", message));
    }
    let proven = engine.executor().capabilities();
    if let Some(limit) = Limits::NAMES.iter().find(|name| proven.refuted(name)) {
        let message = "this host was shown not to enforce this limit; see /v1/capabilities";
        return Err(unenforceable(format!("limits.{limit}"), message));
    }
    Ok(granted)
}

/// Memory of this host, in bytes; no limit above it could ever be reached.
fn host_memory() -> u64 {
    // It takes the kernel longer to write that file than us to admit a case.
    static MEMORY: OnceLock<u64> = OnceLock::new();
    *MEMORY.get_or_init(read_host_memory)
}

fn read_host_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|l| {
        l.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    kib.map_or(u64::MAX, |kib| kib << 10)
}

fn program(sources: &Sources<'_>, runtime: &Runtime) -> Result<Program, Refusal> {
    match (sources.code, sources.files) {
        (Some(_), Some(_)) => Err(refuse(
            "invalid_field",
            "files",
            "give code or files, not both",
        )),
        (None, None) => Err(refuse("missing_field", "code", "give code or files")),
        (Some(code), None) => {
            let mut program = Program::single(runtime, code.clone().into_bytes());
            if let Some(entry) = sources.entry {
                if !plain_relative(entry) {
                    return Err(refuse(
                        "invalid_field",
                        "entry",
                        "not a plain relative path",
                    ));
                }
                program.files[0].path.clone_from(entry);
                program.entry.clone_from(entry);
            }
            Ok(program)
        }
        (None, Some(specs)) => {
            let mut files = Vec::with_capacity(specs.len());
            for (path, spec) in specs {
                let data = contents(path, spec)?;
                files.push(FileSource {
                    path: path.clone(),
                    data,
                    executable: false,
                });
            }
            let entry = match sources.entry {
                Some(entry) => entry.clone(),
                None if files.len() == 1 => files[0].path.clone(),
                // Nothing starts, so nothing needs to be said about where.
                None if !runtime.runs() => {
                    files.first().map_or_else(String::new, |f| f.path.clone())
                }
                None => runtime.manifest.entry.clone(),
            };
            Ok(Program {
                files,
                entry,
                time: Time::Real,
            })
        }
    }
}

fn contents(path: &str, spec: &FileSpec) -> Result<Vec<u8>, Refusal> {
    let field = || format!("files.{path}");
    match (&spec.text, &spec.base64) {
        (Some(text), None) => Ok(text.clone().into_bytes()),
        (None, Some(encoded)) => STANDARD.decode(encoded).map_err(|e| {
            refuse(
                "invalid_base64",
                format!("{}.base64", field()),
                e.to_string(),
            )
        }),
        (Some(_), Some(_)) | (None, None) => Err(refuse(
            "invalid_field",
            field(),
            "give exactly one of text and base64",
        )),
    }
}
