'use strict';
// Plain data on a channel: what plain.py is for Python, for JavaScript.
//
// The tags are those of runtimes/guest/python/plain.py, and for what only
// JavaScript has:
//
//     {"u": []}              undefined
//     {"i": "0x1f"}          a bigint, of any size
//     {"M": [[k, v], ..]}    a Map
//     {"D": ms}              a Date; null when invalid
//     {"x": [source, flags]} a RegExp
//     {"h": ..}              an object by its handle, where both sides hold
//                            them: a number there, [number, class, is it a
//                            function] back (remote.js)
//     {"o": [class, text]}   anything else: it stays where it is
//
// A value is rebuilt as a genuine built-in of this process, never as an object
// whose behaviour its sender chose: no toJSON, no getters, no prototypes cross.
// Deliberately absent: identity of data, sparse arrays, symbols.

const platform = require('./platform.js');

const MAX_FRAME = 16 * 1024 * 1024;
const MAX_DEPTH = 200;
const MAX_NODES = 2_000_000;
const MAX_DRAIN = 100_000;
const MAX_TEXT = 200;

let opaques = 0;

class NotPlain extends Error {}
/** A value that is no data at all: a function, an instance, a symbol. */
class Live extends NotPlain {}
/** A frame that no honest peer sends. */
class BadData extends Error {}

/** Stands for an object that stayed in the other process; equal to nothing. */
class Opaque {
  constructor(type, text) {
    Object.defineProperty(this, 'of', { value: `${type} in the candidate: ${text}`, enumerable: true });
    // deepEqual compares own enumerable properties: this one is unique. A text,
    // for a script that copies an object's members must still have plain data.
    Object.defineProperty(this, 'id', { value: `#${(opaques += 1)} ${Math.random()}`, enumerable: true });
    Object.freeze(this);
  }
}

/** `text` as valid Unicode of at most `limit` characters. */
function clip(text, limit) {
  const whole = String(text).toWellFormed?.() ?? String(text);
  return whole.length <= limit ? whole : `${whole.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** What an error says, whatever it is: a candidate throws what it likes. */
function said(error, limit) {
  try {
    return clip(error?.message ?? error, limit);
  } catch {
    return '<no text>';
  }
}

/** Whether an error is what an assertion throws. */
function asserted(error) {
  return error instanceof Error && error.code === 'ERR_ASSERTION';
}

const bits = new DataView(new ArrayBuffer(8));

/** As Python's float.hex writes it. */
function floatToHex(x) {
  if (Number.isNaN(x)) return 'nan';
  if (!Number.isFinite(x)) return x < 0 ? '-inf' : 'inf';
  bits.setFloat64(0, x);
  const word = bits.getBigUint64(0);
  const sign = word >> 63n ? '-' : '';
  const exponent = Number((word >> 52n) & 0x7ffn);
  const fraction = word & ((1n << 52n) - 1n);
  if (exponent === 0 && fraction === 0n) return `${sign}0x0.0p+0`;
  const digits = fraction.toString(16).padStart(13, '0');
  const power = exponent === 0 ? -1022 : exponent - 1023;
  return `${sign}0x${exponent === 0 ? 0 : 1}.${digits}p${power < 0 ? '' : '+'}${power}`;
}

function floatFromHex(text) {
  if (text === 'nan') return NaN;
  if (text === 'inf') return Infinity;
  if (text === '-inf') return -Infinity;
  const found = /^(-?)0x([01])(?:\.([0-9a-f]{1,13}))?p([+-]\d{1,4})$/.exec(text);
  if (!found) throw new BadData('not a hexadecimal float');
  const mantissa = parseInt(found[2] + (found[3] ?? '').padEnd(13, '0'), 16);
  // In two steps: 2 ** -1074 is the smallest power there is.
  const power = Number(found[4]);
  const half = Math.trunc(power / 2);
  return (found[1] ? -1 : 1) * (mantissa / 2 ** 52) * 2 ** half * 2 ** (power - half);
}

function hexInt(n) {
  return n < 0n ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`;
}

