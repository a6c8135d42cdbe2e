//! Metrics as a caller asks for them: one JSON document, `metric` says which.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::efficiency::{
    self, CoffeTask, EccoProgram, EffiTask, PieTask, Reference, Sample, mean_beyond,
};
use super::suites::{self, Trial};
use super::tiers::{self, Codes, TestStatus};
use super::{Undefined, avg_at_k, mean, n_at_k, pass_at_k, pass_hat_k, undefined};
use crate::select::incoherence::incoherence;
use crate::verdict::Verdict;

/// A metric and what it is to be computed from. docs/metrics.md has the formula
/// and an example of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "metric", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "fields are those of the functions named")]
pub enum Document {
    /// [`pass_at_k`], the mean over tasks, for each `k`.
    PassAtK { tasks: Vec<Counted>, k: Vec<u64> },
    /// [`pass_hat_k`], likewise.
    PassHatK { tasks: Vec<Counted>, k: Vec<u64> },
    /// [`avg_at_k`] of each task, and the mean over tasks.
    AvgAtK { tasks: Vec<Vec<f64>> },
    /// [`n_at_k`], the mean over tasks.
    NAtK { n: u64, k: u64, tasks: Vec<Drawn> },
    /// [`tiers::evalplus`] of each sample, and pass@k on both tiers.
    Evalplus {
        tasks: Vec<Vec<Tested>>,
        k: Vec<u64>,
    },
    /// [`tiers::apps_accuracy`].
    AppsAccuracy { problems: Vec<Vec<Verdict>> },
    /// [`Codes::of`] each verdict.
    Codes {
        scheme: Codes,
        verdicts: Vec<Verdict>,
    },
    /// [`tiers::swebench`] of each instance, and the share resolved.
    Swebench { instances: Vec<Instance> },
    /// [`suites::quality`].
    SuiteQuality { trials: Vec<Known> },
    /// [`suites::mutation`].
    MutationScore { trials: Vec<Known> },
    /// [`efficiency::used`].
    MemoryTime { samples: Vec<Sample> },
    /// [`efficiency::effibench`] over the solved tasks, of `all`.
    Effibench { tasks: Vec<EffiTask>, all: usize },
    /// [`efficiency::mean_beyond`].
    MercuryBeyond { tasks: Vec<Raced> },
    /// [`efficiency::pie`].
    Pie { tasks: Vec<PieTask>, n: usize },
    /// [`efficiency::ecco`] of each program, and means where there are any.
    Ecco { programs: Vec<EccoProgram> },
    /// [`efficiency::coffe`].
    Coffe { tasks: Vec<CoffeTask> },
    /// [`efficiency::dps`] of each sample, the mean of each task, and of all.
    EvalperfDps { tasks: Vec<Profiled> },
    /// [`incoherence`] of programs' outputs; null where there is none.
    Incoherence { outputs: Vec<Vec<Option<String>>> },
}

/// Samples of a task and how many are correct.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    n: u64,
    c: u64,
}

/// Samples of a task for n@k.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    drawn: u64,
    passing: u64,
    solving: u64,
}

/// Which base and extra tests a sample passed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    base: Vec<bool>,
    #[serde(default)]
    extra: Vec<bool>,
}

/// An instance of SWE-bench.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    fail_to_pass: Vec<TestStatus>,
    pass_to_pass: Vec<TestStatus>,
    /// Whether the patch applied.
    #[serde(default = "yes")]
    applied: bool,
}

fn yes() -> bool {
    true
}

/// A program whose worth is known, and what a suite made of it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    right: bool,
    verdict: Verdict,
}

/// Run times of a task's samples and references.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raced {
    samples: Vec<Option<f64>>,
    references: Vec<f64>,
}

/// Instruction counts of a task's passing samples and references.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiled {
    samples: Vec<Option<f64>>,
    references: Vec<Reference>,
}

