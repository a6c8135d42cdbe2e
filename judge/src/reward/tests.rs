use super::*;
use Verdict::*;
use proptest::prelude::*;
use serde_json::json;

fn parse(name: &str, params: Value) -> Result<Scheme, String> {
    let Value::Object(params) = params else {
        panic!("params are an object")
    };
    Scheme::parse(name, &params, 3).map_err(|error| error.to_string())
}

fn trials(verdicts: &[Verdict]) -> Vec<Trial> {
    let trial = |&verdict| Trial {
        verdict,
        input_bytes: 0,
        violated: false,
    };
    verdicts.iter().map(trial).collect()
}

fn reward(name: &str, params: Value, verdicts: &[Verdict]) -> f64 {
    let scheme = parse(name, params).unwrap();
    scheme.reward(&trials(verdicts), 3).unwrap()
}

fn every_scheme() -> Vec<Scheme> {
    NAMES
        .iter()
        .map(|name| {
            let params = match *name {
                "weighted" => json!({"weights": [1, 2, 3]}),
                "subtask_min" => json!({"subtasks": [[0], [1, 2]]}),
                "code_and_format" => json!({"format_score": 1}),
                _ => json!({}),
            };
            parse(name, params).unwrap()
        })
        .collect()
}

#[test]
fn unknown_schemes_and_params_are_refused_by_field() {
    let said = parse("lenient", json!({})).unwrap_err();
    assert!(said.starts_with("reward.scheme: ") && said.contains("subtask_min"));
    for (scheme, params, field) in [
        ("binary", json!({"power": 4}), "power"),
        ("fraction_power", json!({"power": 0}), "power"),
        ("fraction_power", json!({"power": "4"}), "power"),
        ("longest_k", json!({"k": 0}), "k"),
        ("weighted", json!({}), "weights"),
        ("weighted", json!({"weights": [1, 2]}), "weights"),
        ("weighted", json!({"weights": [0, 0, 0]}), "weights"),
        ("weighted", json!({"weights": [1, -1, 3]}), "weights"),
        ("subtask_min", json!({"subtasks": [[0, 1]]}), "subtasks"),
        (
            "subtask_min",
            json!({"subtasks": [[0, 1], [3]]}),
            "subtasks",
        ),
        (
            "subtask_min",
            json!({"subtasks": [[0, 1, 2], []]}),
            "subtasks",
        ),
        ("code_and_format", json!({}), "format_score"),
        (
            "code_and_format",
            json!({"format_score": 2}),
            "format_score",
        ),
        ("adaptive", json!({"failed": 0}), "failed"),
    ] {
        let said = parse(scheme, params.clone()).unwrap_err();
        let expected = format!("reward.params.{field}: ");
        assert!(said.starts_with(&expected), "{scheme} {params}: {said}");
    }
}

#[test]
fn binary_asks_for_every_test() {
    assert_eq!(reward("binary", json!({}), &[Accepted; 3]), 1.0);
    assert_eq!(reward("binary", json!({}), &[Accepted; 2]), 0.0);
    let one_wrong = [Accepted, WrongAnswer, Accepted];
    assert_eq!(reward("binary", json!({}), &one_wrong), 0.0);
}

#[test]
fn fractions_count_tests_that_did_not_run_as_not_passed() {
    let third = reward("fraction", json!({}), &[Accepted, RunTimeError]);
    assert!((third - 1.0 / 3.0).abs() < 1e-12);
    let power = reward("fraction_power", json!({}), &[Accepted, RunTimeError]);
    assert!((power - (1.0f64 / 3.0).powi(4)).abs() < 1e-12);
}

#[test]
fn levels_are_those_of_code_rl() {
    let levels = |verdicts: &[Verdict]| reward("levels", json!({}), verdicts);
    assert_eq!(levels(&[CompileError]), -1.0);
    assert_eq!(levels(&[WrongAnswer, TimeLimitExceeded, Accepted]), -0.6);
    assert_eq!(levels(&[Accepted, Accepted, WrongAnswer]), -0.3);
    assert_eq!(levels(&[Accepted, Accepted]), -0.3, "one did not run");
    assert_eq!(levels(&[Accepted; 3]), 1.0);
}

