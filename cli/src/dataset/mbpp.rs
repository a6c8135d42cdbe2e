//! MBPP: `{task_id, code, test_setup_code, test_list}`; a completion is the
//! whole program, and each assert a test of its own name.

use serde::Deserialize;

use super::{Task, id, script};

#[derive(Debug, Deserialize)]
pub(super) struct Line {
    #[serde(deserialize_with = "id")]
    task_id: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    test_setup_code: String,
    #[serde(default)]
    test_imports: Vec<String>,
    test_list: Vec<String>,
}

impl From<Line> for Task {
    fn from(line: Line) -> Self {
        // The setup stands with the tests and so after the code: two tasks
        // build objects of the solution's classes there.
        let mut text = format!(
            "{}\n{}\n",
            line.test_imports.join("\n"),
            line.test_setup_code
        );
        for (at, assertion) in line.test_list.iter().enumerate() {
            let body = assertion.replace('\r', "").replace('\n', "\n    ");
            text.push_str(&format!("def test_{}():\n    {body}\n", at + 1));
        }
        // Some solutions are called `sum` or `len`: only their own code tells.
        let defined = line.code.lines().filter_map(|l| {
            let name = l.strip_prefix("def ").or(l.strip_prefix("class "))?;
            name.split(['(', ':']).next().map(|n| n.trim().to_owned())
        });
        let mentioned = |n: &String| text.contains(n.as_str());
        let mut names: Vec<String> = defined.filter(mentioned).collect();
        names.dedup();
        let names = Some(names).filter(|n| !n.is_empty());
        let function = line.test_list.first().and_then(|a| called(a));
        let stub = function.unwrap_or_else(|| "solution".to_owned());
        Self {
            tests: vec![script(&line.task_id, text, names)],
            id: line.task_id,
            language: "python",
            prompt: String::new(),
            canonical: Some(line.code).filter(|s| !s.is_empty()),
            stub: format!("def {stub}(*args, **kwargs):\n    return None\n"),
        }
    }
}

/// The function that an assert is about: the first name that is called and is
/// no wrapper like `set(…)`.
fn called(assertion: &str) -> Option<String> {
    const WRAPPERS: [&str; 12] = [
        "set", "sorted", "list", "tuple", "str", "int", "float", "abs", "round", "len", "isclose",
        "not",
    ];
    let mut rest = assertion.strip_prefix("assert").unwrap_or(assertion);
    loop {
        let open = rest.find('(')?;
        let word = rest[..open]
            .rsplit(|c: char| !(c.is_alphanumeric() || c == '_'))
            .next();
        match word {
            Some(word) if !word.is_empty() && !WRAPPERS.contains(&word) => {
                return Some(word.to_owned());
            }
            _ => rest = &rest[open + 1..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_of_an_assert_is_found_behind_wrappers() {
        let of = |a: &str| called(a).unwrap();
        assert_eq!(of("assert Find_Max([1]) == 2"), "Find_Max");
        assert_eq!(of("assert set(similar((3,), (4,))) == {1}"), "similar");
        assert_eq!(of("assert math.isclose(area(3), 1.0, rel_tol=1)"), "area");
        assert_eq!(of("assert (is_odd(3)) == True"), "is_odd");
    }
}
