//! Finding a runtime on the host and asking its version, in a cell.

use std::path::Path;
use std::sync::Arc;

use assize_executor::{End, Executor, Plan, Target};
use assize_policies::Profile;
use sha2::{Digest, Sha256};

use crate::manifest::{Detect, fill};

/// A runtime's program as found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) bin: String,
    pub(crate) version: String,
    pub(crate) digest: String,
}

/// The first candidate that exists and tells its version inside a cell.
pub(crate) async fn find(
    executor: &Executor,
    policy: &Arc<Profile>,
    detect: &Detect,
) -> Result<Found, String> {
    let bin = detect.any.iter().find(|path| Path::new(path).is_file());
    let bin = bin.ok_or_else(|| format!("none of {} is installed", detect.any.join(", ")))?;
    let argv = fill(&detect.version, &[("bin", bin)], &[]);
    let text = ask(executor, policy, argv)
        .await
        .map_err(|why| format!("{bin} did not tell its version: {why}"))?;
    let version = dotted_number(&text).ok_or_else(|| format!("{bin} printed no version"))?;
    Ok(Found {
        bin: bin.clone(),
        version,
        digest: digest(Path::new(bin)),
    })
}

/// What a command prints, run in a cell; or how it ended.
pub(crate) async fn ask(
    executor: &Executor,
    policy: &Arc<Profile>,
    argv: Vec<String>,
) -> Result<String, String> {
    let plan = Plan {
        argv,
        env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        files: None,
        stdin: None,
        channel: None,
        report_bytes: 0,
        collect: Vec::new(),
        limits: policy.limits,
        policy: Arc::clone(policy),
        target: Target::Native,
        warm: None,
    };
    let outcome = executor
        .run(plan)
        .await
        .map_err(|fault| fault.to_string())?;
    match outcome.end {
        End::Exited(0) => Ok(String::from_utf8_lossy(&outcome.stdout.data).into_owned()),
        end => Err(format!("{end:?}")),
    }
}

/// The first number with dots in a text: `3.11.2` in `Python 3.11.2`.
fn dotted_number(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|word| word.trim_matches('.'))
        .find(|word| !word.is_empty())
        .map(str::to_owned)
}

/// Digest of the program file, so that two results can be told to come from
/// the same runtime.
fn digest(path: &Path) -> String {
    std::fs::read(path).map_or_else(
        |_| "unreadable".to_owned(),
        |bytes| {
            let hash = Sha256::digest(&bytes);
            let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
            format!("sha256:{hex}")
        },
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (text, version) in [
            ("Python 3.11.2\n", "3.11.2"),
            ("v20.20.2\n", "20.20.2"),
            ("12.2.0\n", "12.2.0"),
            ("GNU bash, version 5.2.15(1)-release", "5.2.15"),
            ("Debian clang version 22.1.8 (1)", "22.1.8"),
        ] {
            assert_eq!(super::dotted_number(text).as_deref(), Some(version));
        }
    }
}
