//! Problem packages of the Kattis/ICPC format, as they are.
//!
//! [`Package::read`] looks at files and runs nothing; [`Bench`] judges. Both
//! spellings of the format are read, the legacy one and that of 2023-07. What
//! would change a verdict and is not supported refuses the package; what would
//! not is noted. docs/problem-packages.md lists both.

mod bench;
pub mod data;
pub mod grading;
mod label;
mod language;
mod metadata;
mod programs;
mod verify;
mod walk;
mod yaml;

#[cfg(test)]
mod tests;

/// What reads a package's descriptions, for the fuzz targets.
#[doc(hidden)]
pub fn fuzz(text: &str) {
    if let Ok(table) = yaml::parse("problem.yaml", text) {
        let _ = metadata::metadata(&table, &mut Vec::new());
    }
}

use std::path::{Path, PathBuf};

pub use bench::{Bench, BenchError, CaseResult, GroupResult, Judged};
pub use metadata::{Format, Metadata, PackageLimits};
pub use programs::{Label, Labelled, Source};
pub use verify::{Report, Row, Standing, TimeLimit};

use data::Group;

/// A package, read.
#[derive(Debug, Clone)]
pub struct Package {
    /// What `problem.yaml` says.
    pub metadata: Metadata,
    /// The test cases in their groups.
    pub data: Group,
    /// The output validator, where it has its own.
    pub validator: Option<Source>,
    /// The grader, where it has its own.
    pub grader: Option<Source>,
    /// The input validators.
    pub input_validators: Vec<Source>,
    /// Files that are put beside every submission, by language.
    pub include: Vec<Source>,
    /// The submissions it comes with.
    pub submissions: Vec<Labelled>,
    /// What it has and we do not read, and what is odd about it.
    pub notes: Vec<String>,
}

/// Why a package cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file cannot be read, or says something it may not.
    #[error("{0}: {1}")]
    File(String, String),
    /// It has something that would change verdicts and that we do not do.
    #[error("{0} are not supported")]
    Unsupported(String),
    /// It has no test cases.
    #[error("there are no test cases under data/sample or data/secret")]
    NoTests,
    /// A link leads out of it.
    #[error("{0} leads out of the package")]
    Outside(String),
}

impl Package {
    /// Reads a package.
    ///
    /// # Errors
    /// When it is not a package, or not one that we can judge as it is meant.
    pub fn read(root: &Path) -> Result<Self, PackageError> {
        let root = &root
            .canonicalize()
            .map_err(|e| PackageError::File(root.display().to_string(), e.to_string()))?;
        let mut notes = Vec::new();
        let table = yaml::read(&root.join("problem.yaml"))?;
        let mut metadata = metadata::metadata(&table, &mut notes)?;
        if root.join("static_validator").exists() {
            return Err(PackageError::Unsupported("static validators".to_owned()));
        }
        let own = programs::single(root, &["output_validator", "output_validators"])?;
        let validator = match (metadata.custom, own) {
            (Some(false), Some(_)) => {
                notes.push("the output validator is not used: validation is default".to_owned());
                None
            }
            (Some(true), None) => {
                let what = "validation is custom, and there is no output validator".to_owned();
                return Err(PackageError::File("problem.yaml".to_owned(), what));
            }
            (_, own) => own,
        };
        if metadata.interactive && validator.is_none() {
            let what = "an interactive problem needs an output validator".to_owned();
            return Err(PackageError::File("problem.yaml".to_owned(), what));
        }
        metadata.limits.time = metadata.limits.time.or(timelimit(root)?);
        if root.join("submissions/submissions.yaml").exists() {
            notes.push("submissions.yaml is not read; directories say what is expected".into());
        }
        let mut input_validators = programs::programs(root, "input_validators")?;
        input_validators.extend(programs::programs(root, "input_format_validators")?);
        Ok(Self {
            data: data::data(root, &metadata, &mut notes)?,
            metadata,
            validator,
            grader: programs::single(root, &["graders"])?,
            input_validators,
            include: programs::include(root)?,
            submissions: programs::submissions(root, &mut notes)?,
            notes,
        })
    }
}

/// The file in which judges keep a limit that the package leaves to them.
fn timelimit(root: &Path) -> Result<Option<f64>, PackageError> {
    let path = root.join(".timelimit");
    if !path.is_file() {
        return Ok(None);
    }
    let bad = |e: String| PackageError::File(path.display().to_string(), e);
    let text = std::fs::read_to_string(&path).map_err(|e| bad(e.to_string()))?;
    match text.trim().parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds > 0.0 => Ok(Some(seconds)),
        Ok(_) | Err(_) => Err(bad("it is not a number of seconds".to_owned())),
    }
}

/// Most parts of a path that is followed.
const DEEPEST: usize = 64;

/// What a directory holds, by name, hidden files left out. A link may not lead
/// out of the package: it comes from elsewhere, and reads with our rights.
fn entries(root: &Path, dir: &Path) -> Result<Vec<PathBuf>, PackageError> {
    let unread = |e: std::io::Error| PackageError::File(dir.display().to_string(), e.to_string());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if hidden || path.file_name().is_some_and(|n| n == "__pycache__") {
            continue;
        }
        let real = path.canonicalize().map_err(unread)?;
        if !real.starts_with(root) {
            return Err(PackageError::Outside(path.display().to_string()));
        }
        // A directory must not contain itself.
        if real.is_dir() && dir.starts_with(&real) || path.components().count() > DEEPEST {
            let what = "it contains itself, or nests too deeply".to_owned();
            return Err(PackageError::File(path.display().to_string(), what));
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}
