//! From a request to a checked case. Every refusal names its field; nothing
//! past this point can fail for a reason that is the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assize_executor::{Collect, FileSource, plain_relative};
use assize_judge::case::{Case, Run, Submission, Test, TestKind, json};
use assize_judge::checker::{Checker, Tolerance};
use assize_judge::engine::Engine;
use assize_judge::reward::Scheme;
use assize_policies::{Limits, LimitsRequest, Profile};
use assize_runtimes::{BackendChoice, Program, Runtime, SelectError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::rights::Rights;
use crate::types::{CheckerSpec, FileSpec, JudgementRequest, RunRequest, TestSpec};

/// Most tests of one case.
const MAX_TESTS: usize = 10_000;
/// Most bytes of arguments and environment together.
const MAX_ARGUMENTS: usize = 128 << 10;
/// Most files handed back.
const MAX_COLLECT: usize = 32;
/// Most memory of a program on the WASI backend, in bytes: a worker holds
/// several programs at once, and together they must fit its own cell.
const WASI_MEMORY: u64 = 768 << 20;
/// Largest file handed back, in bytes.
const MAX_COLLECT_BYTES: u64 = 16 << 20;

/// A request that is refused: the caller's to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Refusal {
    /// Of what kind.
    pub kind: RefusalKind,
    /// Stable code.
    pub code: &'static str,
    /// The field at fault.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// It makes no sense, here or elsewhere.
    Invalid,
    /// It makes sense, but not on this host.
    Unenforceable,
    /// It makes sense, but not with this key.
    Forbidden,
}

pub(crate) fn refuse(
    code: &'static str,
    field: impl Into<String>,
    message: impl Into<String>,
) -> Refusal {
    Refusal {
        kind: RefusalKind::Invalid,
        code,
        field: field.into(),
        message: message.into(),
    }
}

fn unenforceable(field: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal {
        kind: RefusalKind::Unenforceable,
        code: "unenforceable_limit",
        field: field.into(),
        message: message.into(),
    }
}

/// The parts that runs and judgements share.
struct Common<'a> {
    language: &'a str,
    code: Option<&'a String>,
    files: Option<&'a BTreeMap<String, FileSpec>>,
    entry: Option<&'a String>,
    backend: BackendChoice,
    policy: Option<&'a String>,
    limits: &'a LimitsRequest,
}

/// Checks a run, for a caller who may ask for all that profiles grant.
pub fn admit_run(engine: &Engine, request: &RunRequest) -> Result<Run, Refusal> {
    run_for(&Rights::all(), engine, request)
}

/// Checks a judgement, likewise.
pub fn admit_judgement(engine: &Engine, request: &JudgementRequest) -> Result<Case, Refusal> {
    judgement_for(&Rights::all(), engine, request)
}

/// Checks a run of this caller.
pub(crate) fn run_for(
    rights: &Rights,
    engine: &Engine,
    request: &RunRequest,
) -> Result<Run, Refusal> {
    let submission = submission(
        engine,
        rights,
        &Common {
            language: &request.language,
            code: request.code.as_ref(),
            files: request.files.as_ref(),
            entry: request.entry.as_ref(),
            backend: request.backend,
            policy: request.policy.as_ref(),
            limits: &request.limits,
        },
    )?;
    if request.deterministic {
        let message = "deterministic runs are not available on this server";
        return Err(unenforceable("deterministic", message));
    }
    let (args, env) = arguments(request)?;
    let collect = collect(&request.collect, &submission.runtime)?;
    Ok(Run {
        submission,
        stdin: request.stdin.clone().into_bytes(),
        args,
        env,
        collect,
    })
}

