//! What only runs have: arguments, environment, files handed back.

use std::collections::BTreeSet;

use assize_executor::{Collect, plain_relative};

use super::{Refusal, refuse};
use crate::types::RunRequest;

/// Most bytes of arguments and environment together.
const MAX_ARGUMENTS: usize = 128 << 10;
/// Most files handed back.
const MAX_COLLECT: usize = 32;
/// Largest file handed back, in bytes.
const MAX_COLLECT_BYTES: u64 = 16 << 20;

pub(super) type Arguments = (Vec<String>, Vec<(String, String)>);

pub(super) fn arguments(request: &RunRequest) -> Result<Arguments, Refusal> {
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

pub(super) fn collect(paths: &[String]) -> Result<Vec<Collect>, Refusal> {
    if paths.len() > MAX_COLLECT {
        let message = format!("{} files, at most {MAX_COLLECT}", paths.len());
        return Err(refuse("too_many_files", "collect", message));
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
