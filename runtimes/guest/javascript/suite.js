'use strict';
// `node:test`, mocha and jest as far as test files of exercises use them: one
// registration, then one run in order, with a status per test name.

const assert = require('node:assert');
const util = require('node:util');

const MAX_TESTS = 1000;

class Suite {
  constructor() {
    this.results = []; // { name, error }
    this.root = group('', null);
    this.at = this.root;
    this.running = null;
    const test = (...args) => this.test(...args);
    const describe = (...args) => this.describe(...args);
    const hook = (kind) => (body) => this.at.hooks[kind].push(body);
    for (const f of [test, describe]) {
      f.skip = () => {};
      f.todo = () => {};
      f.only = f;
    }
    test.each = (rows) => (name, body) => {
      for (const row of rows) {
        const args = Array.isArray(row) ? row : [row];
        test(util.format(name, ...args), () => body(...args));
      }
    };
    const hooks = {
      before: hook('before'), beforeAll: hook('before'), beforeEach: hook('beforeEach'),
      after: hook('after'), afterAll: hook('after'), afterEach: hook('afterEach'),
    };
    this.globals = { test, it: test, xit: test.skip, xtest: test.skip, describe, xdescribe: () => {}, suite: describe, expect, ...hooks };
    this.api = Object.assign(test, this.globals, { default: test });
  }

  describe(name, ...rest) {
    const body = rest.at(-1);
    const outer = this.at;
    this.at = group(`${outer.name}${outer.name && ' > '}${name}`, outer);
    outer.items.push(this.at);
    body();
    this.at = outer;
  }

  test(name, ...rest) {
    // node:test's test(fn), test(name, options, fn); jest's test(name, fn, timeout)
    const body = [name, ...rest].find((x) => typeof x === 'function');
    if (body === undefined) return undefined; // test('to be written')
    const title = typeof name === 'string' ? name : body.name || 'test';
    const item = { name: `${this.at.name}${this.at.name && ' > '}${title}`, body, group: this.at };
    if (rest.some((x) => x?.skip || x?.todo)) return undefined;
    if (this.running !== null) return this.one(item); // t.test and tests made late
    this.at.items.push(item);
    return undefined;
  }

  async run(from = this.root) {
    this.running = from;
    await all(from.hooks.before);
    for (const item of from.items) {
      if (item.items) await this.run(item);
      else await this.one(item);
    }
    await all(from.hooks.after);
  }

  async one({ name, body, group: owner }) {
    if (this.results.length === MAX_TESTS) return;
    const result = { name, error: null, failed: false };
    this.results.push(result);
    const chain = [];
    for (let g = owner; g; g = g.outer) chain.unshift(g);
    try {
      for (const g of chain) await all(g.hooks.beforeEach);
      const context = { name, test: (...args) => this.test(...args), diagnostic() {}, skip() {}, mock: {}, assert };
      if (body.length > 1 || (body.length === 1 && !/^(async\s*)?\(?\s*t\b/.test(body.toString()))) {
        // A callback to call when done; mocha and jest pass it first.
        await new Promise((resolve, reject) => {
          body((error) => (error ? reject(error) : resolve()));
        });
      } else {
        await body(context);
      }
    } catch (error) {
      Object.assign(result, { error, failed: true });
    }
    try {
      for (const g of chain) await all(g.hooks.afterEach);
    } catch (error) {
      if (!result.failed) Object.assign(result, { error, failed: true });
    }
  }

  failure() {
    return this.results.find((r) => r.failed);
  }

  report() {
    return this.results.map(({ name, failed, error }) => ({
      name: name.slice(0, 200),
      status: !failed ? 'passed' : error?.code === 'ERR_ASSERTION' ? 'failed' : 'error',
      message: failed ? String(error?.message ?? error).slice(0, 300) : '',
    }));
  }
}

function group(name, outer) {
  return { name, outer, items: [], hooks: { before: [], after: [], beforeEach: [], afterEach: [] } };
}

async function all(hooks) {
  for (const hook of hooks) await hook();
}

/** jest's `expect`, its common matchers, on node's own comparisons. */
function expect(got) {
  const show = (x) => util.inspect(x, { depth: 3, breakLength: Infinity }).slice(0, 200);
  const equal = (a, b) => {
    try {
      assert.deepEqual(a, b);
      return util.isDeepStrictEqual(strip(a), strip(b));
    } catch {
      return false;
    }
  };
  const throws = (want) => {
    let error;
    if (got instanceof Thrown) ({ error } = got);
    else {
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
    if (want instanceof RegExp) return want.test(message);
    return typeof want === 'function' ? error instanceof want : message === want?.message;
  };
  const matchers = {
    toBe: (want) => Object.is(got, want),
    toEqual: (want) => equal(got, want),
    toStrictEqual: (want) => util.isDeepStrictEqual(got, want),
    toBeCloseTo: (want, digits = 2) => got === want || Math.abs(want - got) < 10 ** -digits / 2,
    toBeNull: () => got === null,
    toBeUndefined: () => got === undefined,
    toBeDefined: () => got !== undefined,
    toBeNaN: () => Number.isNaN(got),
    toBeTruthy: () => Boolean(got),
    toBeFalsy: () => !got,
    toBeGreaterThan: (want) => got > want,
    toBeGreaterThanOrEqual: (want) => got >= want,
    toBeLessThan: (want) => got < want,
    toBeLessThanOrEqual: (want) => got <= want,
    toBeInstanceOf: (want) => got instanceof want,
    toHaveLength: (want) => got?.length === want,
    toContain: (want) => (typeof got === 'string' ? got.includes(want) : [...got].includes(want)),
    toContainEqual: (want) => [...got].some((x) => equal(x, want)),
    toMatch: (want) => (typeof want === 'string' ? got.includes(want) : want.test(got)),
    toMatchObject: (want) => Object.keys(want).every((k) => equal(got?.[k], want[k])),
    toHaveProperty: (key, ...want) => {
      const value = String(key).split('.').reduce((x, k) => x?.[k], got);
      return want.length === 0 ? value !== undefined : equal(value, want[0]);
    },
    toThrow: throws,
    toThrowError: throws,
  };
  const build = (negated) =>
    Object.fromEntries(
      Object.entries(matchers).map(([name, holds]) => [
        name,
        (...want) => {
          if (holds(...want) === negated) {
            const message = `expect(${show(got)})${negated ? '.not' : ''}.${name}(${want.map(show).join(', ')})`;
            throw new assert.AssertionError({ message });
          }
        },
      ]),
    );
  const later = (settle) =>
    new Proxy({}, {
      get: (_, name) => async (...want) => expect(await settle())[name](...want),
    });
  return Object.assign(build(false), {
    not: build(true),
    resolves: later(() => got),
    rejects: later(() =>
      Promise.resolve(got).then(
        () => {
          throw new assert.AssertionError({ message: 'the promise was fulfilled' });
        },
        (error) => new Thrown(error),
      ),
    ),
  });
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

module.exports = { Suite };
