'use strict';
// Runs a trusted test script against a candidate in another process, as
// runtimes/guest/python/tester.py does, and reports on descriptor 4 in the
// same words.
//
//     tester.js SCRIPT CONFIG       (CONFIG: {"names": [..] | null})
//
// Names the script does not bind are the candidate's; so is whatever it
// requires by a relative path. Functions it finds there are ordinary functions:
// each call travels to the candidate as plain data. `node:test`, `describe`,
// `it`, `test` and `expect` are served by suite.js, with a status per test.

const fs = require('node:fs');
const path = require('node:path');
const { createRequire, isBuiltin } = require('node:module');
const plain = require('./plain.js');
const platform = require('./platform.js');
const { Objects, handle } = require('./remote.js');
const { Suite } = require('./suite.js');

const MAX_MESSAGE = 2000;
const MAX_SWALLOWED = 1000;
const BUILT_IN = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, Error };

/** The trial is over. JavaScript has nothing that `catch` lets through, hence
 *  the recorded fact: whatever the script does with this, the fact decides. */
class Stop extends Error {}
/** The candidate threw what has no built-in class here. */
class CandidateError extends Error {}

class Trial {
  constructor(channel) {
    this.channel = channel;
    this.fact = null; // { outcome, message, type }: the first one stands
    this.calls = 0;
    this.given = 0;
    this.sent = 0;
    this.swallowed = 0;
    this.absent = [];
    this.raised = new WeakSet();
    this.met = { opaque: 0 };
    this.failed = null; // a console.assert that did not hold
    this.objects = new Objects(this);
    this.met.remote = (body) => this.objects.of(body);
  }

  stop(outcome, message, type = 'Stop') {
    this.fact ??= { outcome, message: plain.clip(message, MAX_MESSAGE), type };
    throw new Stop(message);
  }

  /** Every touch after the end throws again. */
  check() {
    if (this.fact === null) return;
    this.swallowed += 1;
    if (this.swallowed > MAX_SWALLOWED) this.onEndless();
    throw new Stop(this.fact.message);
  }

  nonsense(reason) {
    this.stop('bad_data', `the candidate sent bad data: ${reason}`, 'CandidateNonsense');
  }

  receive() {
    let message;
    try {
      message = this.channel.receive();
    } catch (error) {
      this.nonsense(error.message);
    }
    if (message === null) this.stop('candidate_gone', 'the candidate ended', 'CandidateGone');
    if (typeof message !== 'object' || Array.isArray(message)) this.nonsense('a message that is no object');
    return message;
  }

  decode(tree) {
    let value;
    try {
      value = plain.decode(tree, this.met);
    } catch (error) {
      this.nonsense(error.message);
    }
    this.given += 1;
    return value;
  }

  waitReady() {
    const message = this.receive();
    if (message.ready === true && Object.keys(message).length === 1) return;
    const { type, message: text } = message.load ?? {};
    if (typeof type !== 'string' || typeof text !== 'string') this.nonsense('not ready');
    this.stop('load', text, plain.clip(type, 100));
  }

  ask(verb, request) {
    this.check();
    this.sent += 1;
    try {
      this.channel.send({ [verb]: { id: this.sent, ...request } });
    } catch (error) {
      if (error instanceof plain.NotPlain) this.refuse(request.name, error);
      this.stop('candidate_gone', 'the candidate ended', 'CandidateGone');
    }
    const { id, ...answer } = this.receive();
    if (id !== this.sent) this.nonsense('an answer to another question');
    return answer;
  }

  /** An argument cannot travel: the script's nature, unless the candidate's
   *  own values may be why (see tester.py). */
  refuse(name, reason) {
    const message = `an argument of ${name}: ${reason.message}`;
    if (reason instanceof plain.Live || this.given === 0) this.stop('unsupported', message, 'Unsupported');
    throw this.marked(new CandidateError(message));
  }

  marked(error) {
    this.raised.add(error);
    return error;
  }