impl Document {
    /// What it comes to.
    ///
    /// # Errors
    /// Where the metric has no value for what was given.
    pub fn compute(&self) -> Result<Value, Undefined> {
        match self {
            Self::PassAtK { tasks, k } => per_k("pass@", tasks, k, pass_at_k),
            Self::PassHatK { tasks, k } => per_k("pass^", tasks, k, pass_hat_k),
            Self::AvgAtK { tasks } => {
                let each = each("tasks", tasks, |scores| avg_at_k(scores))?;
                Ok(json!({"mean": mean("tasks", &each)?, "tasks": each}))
            }
            Self::NAtK { n, k, tasks } => {
                let one = |t: &Drawn| n_at_k(*n, *k, t.drawn, t.passing, t.solving);
                let each = each("tasks", tasks, one)?;
                Ok(json!({"mean": mean("tasks", &each)?, "tasks": each}))
            }
            Self::Evalplus { tasks, k } => evalplus(tasks, k),
            Self::AppsAccuracy { problems } => value(tiers::apps_accuracy(problems)?),
            Self::Codes { scheme, verdicts } => {
                let codes: Vec<Value> = verdicts.iter().map(|v| scheme.of(*v)).collect();
                Ok(json!({ "codes": codes }))
            }
            Self::Swebench { instances } => swebench(instances),
            Self::SuiteQuality { trials } => value(suites::quality(&known(trials))?),
            Self::MutationScore { trials } => value(suites::mutation(&known(trials))?),
            Self::MemoryTime { samples } => value(efficiency::used(samples)?),
            Self::Effibench { tasks, all } => value(efficiency::effibench(tasks, *all)?),
            Self::MercuryBeyond { tasks } => {
                let tasks: Vec<_> = tasks
                    .iter()
                    .map(|t| (t.samples.clone(), t.references.clone()))
                    .collect();
                Ok(json!({"beyond": mean_beyond(&tasks)?}))
            }
            Self::Pie { tasks, n } => value(efficiency::pie(tasks, *n)?),
            Self::Ecco { programs } => {
                let each = each("programs", programs, efficiency::ecco)?;
                let over = |pick: fn(&efficiency::Ecco) -> Option<f64>| {
                    let known: Vec<f64> = each.iter().filter_map(pick).collect();
                    mean("programs", &known).ok()
                };
                let (speedup, memory) = (over(|e| e.speedup), over(|e| e.memory_reduction));
                Ok(json!({"speedup": speedup, "memory_reduction": memory, "programs": each}))
            }
            Self::Coffe { tasks } => value(efficiency::coffe(tasks)?),
            Self::EvalperfDps { tasks } => evalperf(tasks),
            Self::Incoherence { outputs } => Ok(json!({"incoherence": incoherence(outputs)})),
        }
    }
}

fn value(metric: impl Serialize) -> Result<Value, Undefined> {
    serde_json::to_value(metric).map_err(|e| undefined("metric", e.to_string()))
}

/// One value per item; the item at fault is named.
fn each<T, R>(
    name: &str,
    items: &[T],
    one: impl Fn(&T) -> Result<R, Undefined>,
) -> Result<Vec<R>, Undefined> {
    let place = |(index, item): (usize, &T)| {
        one(item).map_err(|e| undefined(format!("{name}[{index}].{}", e.field), e.reason))
    };
    items.iter().enumerate().map(place).collect()
}

fn per_k(
    name: &str,
    tasks: &[Counted],
    ks: &[u64],
    one: fn(u64, u64, u64) -> Option<f64>,
) -> Result<Value, Undefined> {
    let mut report = serde_json::Map::new();
    for k in ks {
        let each = each("tasks", tasks, |t| {
            one(t.n, t.c, *k).ok_or_else(|| {
                let reason = format!("has no {name}{k}: n is {}, c is {}", t.n, t.c);
                undefined("n", reason)
            })
        })?;
        report.insert(format!("{name}{k}"), json!(mean("tasks", &each)?));
    }
    Ok(Value::Object(report))
}

fn evalplus(tasks: &[Vec<Tested>], ks: &[u64]) -> Result<Value, Undefined> {
    let tiers = each("tasks", tasks, |samples| {
        each("samples", samples, |s| tiers::evalplus(&s.base, &s.extra))
    })?;
    let counted = |good: fn(&tiers::Tiers) -> bool| -> Vec<Counted> {
        let count = |samples: &Vec<tiers::Tiers>| Counted {
            n: samples.len() as u64,
            c: samples.iter().filter(|s| good(s)).count() as u64,
        };
        tiers.iter().map(count).collect()
    };
    let base = per_k("pass@", &counted(|t| t.base), ks, pass_at_k)?;
    let extra = tiers.iter().flatten().all(|t| t.plus.is_some());
    let plus = match extra {
        true => per_k("pass@", &counted(|t| t.plus == Some(true)), ks, pass_at_k)?,
        false => Value::Null,
    };
    Ok(json!({"base": base, "plus": plus, "tasks": tiers}))
}

fn swebench(instances: &[Instance]) -> Result<Value, Undefined> {
    let one = |i: &Instance| {
        if !i.applied {
            return Ok(json!("ERROR"));
        }
        value(tiers::swebench(&i.fail_to_pass, &i.pass_to_pass)?)
    };
    let each = each("instances", instances, one)?;
    let full: Vec<f64> = each
        .iter()
        .map(|r| f64::from(u8::from(r == "FULL")))
        .collect();
    Ok(json!({"resolved": mean("instances", &full)?, "instances": each}))
}

