// Several thousand small operations on values made by a fixed generator, and
// what each comes to: the same under Node and in the WASI guest.
'use strict';
let state = 7;
const random = (n) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % n;
};
const pick = (all) => all[random(all.length)];
const word = () => Array.from({ length: random(9) }, () => pick([...'abcABC019 -_.,é😀ß\n'])).join('');
const int = () => random(200) - 100;
const num = () => pick([0, -0, 1, -1, 0.1, 1e21, 1e-7, 123.456, -1234.5678, NaN, Infinity, 2 ** 31, 2 ** 53, 5e-324, random(1e6) / 97, int()]);
const ints = () => Array.from({ length: random(12) }, int);
const words = () => Array.from({ length: random(8) }, word);
const any = () => pick([num, word, () => null, () => undefined, () => true, ints, () => ({ a: int() })])();
const patterns = [/a/g, /[a-c]+/gi, /(\w)(\d)?/, /\s+/g, /^.{2,3}/s, /(?<x>[A-Z])/g, /\b\w/g, /[^a-z]/giu, /(a|b)*c?/, /\p{L}+/gu, /(?<=a)./g, /(?!b)\w$/, /./gsu, /^/gm];
const day = () => new Date(Date.UTC(1970 + random(120), random(14), random(40), random(30), random(70), random(70), random(1500)));

