//! `data/`: test cases and the groups they stand in.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::grading::{Grader, ScoreMode};
use super::metadata::{Format, Metadata};
use super::yaml::{self, Table, words};
use super::{PackageError, entries};

/// A group of test cases and further groups.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its path below `data`; empty for the root.
    pub name: String,
    /// How it is judged.
    pub settings: Settings,
    /// Its parts, in the order they are judged.
    pub items: Vec<Item>,
}

/// A part of a group.
#[derive(Debug, Clone)]
pub enum Item {
    /// One test case.
    Case(TestCase),
    /// A group.
    Group(Group),
}

/// A test case.
#[derive(Debug, Clone)]
pub struct TestCase {
    /// Its path below `data`, without extension.
    pub name: String,
    /// The input file.
    pub input: PathBuf,
    /// The answer file.
    pub answer: PathBuf,
}

/// How a group is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whether the rest of a group is left out once a part of it failed.
    pub stop: bool,
    /// How its parts' results become its own.
    pub grading: Grading,
    /// Score of an accepted test case whose validator gave none.
    pub accept_score: f64,
    /// Score of any other.
    pub reject_score: f64,
    /// The scores it may have.
    pub range: (f64, f64),
    /// Arguments of the output validator.
    pub output_flags: Vec<String>,
    /// Arguments of the input validators.
    pub input_flags: InputFlags,
}

/// How the results of a group's parts become its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Grading {
    /// The legacy format's default grader.
    Default(Grader),
    /// The package's own grader, with these arguments.
    Custom(Vec<String>),
    /// The newer format: all or nothing, `most` points for all.
    PassFail {
        /// The points.
        most: f64,
    },
    /// The newer format: the scores of its parts.
    Scores(ScoreMode),
}

/// Arguments of input validators: for all of them, or for some by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InputFlags {
    all: Vec<String>,
    named: Vec<(String, Vec<String>)>,
}

impl InputFlags {
    /// Those of one validator.
    #[must_use]
    pub fn of(&self, validator: &str) -> &[String] {
        let own = self.named.iter().find(|(name, _)| name == validator);
        own.map_or(&self.all, |(_, flags)| flags)
    }
}

/// Reads `data/` below `root`.
pub(super) fn data(
    root: &Path,
    metadata: &Metadata,
    notes: &mut Vec<String>,
) -> Result<Group, PackageError> {
    let reader = Reader {
        data: root.join("data"),
        root,
        metadata,
    };
    let mut group = match metadata.format {
        Format::Legacy => reader.legacy("", &Table::none("testdata.yaml"), notes)?,
        Format::New => reader.newer("", &Table::none("test_group.yaml"), None)?,
    };
    // Only these two are judged; others are there for their author.
    group.items.retain(|item| match item {
        Item::Group(group) => {
            let judged = matches!(group.name.as_str(), "sample" | "secret");
            if !judged {
                notes.push(format!("data/{} is not read", group.name));
            }
            judged
        }
        Item::Case(case) => {
            notes.push(format!(
                "data/{}: a test case outside sample and secret",
                case.name
            ));
            false
        }
    });
    if group.cases().next().is_none() {
        return Err(PackageError::NoTests);
    }
    Ok(group)
}

struct Reader<'a> {
    root: &'a Path,
    data: PathBuf,
    metadata: &'a Metadata,
}

