//! Runs everything a package comes with and compares with what it promises.

use assize_executor::End;
use serde::Serialize;

use super::bench::{Bench, BenchError, Judged, read};
use super::label::keeps;
use super::metadata::Format;
use super::programs::{Label, Labelled};
use crate::validator::clip;
use crate::verdict::Verdict;

/// Most seconds an accepted submission may take while no limit is known.
const UNKNOWN: f64 = 60.0;

/// How long submissions may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeLimit {
    /// The limit, in seconds of CPU time.
    pub seconds: f64,
    /// When a submission is cut off, at or after the limit.
    pub cut: f64,
}

impl TimeLimit {
    /// A limit at which submissions are cut off.
    #[must_use]
    pub fn of(seconds: f64) -> Self {
        Self {
            seconds,
            cut: seconds,
        }
    }
}

/// What verifying a package came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The problem's name.
    pub problem: String,
    /// The time limit that was used, in seconds; none when none could be found.
    pub time_limit_s: Option<f64>,
    /// Each submission.
    pub submissions: Vec<Row>,
    /// What is wrong with the package itself.
    pub problems: Vec<String>,
    /// What was not read.
    pub notes: Vec<String>,
    /// Whether every promise was kept and nothing is wrong.
    pub ok: bool,
}

/// One submission.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its name.
    pub submission: String,
    /// What its directory promises.
    pub label: &'static str,
    /// What it came to; none when it could not be run.
    pub verdict: Option<Verdict>,
    /// Its score, in scoring problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// CPU time on its slowest test case, in milliseconds.
    pub slowest_ms: f64,
    /// Test cases it ran on.
    pub cases: usize,
    /// Whether it is what it promises.
    pub standing: Standing,
    /// Why not, or what is to be said otherwise.
    pub detail: String,
}

/// Whether a submission is what it promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is.
    Ok,
    /// It is not.
    Mismatch,
    /// Nobody knows: this host cannot run it.
    NotRun,
}

