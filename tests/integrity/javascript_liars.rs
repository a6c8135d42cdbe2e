//! Wrong JavaScript programs against suites, promises and odd errors: none is
//! accepted, and none looks like a failure of ours.

use assize_api::types::{JudgementRequest, TestSpec};
use assize_judge::case::Judgement;
use assize_judge::verdict::Verdict;
use serde_json::json;

use crate::judge;

fn script(code: &str, script: &str) -> Judgement {
    let test = json!({ "script": script });
    judge(&JudgementRequest {
        language: "javascript".into(),
        code: Some(code.to_owned()),
        tests: vec![serde_json::from_value::<TestSpec>(test).unwrap()],
        ..JudgementRequest::default()
    })
}

/// Whether the candidate alone is blamed.
fn charged(verdict: Verdict) -> bool {
    [
        Verdict::WrongAnswer,
        Verdict::RunTimeError,
        Verdict::TimeLimitExceeded,
    ]
    .contains(&verdict)
}

/// What a candidate throws is shown in the report: it may have any members.
#[test]
fn whatever_is_thrown_is_the_candidates_failure() {
    let thrown = [
        "{ name: 5, message: 'x' }",
        "{ name: {}, message: 'x' }",
        "{ message: { toString: 1, valueOf: 1 } }",
        "{ toString: 1, valueOf: 1 }",
        "{ stack: { toString: 1, valueOf: 1 } }",
        "{ message: 'x', stack: 'assize_test.js:99999999999999999999999' }",
        "{ code: 'ERR_ASSERTION', message: { toString: 1 } }",
        "Object.assign(new Error('x'), { stack: 'assize_test.js:99999999999999999999999' })",
        "new Map([[1, 2]])",
        "/x/",
        "new Uint8Array(3)",
        "10n ** 400n",
        "undefined",
    ];
    let scripts = [
        "assert.strictEqual(add(1, 2), 3)",
        "it('adds', () => { assert.strictEqual(add(1, 2), 3) })",
    ];
    for value in thrown {
        for text in scripts {
            let judged = script(&format!("function add() {{ throw {value} }}"), text);
            let test = &judged.tests[0];
            assert!(
                charged(test.verdict),
                "{value}: {:?} {}",
                test.verdict,
                test.detail
            );
            assert_eq!(judged.reward, Some(0.0), "{value}");
        }
    }
}

/// Tests that end after the script has: each accepts the right answer and
/// refuses the wrong one.
#[test]
fn what_a_script_does_not_wait_for_has_its_say() {
    let scripts = [
        "add(1, 2).then(r => assert.strictEqual(r, 3))",
        "it('adds', () => { add(1, 2).then(r => assert.strictEqual(r, 3)) })",
        "it('adds', () => { expect(add(1, 2)).resolves.toBe(3) })",
        "it('adds', () => { expect(add(1, 2)).resolves.not.toBe(0) })",
        "setTimeout(async () => assert.strictEqual(await add(1, 2), 3), 5)",
        "describe('late', async () => { await null; it('adds', async () => expect(await add(1, 2)).toBe(3)) })",
        "it('is told', (done) => { add(1, 2).then(r => { if (r === 3) done() }) })",
        "const r = await add(1, 2); await new Promise(go => { if (r === 3) go() })",
    ];
    for text in scripts {
        let right = script("async function add(a, b) { return a + b }", text);
        let detail = &right.tests[0].detail;
        assert_eq!(right.verdict, Verdict::Accepted, "{text}: {detail}");
        let wrong = script("async function add() { return 0 }", text);
        let detail = &wrong.tests[0].detail;
        assert_eq!(wrong.verdict, Verdict::WrongAnswer, "{text}: {detail}");
    }
}

