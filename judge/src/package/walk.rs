//! One submission on its way through the groups of a package's data.

use std::pin::Pin;
use std::time::Duration;

use super::bench::{Bench, BenchError, CaseResult, GroupResult, Judged, read};
use super::data::{Grading, Group, Item, Settings, TestCase};
use super::grading::Graded;
use super::verify::TimeLimit;
use crate::case::{Test, TestKind, TestResult};
use crate::trials::Trials;
use crate::verdict::Verdict;

/// One submission on its way through the groups.
pub(super) struct Walk<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) trials: &'a Trials<'a>,
    pub(super) limit: TimeLimit,
}

type Walking<'a> = Pin<Box<dyn Future<Output = Result<Graded, BenchError>> + Send + 'a>>;

impl Walk<'_> {
    pub(super) fn group<'w>(&'w self, group: &'w Group, judged: &'w mut Judged) -> Walking<'w> {
        Box::pin(async move {
            let settings = &group.settings;
            let mut parts = Vec::new();
            for item in &group.items {
                let (sample, graded) = match item {
                    Item::Case(case) => (false, self.case(case, settings, judged).await?),
                    Item::Group(inner) => {
                        (inner.name == "sample", self.group(inner, judged).await?)
                    }
                };
                let ignored = match &settings.grading {
                    Grading::Default(grader) => grader.ignore_sample && sample,
                    Grading::Custom(_) | Grading::PassFail { .. } | Grading::Scores(_) => false,
                };
                if ignored {
                    continue;
                }
                parts.push(graded);
                if settings.stop && graded.verdict != Verdict::Accepted {
                    break;
                }
            }
            let whole = self.bench.grade(settings, &parts).await?;
            judged.groups.push(GroupResult {
                group: group.name.clone(),
                verdict: whole.verdict,
                score: self.bench.package.metadata.scoring.then_some(whole.score),
            });
            Ok(whole)
        })
    }

    async fn case(
        &self,
        case: &TestCase,
        settings: &Settings,
        judged: &mut Judged,
    ) -> Result<Graded, BenchError> {
        let test = Test {
            id: case.name.clone(),
            kind: TestKind::Program {
                stdin: read(&case.input)?,
                stdout: read(&case.answer)?,
            },
            public: false,
        };
        let by = self.bench.comparison(settings)?;
        let TestResult {
            id,
            mut verdict,
            mut detail,
            score,
            usage,
            ..
        } = self.trials.test_with(&test, &by).await?;
        // It was given more time than it has, to see how far off it is.
        let late = usage.cpu > Duration::from_secs_f64(self.limit.seconds);
        if late && matches!(verdict, Verdict::Accepted | Verdict::WrongAnswer) {
            verdict = Verdict::TimeLimitExceeded;
            "CPU time ran out".clone_into(&mut detail);
        }
        let default = match verdict {
            Verdict::Accepted => settings.accept_score,
            _ => settings.reject_score,
        };
        let score = score.unwrap_or(default);
        judged.cases.push(CaseResult {
            id,
            verdict,
            detail,
            score: self.bench.package.metadata.scoring.then_some(score),
            cpu_ms: crate::case::millis(usage.cpu),
            memory_peak_bytes: usage.memory_peak,
        });
        Ok(Graded { verdict, score })
    }
}