/** The methods that values rebuilt here have without anyone's saying so. */
const METHODS = new Set(
  [Object, Array, Map, Set, Uint8Array, Date, RegExp, String, Number, Boolean, BigInt, Function]
    .flatMap((kind) => [kind.prototype, Object.getPrototypeOf(kind.prototype) ?? {}])
    .concat(Object.getPrototypeOf([][Symbol.iterator]()))
    .flatMap((prototype) => Object.entries(Object.getOwnPropertyDescriptors(prototype)))
    .filter(([name, { value }]) => name !== 'constructor' && typeof value === 'function')
    .map(([, { value }]) => value),
);

/**
 * `value` as tagged JSON. `strict` refuses what would not arrive as what it is:
 * the trusted side encodes arguments strictly, the candidate's side leniently.
 */
function encode(value, strict = false, objects = undefined) {
  let nodes = 0;
  let size = 0;
  const room = (bytes) => {
    size += bytes;
    if (size > MAX_FRAME) throw new NotPlain(`more than ${MAX_FRAME} bytes`);
  };
  const walk = (x, depth) => {
    nodes += 1;
    if (nodes > MAX_NODES) throw new NotPlain(`more than ${MAX_NODES} values`);
    if (depth > MAX_DEPTH) throw new NotPlain(`nested more than ${MAX_DEPTH} levels, or a cycle`);
    const each = (items) => Array.from(items, (item) => walk(item, depth + 1));
    const pairs = (entries) => Array.from(entries, ([k, v]) => [walk(k, depth + 1), walk(v, depth + 1)]);
    const held = objects?.(x);
    if (held !== undefined) return { h: held };
    switch (typeof x) {
      case 'undefined':
        return { u: [] };
      case 'boolean':
        return x;
      case 'number':
        return Number.isSafeInteger(x) && !Object.is(x, -0) ? x : { f: floatToHex(x) };
      case 'bigint': {
        const text = hexInt(x);
        room(text.length);
        return { i: text };
      }
      case 'string':
        room(x.length);
        if (x.isWellFormed?.() ?? true) return x;
        return { o: ['string', clip(x, MAX_TEXT)] };
      case 'object':
        break;
      default:
        // Where data was to have a member `keys`, a list has its method: that
        // the script passes it on is the sender's doing.
        if (strict && METHODS.has(x)) throw new NotPlain(`${clip(x.name, 100)} of a built-in`);
        if (strict) throw new Live(`a ${typeof x} is not plain data`);
        return { o: [typeof x, clip(String(x.name ?? x.description ?? ''), MAX_TEXT)] };
    }
    if (x === null) return null;
    if (Array.isArray(x)) {
      // By index, with what is there: an iterator of its own has no say.
      return Array.from({ length: x.length }, (_, i) => walk(x[i], depth + 1));
    }
    const prototype = Object.getPrototypeOf(x);
    if (prototype === null || prototype === Object.prototype) {
      return { d: pairs(Object.keys(x).map((key) => [key, x[key]])) };
    }
    if (prototype === Map.prototype) return { M: pairs(Map.prototype.entries.call(x)) };
    if (prototype === Set.prototype) return { s: each(Set.prototype.values.call(x)) };
    if (prototype === Uint8Array.prototype || prototype === Buffer.prototype) {
      room(2 * x.length);
      return { b: Buffer.from(x).toString('hex') };
    }
    if (prototype === Date.prototype) {
      const ms = Date.prototype.getTime.call(x);
      return { D: Number.isNaN(ms) ? null : ms };
    }
    if (prototype === RegExp.prototype) return { x: [x.source, x.flags] };
    if (typeof x.next === 'function' && typeof x[Symbol.iterator] === 'function') {
      const out = [];
      for (const item of x) {
        if (out.length === MAX_DRAIN) throw new NotPlain(`an iterator of more than ${MAX_DRAIN} items`);
        out.push(walk(item, depth + 1));
      }
      return { g: out };
    }
    const name = clip(x.constructor?.name ?? 'object', 100);
    if (strict) throw x instanceof Opaque ? new NotPlain('an object of the candidate') : new Live(`a ${name} is not plain data`);
    return { o: [name, describe(x)] };
  };
  return walk(value, 0);
}