/// Values that JavaScript's operators take for the wanted ones, and jest's
/// matchers do not; each with one that is right.
#[test]
fn matchers_are_as_strict_as_jests() {
    let cases = [
        ("toBeCloseTo(42)", "42.001", "'42'"),
        ("toBeCloseTo(42)", "42", "[42]"),
        ("not.toBeCloseTo(1)", "42", "'x'"),
        ("toBeGreaterThan(41)", "42", "'42'"),
        ("not.toBeGreaterThan(43)", "42", "'42'"),
        ("toContain(2)", "[1, 2]", "'123'"),
        ("not.toContain(2)", "[1]", "'123'"),
        ("toMatch('abc')", "'xabc'", "['abc']"),
        ("toMatch(/abc/)", "'xabc'", "['abc']"),
        ("toMatchObject([1, 2])", "[1, 2]", "[1, 2, 3]"),
        ("toMatchObject(['a'])", "['a']", "'a'"),
        (
            "toMatchObject({ a: { b: 1 } })",
            "{ a: { b: 1, c: 2 } }",
            "{ a: {} }",
        ),
        (
            "toEqual({ a: 1 })",
            "{ a: 1, b: undefined }",
            "{ a: 1, b: null }",
        ),
        ("not.toHaveLength(3)", "[1]", "null"),
        (
            "toHaveProperty(['a', 'b'], 1)",
            "{ a: { b: 1 } }",
            "{ a: {} }",
        ),
    ];
    for (matcher, right, wrong) in cases {
        let text = format!("it('is so', () => {{ expect(f()).{matcher} }})");
        let got = script(&format!("const f = () => ({right})"), &text);
        let detail = &got.tests[0].detail;
        assert_eq!(
            got.verdict,
            Verdict::Accepted,
            "{matcher} {right}: {detail}"
        );
        let got = script(&format!("const f = () => ({wrong})"), &text);
        assert_eq!(got.verdict, Verdict::WrongAnswer, "{matcher} {wrong}");
    }
    let got = script("const f = () => 1", "f(); expect(1).toBeOdd()");
    assert_eq!(got.verdict, Verdict::JudgeError, "no such matcher");
}

/// Ways to make a script look as if it needed live objects, or broke.
#[test]
fn a_candidate_cannot_make_the_script_unsupported() {
    let cases = [
        // A member of plain data that a value of another kind has as a method.
        (
            "const make = () => []; const total = () => 6",
            "assert.strictEqual(total(make().values), 5)",
        ),
        (
            "const make = () => () => 1; const total = () => 6",
            "assert.strictEqual(total({ ...make() }), 5)",
        ),
        (
            "function options() {}",
            "assert.strictEqual(options.size, 5)",
        ),
        ("", "assert.strictEqual(options.size, 5)"),
        // A name that frameworks bind and the script forgot to require.
        (
            "globalThis.assert = () => {}; function fail() {}\nconst total = () => 6",
            "assert(total() === 5)",
        ),
        (
            "function fail() {}\nconst total = () => 6",
            "if (total() !== 5) fail('not five')",
        ),
    ];
    for (code, text) in cases {
        let judged = script(code, text);
        let test = &judged.tests[0];
        assert!(
            charged(test.verdict),
            "{code}: {:?} {}",
            test.verdict,
            test.detail
        );
    }
    let statics = "class Shape { static sides = 4; static name2() { return 'shape' } }";
    let text = "assert.strictEqual(Shape.name2(), 'shape'); assert.strictEqual(Shape.sides, 4)";
    let judged = script(statics, text);
    assert_eq!(
        judged.verdict,
        Verdict::Accepted,
        "{}",
        judged.tests[0].detail
    );
}

/// Neither the number of tests nor what they say keeps one from counting.
#[test]
fn every_test_of_a_large_suite_counts() {
    let text = "for (let i = 0; i < 1100; i++) it('t' + i, () => assert.strictEqual(id(i), i))";
    assert_eq!(script("const id = x => x", text).verdict, Verdict::Accepted);
    let late = script("const id = x => x < 1050 ? x : 0", text);
    assert_eq!(late.verdict, Verdict::WrongAnswer);
    let loud = script(
        "function id() { throw new Error('\\u0001'.repeat(400)) }",
        text,
    );
    assert_eq!(
        loud.verdict,
        Verdict::WrongAnswer,
        "{}",
        loud.tests[0].detail
    );
}
