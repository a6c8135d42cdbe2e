//! Classes of the candidate's under test, from another cell: objects by handle.

use assize_judge::case::Integrity;
use assize_judge::verdict::Verdict;
use serde_json::json;

use crate::javascript::{request, script};
use crate::judge;

const PROGRAM: &str = "
class Empty extends RangeError {}
class Stack {
  constructor(...items) { this.items = items; }
  push(x) { this.items.push(x); return this; }
  pop() { if (!this.items.length) throw new Empty('empty'); return this.items.pop(); }
  get size() { return this.items.length; }
  *[Symbol.iterator]() { yield* this.items; }
  static of(x) { return new Stack(x); }
  toString() { return `Stack(${this.items})`; }
  merge(other) { return new Stack(...this.items, ...other.items); }
  async later() { return this.size; }
}
class Node { constructor(v, next) { this.v = v; this.next = next ?? null; } }
function counter() { let n = 0; return () => ++n; }
module.exports = { Stack, Node, counter, Empty };
";

#[test]
fn classes_are_tested_from_another_cell() {
    let claims = [
        "(s => s.push(1).push(2).size === 2 && s.pop() === 2 && s.items.length === 1)(new Stack())",
        "util.isDeepStrictEqual([...new Stack(1, 2)], [1, 2])",
        "`${new Stack(1)}` === 'Stack(1)'",
        "new Stack() instanceof Stack && !(new Stack() instanceof Node) && !({} instanceof Stack)",
        "(() => { try { new Stack().pop() } catch (e) { return e instanceof RangeError && e.message === 'empty' } })()",
        "Stack.of(4).pop() === 4",
        "util.isDeepStrictEqual(new Stack(1).merge(new Stack(2)).items, [1, 2])",
        "util.isDeepStrictEqual(new Stack(1), new Stack(1)) && !util.isDeepStrictEqual(new Stack(1), new Stack(2))",
        "!util.isDeepStrictEqual(new Stack(1), { items: [1] }) && !util.isDeepStrictEqual(new Stack(1), new Node(1))",
        "(n => { n.v = 5; return n.v === 5 && n.next.v === 2 && n.next.next === null })(new Node(1, new Node(2)))",
        "(s => s.push(s) === s && s.items[0] === s)(new Stack())",
        "(c => c() === 1 && c() === 2 && counter()() === 1)(counter())",
        "await new Stack(1).later() === 1 && (await new Stack(1)).size === 1",
        "new (require('./main.js').Stack)(7).pop() === 7",
        "'size' in new Stack() && new Stack().nothing === undefined && Object.keys(new Stack(1)).join() === 'items'",
    ];
    let test = |claim: &str, holds: bool| {
        let not = if holds { "" } else { "!" };
        json!({"script": format!("const util = require('node:util'); const assert = require('assert'); assert.ok({not}({claim}));")})
    };
    for (holds, verdict) in [(true, Verdict::Accepted), (false, Verdict::WrongAnswer)] {
        let judged = judge(&request(
            PROGRAM,
            claims.iter().map(|c| test(c, holds)).collect(),
        ));
        for (claim, result) in claims.iter().zip(&judged.tests) {
            assert_eq!(
                result.verdict, verdict,
                "{holds}: {claim}: {}",
                result.detail
            );
        }
        assert_eq!(judged.integrity, Integrity::Isolated);
    }
}

/// Each returns an object where the test wants a plain value, or a class whose
/// objects lie; comparisons are made of values that are here, so none passes,
/// and none ends the test side.
#[test]
fn objects_of_liars_are_never_accepted_and_never_our_failure() {
    let liars = [
        "const any = new Proxy(function () {}, { get: () => any, apply: () => any, construct: () => any, has: () => true, ownKeys: () => [] }); module.exports = any;",
        "class Stack { equals() { return true } get items() { return { length: 2, map: f => f } } pop() { return this } get size() { return new Number(2) } [Symbol.toPrimitive]() { return 1 } }\nfunction two() { return new Stack() }",
        "class Stack { constructor() { return new Proxy(this, { get: (t, k) => k === 'then' ? undefined : () => t }) } }\nfunction two() { return () => 2 }",
        "class Stack { get size() { process.exit(0) } pop() { process.exit(0) } }\nfunction two() { return new Stack() }",
        "class Stack { then(f) { f(3) } map(f) { return f(2) } pop() { return { map: 1 } } get size() { throw null } }\nfunction two() { return new Stack() }",
        "class Stack { get size() { const o = {}; o.o = o; return o } pop() { return Array.from({ length: 1e5 }, () => new Stack()) } }\nfunction two() { return Array.from({ length: 2e5 }, () => ({ __proto__: { x: 1 } })) }",
        "class Stack { constructor() { return [1, 2] } }\nfunction two() { return class {} }",
        "class Stack { constructor() { return 2 } }\nStack.prototype[Symbol.iterator] = function* () { for (;;) yield 2 }\nfunction two() { return new Stack() }",
        "function Stack() { return { __proto__: null, h: [0, 'x', false] } }\nfunction two() { return { h: [0, 'Stack', false], i: '0x2' } }",
        "const fs = require('fs'); const say = m => { const b = Buffer.from(JSON.stringify(m)); const h = Buffer.alloc(4); h.writeUInt32LE(b.length); fs.writeSync(3, Buffer.concat([h, b])); };\nclass Stack { get size() { say({ id: 3, value: { h: [-1, 'Stack', false] } }); return 2 } }\nfunction two() { say({ id: 2, value: { h: 'x' } }); }",
    ];
    let scripts = [
        "assert.strictEqual(two(), 2)",
        "assert.deepStrictEqual([two()], [2])",
        "assert.ok(two() === 2 || two().length === 'two')",
        "assert.deepStrictEqual(two().map(x => x * 2), [4, 4])",
        "assert.strictEqual(await two(), 2)",
        "const s = new Stack(1, 2); assert.strictEqual(s.size, 2); assert.strictEqual(s.pop(), 2)",
        "const s = new Stack(1, 2); assert.deepStrictEqual([...s], [1, 2])",
        "expect(new Stack(1, 2).items).toEqual([1, 2]); expect(two()).toBe(2)",
    ];
    let tests =
        scripts.map(|s| json!({"script": format!("const assert = require('assert'); {s};")}));
    for liar in liars {
        for test in &tests {
            let judged = judge(&request(liar, vec![test.clone()]));
            let result = &judged.tests[0];
            let honest = [
                Verdict::WrongAnswer,
                Verdict::RunTimeError,
                Verdict::TimeLimitExceeded,
                Verdict::MemoryLimitExceeded,
            ];
            assert!(
                honest.contains(&result.verdict),
                "{liar}\n{test}\n{:?} {}",
                result.verdict,
                result.detail
            );
        }
    }
}

/// What the script itself asks for and cannot have is the script's nature.
#[test]
fn callbacks_and_subclasses_are_refused_whoever_is_judged() {
    for text in [
        "new Stack(1).push(() => 1)",
        "class Own extends Stack {}\nnew Own()",
    ] {
        let judged = script(PROGRAM, text);
        assert_eq!(judged.verdict, Verdict::JudgeError, "{text}");
        assert!(judged.tests[0].detail.contains("live objects"), "{text}");
    }
}