function describe(x) {
  try {
    return clip(require('node:util').inspect(x, { depth: 1, customInspect: false }), MAX_TEXT);
  } catch {
    return '<no text>';
  }
}

/** Rebuilds a value from parsed tagged JSON. Throws BadData, nothing else. */
function decode(tree, met = {}) {
  let nodes = 0;
  const bad = (why) => {
    throw new BadData(why);
  };
  const list = (body) => (Array.isArray(body) ? body : bad('not a list'));
  const text = (body) => (typeof body === 'string' ? body : bad('not a text'));
  const walk = (x, depth) => {
    nodes += 1;
    if (nodes > MAX_NODES) bad('too many values');
    if (depth > MAX_DEPTH) bad('too deep');
    if (x === null || typeof x === 'boolean' || typeof x === 'string') return x;
    if (typeof x === 'number') return Number.isSafeInteger(x) ? x : bad('a number that should be tagged');
    const each = (body) => list(body).map((item) => walk(item, depth + 1));
    const pairs = (body) =>
      list(body).map((pair) => {
        if (list(pair).length !== 2) bad('not a key and a value');
        return each(pair);
      });
    if (Array.isArray(x)) return each(x);
    const keys = Object.keys(x);
    if (keys.length !== 1) bad('not tagged data');
    const body = x[keys[0]];
    switch (keys[0]) {
      case 'u':
        return undefined;
      case 'i': {
        const found = /^(-?)(0x[0-9a-f]+)$/.exec(text(body)) ?? bad('not a hexadecimal int');
        return found[1] ? -BigInt(found[2]) : BigInt(found[2]);
      }
      case 'f':
        return floatFromHex(text(body));
      case 'd': {
        const out = {};
        for (const [key, value] of pairs(body)) {
          // defineProperty: a key `__proto__` is a key and no prototype.
          if (Object.hasOwn(out, text(key))) bad('a key twice');
          Object.defineProperty(out, key, { value, writable: true, enumerable: true, configurable: true });
        }
        return out;
      }
      case 'M':
        return new Map(pairs(body));
      case 's':
        return new Set(each(body));
      case 'b':
        if (!/^(?:[0-9a-f]{2})*$/.test(text(body))) bad('not hexadecimal');
        return new Uint8Array(Buffer.from(body, 'hex'));
      case 'D':
        return new Date(body === null ? NaN : Number.isSafeInteger(body) ? body : bad('not a time'));
      case 'x':
        try {
          return new RegExp(text(list(body)[0]), text(body[1]));
        } catch {
          return bad('not a regular expression');
        }
      case 'g':
        return each(body)[Symbol.iterator]();
      case 'h':
        if (met.remote === undefined) bad('a handle');
        return met.remote(body);
      case 'o':
        met.opaque = (met.opaque ?? 0) + 1;
        return new Opaque(clip(text(list(body)[0]), 100), clip(text(body[1]), MAX_TEXT));
      default:
        return bad('unknown tag');
    }
  };
  return walk(tree, 0);
}

/** Frames of JSON to and from the other side. */
class Channel {
  constructor(says = 3, hears = 5) {
    this.says = says;
    this.hears = hears;
  }

  send(message) {
    const body = Buffer.from(JSON.stringify(message), 'utf8');
    if (body.length > MAX_FRAME) throw new NotPlain(`more than ${MAX_FRAME} bytes`);
    platform.send(this.says, body);
  }

  /** The next message; null when the peer is gone. */
  receive() {
    const body = platform.receive(this.hears, MAX_FRAME, (length) => {
      throw new BadData(`a frame of ${length} bytes`);
    });
    if (body === null) return null;
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
    } catch {
      throw new BadData('a frame that is no JSON');
    }
  }
}

module.exports = { BadData, Channel, Live, NotPlain, Opaque, asserted, clip, decode, encode, floatFromHex, floatToHex, said };
