//! The two backends on the same cases: what one accepts, the other does.
//!
//! Canonical solutions, the same with one thing changed, and generated
//! programs whose output is compared to the byte. What is known to differ is
//! listed here and explained in docs/wasi-differences.md; a case that differs
//! and is not listed fails, and so does a listed one that no longer differs.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use assize_api::types::{JudgementRequest, TestSpec};
use assize_executor::End;
use assize_judge::verdict::Verdict;
use assize_policies::LimitsRequest;
use assize_runtimes::BackendChoice::{Native, Wasi};
use serde_json::Value;

use crate::{engine, out, python, run};

/// Cases in flight.
const AT_ONCE: usize = 4;

fn lines(path: &std::path::Path) -> Vec<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// A solution and its test script, by name.
struct Problem {
    name: String,
    code: String,
    script: String,
}

fn humaneval() -> Vec<Problem> {
    let path = std::env::var_os("ASSIZE_HUMANEVAL").expect("ASSIZE_HUMANEVAL; run `make test`");
    let text = |p: &Value, key: &str| p[key].as_str().unwrap().to_owned();
    let problem = |p: &Value| Problem {
        name: text(p, "task_id"),
        code: format!("{}{}", text(p, "prompt"), text(p, "canonical_solution")),
        script: format!(
            "import math\n{}\ncheck({})\n",
            text(p, "test"),
            text(p, "entry_point")
        ),
    };
    let all = lines(path.as_ref());
    assert_eq!(all.len(), 164);
    all.iter().map(problem).collect()
}

fn mbpp() -> Vec<Problem> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/mbpp.jsonl.gz");
    let problem = |p: &Value| {
        let tests: Vec<&str> = p["test_list"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let setup = p["test_setup_code"].as_str().unwrap_or("");
        Problem {
            name: format!("MBPP/{}", p["task_id"]),
            code: p["code"].as_str().unwrap().to_owned(),
            script: format!("import math\n{setup}\n{}\n", tests.join("\n")),
        }
    };
    let all = lines(path.as_ref());
    assert!(all.len() >= 374, "{}", all.len());
    all.iter().map(problem).collect()
}

/// The same with one operator or number of its last lines changed; none where
/// there is nothing to change.
fn spoilt(problem: &Problem) -> Option<Problem> {
    let changes = [
        (" < ", " <= "),
        (" + ", " - "),
        ("== ", "!= "),
        ("return ", "return not "),
        ("range(", "range(1, "),
    ];
    changes.iter().find_map(|(from, to)| {
        let at = problem.code.rfind(from)?;
        let code = [&problem.code[..at], to, &problem.code[at + from.len()..]].concat();
        Some(Problem {
            name: format!("{} spoilt by {to:?}", problem.name),
            code,
            script: problem.script.clone(),
        })
    })
}

/// Verdicts of both backends, in the order of the problems.
fn verdicts(problems: Vec<Problem>) -> Vec<(String, Verdict, Verdict)> {
    let (runtime, engine) = engine();
    let room = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let judge = |problem: &Problem, backend| {
        let request = JudgementRequest {
            language: "python".into(),
            code: Some(problem.code.clone()),
            backend,
            tests: vec![TestSpec {
                script: Some(problem.script.clone()),
                ..TestSpec::default()
            }],
            limits: LimitsRequest {
                cpu_ms: Some(10_000),
                wall_ms: Some(30_000),
                ..LimitsRequest::default()
            },
            require_integrity: Some("isolated".into()),
            ..JudgementRequest::default()
        };
        let case = assize_api::admit_judgement(engine, &request).unwrap();
        let (engine, room) = (Arc::clone(engine), Arc::clone(&room));
        runtime.spawn(async move {
            let _place = room.acquire().await.unwrap();
            engine.judge(&case).await.unwrap().verdict
        })
    };
    let tasks: Vec<_> = problems
        .into_iter()
        .map(|p| (judge(&p, Native), judge(&p, Wasi), p.name))
        .collect();
    tasks
        .into_iter()
        .map(|(native, wasi, name)| {
            let (native, wasi) = (runtime.block_on(native), runtime.block_on(wasi));
            (name, native.unwrap(), wasi.unwrap())
        })
        .collect()
}

fn agree(problems: Vec<Problem>, known: &[&str]) -> (usize, usize) {
    let all = verdicts(problems);
    let accepted = |v: Verdict| v == Verdict::Accepted;
    let differ: BTreeSet<&str> = all
        .iter()
        .filter(|(_, native, wasi)| accepted(*native) != accepted(*wasi))
        .map(|(name, ..)| name.as_str())
        .collect();
    let known: BTreeSet<&str> = known.iter().copied().collect();
    let show: Vec<_> = all
        .iter()
        .filter(|(name, ..)| differ.contains(name.as_str()))
        .collect();
    assert_eq!(differ, known, "{show:?}");
    let passed = all
        .iter()
        .filter(|(_, native, _)| accepted(*native))
        .count();
    (passed, all.len())
}