  /** `about`: the remote object it is about, whether it is made by the script
   *  (`made`), and whether this makes another (`construct`). */
  call(name, args, about = {}) {
    this.check();
    this.calls += 1;
    let sent;
    try {
      sent = args.map((value) => this.encode(value));
    } catch (error) {
      // Of an object that the candidate returned where data was expected, the
      // methods are its own choice, and so is what the script hands to them.
      if (about.of !== undefined && !about.made && error instanceof plain.NotPlain) {
        throw this.marked(new CandidateError(`an argument of ${name}: ${error.message}`));
      }
      const missing = args.find((value) => value?.[STANDS_FOR] === this);
      if (missing) this.stop('missing', `${missing.name} is no plain data`, 'ReferenceError');
      this.refuse(name, error);
    }
    const { made, ...where } = about;
    const answer = this.ask('call', { name, args: sent, kwargs: [], objects: true, ...where });
    if (answer.missing === true) {
      if (about.of !== undefined) throw this.marked(new TypeError(`${name} is not a function`));
      this.missing(name);
    }
    if (typeof answer.not_plain === 'string') {
      throw this.marked(new CandidateError(plain.clip(answer.not_plain, MAX_MESSAGE)));
    }
    this.apply(args, answer.args ?? []);
    const late = answer.promise === true;
    if (answer.raised !== undefined) {
      const error = this.thrown(answer.raised);
      if (late) return Promise.reject(error);
      throw error;
    }
    if (!('value' in answer)) this.nonsense('no answer');
    if (about.construct === true) {
      try {
        return this.objects.of(answer.value?.h, true);
      } catch (error) {
        this.nonsense(error.message);
      }
    }
    let value = this.decode(answer.value);
    if (answer.same !== undefined) {
      const twin = Number.isInteger(answer.same) ? args[answer.same] : undefined;
      if (typeof twin !== 'object' || twin === null) this.nonsense('not the same');
      if (kind(twin) !== kind(value)) this.nonsense('not the same');
      value = twin;
    }
    return late ? Promise.resolve(value) : value;
  }

  encode(value) {
    return plain.encode(value, true, handle);
  }

  write(of, name, value) {
    this.check();
    let sent;
    try {
      sent = this.encode(value);
    } catch (error) {
      this.refuse(name, error);
    }
    this.value(this.ask('set', { of, name, value: sent }));
  }

  /** Repeats on our arguments what the call did to its copies. */
  apply(live, changes) {
    if (!Array.isArray(changes) || changes.length > live.length) this.nonsense('wrong args');
    for (const change of changes) {
      const [key, tree] = Array.isArray(change) && change.length === 2 ? change : this.nonsense('wrong args');
      const target = Number.isInteger(key) ? live[key] : undefined;
      if (typeof target !== 'object' || target === null) this.nonsense('an unknown argument');
      const value = this.decode(tree);
      if (kind(target) !== kind(value)) this.nonsense('an argument of another type');
      if (Array.isArray(target)) {
        target.length = 0;
        for (const item of value) target.push(item);
      } else if (target instanceof Map || target instanceof Set) {
        target.clear();
        for (const item of value) target instanceof Map ? target.set(...item) : target.add(item);
      } else if (target instanceof Uint8Array) {
        if (value.length === target.length) target.set(value);
      } else {
        for (const name of Object.keys(target)) delete target[name];
        for (const name of Object.keys(value)) {
          Object.defineProperty(target, name, Object.getOwnPropertyDescriptor(value, name));
        }
      }
    }
  }

  /** A genuine error for one that was described. */
  thrown(data) {
    const { type, mro, message } = data ?? {};
    if (typeof type !== 'string' || !Array.isArray(mro) || typeof message !== 'string') this.nonsense('no error');
    if (mro.length === 0 && 'value' in data) {
      const value = this.decode(data.value);
      // Of a primitive nothing can be remembered; nothing needs to be.
      if (typeof value === 'object' && value !== null) this.raised.add(value);
      return value;
    }
    const known = mro.find((name) => typeof name === 'string' && Object.hasOwn(BUILT_IN, name));
    const kind = BUILT_IN[known] ?? CandidateError;
    const error = new kind(plain.clip(message, MAX_MESSAGE));
    if (type !== known) {
      Object.defineProperty(error, 'name', { value: plain.clip(type, 100), writable: true, configurable: true });
    }
    return this.marked(error);
  }

  missing(name) {
    this.stop('missing', `the candidate defines no ${name || 'export of its own'}`, 'ReferenceError');
  }

  /** What the script finds under `name`. */
  name(name) {
    const answer = this.ask('get', { name });
    if (answer.callable === true) return this.function(name);
    if (answer.missing === true) {
      this.absent.push(name);
      const gone = () => {
        this.check();
        this.missing(name);
      };
      return this.proxy(name, { call: gone, live: gone, member: gone });
    }
    return this.value(answer);
  }

