//! JavaScript functions, tested from another cell: what crosses, and what
//! liars can do.

use assize_api::types::{JudgementRequest, TestSpec};
use assize_judge::case::Judgement;
use assize_judge::verdict::Verdict;
use serde_json::{Value, json};

use crate::judge;

const PROGRAM: &str = "
const add = (a, b) => a + b;
function id(x) { return x; }
function boom() { throw new RangeError('no way'); }
class Own extends TypeError {}
function own() { throw new Own('mine'); }
function sort(a) { a.sort(); return a; }
async function slow(x) { if (x < 0) throw new Error('neg'); await new Promise(r => setTimeout(r, 5)); return x * 2; }
function* upTo(n) { for (let i = 0; i < n; i++) yield i; }
const nothing = () => {};
const wrap = x => [x];
class Solution { twice(x) { return 2 * x; } }
class Foo { constructor(x) { this.x = x; } take() {} }
let constant = 7;
module.exports.exported = x => -x;
";

pub(crate) fn request(code: &str, tests: Vec<Value>) -> JudgementRequest {
    let tests = tests
        .into_iter()
        .map(|t| serde_json::from_value::<TestSpec>(t).unwrap());
    JudgementRequest {
        language: "javascript".into(),
        code: Some(code.to_owned()),
        tests: tests.collect(),
        ..JudgementRequest::default()
    }
}

pub(crate) fn script(code: &str, script: &str) -> Judgement {
    judge(&request(code, vec![json!({"script": script})]))
}

/// Every line of a script is a claim that holds; each is tried alone as well
/// as its opposite, so that a tester that runs nothing would be seen.
#[test]
fn values_arrive_as_genuine_built_ins_of_the_test_side() {
    let claims = [
        "add(1, 2) === 3",
        "id(undefined) === undefined && id(null) === null",
        "Object.is(id(-0), -0) && Number.isNaN(id(NaN)) && id(-Infinity) === -Infinity",
        "id(5e-324) === 5e-324 && id(0.1) === 0.1 && id(1.7976931348623157e308) === 1.7976931348623157e308",
        "id(2n ** 80n) === 2n ** 80n && id(-5n) === -5n",
        "id(9007199254740993) === 9007199254740992",
        "util.isDeepStrictEqual(wrap({ a: [1, , 'x'], __proto__: null })[0], { a: [1, undefined, 'x'] }) && (x => id(x) === x)({ __proto__: null })",
        "util.isDeepStrictEqual(id(new Map([[{ k: 1 }, new Set([1, 'a'])]])), new Map([[{ k: 1 }, new Set([1, 'a'])]]))",
        "id(new Date(86400000)).getTime() === 86400000 && Number.isNaN(id(new Date(NaN)).getTime())",
        "id(/a+/gi) instanceof RegExp && id(/a+/gi).flags === 'gi'",
        "util.isDeepStrictEqual(id(new Uint8Array([0, 255])), new Uint8Array([0, 255]))",
        "id('\\u{1F600}\\n\\0') === '\\u{1F600}\\n\\0'",
        "Object.hasOwn(id(JSON.parse('{\"__proto__\": 1}')), '__proto__') && ({}).x === undefined",
        "util.isDeepStrictEqual([...upTo(4)], [0, 1, 2, 3])",
        "constant === 7 && exported(3) === -3 && require('./main').exported(4) === -4",
        "util.isDeepStrictEqual((() => { const a = [3, 1, 2]; const b = sort(a); return [a, a === b]; })(), [[1, 2, 3], true])",
        "(() => { try { boom() } catch (e) { return e instanceof RangeError && e.message === 'no way' } })()",
        "(() => { try { own() } catch (e) { return e instanceof TypeError && e.name === 'TypeError' && e.message === 'mine' } })()",
        "await slow(4) === 8 && await slow(-1).then(() => false, e => e.message === 'neg')",
        "await Promise.all([slow(1), slow(2)]).then(a => a[0] + a[1] === 6)",
    ];
    let test = |claim: &str, holds: bool| {
        let not = if holds { "" } else { "!" };
        json!({"script": format!("const util = require('node:util'); const assert = require('assert'); assert.ok({not}({claim}));")})
    };
    let judged = judge(&request(
        PROGRAM,
        claims.iter().map(|c| test(c, true)).collect(),
    ));
    for (claim, result) in claims.iter().zip(&judged.tests) {
        assert_eq!(
            result.verdict,
            Verdict::Accepted,
            "{claim}: {}",
            result.detail
        );
    }
    let denied = judge(&request(
        PROGRAM,
        claims.iter().map(|c| test(c, false)).collect(),
    ));
    for (claim, result) in claims.iter().zip(&denied.tests) {
        assert_eq!(
            result.verdict,
            Verdict::WrongAnswer,
            "not {claim}: {}",
            result.detail
        );
    }
}