fn evalperf(tasks: &[Profiled]) -> Result<Value, Undefined> {
    let mut rows = Vec::with_capacity(tasks.len());
    let (mut all, mut all_norm) = (Vec::new(), Vec::new());
    for (index, task) in tasks.iter().enumerate() {
        let place = |e: Undefined| undefined(format!("tasks[{index}].{}", e.field), e.reason);
        let samples = each("samples", &task.samples, |s| {
            efficiency::dps(*s, &task.references)
        })
        .map_err(place)?;
        let of = |pick: fn(&efficiency::Dps) -> f64| {
            let numbers: Vec<f64> = samples.iter().map(pick).collect();
            mean("samples", &numbers).map_err(place)
        };
        let (dps, norm) = (of(|d| d.dps)?, of(|d| d.dps_norm)?);
        all.push(dps);
        all_norm.push(norm);
        rows.push(json!({"dps": dps, "dps_norm": norm, "samples": samples}));
    }
    let (dps, norm) = (mean("tasks", &all)?, mean("tasks", &all_norm)?);
    Ok(json!({"dps": dps, "dps_norm": norm, "tasks": rows}))
}

fn known(trials: &[Known]) -> Vec<Trial> {
    let trial = |t: &Known| Trial {
        right: t.right,
        accepted: t
            .verdict
            .is_conclusive()
            .then_some(t.verdict == Verdict::Accepted),
    };
    trials.iter().map(trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute(document: Value) -> Result<Value, String> {
        let document: Document = serde_json::from_value(document).map_err(|e| e.to_string())?;
        document.compute().map_err(|e| e.to_string())
    }

    #[test]
    fn a_document_names_its_metric() {
        let tasks = json!([{"n": 10, "c": 3}, {"n": 10, "c": 0}]);
        let got = compute(json!({"metric": "pass_at_k", "k": [1, 5], "tasks": tasks})).unwrap();
        assert!((got["pass@1"].as_f64().unwrap() - 0.15).abs() < 1e-12);
        assert!((got["pass@5"].as_f64().unwrap() - 0.458_333_333_3).abs() < 1e-9);
        let tasks = json!([{"base": [true], "extra": [false]}, {"base": [true], "extra": [true]}]);
        let got = compute(json!({"metric": "evalplus", "k": [1], "tasks": [tasks]})).unwrap();
        assert_eq!(
            (&got["base"], &got["plus"]),
            (&json!({"pass@1": 1.0}), &json!({"pass@1": 0.5}))
        );
        let instances = json!([
            {"fail_to_pass": ["PASSED"], "pass_to_pass": ["SKIPPED"]},
            {"fail_to_pass": ["PASSED"], "pass_to_pass": [], "applied": false},
        ]);
        let got = compute(json!({"metric": "swebench", "instances": instances})).unwrap();
        assert_eq!(
            got,
            json!({"resolved": 0.5, "instances": ["FULL", "ERROR"]})
        );
    }

    #[test]
    fn what_has_no_value_is_refused_by_the_place_of_its_fault() {
        let refused = |document: Value, part: &str| {
            let error = compute(document).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        let task = json!([{"n": 10, "c": 3}, {"n": 2, "c": 3}]);
        refused(
            json!({"metric": "pass_at_k", "k": [1], "tasks": task}),
            "tasks[1].n",
        );
        refused(
            json!({"metric": "pass_at_k", "k": [1], "tasks": []}),
            "tasks",
        );
        refused(json!({"metric": "generosity"}), "unknown variant");
        refused(
            json!({"metric": "avg_at_k", "tasks": [[1.0]], "more": 1}),
            "unknown field",
        );
        let tasks = json!([{"samples": [1.0], "references": []}]);
        refused(
            json!({"metric": "evalperf_dps", "tasks": tasks}),
            "tasks[0].samples[0].references",
        );
        let programs = json!([{"input": [], "outputs": []}]);
        refused(
            json!({"metric": "ecco", "programs": programs}),
            "programs[0].input",
        );
    }

    #[test]
    fn a_fault_is_no_rejection() {
        let trials = json!([
            {"right": true, "verdict": "accepted"},
            {"right": false, "verdict": "wrong_answer"},
            {"right": false, "verdict": "judge_error"},
        ]);
        let got = compute(json!({"metric": "suite_quality", "trials": trials})).unwrap();
        assert_eq!(
            got,
            json!({"tpr": 1.0, "tnr": 1.0, "precision": 1.0, "unknown": 1})
        );
        assert!(compute(json!({"metric": "mutation_score", "trials": trials})).is_err());
    }
}
