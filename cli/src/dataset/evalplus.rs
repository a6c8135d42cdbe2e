//! HumanEval+ and MBPP+ as EvalPlus releases them: `{task_id, prompt,
//! entry_point, canonical_solution, base_input, plus_input, atol}`.
//!
//! Two tests, `base` and `plus`. Expected values are not in the data: the test
//! side computes them with the canonical solution, in its own cell. Equality is
//! EvalPlus' (exact; floats within `atol`, or 1e-6, and 1e-7 relatively), with
//! its special oracle for `find_zero`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Task, functions, id, script};

#[derive(Debug, Deserialize)]
pub(super) struct Line {
    #[serde(deserialize_with = "id")]
    task_id: String,
    prompt: String,
    entry_point: String,
    canonical_solution: String,
    base_input: Value,
    plus_input: Value,
    #[serde(default)]
    atol: Value,
}

const COMPARE: &str = r#"
import copy

def _floats(x):
    return isinstance(x, float) or (isinstance(x, (list, tuple)) and bool(x) and all(map(_floats, x)))

def _near(got, want, atol):
    if isinstance(want, (list, tuple)):
        return type(got) is type(want) and len(got) == len(want) and all(_near(g, w, atol) for g, w in zip(got, want))
    return isinstance(got, (int, float)) and abs(got - want) <= atol + 1e-7 * abs(want)

def _same(got, want, arguments):
    if _zero is not None:
        return isinstance(got, (int, float)) and abs(_zero(*copy.deepcopy(arguments), got)) <= _atol
    if got == want:
        return True
    atol = 1e-6 if _atol == 0 and _floats(want) else _atol
    return atol != 0 and type(got) is type(want) and _near(got, want, atol)

for _at, _arguments in enumerate(_inputs):
    _want = _reference(*copy.deepcopy(_arguments))
    _got = _function(*copy.deepcopy(_arguments))
    assert _same(_got, _want, _arguments), f"input {_at}: want {_want!r}, got {_got!r}"[:500]
"#;

impl Line {
    fn test(&self, name: &str, inputs: &Value) -> assize_api::types::TestSpec {
        let Self {
            prompt,
            entry_point,
            ..
        } = self;
        let atol = match &self.atol {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => "0".to_owned(),
        };
        // Literals of Python as text, or JSON.
        let inputs = match inputs {
            Value::String(text) => text.clone(),
            other => format!("__import__('json').loads({})", json!(other.to_string())),
        };
        let source = json!(format!("{prompt}{}", self.canonical_solution));
        let zero = match entry_point.as_str() {
            "find_zero" => "_scope['poly']",
            _ => "None",
        };
        let text = format!(
            "_scope = {{}}\nexec({source}, _scope)\n_reference = _scope['{entry_point}']\n_zero = {zero}\n\
             _function = {entry_point}\n_atol = float({atol})\n_inputs = {inputs}\n{COMPARE}"
        );
        script(name, text, Some(vec![entry_point.clone()]))
    }
}

impl From<Line> for Task {
    fn from(line: Line) -> Self {
        let tests = vec![
            line.test("base", &line.base_input),
            line.test("plus", &line.plus_input),
        ];
        // MBPP+ has the signature only in its solution.
        let known = functions(&line.prompt).contains(&line.entry_point);
        let stub = match known {
            true => "    return None\n".to_owned(),
            false => format!(
                "\ndef {}(*args, **kwargs):\n    return None\n",
                line.entry_point
            ),
        };
        Self {
            tests,
            id: line.task_id,
            language: "python",
            prompt: line.prompt,
            canonical: Some(line.canonical_solution),
            stub,
        }
    }
}