#[test]
fn adaptive_rises_with_the_share_of_tests() {
    let adaptive = |verdicts: &[Verdict]| reward("adaptive", json!({}), verdicts);
    let two = adaptive(&[Accepted, Accepted, WrongAnswer]);
    assert!((two - (-0.3 + 1.3 * 2.0 / 3.0)).abs() < 1e-12);
    assert_eq!(adaptive(&[Accepted, Accepted, RunTimeError]), -0.6);
    assert_eq!(adaptive(&[WrongAnswer; 3]), -0.3);
    assert_eq!(adaptive(&[Accepted; 3]), 1.0);
}

#[test]
fn the_longest_inputs_decide() {
    let mut ran = trials(&[Accepted; 41]);
    for (n, trial) in ran.iter_mut().enumerate() {
        trial.input_bytes = n as u64;
    }
    let scheme = Scheme::LongestK { k: 15 };
    assert_eq!(scheme.reward(&ran, 41), Some(1.0));
    // 40 of 41, failing the longest.
    ran[40].verdict = WrongAnswer;
    assert_eq!(scheme.reward(&ran, 41), Some(0.0));
    // 40 of 41, failing one that does not count.
    ran[40].verdict = Accepted;
    ran[0].verdict = WrongAnswer;
    assert_eq!(scheme.reward(&ran, 41), Some(1.0));
    // Which tests are the longest is unknown while some did not run.
    assert_eq!(scheme.reward(&ran[20..], 41), Some(0.0));
}

#[test]
fn weights_and_subtasks_earn_their_share() {
    let weights = json!({"weights": [1, 2, 3]});
    assert_eq!(
        reward("weighted", weights, &[WrongAnswer, Accepted, Accepted]),
        5.0 / 6.0
    );
    let subtasks = json!({"subtasks": [[0], [1, 2]], "points": [30, 70]});
    let half = [Accepted, Accepted, WrongAnswer];
    assert_eq!(reward("subtask_min", subtasks.clone(), &half), 0.3);
    assert_eq!(reward("subtask_min", subtasks.clone(), &[Accepted; 2]), 0.3);
    assert_eq!(reward("subtask_min", subtasks, &[Accepted; 3]), 1.0);
}

#[test]
fn code_and_format_are_diffucoders() {
    let params = json!({"format_score": 1});
    assert_eq!(reward("code_and_format", params, &[Accepted; 3]), 2.5);
    let params = json!({"format_score": 0});
    assert_eq!(reward("code_and_format", params, &[Accepted; 3]), 2.0);
}

#[test]
fn channels_keep_cost_apart_from_reward() {
    let mut ran = trials(&[Accepted, Accepted]);
    ran[1].violated = true;
    let channels = Scheme::Vector.channels(&ran, 4).unwrap();
    assert_eq!(channels.tests, [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(
        (channels.compile, channels.passed, channels.cost),
        (1.0, 0.5, 0.25)
    );
    assert_eq!(Scheme::Binary.channels(&ran, 4), None);
    let channels = Scheme::Vector
        .channels(&trials(&[CompileError]), 2)
        .unwrap();
    assert_eq!(channels.compile, 0.0);
}

#[test]
fn an_empty_case_has_no_reward() {
    for scheme in every_scheme() {
        assert_eq!(scheme.reward(&[], 0), None);
    }
}

proptest! {
    #[test]
    fn one_fault_or_flaky_test_removes_the_reward(
        picks in prop::collection::vec(0usize..8, 0..10), at in 0usize..10, fault in any::<bool>(),
    ) {
        let mut ran: Vec<_> = picks.iter().map(|&i| Verdict::ALL[i]).collect();
        ran.insert(at.min(ran.len()), if fault { JudgeError } else { Flaky });
        for scheme in every_scheme() {
            prop_assert_eq!(scheme.reward(&trials(&ran), ran.len()), None);
            prop_assert_eq!(scheme.channels(&trials(&ran), ran.len()), None);
        }
    }

    #[test]
    fn no_reward_exceeds_that_of_passing_everything(picks in prop::collection::vec(0usize..8, 1..=3)) {
        let ran: Vec<_> = picks.iter().map(|&i| Verdict::ALL[i]).collect();
        for scheme in every_scheme() {
            let best = scheme.reward(&trials(&[Accepted; 3]), 3).unwrap();
            let got = scheme.reward(&trials(&ran), 3).unwrap();
            prop_assert!(got <= best + 1e-12);
        }
    }
}