  /** What an answer to `get` holds, when it is data. */
  value(answer) {
    if ('value' in answer) return this.decode(answer.value);
    if (typeof answer.not_plain === 'string') {
      this.given += 1;
      return new plain.Opaque('object', plain.clip(answer.not_plain, 200));
    }
    return this.nonsense('no answer');
  }

  /** A function of the candidate's, as far as calls and static members go. */
  function(name) {
    const live = (what) => this.stop('unsupported', `${what} ${name || 'the module'}`, 'Unsupported');
    const member = (key) => {
      if (name === '' || name.includes('.')) return live(`.${key} of`);
      const answer = this.ask('get', { name: `${name}.${key}`, own: true, objects: true });
      if (answer.callable === true) return this.function(`${name}.${key}`);
      return answer.missing === true ? undefined : this.value(answer);
    };
    const make = (args) => this.call(name, args, { construct: true, made: true });
    return this.proxy(name, { call: (args) => this.call(name, args), live, member, make });
  }

  proxy(name, { call, live, member, make }) {
    const stand = function (...args) {
      return call(args);
    };
    Object.defineProperty(stand, 'name', { value: name || 'module' });
    Object.defineProperty(stand, STANDS_FOR, { value: this });
    const proxy = new Proxy(stand, {
      // `class X extends Theirs` constructs for another.
      construct: (_, args, by) => (make === undefined || by !== proxy ? live('a subclass of') : make(args)),
      get: (target, key) => {
        if (key === Symbol.hasInstance) return (x) => this.instance(x, name);
        if (typeof key === 'symbol' || key === 'constructor') return target[key];
        if (key === 'prototype') return live('.prototype of');
        if (Object.hasOwn(Function.prototype, key) && key !== 'length' && key !== 'name') return target[key];
        return member(key);
      },
    });
    return proxy;
  }

  /** What `x instanceof Theirs` comes to: for remote objects alone, and for
   *  errors by their names. */
  instance(x, name) {
    if (x instanceof Error) return this.raised.has(x) && x.name === name;
    const of = handle(x);
    if (of === undefined) return false;
    const { callable, value } = this.ask('call', { name: 'assize:instance', args: [], kwargs: [], of, kind: name });
    return callable === undefined && value === true;
  }

  /** What `require('./anything')` is: the candidate's exports. */
  module() {
    const trial = this;
    const known = new Map();
    const member = (key) => {
      if (!known.has(key)) known.set(key, this.name(key));
      return known.get(key);
    };
    return new Proxy(function (...args) { return trial.call('', args); }, {
      get: (target, key) => (typeof key === 'symbol' ? undefined : key === 'default' ? member('') : member(key)),
      has: () => true,
      construct: (_, args) => trial.call('', args, { construct: true, made: true }),
    });
  }
}

/** What a value is rebuilt as: a Buffer and an object without prototype cross
 *  as what they are made of. */
function kind(x) {
  if (x instanceof Uint8Array) return Uint8Array.prototype;
  return typeof x === 'object' && x !== null ? (Object.getPrototypeOf(x) ?? Object.prototype) : null;
}

const STANDS_FOR = Symbol('stands for');

/** The report: facts first, then how the script ended. */
function judge(trial, suite, ended, file) {
  const report = { outcome: 'passed', message: '', type: null, line: null };
  let { error } = ended;
  const failure = suite.failure();
  if (!ended.failed && failure) ({ error } = failure);
  // Of what is no Error of this process, nothing is believed.
  const stack = error instanceof Error ? String(error.stack) : '';
  const line = new RegExp(`${file.replace(/[^\w]/g, '\\$&')}:(\\d{1,9})\\b`).exec(stack);
  if (trial.fact !== null) {
    Object.assign(report, trial.fact);
  } else if (ended.failed || failure) {
    report.line = line ? Number(line[1]) : null;
    report.message = plain.said(error, MAX_MESSAGE);
    report.type = error instanceof Error ? plain.clip(error.name, 100) : typeof error;
    if (typeof error === 'object' && error !== null && trial.raised.has(error)) report.outcome = 'candidate_raised';
    else if (plain.asserted(error)) report.outcome = 'assertion';
    else if (trial.absent.length > 0 && !(error instanceof SyntaxError)) report.outcome = 'missing';
    else report.outcome = trial.calls > 0 || trial.given > 0 ? 'raised' : 'broken';
  } else if (trial.failed !== null) {
    Object.assign(report, { outcome: 'assertion', message: trial.failed, type: 'AssertionError' });
  } else if (!ended.whole) {
    // Something that the script awaits never happened.
    const outcome = trial.calls > 0 || trial.given > 0 ? 'assertion' : 'broken';
    Object.assign(report, { outcome, message: 'the tests never came to their end', type: 'AssertionError' });
  } else if (process.exitCode !== undefined && process.exitCode !== 0) {
    Object.assign(report, { outcome: 'assertion', message: `exit status ${process.exitCode}`, type: 'exit' });
  }
  report.message = plain.clip(report.message, MAX_MESSAGE);
  report.calls = trial.calls;
  report.given = trial.given;
  report.opaque = trial.met.opaque;
  if (suite.results.length > 0) report.tests = suite.report();
  return report;
}

