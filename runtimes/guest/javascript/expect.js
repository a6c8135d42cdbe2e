'use strict';
// jest's `expect` and its common matchers, as strict about types as jest is: a
// matcher for numbers takes no text that looks like one.

const assert = require('node:assert');
const util = require('node:util');

/** The matchers of one value, on node's own comparisons. */
function matchersOf(got) {
  const equal = (a, b) => util.isDeepStrictEqual(strip(a), strip(b));
  // A value of a kind that a matcher is not for fails it, and its `.not`.
  const need = (right) => right || assert.fail('a value of the wrong kind');
  const numbers = (...all) => need(all.every((x) => typeof x === 'number' || typeof x === 'bigint'));
  const texts = (...all) => need(all.every((x) => typeof x === 'string'));
  const matches = (pattern, text) => new RegExp(pattern).test(text); // no lastIndex is left behind
  const throws = (want) => {
    let error;
    if (got instanceof Thrown) ({ error } = got);
    else {
      need(typeof got === 'function');
      try {
        got();
        return false;
      } catch (caught) {
        error = caught;
      }
    }
    if (want === undefined) return true;
    const message = String(error?.message ?? error);
    if (typeof want === 'string') return message.includes(want);
    if (want instanceof RegExp) return matches(want, message);
    return typeof want === 'function' ? error instanceof want : message === want?.message;
  };
  const matchers = {
    toBe: (want) => Object.is(got, want),
    toEqual: (want) => equal(got, want),
    toStrictEqual: (want) => util.isDeepStrictEqual(got, want),
    toBeCloseTo: (want, digits = 2) => need(typeof got === 'number') && (got === want || Math.abs(want - got) < 10 ** -digits / 2),
    toBeNull: () => got === null,
    toBeUndefined: () => got === undefined,
    toBeDefined: () => got !== undefined,
    toBeNaN: () => Number.isNaN(got),
    toBeTruthy: () => Boolean(got),
    toBeFalsy: () => !got,
    toBeGreaterThan: (want) => numbers(got, want) && got > want,
    toBeGreaterThanOrEqual: (want) => numbers(got, want) && got >= want,
    toBeLessThan: (want) => numbers(got, want) && got < want,
    toBeLessThanOrEqual: (want) => numbers(got, want) && got <= want,
    toBeInstanceOf: (want) => got instanceof want,
    toHaveLength: (want) => need(typeof got?.length === 'number') && got.length === want,
    toContain: (want) => (typeof got === 'string' ? texts(want) && got.includes(want) : [...got].includes(want)),
    toContainEqual: (want) => need(typeof got !== 'string') && [...got].some((x) => equal(x, want)),
    toMatch: (want) => texts(got) && (typeof want === 'string' ? got.includes(want) : matches(want, got)),
    toMatchObject: (want) => need(typeof got === 'object' && got !== null) && covers(got, want),
    toHaveProperty: (key, ...want) => {
      need(got !== undefined && got !== null);
      const value = (Array.isArray(key) ? key : String(key).split('.')).reduce((x, k) => x?.[k], got);
      return want.length === 0 ? value !== undefined : equal(value, want[0]);
    },
    toThrow: throws,
    toThrowError: throws,
  };
  return matchers;
}

/** `expect` itself. `refuse(what)` ends the trial: a matcher that jest has and
 *  this has not is no failure of the candidate's. */
function expecting(refuse) {
  const show = (x) => {
    try {
      return util.inspect(x, { depth: 3, breakLength: Infinity }).slice(0, 200);
    } catch {
      return '<no text>';
    }
  };
  const known = (of, what) =>
    new Proxy(of, {
      get: (it, key) => (typeof key === 'symbol' || Object.hasOwn(it, key) ? it[key] : refuse(`${what}.${key}`)),
    });
  const build = (got, negated) =>
    Object.fromEntries(
      Object.entries(matchersOf(got)).map(([name, holds]) => [
        name,
        (...want) => {
          if (holds(...want) === negated) {
            const message = `expect(${show(got)})${negated ? '.not' : ''}.${name}(${want.map(show).join(', ')})`;
            throw new assert.AssertionError({ message });
          }
        },
      ]),
    );
  const rejection = async (got) => {
    try {
      await got;
    } catch (error) {
      return new Thrown(error);
    }
    throw new assert.AssertionError({ message: 'the promise was fulfilled' });
  };
  // Matchers of what a promise comes to; `.not` among them.
  const later = (settle) => {
    const ask = (negated) =>
      new Proxy({}, {
        get: (_, name) => {
          if (name === 'not' && !negated) return ask(true);
          return async (...want) => {
            const of = expect(await settle());
            return (negated ? of.not : of)[name](...want);
          };
        },
      });
    return ask(false);
  };
  const promised = (got) => (typeof got?.then === 'function' ? got : assert.fail('no promise was returned'));
  const expect = (got) =>
    known(
      {
        ...build(got, false),
        not: known(build(got, true), 'expect().not'),
        resolves: later(() => promised(got)),
        rejects: later(() => rejection(promised(got))),
      },
      'expect()',
    );
  return new Proxy(expect, {
    get: (it, key) => (typeof key === 'symbol' || key in it ? Reflect.get(it, key) : refuse(`expect.${key}`)),
  });
}

/** jest's toMatchObject: a list in full, an object at least. */
function covers(got, want) {
  if (typeof want !== 'object' || want === null || typeof got !== 'object' || got === null) return Object.is(got, want);
  if (Array.isArray(want) !== Array.isArray(got)) return false;
  if (Array.isArray(want)) return got.length === want.length && want.every((x, i) => covers(got[i], x));
  if (Object.getPrototypeOf(want) !== Object.prototype) return util.isDeepStrictEqual(got, want);
  return Object.keys(want).every((k) => k in got && covers(got[k], want[k]));
}

/** What a promise was rejected with, for `toThrow`. */
class Thrown {
  constructor(error) {
    this.error = error;
  }
}

/** jest's toEqual does not tell an absent member from an undefined one. */
function strip(x) {
  if (Array.isArray(x)) return x.map(strip);
  if (typeof x !== 'object' || x === null || Object.getPrototypeOf(x) !== Object.prototype) return x;
  return Object.fromEntries(Object.entries(x).filter(([, v]) => v !== undefined).map(([k, v]) => [k, strip(v)]));
}

module.exports = { expecting };