const operations = {
  slice: () => word().slice(int() % 5, int() % 5),
  substring: () => word().substring(int() % 5, int() % 9),
  substr: () => word().substr(int() % 5, random(4)),
  at: () => word().at(int() % 6),
  code: () => word().codePointAt(random(4)),
  pad: () => word().padStart(random(14), pick(['ab', ' ', ''])) + word().padEnd(random(14), '*'),
  split: () => word().split(pick(['', 'a', /[ab]/, /(b)/, undefined]), pick([undefined, 2])),
  replace: () => word().replace(pick(patterns), pick(['[$&]', '$1', '$$', (m) => m.length, "$`|$'"])),
  replaceAll: () => word().replaceAll(pick(['a', 'A', '']), pick(['x', '$&$&'])),
  match: () => word().match(pick(patterns)),
  matchAll: () => [...word().matchAll(pick(patterns.filter((p) => p.global)))].map((m) => [...m, m.index, m.groups]),
  exec: () => { const p = pick(patterns); p.lastIndex = 0; return p.exec(word()); },
  search: () => word().search(pick(patterns)),
  upper: () => word().toUpperCase() + word().toLowerCase() + word().normalize('NFD').length,
  trim: () => [word().trim(), word().trimEnd(), word().repeat(random(3)), word().indexOf('a'), word().lastIndexOf('a'), word().startsWith('a')],
  compare: () => [word() < word(), word().localeCompare(word()), word().localeCompare(word(), undefined, { numeric: true }), word().localeCompare(word(), 'en', { sensitivity: 'base' })],
  uri: () => { const w = word(); return [encodeURIComponent(w), encodeURI(w), escape(w), decodeURIComponent(encodeURIComponent(w)) === w]; },
  json: () => JSON.stringify({ w: word(), n: num(), a: any(), l: words() }, null, pick([undefined, 2, '--'])),
  parse: () => { try { return JSON.parse(pick(['[1,2]', '{"a":{"b":[null,true]}}', '"\\u00e9"', '1e5', '-0', '[1,]', 'nope'])); } catch (e) { return e.name; } },
  fixed: () => [num().toFixed(random(8)), num().toString(pick([10])), num().toPrecision(1 + random(20)), num().toExponential(random(8))],
  radix: () => [int().toString(2 + random(35)), (random(1e9) * 4).toString(36), parseInt(word(), 2 + random(35)), Number(word()), parseFloat(word())],
  number: () => [`${num()}`, num() % num(), int() ** random(8), Math.round(num()), Math.trunc(num()), num() | 0, num() >>> 0, num() << 3, Math.hypot(int(), int()), Math.sign(num()), Math.fround(num())],
  math: () => [Math.sqrt(random(1e6)), Math.cbrt(27 * random(99)), Math.max(...ints()), Math.min(...ints()), Math.clz32(int()), Math.imul(int(), int()), Math.atan2(0, int())],
  locale: () => [num().toLocaleString(), num().toLocaleString(undefined, { maximumFractionDigits: random(4) }), num().toLocaleString('en-US', { minimumFractionDigits: 2 })],
  big: () => { const [a, b] = [BigInt(int()) ** 9n, BigInt(int() || 1)]; return [a * b, a / b, a % b, a << 70n, a >> 3n, BigInt.asUintN(64, a), BigInt.asIntN(8, a), a.toString(16), a > b, a == Number(b), -a & 255n]; },
  sort: () => [ints().sort(), ints().sort((a, b) => a - b), words().sort(), words().sort((a, b) => a.length - b.length), ints().toSorted(), [3, undefined, 1, , 2].sort()],
  splice: () => { const a = ints(); return [a.splice(int() % 6, random(4), 'x', 'y'), a, a.copyWithin(0, 3), a.reverse(), a.fill(0, 1, 3)]; },
  fold: () => [ints().reduce((a, b) => a + b, 0), ints().map((x) => x * 2), ints().filter((x) => x > 0), ints().find((x) => x < 0), ints().findLastIndex((x) => x > 0), words().flatMap((w) => [...w]), ints().indexOf(5), ints().join('|'), ints().includes(NaN), [[1, [2]], [3]].flat(random(3))],
  spread: () => [...new Set(ints().map((x) => x % 3))].concat([...new Map(ints().map((x) => [x % 4, x]))]),
  object: () => { const o = Object.fromEntries(words().map((w, i) => [w, i])); delete o.a; return [o, Object.keys(o), { ...o, z: 1 }, Object.entries(o).length, JSON.stringify(o)]; },
  date: () => { const d = day(); return [d.toISOString(), d.getDay(), d.toString(), d.toUTCString(), d.toLocaleDateString(), d.toLocaleTimeString(), d.toLocaleString(), d.getTimezoneOffset(), Date.parse(d.toString()), Date.parse(d.toISOString().slice(0, 10)), new Date(d.getFullYear(), d.getMonth() + 1, 0).getDate()]; },
  coerce: () => { const [a, b] = [any(), any()]; return [a == b, a < b, `${a}`, a + b, !a, typeof a, [a] + '', Object.is(a, b), isNaN(a), Boolean(a), a ?? b]; },
  typed: () => [new Int8Array(ints()), Uint8ClampedArray.from(ints()), new Float32Array([num()])[0], new Uint16Array(ints()).sort(), new DataView(new Float64Array([num()]).buffer).getInt16(2)],
  generator: () => [...(function* g(n) { while (n > 0) yield n -= 1 + random(3); })(20)],
  closure: () => { const fs = []; for (let i = 0; i < 3; i += 1) fs.push(() => i + int()); return fs.map((f) => f()); },
  destructure: () => { const [a = 1, , ...b] = ints(); const { length, 0: c = 'd' } = word(); return [a, b, length, c]; },
  error: () => { try { pick([() => null.x, () => undefined.x.y, () => { throw new RangeError(word()); }, () => undefinedName, () => [].reduce((x) => x), () => 'x'.repeat(-1), () => new Array(-1), () => { const c = 1; c = 2; }])(); return 0; } catch (e) { return [e.name, e instanceof Error]; } },
  cls: () => { class A { #p = int(); static n = 0; get p() { return this.#p; } constructor() { A.n += 1; } } class B extends A { get p() { return -super.p; } } return [new B().p, A.n, new B() instanceof A, B.name, new A()]; },
  labels: () => { let n = 0; outer: for (let i = 0; i < 9; i += 1) { for (let j = 0; j < 9; j += 1) { if (j === random(9)) continue outer; if (i * j > 20) break outer; n += 1; } } return n; },
};
const names = Object.keys(operations);
for (let i = 0; i < 4000; i += 1) {
  const name = names[i % names.length];
  console.log(i, name, operations[name]());
}