/// Checks a judgement of this caller.
pub(crate) fn judgement_for(
    rights: &Rights,
    engine: &Engine,
    request: &JudgementRequest,
) -> Result<Case, Refusal> {
    let submission = submission(
        engine,
        rights,
        &Common {
            language: &request.language,
            code: request.code.as_ref(),
            files: request.files.as_ref(),
            entry: request.entry.as_ref(),
            backend: request.backend,
            policy: request.policy.as_ref(),
            limits: &request.limits,
        },
    )?;
    if request.tests.is_empty() {
        let message = "there are no tests; a case without tests would accept anything";
        return Err(refuse("empty_tests", "tests", message));
    }
    if request.tests.len() > MAX_TESTS {
        let message = format!("{} tests, at most {MAX_TESTS}", request.tests.len());
        return Err(refuse("too_many_tests", "tests", message));
    }
    match request.require_integrity.as_deref() {
        None | Some("isolated" | "shared") => {}
        Some(_) => {
            let message = "must be \"isolated\" or \"shared\"";
            return Err(refuse("invalid_field", "require_integrity", message));
        }
    }
    crate::receipt::check(request)?;
    let mut ids = BTreeSet::new();
    let mut tests = Vec::with_capacity(request.tests.len());
    for (index, spec) in request.tests.iter().enumerate() {
        let test = test(index, spec, &submission.runtime)?;
        if !ids.insert(test.id.clone()) {
            let field = format!("tests[{index}].id");
            return Err(refuse(
                "duplicate_id",
                field,
                format!("{:?} is taken twice", test.id),
            ));
        }
        tests.push(test);
    }
    let reward = Scheme::parse(&request.reward.scheme, &request.reward.params, tests.len())
        .map_err(|e| refuse("unknown_reward", "reward", e.to_string()))?;
    Ok(Case {
        submission,
        tests,
        checker: checker(&request.checker)?,
        stop_on_first_failure: request.stop_on_first_failure,
        reward,
    })
}

