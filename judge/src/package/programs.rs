//! Programs in a package: validators, graders and labelled submissions.

use std::fs;
use std::path::Path;

use assize_executor::FileSource;

use super::{PackageError, entries};

/// Most bytes of one program.
const LARGEST: u64 = 16 << 20;

/// A program: one file, or a directory of files.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in the package.
    pub name: String,
    /// Its files, by their paths below it.
    pub files: Vec<FileSource>,
}

/// What a submission's directory promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Accepted.
    Accepted,
    /// Accepted, with less than all points.
    PartiallyAccepted,
    /// Wrong.
    WrongAnswer,
    /// Too slow.
    TimeLimitExceeded,
    /// Crashes.
    RunTimeError,
    /// Not accepted, however (newer format).
    Rejected,
    /// Right but too slow or too large (newer format).
    BruteForce,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::PartiallyAccepted,
        Self::WrongAnswer,
        Self::TimeLimitExceeded,
        Self::RunTimeError,
        Self::Rejected,
        Self::BruteForce,
    ];

    /// The directory's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::PartiallyAccepted => "partially_accepted",
            Self::WrongAnswer => "wrong_answer",
            Self::TimeLimitExceeded => "time_limit_exceeded",
            Self::RunTimeError => "run_time_error",
            Self::Rejected => "rejected",
            Self::BruteForce => "brute_force",
        }
    }
}

/// A submission and what it promises.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// The promise.
    pub label: Label,
    /// The program.
    pub source: Source,
}

/// The programs of a directory; none where there is none.
pub(super) fn programs(root: &Path, dir: &str) -> Result<Vec<Source>, PackageError> {
    let path = root.join(dir);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let all = entries(root, &path)?;
    all.iter().map(|path| source(root, path)).collect()
}

/// The directory itself as one program, or the only one in it: the newer
/// format has one validator, the legacy one a directory of them.
pub(super) fn single(root: &Path, dirs: &[&str]) -> Result<Option<Source>, PackageError> {
    let Some(dir) = dirs.iter().find(|d| root.join(d).is_dir()) else {
        return Ok(None);
    };
    let all = entries(root, &root.join(dir))?;
    match (all.as_slice(), dir.ends_with('s')) {
        ([], _) => Ok(None),
        ([only], _) => source(root, only).map(Some),
        (_, false) => source(root, &root.join(dir)).map(Some),
        (_, true) => {
            let what = format!("{dir} with more than one program");
            Err(PackageError::Unsupported(what))
        }
    }
}

/// Reads one program.
pub(super) fn source(root: &Path, path: &Path) -> Result<Source, PackageError> {
    let name = path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let mut files = Vec::new();
    let mut left = LARGEST;
    if path.is_dir() {
        gather(root, path, "", &mut files, &mut left)?;
    } else {
        files.push(file(path, name.clone(), &mut left)?);
    }
    if let Some(script) = files.iter().find(|f| f.path == "build" || f.path == "run") {
        let what = format!("programs with a script called {} ({name})", script.path);
        return Err(PackageError::Unsupported(what));
    }
    Ok(Source { name, files })
}

/// Further files for every submission of a language (`include/`).
pub(super) fn include(root: &Path) -> Result<Vec<Source>, PackageError> {
    programs(root, "include")
}

/// The labelled submissions; of directories that are no label, a note.
pub(super) fn submissions(
    root: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<Labelled>, PackageError> {
    let dir = root.join("submissions");
    if !dir.is_dir() {
        notes.push("there are no submissions".to_owned());
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in entries(root, &dir)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        match Label::ALL.iter().find(|l| l.name() == name) {
            Some(label) if entry.is_dir() => {
                for path in entries(root, &entry)? {
                    found.push(Labelled {
                        label: *label,
                        source: source(root, &path)?,
                    });
                }
            }
            Some(_) | None => notes.push(format!("submissions/{name} is not read")),
        }
    }
    let place = |l: &Labelled| Label::ALL.iter().position(|a| *a == l.label);
    found.sort_by(|a, b| (place(a), &a.source.name).cmp(&(place(b), &b.source.name)));
    Ok(found)
}

fn gather(
    root: &Path,
    dir: &Path,
    below: &str,
    files: &mut Vec<FileSource>,
    left: &mut u64,
) -> Result<(), PackageError> {
    for path in entries(root, dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{below}{name}");
        if path.is_dir() {
            gather(root, &path, &format!("{name}/"), files, left)?;
        } else {
            files.push(file(&path, name, left)?);
        }
    }
    Ok(())
}

fn file(path: &Path, name: String, left: &mut u64) -> Result<FileSource, PackageError> {
    let unread = |e: String| PackageError::File(path.display().to_string(), e);
    let size = path.metadata().map_err(|e| unread(e.to_string()))?.len();
    *left = left
        .checked_sub(size)
        .ok_or_else(|| unread(format!("the program has more than {LARGEST} bytes")))?;
    let data = fs::read(path).map_err(|e| unread(e.to_string()))?;
    Ok(FileSource {
        path: name,
        data,
        executable: false,
    })
}