#[test]
fn call_tests_compare_in_the_judge() {
    let call = |f: &str, args: Value, returns: Value| json!({"call": {"function": f, "args": args}, "returns": returns});
    let big: Value = serde_json::from_str("123456789012345678901234567890").unwrap();
    let right = vec![
        call("add", json!([1, 2]), json!(3)),
        call("add", json!([0.1, 0.2]), json!(0.30000000000000004)),
        call(
            "id",
            json!([{"a": [1, null, true, "x"]}]),
            json!({"a": [1, null, true, "x"]}),
        ),
        call("id", json!([1e300]), json!(1e300)),
        call("upTo", json!([3]), json!([0, 1, 2])),
        call("slow", json!([3]), json!(6)),
        call("Solution.twice", json!([3]), json!(6)),
        call(
            "id",
            json!([1_000_000_000_000_000_000_u64]),
            json!(1_000_000_000_000_000_000_u64),
        ),
        call("id", json!([big.clone()]), big),
    ];
    let judged = judge(&request(PROGRAM, right));
    for result in &judged.tests {
        assert_eq!(
            result.verdict,
            Verdict::Accepted,
            "{}: {}",
            result.id,
            result.detail
        );
    }
    let wrong = vec![
        call("nothing", json!([]), Value::Null),
        call("id", json!(["3"]), json!(3)),
        call("id", json!([3]), json!(true)),
        call("boom", json!([]), Value::Null),
        call("absent", json!([]), Value::Null),
    ];
    let judged = judge(&request(PROGRAM, wrong));
    let verdicts: Vec<_> = judged.tests.iter().map(|t| t.verdict.code()).collect();
    assert_eq!(verdicts, ["WA", "WA", "WA", "RTE", "RTE"]);
}

#[test]
fn a_failed_console_assert_fails_the_test_though_node_would_exit_with_0() {
    let judged = script(PROGRAM, "console.assert(add(1, 2) === 4, 'three')");
    assert_eq!(judged.verdict, Verdict::WrongAnswer);
    assert_eq!(
        script(PROGRAM, "console.assert(add(1, 2) === 3)").verdict,
        Verdict::Accepted
    );
}

#[test]
fn suites_have_a_verdict_per_test_name() {
    let text = "const test = require('node:test'); const assert = require('node:assert');
        test('adds', () => assert.equal(add(1, 2), 3));
        test('fails', () => assert.equal(add(1, 2), 4));
        describe('group', () => {
          let n = 0; beforeEach(() => { n += 1; });
          it('throws', () => { boom(); });
          it('expects', async () => { expect(add(n, 0)).toBe(2); expect(() => boom()).toThrow(/way/); await expect(slow(1)).resolves.toEqual(2); });
          it('is wrong', () => { expect([1]).not.toEqual([1]); });
          it.skip('is left out', () => { throw 1; });
        });";
    let judged = script(PROGRAM, text);
    let got: Vec<_> = judged.tests[0]
        .subtests
        .iter()
        .map(|s| format!("{} {}", s.name, s.verdict.code()))
        .collect();
    let want = [
        "adds AC",
        "fails WA",
        "group > throws RTE",
        "group > expects AC",
        "group > is wrong WA",
    ];
    assert_eq!(got, want);
    assert_eq!(judged.verdict, Verdict::WrongAnswer);
}

#[test]
fn whose_fault_a_script_is() {
    let cases = [
        ("absent(1)", "RTE", "missing"),
        ("boom()", "RTE", "RangeError"),
        ("throw 'up'", "JE", "itself failed"),
        ("let x = ;", "JE", "itself failed"),
        ("process.exit(0)", "JE", "never used"),
        ("add(1, 2); process.exit(1)", "WA", "exit status"),
        ("add(1, 2); throw new Error('x')", "WA", "x"),
        ("id(() => 1)", "JE", "live objects"),
        ("class Bar extends Foo {}", "JE", "live objects"),
        ("new Foo(1).take(() => 1)", "JE", "live objects"),
        ("new Foo(1).absent()", "WA", "is not a function"),
        ("Foo.prototype.x", "JE", "live objects"),
        // Results can fill the heap of an interpreter, which then aborts.
        ("add(1, 2); process.abort()", "RTE", "broke down"),
    ];
    for (text, code, detail) in cases {
        let judged = script(PROGRAM, text);
        let got = &judged.tests[0];
        assert_eq!(got.verdict.code(), code, "{text}: {}", got.detail);
        assert!(got.detail.contains(detail), "{text}: {}", got.detail);
    }
}