fn submission(
    engine: &Engine,
    rights: &Rights,
    common: &Common<'_>,
) -> Result<Submission, Refusal> {
    let runtime = engine
        .registry()
        .select(common.language, common.backend)
        .map_err(|e| {
            let message = e.to_string();
            match e {
                SelectError::UnknownLanguage(..) => refuse("unknown_language", "language", message),
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
    let program = program(common, &runtime)?;
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
    Ok(Submission {
        program,
        runtime,
        policy: Arc::clone(policy),
        limits,
    })
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

fn program(common: &Common<'_>, runtime: &Runtime) -> Result<Program, Refusal> {
    match (common.code, common.files) {
        (Some(_), Some(_)) => Err(refuse(
            "invalid_field",
            "files",
            "give code or files, not both",
        )),
        (None, None) => Err(refuse("missing_field", "code", "give code or files")),
        (Some(code), None) => {
            let mut program = Program::single(runtime, code.clone().into_bytes());
            if let Some(entry) = common.entry {
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
            let entry = match common.entry {
                Some(entry) => entry.clone(),
                None if files.len() == 1 => files[0].path.clone(),
                None => runtime.manifest.entry.clone(),
            };
            Ok(Program { files, entry })
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

type Arguments = (Vec<String>, Vec<(String, String)>);

fn arguments(request: &RunRequest) -> Result<Arguments, Refusal> {
    let mut size = 0;
    for (index, argument) in request.args.iter().enumerate() {
        size += argument.len();
        if argument.contains('\0') {
            return Err(refuse(
                "invalid_field",
                format!("args[{index}]"),
                "contains a NUL byte",
            ));
        }
    }
    for (name, value) in &request.env {
        size += name.len() + value.len();
        let field = || format!("env.{name}");
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(refuse("invalid_field", field(), "not a variable name"));
        }
        if value.contains('\0') {
            return Err(refuse("invalid_field", field(), "contains a NUL byte"));
        }
    }
    if size > MAX_ARGUMENTS {
        let message = format!("args and env have {size} bytes, at most {MAX_ARGUMENTS}");
        return Err(refuse("arguments_too_large", "args", message));
    }
    let env = request
        .env
        .iter()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Ok((request.args.clone(), env))
}

fn collect(paths: &[String], runtime: &Runtime) -> Result<Vec<Collect>, Refusal> {
    if paths.len() > MAX_COLLECT {
        let message = format!("{} files, at most {MAX_COLLECT}", paths.len());
        return Err(refuse("too_many_files", "collect", message));
    }
    if !paths.is_empty() && runtime.backend == assize_executor::Backend::Wasi {
        let message = "programs on the wasi backend cannot write files; use native";
        return Err(unenforceable("collect", message));
    }
    let mut seen = BTreeSet::new();
    for (index, path) in paths.iter().enumerate() {
        if !plain_relative(path) || !seen.insert(path) {
            let field = format!("collect[{index}]");
            return Err(refuse(
                "invalid_field",
                field,
                "not a plain relative path, or twice",
            ));
        }
    }
    let one = |path: &String| Collect {
        path: path.clone(),
        max_bytes: MAX_COLLECT_BYTES,
    };
    Ok(paths.iter().map(one).collect())
}

fn test(index: usize, spec: &TestSpec, runtime: &Runtime) -> Result<Test, Refusal> {
    let at = |name: &str| format!("tests[{index}].{name}");
    let bad = |name: &str, message: &str| refuse("invalid_field", at(name), message);
    let id = spec.id.clone().unwrap_or_else(|| (index + 1).to_string());
    let kinds = [
        spec.stdout.is_some(),
        spec.call.is_some(),
        spec.script.is_some(),
    ];
    if kinds.iter().filter(|k| **k).count() != 1 {
        let message = "give exactly one of stdout, call (with returns) and script";
        return Err(refuse("invalid_field", format!("tests[{index}]"), message));
    }
    let plain = spec.stdin.is_none();
    if (spec.call.is_some() || spec.script.is_some()) && !plain {
        return Err(bad("stdin", "only program tests have an input"));
    }
    if spec.returns.is_some() && spec.call.is_none() {
        return Err(bad("returns", "only call tests return something"));
    }
    if spec.names.is_some() && spec.script.is_none() {
        return Err(bad("names", "only script tests name what they use"));
    }
    if (spec.call.is_some() || spec.script.is_some()) && !runtime.has_harness() {
        let field = if spec.call.is_some() {
            "call"
        } else {
            "script"
        };
        let message = format!("{} has no function tests yet", runtime.manifest.language);
        return Err(refuse("unsupported_test", at(field), message));
    }
    let kind = if let Some(stdout) = &spec.stdout {
        let stdin = spec.stdin.clone().unwrap_or_default().into_bytes();
        TestKind::Program {
            stdin,
            stdout: stdout.clone().into_bytes(),
        }
    } else if let Some(script) = &spec.script {
        TestKind::Script {
            script: script.clone(),
            names: spec.names.clone(),
        }
    } else if let Some(call) = &spec.call {
        let returns = spec
            .returns
            .as_ref()
            .ok_or_else(|| bad("returns", "is missing"))?;
        let mut args = Vec::with_capacity(call.args.len());
        for (n, raw) in call.args.iter().enumerate() {
            args.push(json(raw).map_err(|e| bad(&format!("call.args[{n}]"), &e))?);
        }
        let mut kwargs = Vec::with_capacity(call.kwargs.len());
        for (name, raw) in &call.kwargs {
            let value = json(raw).map_err(|e| bad(&format!("call.kwargs.{name}"), &e))?;
            kwargs.push((name.clone(), value));
        }
        let returns = json(returns).map_err(|e| bad("returns", &e))?;
        TestKind::Call {
            function: call.function.clone(),
            args,
            kwargs,
            returns,
        }
    } else {
        return Err(refuse(
            "invalid_field",
            format!("tests[{index}]"),
            "no kind of test",
        ));
    };
    Ok(Test { id, kind })
}

fn checker(spec: &CheckerSpec) -> Result<Checker, Refusal> {
    let tolerant = [
        ("checker.abs", spec.abs.is_some()),
        ("checker.rel", spec.rel.is_some()),
        ("checker.integers", spec.integers.is_some()),
    ];
    if let (true, Some((field, _))) = (spec.kind != "float", tolerant.iter().find(|t| t.1)) {
        return Err(refuse(
            "invalid_field",
            *field,
            "only the float checker has a tolerance",
        ));
    }
    match spec.kind.as_str() {
        "tokens" => Ok(Checker::Tokens),
        "exact" => Ok(Checker::Exact),
        "lines" => Ok(Checker::Lines),
        "unordered" => Ok(Checker::Unordered),
        "json" => Ok(Checker::Json),
        "float" => {
            let (abs, rel) = (spec.abs.unwrap_or(1e-6), spec.rel.unwrap_or(1e-6));
            let tolerance = Tolerance::new(abs, rel);
            let tolerance = match spec.integers.unwrap_or(false) {
                true => tolerance.map(Tolerance::with_integers),
                false => tolerance,
            };
            tolerance.map(Checker::Float).ok_or_else(|| {
                refuse(
                    "invalid_field",
                    "checker.abs",
                    "tolerances are finite and not negative",
                )
            })
        }
        _ => {
            let message = "must be one of tokens, exact, lines, unordered, json, float";
            Err(refuse("unknown_checker", "checker.kind", message))
        }
    }
}
