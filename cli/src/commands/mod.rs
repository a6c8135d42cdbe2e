//! One file a command.

pub(crate) mod bench;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod guests;
pub(crate) mod headers;
pub(crate) mod judge;
pub(crate) mod matrix;
pub(crate) mod metrics;
mod package;
pub(crate) mod pairs;
pub(crate) mod receipt;
pub(crate) mod run;
pub(crate) mod runtimes;
pub(crate) mod select;
pub(crate) mod serve;
pub(crate) mod tasks;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use assize_api::types::{FileSpec, RunRequest};
use assize_policies::LimitsRequest;
use assize_runtimes::Registry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

use crate::Usage;
use crate::args::{Document, Program};

/// Reads a request of the API from a file or standard input.
pub(crate) fn document<T: DeserializeOwned>(args: &Document) -> Result<T> {
    let mut text = String::new();
    let name = match args.file.as_deref().filter(|f| f.as_os_str() != "-") {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            text = read.map_err(|e| Usage(format!("{}: {e}", path.display())))?;
            path.display().to_string()
        }
        None => {
            let mut input = std::io::stdin().lock();
            input.read_to_string(&mut text).context("standard input")?;
            "standard input".to_owned()
        }
    };
    Ok(serde_json::from_str(&text).map_err(|e| Usage(format!("{name}: {e}")))?)
}

/// The request that `run` and `judge` make of their common options.
pub(crate) fn request(registry: &Registry, path: &Path, program: &Program) -> Result<RunRequest> {
    let bytes = std::fs::read(path).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let by_extension = || {
        let knows = |r: &&std::sync::Arc<assize_runtimes::Runtime>| {
            r.manifest
                .extensions
                .first()
                .is_some_and(|e| e == extension)
        };
        registry
            .all()
            .find(knows)
            .map(|r| r.manifest.language.clone())
    };
    let language = program
        .language
        .clone()
        .or_else(by_extension)
        .ok_or_else(|| {
            let message = "unknown extension; name the language with --language";
            Usage(format!("{}: {message}", path.display()))
        })?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let (code, files) = match String::from_utf8(bytes) {
        Ok(code) => (Some(code), None),
        // A program that is no text, such as a wasm module.
        Err(error) => {
            let spec = FileSpec {
                base64: Some(STANDARD.encode(error.as_bytes())),
                ..FileSpec::default()
            };
            (None, Some([(name.unwrap_or_default(), spec)].into()))
        }
    };
    Ok(RunRequest {
        language,
        code,
        files,
        deterministic: program.deterministic,
        backend: program.backend.map(Into::into).unwrap_or_default(),
        policy: program.policy.clone(),
        limits: LimitsRequest {
            cpu_ms: program.cpu,
            wall_ms: program
                .wall
                .or(program.cpu.map(|cpu| cpu.saturating_mul(3))),
            memory_bytes: program.memory,
            ..LimitsRequest::default()
        },
        ..RunRequest::default()
    })
}
