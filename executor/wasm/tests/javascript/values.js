// Prints several hundred values, made by a fixed generator and by hand: the
// same under Node and in the WASI guest, to the blank.
'use strict';
const util = require('util');

let state = 12345;
const random = (n) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % n;
};
const pick = (...all) => all[random(all.length)];
class Point { constructor(x, y) { this.x = x; this.y = y; } }
class Named extends Map {}
class Empty {}
class Tagged { get [Symbol.toStringTag]() { return 'Tag'; } }
class Custom { [util.inspect.custom](depth, options) { return `Custom<${depth}>`; } }
const word = () => Array.from({ length: random(pick(3, 12, 40)) }, () => pick(...'abc xyz\'"`\n\t\\é😀0_$')).join('');
const number = () => pick(0, -0, 1, -1, 1.5, NaN, Infinity, 1e21, 1e-7, 123456789, random(100000), random(1000) / 8);
const key = () => pick('a', 'b', 'key', 'a-b', '0', '1', 'long_key_name', 'with space', "it's", '__proto__', '', 'é');

function make(depth) {
  if (depth === 0) return pick(number, word, () => null, () => undefined, () => true, () => BigInt(random(1e6)) ** 3n, () => Symbol(word()), () => Symbol.iterator)();
  const inner = () => make(random(depth));
  const many = (n, f) => Array.from({ length: random(n) }, f);
  return pick(
    () => many(pick(3, 9, 30, 130), inner),
    () => many(pick(9, 30, 120), number),
    () => many(pick(9, 30), word),
    () => Object.fromEntries(many(pick(3, 8, 30), () => [key(), inner()])),
    () => Object.fromEntries(many(8, () => [key(), number()])),
    () => new Map(many(pick(4, 12), () => [inner(), inner()])),
    () => new Set(many(pick(4, 12), inner)),
    () => new Point(inner(), inner()),
    () => new Named(many(3, () => [word(), inner()])),
    () => Object.assign(Object.create(null), { a: inner() }),
    () => { const a = many(4, inner); a[a.length + random(4)] = inner(); a.extra = inner(); return a; },
    () => [inner(), [inner(), [inner(), [inner()]]]],
    () => ({ nested: { nested: { nested: { nested: inner() } } } }),
    () => pick(new Uint8Array([1, 2, 250]), new Float64Array(3), Buffer.from(word()), new ArrayBuffer(4), new BigInt64Array(2)),
    () => pick(() => 1, function named() {}, class {}, Point, class extends Point {}, async () => 1, function* gen() {}, async function* ag() {}, Math.max, Object.assign(() => 1, { x: 1 })),
    () => pick(new Date(random(2 ** 31) * 1000), new Date(NaN), /a+b/gi, Object.assign(/x/, { extra: 1 }), new Number(3), new String('boxed'), Object(1n), Object(Symbol('s')), new Boolean(false)),
    () => pick(Promise.resolve(inner()), new Promise(() => {}), new WeakMap(), new WeakSet(), globalThis.Math, JSON, Reflect),
    () => pick(new Empty(), new Tagged(), new Custom(), { c: new Custom() }, Object.create({ a: 1 }), Object.create(Point.prototype), Point.prototype, (function () { return arguments; })(1, 'a')),
    () => pick(new Map([[1, 2]]).keys(), new Map([[1, { a: 2 }]]).entries(), new Set('abc').values(), new Set([1]).entries(), [1, 2][Symbol.iterator](), 'ab'[Symbol.iterator]()),
    () => ({ get a() { return 1; }, set a(x) {}, get b() { return 2; }, set c(x) {}, [Symbol('sym')]: inner(), [Symbol.toStringTag]: 'T' }),
    () => { const o = { name: 'loop', list: [] }; o.self = o; o.list.push(o, { o }); return o; },
    () => { const m = new Map(); m.set('m', m); return [m, m]; },
    () => new Proxy(pick({ a: 1 }, [1, 2], () => 1), {}),
    () => Array.from({ length: random(130) }, (_, i) => 'x'.repeat(i % 17)),
    () => new Array(random(5)),
  )();
}

const bare = (error) => {
  error.stack = `${error.name}: ${error.message}`; // frames differ
  return error;
};
const errors = [
  () => bare(new Error('plain')), () => bare(new TypeError('')), () => bare(Object.assign(new RangeError('with'), { code: 'E', more: [1] })),
  () => ({ inside: bare(new Error('in an object\nof two lines')) }), () => [bare(new SyntaxError('x'))],
  () => bare(new Error('outer', { cause: bare(new Error('inner')) })), () => bare(new AggregateError([bare(new Error('a'))], 'all')),
  () => { class Own extends Error {} return bare(new Own('own')); }, () => { const e = new Error('renamed'); e.name = 'Other'; return bare(e); },
];

for (let i = 0; i < 600; i += 1) console.log(i, make(1 + random(4)));
for (const make of errors) console.log(make());
for (const options of [{ depth: 0 }, { depth: null }, { compact: false }, { compact: 1 }, { compact: true }, { breakLength: 40 }, { breakLength: Infinity }, { maxArrayLength: 2 }, { maxStringLength: 3 }, { sorted: true }, { colors: true }, { showHidden: true, depth: 1 }, { getters: true }, { numericSeparator: true }]) {
  for (let i = 0; i < 12; i += 1) {
    const value = make(3);
    if (options.showHidden && !(Array.isArray(value) || value instanceof Map || Object.getPrototypeOf(value) === Object.prototype) || [Math, JSON, Reflect].includes(value)) continue;
    console.log(JSON.stringify(options), util.inspect(value, options));
  }
}
console.log('%s %d %i %f %j %o %O %% %c %x', 'text', '42', 42.9, '1.5', { a: 1 }, [1], { b: { c: {} } }, 'css', 'rest');
console.log('%s', { toString() { return 'own'; } }, '%s', null, undefined, 5n, Symbol('s'));
console.log('%s %s %s %s', {}, [1, [2, [3]]], class A {}, new Point(1, 2), 'more', { a: 1 });
console.log('%d|%i|%f|%s', '0x10', '12px', 'abc', -0, 1);
console.log('100%', 5, '%s');
console.table([{ a: 1, b: 'x' }, { a: 2, c: true }]);
console.table([[1, 2], [3, 4]]);
console.table(new Map([['k', 1], ['l', { v: 2 }]]));
console.table([1, 'two', { three: 3 }]);
console.table([{ a: 1, b: 2 }], ['b']);
console.group('group');
console.log('indented\ntwice');
console.group();
console.log({ a: 1 });
console.groupEnd();
console.groupEnd();
console.log('out');
console.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 });
console.count(); console.count('x'); console.count(); console.countReset(); console.count();
console.log();
console.log('');
console.log(null, undefined);
