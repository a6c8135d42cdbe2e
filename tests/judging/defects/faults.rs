//! Failures that are the grader's and not the program's; and numbers made of
//! verdicts.

use assize_judge::metrics::efficiency::beyond;
use assize_judge::reward::{Advantage, Scheme, Trial};
use assize_judge::verdict::Verdict;
use serde_json::{Map, json};

use super::{prints, verdict};
use crate::judge;

/// verl@b178a3cd5: −1 (the sandbox failed) is averaged as a failed test, and
/// `reward_manager/prime.py` gives 0 after 300 s of its own. SkyRL@a9564572e,
/// tinker-cookbook@9dfcc3a2 and open-r1@1416fa0: every error is `False`.
/// AReaL@4aef98d8: 0 after 15 s. verl-omni PR 366 is the repair of one of them.
#[test]
fn a_failure_of_ours_is_no_reward_and_not_a_zero() {
    // A checker that fails on the second of three tests.
    let checker = "import sys\nsys.exit(1 if open(sys.argv[1]).read() == '2' else 42)";
    let mut request = prints("print(42)", "42\n");
    request["tests"] = json!([{"stdin": "1"}, {"stdin": "2"}, {"stdin": "3"}]);
    request["checker"] =
        json!({"kind": "program", "program": {"language": "python", "code": checker}});
    assert_eq!(verdict(&request), "judge_error");
    for (scheme, params) in [
        ("fraction", json!({})),
        ("fraction_power", json!({})),
        ("levels", json!({})),
        ("adaptive", json!({})),
        ("longest_k", json!({})),
        ("weighted", json!({"weights": [1, 0, 1]})),
        (
            "subtask_min",
            json!({"subtasks": [[0], [1], [2]], "points": [1, 1, 1]}),
        ),
        ("code_and_format", json!({"format_score": 1})),
        ("vector", json!({})),
    ] {
        request["reward"] = json!({"scheme": scheme, "params": params});
        let judged = judge(&request);
        assert_eq!((judged.passed, judged.reward), (2, None), "{scheme}");
    }
    // Nor does it move what the others of its group are compared with.
    for advantage in [Advantage::Grpo, Advantage::DrGrpo, Advantage::Rloo] {
        let with = advantage.of(&[Some(1.0), None, Some(0.0), Some(1.0)]);
        let without = advantage.of(&[Some(1.0), Some(0.0), Some(1.0)]);
        assert_eq!(with[1], None);
        assert_eq!(
            [with[0], with[2], with[3]],
            [without[0], without[1], without[2]]
        );
    }
}

/// The reverse, which SandboxFusion@469de08 invites (`SandboxError` for what a
/// program provoked, retried five times): a program that can look like our
/// failure chooses a null over a 0.
#[test]
fn a_failing_program_is_never_our_failure() {
    for code in [
        "import os; os.close(0); os.close(1); os.close(2); os._exit(1)",
        "import os\nfor fd in range(256):\n    try: os.close(fd)\n    except OSError: pass",
        "import os; os.write(1, b'\\xff\\x00' * 1000); os.kill(os.getpid(), 11)",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)); open('x')",
        "import os\nwhile True: os.mkdir('d'); os.chdir('d')",
        "import os; os.rmdir('/work')",
        "import os; os.kill(1, 9); os.kill(-1, 9)",
        "import sys; sys.setrecursionlimit(1 << 30)\ndef f(): f()\nf()",
    ] {
        let found = verdict(&prints(code, "42\n"));
        assert!(
            !["judge_error", "flaky", "accepted"].contains(&found),
            "{found}: {code}"
        );
    }
}

/// Mercury@a1e9720: the time to the slowest reference is clipped to a second
/// before it is divided, so the score depends on the unit and can exceed 1.
#[test]
fn mercurys_beyond_lies_between_0_and_1_in_every_unit() {
    for unit in [1e-3, 1.0, 1e3, 1e6] {
        let references = [1.0 * unit, 2.0 * unit, 5.0 * unit];
        let score = |time: f64| beyond(Some(time * unit), &references).unwrap();
        for (time, want) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (2.0, 0.75),
            (4.5, 0.125),
            (5.0, 0.0),
            (90.0, 0.0),
        ] {
            assert!(
                (score(time) - want).abs() < 1e-12,
                "{time} × {unit}: {}",
                score(time)
            );
        }
        assert_eq!(beyond(None, &references), Ok(0.0));
    }
    // Half a second between the references is worth as much as ten.
    assert_eq!(beyond(Some(0.1), &[0.1, 0.6]), Ok(1.0));
}

/// RLTF@af505b1: what should rescale the reward, `len(mask) / len(mask == 1)`,
/// is always 1. Its mask is over tokens and none of ours; that a reward which
/// should follow the share of tests does follow it is.
#[test]
fn an_adaptive_reward_follows_the_share_of_tests_that_passed() {
    let scheme = Scheme::parse("adaptive", &Map::new(), 4).unwrap();
    let rewards = [0, 1, 2, 3, 4].map(|passed| {
        let trial = |n| Trial {
            verdict: if n < passed {
                Verdict::Accepted
            } else {
                Verdict::WrongAnswer
            },
            input_bytes: 1,
            violated: false,
        };
        scheme.reward(&[0, 1, 2, 3].map(trial), 4).unwrap()
    });
    for (reward, want) in rewards.iter().zip([-0.3, 0.025, 0.35, 0.675, 1.0]) {
        assert!((reward - want).abs() < 1e-12, "{rewards:?}");
    }
}