impl Bench<'_> {
    /// The time limit: what the package says, or else what follows from its
    /// accepted submissions, which are run for it.
    pub async fn time_limit(&self) -> Result<Option<f64>, BenchError> {
        if let Some(seconds) = self.package.metadata.limits.time {
            return Ok(Some(seconds));
        }
        let mut slowest = None;
        for entry in self.accepted() {
            if self.program(&entry.source).is_ok() {
                let judged = self.judge(&entry.source, TimeLimit::of(UNKNOWN)).await?;
                slowest = longer(slowest, &judged);
            }
        }
        let limits = &self.package.metadata.limits;
        Ok(slowest.map(|ms| limits.from_slowest(ms / 1e3)))
    }

    fn accepted(&self) -> impl Iterator<Item = &Labelled> {
        let all = self.package.submissions.iter();
        all.filter(|s| s.label == Label::Accepted)
    }

    /// Runs the input validators on every input and the submissions on every
    /// test, telling each row when it is known.
    pub async fn verify(
        &mut self,
        told: &mut (dyn FnMut(&Row) + Send),
    ) -> Result<Report, BenchError> {
        let package = self.package;
        let mut report = Report {
            problem: package.metadata.name.clone(),
            time_limit_s: None,
            submissions: Vec::new(),
            problems: Vec::new(),
            notes: package.notes.clone(),
            ok: false,
        };
        self.inputs(&mut report).await?;
        if self.accepted().next().is_none() {
            report
                .problems
                .push("there is no accepted submission".to_owned());
        }
        // First those that the limit follows from.
        let mut slowest = None;
        let fixed = package.metadata.limits.time;
        let start = TimeLimit::of(fixed.unwrap_or(UNKNOWN));
        for entry in self.accepted() {
            let (row, judged) = self.row(entry, start).await?;
            slowest = judged.iter().fold(slowest, longer);
            told(&row);
            report.submissions.push(row);
        }
        let limits = &package.metadata.limits;
        report.time_limit_s = fixed.or(slowest.map(|ms| limits.from_slowest(ms / 1e3)));
        let seconds = report.time_limit_s.unwrap_or(UNKNOWN);
        if let (Some(fixed), Some(ms)) = (fixed, slowest)
            && ms / 1e3 * limits.ac_to_limit > fixed
        {
            let factor = limits.ac_to_limit;
            report.notes.push(format!(
                "the slowest accepted submission takes {:.3} s, and {factor} times that is more \
                 than the limit of {fixed} s",
                ms / 1e3
            ));
        }
        let others = package.submissions.iter();
        for entry in others.filter(|s| s.label != Label::Accepted) {
            let too_slow = matches!(entry.label, Label::TimeLimitExceeded | Label::BruteForce);
            let limit = TimeLimit {
                seconds,
                cut: if too_slow {
                    seconds * limits.limit_to_tle
                } else {
                    seconds
                },
            };
            let (row, _) = self.row(entry, limit).await?;
            told(&row);
            report.submissions.push(row);
        }
        let kept = |r: &Row| r.standing == Standing::Ok;
        report.ok = report.problems.is_empty() && report.submissions.iter().all(kept);
        Ok(report)
    }

    async fn row(
        &self,
        entry: &Labelled,
        limit: TimeLimit,
    ) -> Result<(Row, Option<Judged>), BenchError> {
        let mut row = Row {
            submission: entry.source.name.clone(),
            label: entry.label.name(),
            verdict: None,
            score: None,
            slowest_ms: 0.0,
            cases: 0,
            standing: Standing::NotRun,
            detail: String::new(),
        };
        if let Err(why) = self.program(&entry.source) {
            row.detail = why.to_string();
            return Ok((row, None));
        }
        let judged = self.judge(&entry.source, limit).await?;
        let metadata = &self.package.metadata;
        let best = self.package.data.best(metadata.minimize);
        let best = match metadata.format {
            Format::Legacy => best,
            Format::New => self.secret_best(),
        };
        row.verdict = Some(judged.verdict);
        row.score = judged.score;
        row.cases = judged.cases.len();
        row.slowest_ms = judged.cases.iter().map(|c| c.cpu_ms).fold(0.0, f64::max);
        let kept = keeps(entry.label, metadata.format, &judged, best);
        let kept = kept.and_then(|()| self.in_range(&judged));
        (row.standing, row.detail) = match kept {
            Ok(()) => (Standing::Ok, self.near(entry.label, &row, limit)),
            Err(why) if judged.detail.is_empty() => (Standing::Mismatch, why),
            Err(why) => (Standing::Mismatch, format!("{why}; {}", judged.detail)),
        };
        if row.standing == Standing::Ok && metadata.format == Format::New && !row.detail.is_empty()
        {
            // Here the margin is part of the promise.
            row.standing = Standing::Mismatch;
        }
        Ok((row, Some(judged)))
    }

    /// Says so where a submission is too slow, but not by the margin.
    fn near(&self, label: Label, row: &Row, limit: TimeLimit) -> String {
        let too_slow = row.verdict == Some(Verdict::TimeLimitExceeded);
        let took = row.slowest_ms / 1e3;
        // One that only waits is too slow by any factor.
        let close = (limit.seconds..limit.cut).contains(&took);
        if label == Label::TimeLimitExceeded && too_slow && close {
            let factor = self.package.metadata.limits.limit_to_tle;
            return format!("too slow, but not by the factor {factor} that it should be");
        }
        String::new()
    }

    fn secret_best(&self) -> f64 {
        let groups = self
            .package
            .data
            .items
            .iter()
            .filter_map(|item| match item {
                super::data::Item::Group(group) if group.name == "secret" => Some(group),
                super::data::Item::Group(_) | super::data::Item::Case(_) => None,
            });
        groups.map(|g| g.settings.range.1).fold(0.0, f64::max)
    }

    /// Whether every group's score is one that it may have.
    fn in_range(&self, judged: &Judged) -> Result<(), String> {
        fn find<'a>(group: &'a super::data::Group, name: &str) -> Option<&'a super::data::Group> {
            if group.name == name {
                return Some(group);
            }
            group.items.iter().find_map(|item| match item {
                super::data::Item::Group(inner) => find(inner, name),
                super::data::Item::Case(_) => None,
            })
        }
        for result in &judged.groups {
            let Some(score) = result.score else { continue };
            let range = find(&self.package.data, &result.group).map(|g| g.settings.range);
            if let Some((low, high)) = range
                && !(low..=high).contains(&score)
            {
                let group = &result.group;
                return Err(format!(
                    "data/{group} has a score of {score}, outside {low} to {high}"
                ));
            }
        }
        Ok(())
    }

    /// Runs every input validator on every input.
    async fn inputs(&mut self, report: &mut Report) -> Result<(), BenchError> {
        let package = self.package;
        if package.input_validators.is_empty() {
            report
                .notes
                .push("there are no input validators".to_owned());
        }
        for source in &package.input_validators {
            let name = &source.name;
            if name.ends_with(".viva") || name.ends_with(".ctd") {
                report.notes.push(format!(
                    "input validator {name} is not run: of its kind none are"
                ));
                continue;
            }
            match self.build(source).await {
                Ok(runnable) => self.input_validators.push((name.clone(), runnable)),
                Err(BenchError::Package(why)) => {
                    report.problems.push(format!("input validator {why}"));
                }
                Err(fault @ BenchError::Fault(_)) => return Err(fault),
            }
        }
        for (case, settings) in package.data.cases() {
            let input = read(&case.input)?;
            for (name, runnable) in &self.input_validators {
                // It may be named without its ending.
                let stem = name.split('.').next().unwrap_or(name);
                let flags = match settings.input_flags.of(name) {
                    [] => settings.input_flags.of(stem),
                    flags => flags,
                };
                let outcome = self.run(runnable, flags, &input).await?;
                if outcome.end != End::Exited(42) {
                    let said = match clip(&outcome.stderr.data) {
                        said if said.is_empty() => clip(&outcome.stdout.data),
                        said => said,
                    };
                    let why = crate::engine::not_accepted(&outcome);
                    report.problems.push(format!(
                        "data/{}.in is not valid: {name}: {why}: {said}",
                        case.name
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The slower of the two, in milliseconds.
fn longer(slowest: Option<f64>, judged: &Judged) -> Option<f64> {
    let own = judged.cases.iter().map(|c| c.cpu_ms);
    own.fold(slowest, |most, ms| {
        Some(most.map_or(ms, |most| most.max(ms)))
    })
}