impl Reader<'_> {
    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.data.clone()
        } else {
            self.data.join(name)
        }
    }

    /// Test cases and names of groups, in the order of their base names.
    fn listing(&self, name: &str) -> Result<Vec<(String, Option<TestCase>)>, PackageError> {
        let mut found = Vec::new();
        let below = |base: &str| match name {
            "" => base.to_owned(),
            name => format!("{name}/{base}"),
        };
        for entry in entries(self.root, &self.path(name))? {
            let base = |path: &Path| {
                let stem = path.file_stem().unwrap_or_default();
                stem.to_string_lossy().into_owned()
            };
            let extension = entry.extension().and_then(|e| e.to_str());
            if entry.is_dir() {
                if extension == Some("files") {
                    let what = format!("files beside a test case ({})", entry.display());
                    return Err(PackageError::Unsupported(what));
                }
                let name = entry.file_name().unwrap_or_default().to_string_lossy();
                found.push((below(&name), None));
            } else if extension == Some("in") {
                let answer = entry.with_extension("ans");
                if !answer.is_file() {
                    return Err(PackageError::File(
                        entry.display().to_string(),
                        "there is no .ans file beside it".to_owned(),
                    ));
                }
                let case = TestCase {
                    name: below(&base(&entry)),
                    input: entry,
                    answer,
                };
                found.push((case.name.clone(), Some(case)));
            } else if extension == Some("yaml")
                && !matches!(base(&entry).as_str(), "testdata" | "test_group")
            {
                let what = format!("settings of one test case ({})", entry.display());
                return Err(PackageError::Unsupported(what));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn settings_file(&self, name: &str, files: &[&str]) -> Result<Table, PackageError> {
        for file in files {
            let path = self.path(name).join(file);
            if path.is_file() {
                return yaml::read(&path);
            }
        }
        Ok(Table::none(files[0]))
    }

    fn legacy(
        &self,
        name: &str,
        inherited: &Table,
        notes: &mut Vec<String>,
    ) -> Result<Group, PackageError> {
        let table = self
            .settings_file(name, &["testdata.yaml"])?
            .over(inherited);
        let settings = legacy_settings(&table, self.metadata, name.is_empty(), notes)?;
        let mut items = Vec::new();
        for (below, case) in self.listing(name)? {
            items.push(match case {
                Some(case) => Item::Case(case),
                None => Item::Group(self.legacy(&below, &table, notes)?),
            });
        }
        Ok(Group {
            name: name.to_owned(),
            settings,
            items,
        })
    }

    /// `most`: what this group's parent lets it have at most; none where the
    /// parent counts no scores.
    fn newer(
        &self,
        name: &str,
        inherited: &Table,
        most: Option<f64>,
    ) -> Result<Group, PackageError> {
        const FILES: [&str; 2] = ["test_group.yaml", "testdata.yaml"];
        let own = self.settings_file(name, &FILES)?;
        if own.has("static_validation") {
            return Err(PackageError::Unsupported("static validation".to_owned()));
        }
        if own.has("args") {
            return Err(PackageError::Unsupported(
                "arguments of submissions".to_owned(),
            ));
        }
        let scoring = own.table("scoring")?;
        if scoring.has("require_pass") {
            return Err(PackageError::Unsupported("scoring.require_pass".to_owned()));
        }
        let table = own.over(inherited);
        let most = match (scoring.text("score")?.as_deref(), name) {
            (Some("unbounded"), _) => f64::INFINITY,
            (Some(_), _) => scoring.number("score")?.unwrap_or(0.0),
            (None, "secret") => 100.0,
            (None, _) => most.unwrap_or(0.0),
        };
        let listing = self.listing(name)?;
        let aggregation = scoring.text("aggregation")?;
        let grading = match (aggregation.as_deref(), name) {
            // The root is what the secret group is; samples do not count.
            (_, "") => Grading::Scores(ScoreMode::Sum),
            (Some("sum"), _) | (None, "secret") => Grading::Scores(ScoreMode::Sum),
            (Some("min"), _) => Grading::Scores(ScoreMode::Min),
            (Some("pass-fail") | None, _) => Grading::PassFail { most },
            (Some(_), _) => return Err(scoring.bad("aggregation", "is unknown")),
        };
        let share = match grading {
            Grading::Scores(ScoreMode::Sum) => self.share(most, &listing)?,
            _ => most,
        };
        let accept_score = match (name, &grading) {
            ("", _) => 0.0,
            (_, Grading::PassFail { .. }) => 0.0,
            (_, _) => share,
        };
        let settings = Settings {
            stop: false,
            grading,
            accept_score,
            reject_score: 0.0,
            range: (0.0, if name.is_empty() { f64::INFINITY } else { most }),
            output_flags: table.words("output_validator_args")?,
            input_flags: input_flags(&table, "input_validator_args")?,
        };
        let mut items = Vec::new();
        for (below, case) in listing {
            items.push(match case {
                Some(case) => Item::Case(case),
                None => Item::Group(self.newer(&below, &table, Some(share))?),
            });
        }
        Ok(Group {
            name: name.to_owned(),
            settings,
            items,
        })
    }

    /// What a group's points leave for each part that says nothing of its own.
    fn share(
        &self,
        most: f64,
        listing: &[(String, Option<TestCase>)],
    ) -> Result<f64, PackageError> {
        if most.is_infinite() {
            return Ok(most);
        }
        let (mut taken, mut silent) = (0.0, 0.0);
        for (name, case) in listing {
            let own = match case {
                Some(_) => None,
                None => self
                    .settings_file(name, &["test_group.yaml", "testdata.yaml"])?
                    .table("scoring")?
                    .number("score")?,
            };
            match own {
                Some(score) => taken += score,
                None => silent += 1.0,
            }
        }
        if taken > most {
            let what = format!("its parts have {taken} points, more than its {most}");
            return Err(PackageError::File("test_group.yaml".to_owned(), what));
        }
        Ok(if silent > 0.0 {
            (most - taken) / silent
        } else {
            0.0
        })
    }
}

fn legacy_settings(
    table: &Table,
    metadata: &Metadata,
    root: bool,
    notes: &mut Vec<String>,
) -> Result<Settings, PackageError> {
    const KNOWN: [&str; 9] = [
        "on_reject",
        "grading",
        "grader_flags",
        "input_validator_flags",
        "output_validator_flags",
        "accept_score",
        "reject_score",
        "range",
        "validator_flags",
    ];
    for key in table.others(&KNOWN) {
        let note = format!("testdata.yaml: {key} is not part of the format");
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    let stop = match table.text("on_reject")?.as_deref() {
        None | Some("break") => true,
        Some("continue") => false,
        Some(_) => return Err(table.bad("on_reject", "is neither break nor continue")),
    };
    let flags = table.words("grader_flags")?;
    let grading = match table.text("grading")?.as_deref() {
        None | Some("default") => {
            let mut grader = Grader::from_flags(&flags)
                .map_err(|f| table.bad("grader_flags", &format!("has no flag {f:?}")))?;
            grader.ignore_sample &= root;
            Grading::Default(grader)
        }
        Some("custom") => Grading::Custom(flags),
        Some(_) => return Err(table.bad("grading", "is neither default nor custom")),
    };
    let range = match table.words("range")?.as_slice() {
        [] => (f64::NEG_INFINITY, f64::INFINITY),
        [low, high] => match (low.parse(), high.parse()) {
            (Ok(low), Ok(high)) if low <= high => (low, high),
            _ => return Err(table.bad("range", "is not two numbers, the lower first")),
        },
        _ => return Err(table.bad("range", "is not two numbers, the lower first")),
    };
    let mut output_flags = metadata.validator_flags.clone();
    output_flags.extend(match table.value("output_validator_flags") {
        // By the validator's name, of which there is one, or under "flags".
        Some(Value::Object(map)) => {
            let own = map.get("flags").or_else(|| map.values().next());
            own.and_then(words)
                .ok_or_else(|| table.bad("output_validator_flags", "has no flags"))?
        }
        _ => table.words("output_validator_flags")?,
    });
    Ok(Settings {
        stop,
        grading,
        accept_score: table.number("accept_score")?.unwrap_or(1.0),
        reject_score: table.number("reject_score")?.unwrap_or(0.0),
        range,
        output_flags,
        input_flags: input_flags(table, "input_validator_flags")?,
    })
}

fn input_flags(table: &Table, key: &str) -> Result<InputFlags, PackageError> {
    let Some(Value::Object(map)) = table.value(key) else {
        let all = table.words(key)?;
        return Ok(InputFlags {
            all,
            named: Vec::new(),
        });
    };
    let bad = || table.bad(key, "has no flags");
    let named = match (map.get("name").and_then(Value::as_str), map.get("flags")) {
        (Some(name), Some(flags)) => vec![(name.to_owned(), words(flags).ok_or_else(bad)?)],
        _ => map
            .iter()
            .map(|(name, flags)| Ok((name.clone(), words(flags).ok_or_else(bad)?)))
            .collect::<Result<_, PackageError>>()?,
    };
    Ok(InputFlags {
        all: Vec::new(),
        named,
    })
}

impl Group {
    /// All its test cases, those of its groups included, in order.
    pub fn cases(&self) -> impl Iterator<Item = (&TestCase, &Settings)> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found.into_iter()
    }

    fn collect<'a>(&'a self, found: &mut Vec<(&'a TestCase, &'a Settings)>) {
        for item in &self.items {
            match item {
                Item::Case(case) => found.push((case, &self.settings)),
                Item::Group(group) => group.collect(found),
            }
        }
    }

    /// Most points (or fewest, where fewer are better) there are to get.
    #[must_use]
    pub fn best(&self, minimize: bool) -> f64 {
        match minimize {
            true => self.settings.range.0,
            false => self.settings.range.1,
        }
    }
}