#[test]
fn modules_of_both_kinds_and_programs_of_several_files_are_loaded() {
    let es = "import path from 'node:path';\nexport default function main(x) { return path.basename(x); }\nexport const twice = x => 2 * x;\n";
    let judged = script(
        es,
        "const assert = require('assert'); const m = require('./main.js'); assert.equal(m.default('/a/b'), 'b'); assert.equal(twice(2), 4);",
    );
    assert_eq!(
        judged.verdict,
        Verdict::Accepted,
        "{}",
        judged.tests[0].detail
    );
    let mut request = request(
        "",
        vec![
            json!({"script": "const slug = require('../src/slug.js'); if (slug('A') !== 'a') throw new Error('slug');"}),
        ],
    );
    request.code = None;
    request.files = Some(
        serde_json::from_value(json!({
            "src/slug.js": {"text": "module.exports = s => require('./low.js')(s);"},
            "src/low.js": {"text": "module.exports = s => s.toLowerCase();"},
        }))
        .unwrap(),
    );
    request.entry = Some("src/slug.js".into());
    let judged = judge(&request);
    assert_eq!(
        judged.verdict,
        Verdict::Accepted,
        "{}",
        judged.tests[0].detail
    );
}

/// None of these knows that `add(19, 23)` is 42; each lies about it.
#[test]
fn liars_are_never_accepted_and_never_our_failure() {
    let liars = [
        "process.exit(0); function add() {}",
        "function add() { process.exit(0) }",
        "function add() { process.reallyExit(0) }",
        "function add() { process.kill(process.pid, 'SIGKILL') }",
        "function add() { return { valueOf: () => 42, toJSON: () => 42, [Symbol.toPrimitive]: () => 42 } }",
        "function add() { return new Number(7) } Number.prototype.valueOf = () => 42",
        "function add() { return new Proxy({}, { get: () => 42 }) }",
        "class Same { equals() { return true } }\nfunction add() { return new Same() }",
        "JSON.stringify = () => '{\"id\":1,\"value\":42,\"passed\":true}'\nfunction add() { return 0 }",
        "Array.prototype.push = function () { return 42 }\nObject.prototype.value = 42\nfunction add() { return 0 }",
        "Function.prototype.call = () => 42\nFunction.prototype.apply = () => 42\nfunction add() { return 0 }",
        "const fs = require('fs')\nconst body = Buffer.from('{\"id\":1,\"value\":42}'); const head = Buffer.alloc(4); head.writeUInt32LE(body.length)\nfs.writeSync(3, Buffer.concat([head, body]))\nfunction add() { return 0 }",
        "const fs = require('fs')\nfunction add() { const body = Buffer.from('{\"id\":1,\"missing\":false,\"outcome\":\"passed\"}'); const head = Buffer.alloc(4); head.writeUInt32LE(body.length); fs.writeSync(3, Buffer.concat([head, body])); return 0 }",
        "for (let fd = 3; fd < 30; fd++) try { require('fs').writeSync(fd, '{\"outcome\":\"passed\",\"calls\":2,\"given\":2,\"message\":\"\"}') } catch {}\nfunction add() { return 0 }",
        "require('assert').ok = () => {}\nrequire('assert').strictEqual = () => {}\nfunction add() { return 0 }",
        "function add() { throw { code: 'ERR_ASSERTION', name: 'Stop' } }",
        "function add() { const e = new Error('x'); e.name = { toString() { throw 1 } }; throw e }",
        "function add() { throw null }",
        "function add() { return new Promise(() => {}) }",
        "process.on('exit', () => { process.exitCode = 0 })\nfunction add() { return 0 }",
        "setTimeout(() => process.exit(0), 1)\nasync function add() { await new Promise(r => setTimeout(r, 50)) }",
        "function add() { let x = []; x.push(x); return x }",
        "function add() { return { then: f => f(0) } }",
        "throw new Error('load')",
        "}) ; (function () { return () => 42",
    ];
    for liar in liars {
        for test in [
            json!({"script": "const assert = require('assert'); assert.strictEqual(add(19, 23), 42); assert.strictEqual(add(1, 2), 3);"}),
            json!({"call": {"function": "add", "args": [19, 23]}, "returns": 42}),
        ] {
            let judged = judge(&request(liar, vec![test]));
            let result = &judged.tests[0];
            let honest = [
                Verdict::WrongAnswer,
                Verdict::RunTimeError,
                Verdict::TimeLimitExceeded,
            ];
            assert!(
                honest.contains(&result.verdict),
                "{liar}: {:?} {}",
                result.verdict,
                result.detail
            );
            assert_eq!(judged.reward, Some(0.0), "{liar}");
        }
    }
}

/// A script that swallows everything cannot turn a dead candidate into a pass.
#[test]
fn swallowed_ends_stay_ends() {
    let text = "for (;;) { try { add(1, 2); break; } catch {} }";
    let judged = script("function add() { process.exit(0) }", text);
    assert_eq!(judged.verdict, Verdict::RunTimeError);
}
