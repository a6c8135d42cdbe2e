//! Tests that stand alone: of test suites and of predictions.

use assize_judge::case::{Known, Place, Prediction, Submission, TestKind};

use super::submission::{Sources, checked_program};
use super::test::Decider;
use super::{Refusal, refuse};
use crate::types::TestSpec;

/// A test that stands alone: of a suite, or of a prediction.
pub(super) fn alone(
    index: usize,
    spec: &TestSpec,
    decider: Decider,
    submission: &Submission,
    apart: bool,
) -> Result<TestKind, Refusal> {
    let at = |name: &str| format!("tests[{index}].{name}");
    let bad = |name: &str, message: &str| refuse("invalid_field", at(name), message);
    let runtime = &submission.runtime;
    let others = [
        ("stdin", spec.stdin.is_some()),
        ("stdout", spec.stdout.is_some()),
        ("call", spec.call.is_some()),
        ("returns", spec.returns.is_some()),
        ("script", spec.script.is_some()),
        ("names", spec.names.is_some()),
        ("integrity", spec.integrity.is_some()),
        ("file", spec.file.is_some()),
        ("database", spec.database.is_some()),
        ("query", spec.query.is_some()),
        ("rows", spec.rows.is_some()),
    ];
    if let Some((name, _)) = others.iter().find(|o| o.1) {
        return Err(bad(name, "does not go with subject or prediction"));
    }
    if decider != Decider::Rule {
        let message = "neither suites nor predictions have a checker program or an interactor";
        return Err(refuse("invalid_field", format!("tests[{index}]"), message));
    }
    match (&spec.subject, &spec.prediction) {
        (Some(subject), None) => {
            if !runtime.has_harness() {
                let message = format!("{} has no function tests", runtime.manifest.language);
                return Err(refuse("unsupported_test", at("subject"), message));
            }
            let sound = match spec.expect.as_deref() {
                Some("pass") => true,
                Some("fail") => false,
                _ => return Err(bad("expect", "must be \"pass\" or \"fail\"")),
            };
            let sources = Sources {
                code: subject.code.as_ref(),
                files: subject.files.as_ref(),
                entry: subject.entry.as_ref(),
            };
            let inside = |mut refusal: Refusal| {
                refusal.field = at(&format!("subject.{}", refusal.field));
                refusal
            };
            let program = checked_program(&sources, runtime, &submission.limits).map_err(inside)?;
            let place = if apart { Place::Apart } else { Place::Auto };
            Ok(TestKind::Subject {
                program,
                sound,
                place,
            })
        }
        (None, Some(asked)) => {
            if spec.expect.is_some() {
                return Err(bad("expect", "is for subjects"));
            }
            if !runtime.has_predictions() {
                let message = "predictions are for python on the native backend";
                return Err(refuse("unsupported_test", at("prediction"), message));
            }
            let known = match (asked.input.clone(), asked.output.clone()) {
                (Some(input), None) => Known::Output { input },
                (None, Some(output)) => Known::Input { output },
                (Some(_), Some(_)) | (None, None) => {
                    let message = "give exactly one of input and output; the other is predicted";
                    return Err(bad("prediction", message));
                }
            };
            let function = asked.function.clone().unwrap_or_else(|| "f".to_owned());
            if !function.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(bad("prediction.function", "is no name"));
            }
            Ok(TestKind::Prediction(Prediction {
                known,
                program: asked.program.clone(),
                function,
            }))
        }
        (Some(_), Some(_)) => Err(bad("prediction", "give subject or prediction, not both")),
        (None, None) => Err(bad("subject", "is missing")),
    }
}
