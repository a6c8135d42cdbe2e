//! `problem.yaml`.

use serde_json::Value;

use super::PackageError;
use super::yaml::Table;

/// Which of the two spellings a package has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `legacy` and `legacy-icpc`.
    Legacy,
    /// `2023-07` and what came after it.
    New,
}

/// What `problem.yaml` says, as far as it bears on judging.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The problem's name; empty when the package gives none.
    pub name: String,
    /// Which format it is in.
    pub format: Format,
    /// Whether submissions get a score.
    pub scoring: bool,
    /// Whether fewer points are better (legacy `grading.objective: min`).
    pub minimize: bool,
    /// Whether the validator talks with the submission.
    pub interactive: bool,
    /// Whether the package says that it has a validator of its own; the newer
    /// format says it by having one.
    pub custom: Option<bool>,
    /// `validator_flags` of the legacy format.
    pub validator_flags: Vec<String>,
    /// Limits.
    pub limits: PackageLimits,
}

/// Limits of a package. What it leaves out is for the judge to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageLimits {
    /// CPU time of a submission, in seconds.
    pub time: Option<f64>,
    /// The slowest accepted submission's time is multiplied by this where no
    /// time is given.
    pub ac_to_limit: f64,
    /// A submission that is to be too slow has to be slower by this factor.
    pub limit_to_tle: f64,
    /// A computed limit is a multiple of this many seconds.
    pub resolution: f64,
    /// MiB of memory.
    pub memory: Option<f64>,
    /// MiB of output.
    pub output: Option<f64>,
    /// Seconds for a validator.
    pub validation_time: Option<f64>,
    /// MiB for a validator.
    pub validation_memory: Option<f64>,
    /// MiB that a validator may print.
    pub validation_output: Option<f64>,
}

const KNOWN: [&str; 24] = [
    "problem_format_version",
    "type",
    "name",
    "uuid",
    "version",
    "author",
    "credits",
    "source",
    "source_url",
    "license",
    "rights_owner",
    "embargo_until",
    "limits",
    "validation",
    "validator_flags",
    "grading",
    "keywords",
    "languages",
    "allow_file_writing",
    "constants",
    // Of older drafts and other tools; none bears on judging.
    "short-name",
    "color",
    "event",
    "problem_id",
];

const LIMITS: [&str; 16] = [
    "time_limit",
    "time_multiplier",
    "time_safety_margin",
    "time_multipliers",
    "time_resolution",
    "memory",
    "output",
    "validation_time",
    "validation_memory",
    "validation_output",
    "code",
    "compilation_time",
    "compilation_memory",
    "validation_passes",
    "time_for_AC_submissions",
    "clock",
];

/// Reads it; what it says and we do not read is added to `notes`.
pub(super) fn metadata(table: &Table, notes: &mut Vec<String>) -> Result<Metadata, PackageError> {
    let format = match table.text("problem_format_version")?.as_deref() {
        None | Some("legacy" | "legacy-icpc") => Format::Legacy,
        Some(version) if version.starts_with("20") || version == "draft" => Format::New,
        Some(_) => return Err(table.bad("problem_format_version", "is no version we know")),
    };
    for key in table.others(&KNOWN) {
        notes.push(format!("problem.yaml: {key} is not part of the format"));
    }
    let (kinds, custom, validator_flags) = match format {
        Format::Legacy => legacy_kinds(table)?,
        Format::New => (table.words("type")?, None, Vec::new()),
    };
    let is = |kind: &str| kinds.iter().any(|k| k == kind);
    for kind in &kinds {
        match kind.as_str() {
            "pass-fail" | "scoring" | "interactive" => {}
            "multi-pass" | "submit-answer" => {
                return Err(PackageError::Unsupported(format!("{kind} problems")));
            }
            _ => return Err(table.bad("type", &format!("has no kind {kind:?}"))),
        }
    }
    if table.value("constants").is_some() {
        return Err(PackageError::Unsupported("constants".to_owned()));
    }
    let minimize = match table.table("grading")?.text("objective")?.as_deref() {
        None | Some("max") => false,
        Some("min") => true,
        Some(_) => return Err(table.bad("grading.objective", "is neither min nor max")),
    };
    Ok(Metadata {
        name: name(table),
        format,
        scoring: is("scoring"),
        minimize,
        interactive: is("interactive"),
        custom,
        validator_flags,
        limits: limits(&table.table("limits")?, format, notes)?,
    })
}

type Kinds = (Vec<String>, Option<bool>, Vec<String>);

/// `type` and `validation` of the legacy format, as the newer one's types.
fn legacy_kinds(table: &Table) -> Result<Kinds, PackageError> {
    let mut kinds = table.words("type")?;
    let validation = table.words("validation")?;
    let custom = match validation.split_first() {
        None => false,
        Some((first, rest)) => {
            let custom = match first.as_str() {
                "default" => false,
                "custom" => true,
                _ => return Err(table.bad("validation", "begins with neither default nor custom")),
            };
            for word in rest {
                match (word.as_str(), custom) {
                    ("score", true) => {}
                    ("interactive", true) => kinds.push("interactive".to_owned()),
                    ("multipass" | "multi-pass", true) => kinds.push("multi-pass".to_owned()),
                    _ => return Err(table.bad("validation", &format!("has no kind {word:?}"))),
                }
            }
            custom
        }
    };
    Ok((kinds, Some(custom), table.words("validator_flags")?))
}

/// A text, or one text per language.
fn name(table: &Table) -> String {
    match table.value("name") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Object(names)) => names
            .get("en")
            .or_else(|| names.values().next())
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    }
}

fn limits(
    table: &Table,
    format: Format,
    notes: &mut Vec<String>,
) -> Result<PackageLimits, PackageError> {
    let positive = |table: &Table, key: &str| match table.number(key)? {
        Some(number) if number <= 0.0 => Err(table.bad(key, "is not above zero")),
        number => Ok(number),
    };
    for key in table.others(&LIMITS) {
        notes.push(format!("problem.yaml: {key} is not part of the format"));
    }
    for key in ["code", "compilation_time", "compilation_memory"] {
        if table.has(key) {
            notes.push(format!("problem.yaml: limits.{key} is not applied"));
        }
    }
    let multipliers = table.table("time_multipliers")?;
    let (ac_to_limit, limit_to_tle) = match format {
        Format::Legacy => (
            positive(table, "time_multiplier")?.unwrap_or(5.0),
            positive(table, "time_safety_margin")?.unwrap_or(2.0),
        ),
        Format::New => (
            positive(&multipliers, "ac_to_time_limit")?.unwrap_or(2.0),
            positive(&multipliers, "time_limit_to_tle")?.unwrap_or(1.5),
        ),
    };
    Ok(PackageLimits {
        time: positive(table, "time_limit")?,
        ac_to_limit,
        limit_to_tle,
        resolution: positive(table, "time_resolution")?.unwrap_or(1.0),
        memory: positive(table, "memory")?,
        output: positive(table, "output")?,
        validation_time: positive(table, "validation_time")?,
        validation_memory: positive(table, "validation_memory")?,
        validation_output: positive(table, "validation_output")?,
    })
}

impl PackageLimits {
    /// The limit that follows from the slowest accepted submission's time, in
    /// seconds: the next multiple of the resolution.
    #[must_use]
    pub fn from_slowest(&self, slowest: f64) -> f64 {
        let steps = (slowest * self.ac_to_limit / self.resolution)
            .ceil()
            .max(1.0);
        steps * self.resolution
    }
}