function main() {
  const file = path.resolve(process.argv[2]);
  const { names } = JSON.parse(process.argv[3]);
  const trial = new Trial(new plain.Channel());
  const suite = new Suite((what) => trial.stop('unsupported', what, 'Unsupported'));
  // `whole`: script and tests ran to their ends, or the script chose to exit.
  const ended = { failed: false, error: undefined, whole: false };
  const end = () => {
    let report;
    try {
      report = judge(trial, suite, ended, file);
    } catch (error) {
      // Only what the candidate sent is odd enough; never let that be silence.
      report = { outcome: 'bad_data', message: plain.said(error, 200), type: null, line: null, calls: trial.calls, given: trial.given };
    }
    platform.report(JSON.stringify(report));
    process.reallyExit(0);
  };
  const fail = (error) => {
    if (!ended.failed) Object.assign(ended, { failed: true, error });
    end();
  };
  trial.onEndless = end;
  process.argv = [process.argv[0], file];
  let room = 8192; // nobody reads on; a script prints what the candidate chose
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (data) => {
    const text = String(data).slice(0, room);
    room -= text.length;
    return write(text);
  };
  // Node only prints when such an assertion fails, and exits with status 0.
  console.assert = (holds, ...said) => {
    if (!holds) trial.failed ??= `console.assert: ${said.map((x) => plain.said(x, 200)).join(' ').slice(0, 200)}`;
  };
  process.exit = (code = process.exitCode) => {
    process.exitCode = code;
    ended.whole = true;
    end();
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  process.on('beforeExit', end);

  let source;
  let run;
  const own = createRequire(file);
  const require = (id) => {
    if (id === 'node:test' || id === '@jest/globals' || id === 'mocha' || id === 'vitest') return suite.api;
    if (/^\.{0,2}\//.test(id)) return trial.module();
    // What is installed beside Node is not the candidate's to shadow.
    return isBuiltin(id) ? own(id) : trial.stop('unsupported', `require(${JSON.stringify(id)})`, 'Unsupported');
  };
  const scope = { __proto__: null, ...suite.globals, require, module: { exports: {} }, exports: {} };
  const found = new Map();
  const lookup = new Proxy(scope, {
    has: (target, key) => typeof key === 'string' && !(key in globalThis && !(key in target)),
    get: (target, key) => {
      if (key === Symbol.unscopables) return undefined;
      if (key in target) return target[key];
      if (!found.has(key)) found.set(key, trial.name(key));
      return found.get(key);
    },
    set: (target, key, value) => {
      target[key] = value;
      return true;
    },
  });
  try {
    source = fs.readFileSync(file, 'utf8');
    // An async function: a script may await at its top level.
    const wrapped = `(function (assizeScope) { with (assizeScope) { return (async () => {${source}\n})(); } })`;
    run = new (require('node:vm').Script)(wrapped, { filename: file }).runInThisContext();
  } catch (error) {
    fail(error);
  }
  try {
    trial.waitReady();
    // White space before the report: from here on a breakdown of this process,
    // its heap full of results, is the candidate's doing.
    platform.report(' ');
    for (const name of names ?? []) if (!(name in scope)) scope[name] = trial.name(name);
  } catch (error) {
    fail(error);
  }
  // The report is made when nothing is left to happen (`beforeExit`): what a
  // script does not wait for has its say too.
  run(lookup)
    .then(() => suite.run())
    .then(() => { ended.whole = true; }, fail);
}

main();