#[test]
fn canonical_solutions_of_humaneval_are_accepted_by_both() {
    assert_eq!(agree(humaneval(), &[]), (164, 164));
}

#[test]
fn spoilt_solutions_of_humaneval_are_judged_alike() {
    let spoilt: Vec<Problem> = humaneval().iter().filter_map(spoilt).collect();
    let (passed, all) = agree(spoilt, &[]);
    assert!(all > 140 && passed < all / 2, "{passed} of {all}");
}

#[test]
fn canonical_solutions_of_mbpp_are_judged_alike() {
    let (passed, all) = agree(mbpp(), &[]);
    assert!(passed + 5 > all, "{passed} of {all}");
}

/// Programs from a fixed grammar: arithmetic, text, containers, formatting,
/// exceptions, generators, comprehensions.
fn generated(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % n
    };
    let mut number = || match next(6) {
        0 => next(10).to_string(),
        1 => format!("-{}", next(100_000)),
        2 => format!("{}.{}", next(1000), next(1_000_000)),
        3 => format!("{}e{}", next(90) + 1, next(40)),
        4 => format!("2**{}", next(200)),
        _ => format!("{}", next(u64::MAX)),
    };
    let (a, b, c, d) = (number(), number(), number(), number());
    let pick = seed % 12;
    let body = match pick {
        0 => {
            format!("print({a} * {b} + {c}, ({a}) / (({d}) or 1), divmod(int({a}), int({b}) or 7))")
        }
        1 => format!(
            "print(round({a} / 3, 4), f'{{{b}:.10g}} {{{c}:>20,}} {{{d}:e}}', repr(float({a})))"
        ),
        2 => format!(
            "import math\nprint(math.sqrt(abs({a})), '%.12f %.12g' % (math.sin(float({b}) % 1e6), math.log1p(abs(float({c})))), math.fsum([{a}, {b}, {c}]))"
        ),
        3 => format!(
            "print(sorted([{a}, {b}, {c}, {d}], key=lambda x: (-abs(x) % 97, x)), [hash(int(x) % 99991) for x in ({a}, {b}, {c})])"
        ),
        4 => format!(
            "d = {{i: i * {a} for i in range(6)}}\nprint(d, list(d.items())[::-1], max(map(float, d.values())))"
        ),
        5 => format!(
            "import json\nprint(json.dumps({{'a': {a}, 'b': [{b}, None, True], 'c': str({c})}}, sort_keys=True), json.loads('[1.5e3, 2]'))"
        ),
        6 => format!(
            "from fractions import Fraction\nfrom decimal import Decimal\nprint(Fraction(int({a}) or 1, 7) ** 3, Decimal(int({b})) / 7, Decimal('1') / 3)"
        ),
        7 => format!(
            "try:\n    print([1, 2, 3][int({a}) % 99991])\nexcept (IndexError, OverflowError) as e:\n    print(type(e).__name__, e)\ntry:\n    int('x{b}')\nexcept ValueError as e:\n    print(e)"
        ),
        8 => format!(
            "import re, textwrap\ns = str({a}) + ' ' + str({b})\nprint(re.findall(r'\\d+', s), s.title(), textwrap.wrap(s * 4, 30), s.encode().hex()[:40])"
        ),
        9 => format!(
            "import random, hashlib\nr = random.Random(int({a}))\nprint([r.randint(0, 10**6) for _ in range(5)], r.random(), hashlib.sha256(str({b}).encode()).hexdigest())"
        ),
        10 => format!(
            "import itertools, collections, heapq, bisect\nx = [int({a}) % 17, int({b}) % 13, int({c}) % 11]\nprint(list(itertools.permutations(x))[:4], collections.Counter(x * 2).most_common(2), heapq.nsmallest(2, x), bisect.bisect(sorted(x), 5))"
        ),
        _ => format!(
            "import struct, datetime\nprint(struct.pack('<dq', float({a}), int({b}) % 2**62).hex(), datetime.date(2000, 1, 1) + datetime.timedelta(days=int({c}) % 9999), f'{{datetime.timedelta(seconds=int({d}) % 10**9)}}')"
        ),
    };
    format!("{body}\n")
}

#[test]
fn generated_programs_print_the_same_to_the_byte() {
    let mut ended_well = 0;
    for seed in 1..=240 {
        let source = generated(seed);
        let say = |backend| {
            let result = run(&python(backend, &source));
            let end = result.outcome.as_ref().unwrap().end.clone();
            (end, out(&result))
        };
        let (native, wasi) = (say(Native), say(Wasi));
        assert_eq!(native, wasi, "{source}");
        ended_well += usize::from(native.0 == End::Exited(0));
    }
    assert!(ended_well > 200, "{ended_well} of 240 ran to their end");
}
