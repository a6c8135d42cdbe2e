//! What the answers to its gold and its stub make of a task.

use serde::Serialize;
use serde_json::Value;

/// What makes a task unsound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// It is no judgement that could be made.
    Refused,
    /// It has no solution of its own.
    NoGold,
    /// Its own solution failed every time.
    GoldFails,
    /// Its own solution sometimes passed and sometimes not.
    GoldVaries,
    /// A program that does nothing passed.
    StubPasses,
}

impl Reason {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NoGold => "no_gold",
            Self::GoldFails => "gold_fails",
            Self::GoldVaries => "gold_varies",
            Self::StubPasses => "stub_passes",
        }
    }
}

/// What checking one task came to. Neither reasons nor faults: it is sound.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Standing {
    pub(super) id: String,
    pub(super) reasons: Vec<Reason>,
    /// What the first answer said that was not as it should be.
    pub(super) detail: String,
    /// Whether a failure of ours left something open.
    #[serde(skip)]
    pub(super) fault: bool,
}

/// What an answer says of the program.
enum Said {
    Passed,
    Failed,
    /// It disagreed with itself.
    Varied,
    /// The request was not one.
    Refused,
    /// Nothing: that is our failure.
    Nothing,
}

fn said(answer: &Value) -> Said {
    match answer["verdict"].as_str() {
        Some("accepted") => Said::Passed,
        Some("flaky") => Said::Varied,
        Some("judge_error") => Said::Nothing,
        Some(_) => Said::Failed,
        None if answer["error"]["details"]["field"].is_string() => Said::Refused,
        None => Said::Nothing,
    }
}

/// What the answers to its gold, in order, and the one to its stub make of a
/// task.
pub(super) fn standing(id: &str, gold: &[Value], stub: Option<&Value>) -> Standing {
    let (mut passed, mut failed, mut varied) = (0, 0, false);
    let (mut refused, mut fault) = (false, false);
    let mut detail = String::new();
    let mut keep = |answer: &Value| {
        if detail.is_empty() {
            detail = why(answer);
        }
    };
    for answer in gold {
        match said(answer) {
            Said::Passed => {
                passed += 1;
                continue;
            }
            Said::Failed => failed += 1,
            Said::Varied => varied = true,
            Said::Refused => refused = true,
            Said::Nothing => fault = true,
        }
        keep(answer);
    }
    let mut reasons = Vec::new();
    if gold.is_empty() {
        reasons.push(Reason::NoGold);
    }
    if varied || (passed > 0 && failed > 0) {
        reasons.push(Reason::GoldVaries);
    } else if failed > 0 {
        reasons.push(Reason::GoldFails);
    }
    match stub.map(|answer| (answer, said(answer))) {
        Some((answer, Said::Passed)) => {
            reasons.push(Reason::StubPasses);
            keep(answer);
        }
        Some((answer, Said::Refused)) => {
            refused = true;
            keep(answer);
        }
        Some((answer, Said::Nothing | Said::Varied)) => {
            fault = true;
            keep(answer);
        }
        Some((_, Said::Failed)) | None => {}
    }
    if refused {
        reasons.insert(0, Reason::Refused);
    }
    Standing {
        id: id.to_owned(),
        reasons,
        detail,
        fault,
    }
}

/// Why an answer is what it is, in one bounded line.
fn why(answer: &Value) -> String {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let test = answer["tests"]
        .as_array()
        .and_then(|tests| tests.iter().find(|t| t["verdict"] == answer["verdict"]));
    let detail = test
        .and_then(|t| text(&t["detail"]))
        .or_else(|| text(&answer["error"]["message"]))
        .unwrap_or_default();
    let verdict = text(&answer["verdict"])
        .or_else(|| text(&answer["error"]["code"]))
        .unwrap_or_else(|| "no answer".to_owned());
    let line: String = detail
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect();
    match line.is_empty() {
        true => verdict,
        false => format!("{verdict}: {line}"),
    }
}

impl Standing {
    pub(super) fn is_sound(&self) -> bool {
        self.reasons.is_empty() && !self.fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(gold: &[&str], stub: Option<&str>) -> (Vec<Reason>, bool) {
        let answer = |what: &&str| match *what {
            "refused" => {
                json!({"error": {"code": "invalid_field", "message": "no", "details": {"field": "tests"}}})
            }
            "fault" => json!({"error": {"code": "fault.cell_lost", "message": "lost"}}),
            verdict => json!({"verdict": verdict, "tests": []}),
        };
        let gold: Vec<Value> = gold.iter().map(answer).collect();
        let standing = standing("t", &gold, stub.map(|s| answer(&s)).as_ref());
        let sound = standing.is_sound();
        assert_eq!(sound, standing.detail.is_empty() && !gold.is_empty());
        (standing.reasons, standing.fault)
    }

    #[test]
    fn gold_passes_every_time_and_a_stub_fails_or_the_task_is_not_sound() {
        use Reason::*;
        let (pass, fail) = ("accepted", "wrong_answer");
        for (gold, stub, reasons, fault) in [
            (vec![pass, pass], Some(fail), vec![], false),
            (vec![pass, pass], None, vec![], false),
            (
                vec![fail, "run_time_error"],
                Some(fail),
                vec![GoldFails],
                false,
            ),
            (vec![pass, fail], Some(fail), vec![GoldVaries], false),
            (vec![pass, "flaky"], Some(fail), vec![GoldVaries], false),
            (vec![pass, pass], Some(pass), vec![StubPasses], false),
            (
                vec![fail, fail],
                Some(pass),
                vec![GoldFails, StubPasses],
                false,
            ),
            (vec![], Some(fail), vec![NoGold], false),
            (vec!["refused"], Some("refused"), vec![Refused], false),
            (vec![pass, "judge_error"], Some(fail), vec![], true),
            (vec![pass, pass], Some("fault"), vec![], true),
            (vec!["fault", fail], Some(fail), vec![GoldFails], true),
        ] {
            assert_eq!(of(&gold, stub), (reasons, fault), "{gold:?} {stub:?}");
        }
    }

    #[test]
    fn a_detail_is_one_bounded_line() {
        let long = "x\n".repeat(9) + &"y".repeat(9999);
        let answer = json!({"verdict": "wrong_answer", "tests": [
            {"verdict": "accepted", "detail": ""}, {"verdict": "wrong_answer", "detail": long}]});
        assert_eq!(why(&answer), "wrong_answer: x");
        assert_eq!(why(&Value::Null), "no answer");
        assert!(why(&json!({"error": {"code": "c", "message": "z".repeat(9999)}})).len() < 400);
    }
}
