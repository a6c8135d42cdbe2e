'use strict';
// `node:test`, mocha and jest as far as test files of exercises use them: one
// registration, then one run in order, with a status per test name.

const assert = require('node:assert');
const util = require('node:util');
const plain = require('./plain.js');
const { expecting } = require('./expect.js');

const MAX_TESTS = 1000;
const MAX_TEXTS = 200_000;

class Suite {
  /** `refuse(what)` ends the trial: the script asks for what is not offered. */
  constructor(refuse) {
    this.results = []; // { name, error, failed, settled }
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
    // Spies and timers would have to live in the candidate. What a framework
    // binds is bound here, lest the candidate be asked for it.
    const offered = { setTimeout: () => {} };
    const jest = new Proxy(offered, { get: (it, key) => it[key] ?? (typeof key === 'symbol' ? undefined : refuse(`jest.${key}`)) });
    const fail = (message = 'fail()') => assert.fail(message);
    this.globals = {
      test, it: test, specify: test, xit: test.skip, xtest: test.skip,
      describe, context: describe, xdescribe: () => {}, suite: describe,
      expect: expecting(refuse), assert, fail, jest, vi: jest, ...hooks,
    };
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
    const result = { name, error: null, failed: false, settled: false };
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
    result.settled = true;
  }

  /** The first test that did not pass. One that never came to its end did not. */
  failure() {
    for (const r of this.results) {
      if (!r.failed && !r.settled) {
        Object.assign(r, { failed: true, error: new assert.AssertionError({ message: 'the test never came to its end' }) });
      }
    }
    return this.results.find((r) => r.failed);
  }

  /** What is told of each test. All are run; of the first thousand is told. */
  report() {
    let room = MAX_TEXTS; // a report of a bounded size, whatever was thrown
    return this.results.slice(0, MAX_TESTS).map(({ name, failed, error }) => {
      const message = failed && room > 0 ? plain.said(error, 300) : '';
      room -= JSON.stringify(message).length;
      const status = !failed ? 'passed' : plain.asserted(error) ? 'failed' : 'error';
      return { name: plain.clip(name, 200), status, message };
    });
  }
}

function group(name, outer) {
  return { name, outer, items: [], hooks: { before: [], after: [], beforeEach: [], afterEach: [] } };
}

async function all(hooks) {
  for (const hook of hooks) await hook();
}

module.exports = { Suite };
