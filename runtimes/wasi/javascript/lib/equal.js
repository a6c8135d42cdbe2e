'use strict';
// Deep equality, loose and strict, by the rules of Node's
// lib/internal/util/comparisons.js (MIT).

const types = require('types');

const enumerable = (x, key) => Object.prototype.propertyIsEnumerable.call(x, key);
const tagOf = (x) => Object.prototype.toString.call(x);
const isError = (x) => types.isNativeError(x) || x instanceof Error;
const isIndex = (key) => typeof key === 'string' && /^(?:0|[1-9]\d{0,9})$/.test(key) && Number(key) < 2 ** 32 - 1;

function otherKeys(x, strict) {
  const keys = Object.keys(x).filter((key) => !isIndex(key));
  return strict ? keys.concat(Object.getOwnPropertySymbols(x).filter((key) => enumerable(x, key))) : keys;
}

function sameBytes(a, b) {
  if (a.byteLength !== b.byteLength) return false;
  const bytes = (x) => (ArrayBuffer.isView(x) ? new Uint8Array(x.buffer, x.byteOffset, x.byteLength) : new Uint8Array(x));
  const [left, right] = [bytes(a), bytes(b)];
  return left.every((byte, i) => byte === right[i]);
}

/** Whether the two are of one kind, as far as that can be told without looking
 *  at their members; undefined when it cannot. */
function sameKind(a, b, tag, strict, memos) {
  if (types.isDate(a)) return types.isDate(b) && Date.prototype.getTime.call(a) === Date.prototype.getTime.call(b);
  if (types.isRegExp(a)) return types.isRegExp(b) && a.source === b.source && a.flags === b.flags && a.lastIndex === b.lastIndex;
  if (types.isAnyArrayBuffer(a)) return types.isAnyArrayBuffer(b) && sameBytes(a, b);
  if (isError(a)) {
    if (!isError(b)) return false;
    const hidden = (key, same) => enumerable(a, key) === enumerable(b, key) && (enumerable(a, key) || same(a[key], b[key]));
    const deep = (x, y) => equal(x, y, strict, memos);
    return hidden('message', Object.is) && hidden('name', Object.is) && hidden('cause', deep) && hidden('errors', deep);
  }
  if (types.isBoxedPrimitive(a)) {
    const kind = host.classOf(a);
    const { valueOf } = globalThis[kind].prototype;
    return host.classOf(b) === kind && Object.is(valueOf.call(a), valueOf.call(b));
  }
  const special = Array.isArray(b) || types.isArrayBufferView(b) || types.isSet(b) || types.isMap(b) || types.isDate(b)
    || types.isRegExp(b) || types.isAnyArrayBuffer(b) || types.isBoxedPrimitive(b) || isError(b);
  return tag === '[object Object]' ? true : !special;
}

function equal(a, b, strict, memos) {
  if (a === b) return a !== 0 || Object.is(a, b) || !strict;
  if (strict) {
    if (typeof a === 'number') return Number.isNaN(a) && Number.isNaN(b);
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  } else {
    const [left, right] = [a, b].map((x) => x === null || typeof x !== 'object');
    // eslint-disable-next-line eqeqeq
    if (left || right) return left && right && (a == b || (Number.isNaN(a) && Number.isNaN(b)));
  }
  const tag = tagOf(a);
  if (tag !== tagOf(b)) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    const keys = otherKeys(a, strict);
    return keys.length === otherKeys(b, strict).length && sameMembers(a, b, strict, memos, sameElements, keys);
  }
  if (tag === '[object Object]') return sameMembers(a, b, strict, memos);
  if (types.isArrayBufferView(a)) {
    if (host.classOf(a) !== host.classOf(b)) return false;
    const floats = !strict && (types.isFloat32Array(a) || types.isFloat64Array(a));
    if (floats ? a.length !== b.length || !a.every((x, i) => x === b[i] || (Number.isNaN(x) && Number.isNaN(b[i]))) : !sameBytes(a, b)) return false;
    const keys = types.isTypedArray(a) ? otherKeys(a, strict) : Object.keys(a);
    return keys.length === otherKeys(b, strict).length && sameMembers(a, b, strict, memos, undefined, keys);
  }
  if (types.isSet(a)) return types.isSet(b) && a.size === b.size && sameMembers(a, b, strict, memos, sameSets);
  if (types.isMap(a)) return types.isMap(b) && a.size === b.size && sameMembers(a, b, strict, memos, sameMaps);
  return sameKind(a, b, tag, strict, memos) && sameMembers(a, b, strict, memos);
}

/** Same members, and the same inside by `inside`. */
function sameMembers(a, b, strict, memos, inside, keys) {
  const list = keys !== undefined;
  keys ??= Object.keys(a);
  if (!keys.every((key) => enumerable(b, key))) return false;
  if (!list) {
    if (keys.length !== Object.keys(b).length) return false;
    if (strict) {
      const symbols = (x) => Object.getOwnPropertySymbols(x).filter((key) => enumerable(x, key));
      const own = symbols(a);
      if (own.length !== symbols(b).length || !own.every((key) => enumerable(b, key))) return false;
      keys = keys.concat(own);
    }
  }
  // Pairs that are being compared: a cycle is equal to the same cycle.
  memos ??= new Map();
  const known = memos.get(a);
  if (known?.has(b)) return true;
  if (known) known.add(b);
  else memos.set(a, new Set([b]));
  const result = keys.every((key) => equal(a[key], b[key], strict, memos)) && (inside === undefined || inside(a, b, strict, memos));
  memos.get(a).delete(b);
  return result;
}

function sameElements(a, b, strict, memos) {
  for (let i = 0; i < a.length; i += 1) {
    if (Object.hasOwn(a, i) !== Object.hasOwn(b, i)) return false;
    if (!equal(a[i], b[i], strict, memos)) return false;
  }
  return true;
}

const isObject = (x) => typeof x === 'object' && x !== null;

function sameSets(a, b, strict, memos) {
  const left = [];
  for (const x of a) {
    if (b.has(x)) continue;
    if (strict && !isObject(x)) return false;
    left.push(x);
  }
  for (const y of b) {
    if (a.has(y)) continue;
    const at = left.findIndex((x) => equal(x, y, strict, memos));
    if (at === -1) return false;
    left.splice(at, 1);
  }
  return left.length === 0;
}

function sameMaps(a, b, strict, memos) {
  const left = [];
  for (const [key, value] of a) {
    if (!isObject(key) && b.has(key) && equal(value, b.get(key), strict, memos)) continue;
    if (strict && !isObject(key)) return false;
    left.push(key);
  }
  for (const [key, value] of b) {
    if (!isObject(key) && a.has(key) && equal(a.get(key), value, strict, memos)) continue;
    const at = left.findIndex((x) => equal(x, key, strict, memos) && equal(a.get(x), value, strict, memos));
    if (at === -1) return false;
    left.splice(at, 1);
  }
  return left.length === 0;
}

module.exports = { isDeepEqual: (a, b) => equal(a, b, false), isDeepStrictEqual: (a, b) => equal(a, b, true) };
