'use strict';
// Runs beside hostile code: loads the candidate's program and serves calls.
// The protocol is that of runtimes/guest/python/candidate.py; everything said
// here is an allegation by a process that the candidate owns.
//
//     candidate.js ENTRY      (current directory: the program's files)
//
// A program is a CommonJS module or, when it says `import` or `export`, an ES
// module. A name is what its top level binds, or what it exports; the empty
// name is the module's export itself.

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const plain = require('./plain.js');
const platform = require('./platform.js');

const MAX_MESSAGE = 2000;
const { apply } = Reflect;
const BUILT_IN = ['EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError', 'Error'];

/** What was thrown, as data: its name, its built-in ancestors, its text. */
function describe(error, file) {
  if (!(error instanceof Error)) {
    const out = { type: 'thrown', mro: [], message: '', line: null };
    try {
      out.message = plain.clip(String(error), MAX_MESSAGE);
      const value = plain.encode(error);
      if (JSON.stringify(value).length < 4 * MAX_MESSAGE) out.value = value;
    } catch {
      out.message ||= '<no text>';
    }
    return out;
  }
  const out = { type: 'Error', mro: ['Error'], message: '<no message>', line: null };
  try {
    out.type = plain.clip(error.name || error.constructor.name, 100);
    if (out.type === 'Error') out.type = plain.clip(error.constructor.name, 100);
    out.message = plain.clip(error.message, MAX_MESSAGE);
    out.mro = BUILT_IN.filter((name) => error instanceof globalThis[name]);
    const found = new RegExp(`${file.replace(/[^\w]/g, '\\$&')}:(\\d+)`).exec(String(error.stack));
    out.line = found ? Number(found[1]) : null;
  } catch {
    // A hostile error: what is known so far will do.
  }
  return out;
}

/** Executes the program; returns how to look up one of its names. */
async function load(file) {
  const source = fs.readFileSync(file, 'utf8');
  if (file.endsWith('.mjs')) return look(await import(pathToFileURL(file)));
  const module = { exports: {} };
  // The evaluator at the end sees the top level's `const` and `let` too.
  const wrapped = `(function (exports, require, module, __filename, __dirname) {${source}\n;return (name) => eval(name)\n})`;
  let script;
  try {
    script = new vm.Script(wrapped, { filename: file });
  } catch (error) {
    if (!/^\s*(import|export)\b/m.test(source)) throw error;
    return look(await platform.importSource(file, source));
  }
  const body = script.runInThisContext();
  const local = body.call(module.exports, module.exports, createRequire(file), module, file, path.dirname(file));
  return look(module.exports, local);
}

function look(exported, local) {
  const bound = (owner) => {
    if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(owner)) return undefined;
    try {
      const found = local?.(owner);
      if (found !== undefined) return found;
    } catch {
      // Not bound at the top level, perhaps exported.
    }
    const from = exported?.[owner] ?? exported?.default?.[owner];
    return from === undefined && exported?.default?.name === owner ? exported.default : from;
  };
  // `own`: of a class itself, never of an instance made for the call.
  return (name, own = false) => {
    if (name === '') return typeof exported === 'function' ? exported : exported?.default;
    const [owner, method] = name.split('.');
    const found = bound(owner);
    if (method === undefined || typeof found !== 'function') return method === undefined ? found : undefined;
    if (typeof found[method] === 'function') return found[method].bind(found);
    if (own) return found[method];
    // LeetCode's convention: a fresh instance for every call.
    const instance = new found();
    return typeof instance[method] === 'function' ? instance[method].bind(instance) : undefined;
  };
}

const MAX_HANDLES = 100_000;

/** Objects that stay here and that the test side holds by number. */
class Handles {
  constructor() {
    this.objects = [];
    this.numbers = new Map();
    // Of class instances and functions; what is data crosses as data.
    this.hold = (x) => {
      if (typeof x !== 'function') {
        if (typeof x !== 'object' || x === null || Array.isArray(x)) return undefined;
        const prototype = Object.getPrototypeOf(x);
        const data = [null, Object.prototype, Map.prototype, Set.prototype, Date.prototype, RegExp.prototype];
        if (data.includes(prototype) || x instanceof Uint8Array || x instanceof Error) return undefined;
        if (typeof x.next === 'function' && typeof x[Symbol.iterator] === 'function') return undefined;
      }
      if (!this.numbers.has(x)) {
        if (this.objects.length === MAX_HANDLES) throw new plain.NotPlain(`more than ${MAX_HANDLES} objects`);
        this.numbers.set(x, this.objects.push(x) - 1);
      }
      const name = typeof x === 'function' ? x.name : x.constructor?.name;
      return [this.numbers.get(x), plain.clip(String(name ?? ''), 100), typeof x === 'function'];
    };
    this.met = { remote: (id) => this.at(id) };
  }

  at(id) {
    if (!Number.isSafeInteger(id) || !(id in this.objects)) throw new plain.BadData('no such object');
    return this.objects[id];
  }

  encode(value) {
    return plain.encode(value, false, this.hold);
  }

  decode(tree) {
    return plain.decode(tree, this.met);
  }
}

/** What a request is about: a name of the program's, or a held object's. */
function aim(find, handles, request) {
  if (request.of === undefined) return { target: find(request.name, request.own === true) };
  const self = handles.at(request.of);
  return request.name === '' ? { target: self } : { target: self[request.name], self };
}

function changed(given, live, handles) {
  const out = [];
  given.forEach((before, key) => {
    const value = live[key];
    if (typeof value !== 'object' || value === null || handles.numbers.has(value)) return;
    const after = handles.encode(value);
    if (JSON.stringify(after) !== JSON.stringify(before)) out.push([key, after]);
  });
  return out;
}

async function call(find, handles, request, file) {
  const live = request.args.map((tree) => handles.decode(tree));
  let reply = {};
  if (request.kind !== undefined) {
    const kind = find(request.kind);
    return { value: typeof kind === 'function' && handles.at(request.of) instanceof kind };
  }
  try {
    const { target, self } = aim(find, handles, request);
    if (typeof target !== 'function') return { missing: true };
    let result = request.construct === true ? new target(...live) : apply(target, self, live);
    if (typeof result?.then === 'function') {
      reply.promise = true;
      result = await result;
    }
    reply.value = request.objects === true ? handles.encode(result) : plain.encode(result);
    const same = typeof result === 'object' && result !== null ? live.indexOf(result) : -1;
    if (same >= 0) reply.same = same;
  } catch (error) {
    if (error instanceof plain.NotPlain) return { not_plain: error.message };
    reply = { ...(reply.promise && { promise: true }), raised: describe(error, file) };
  }
  try {
    const after = changed(request.args, live, handles);
    if (after.length > 0) reply.args = after;
  } catch (error) {
    return { not_plain: `an argument after the call: ${plain.clip(error?.message, 200)}` };
  }
  return reply;
}

function get(find, handles, request) {
  try {
    const { target: value } = aim(find, handles, request);
    if (value === undefined) return { missing: true };
    if (typeof value === 'function') return { callable: true };
    return { value: handles.encode(value) };
  } catch (error) {
    return error instanceof plain.NotPlain ? { not_plain: error.message } : { missing: true };
  }
}

/** The smaller questions about a held object. */
function ask(verb, handles, request) {
  try {
    const self = handles.at(request.of);
    if (verb === 'keys') return { value: plain.encode(Object.keys(self)) };
    if (verb === 'set') {
      self[request.name] = handles.decode(request.value);
      return { value: null };
    }
    if (typeof self[Symbol.iterator] !== 'function') return { missing: true };
    const items = [];
    for (const item of self) if (items.push(item) > 100_000) return { not_plain: 'more than 100000 items' };
    return { value: handles.encode(items) };
  } catch (error) {
    return { not_plain: plain.clip(String(error?.message), 200) };
  }
}

async function main() {
  const channel = new plain.Channel();
  const file = path.resolve(process.argv[2]);
  process.argv = [process.argv[0], file];
  let find;
  try {
    find = await load(file);
  } catch (error) {
    process.stderr.write(`${plain.clip(error?.stack ?? error, 4000)}\n`);
    channel.send({ load: describe(error, file) });
    process.exit(1);
  }
  const handles = new Handles();
  channel.send({ ready: true });
  for (let message = channel.receive(); message !== null; message = channel.receive()) {
    const [[verb, request]] = Object.entries(message);
    const answer =
      verb === 'call' ? await call(find, handles, request, file)
      : verb === 'get' ? get(find, handles, request)
      : ask(verb, handles, request);
    try {
      channel.send({ id: request.id, ...answer });
    } catch (error) {
      channel.send({ id: request.id, not_plain: plain.clip(error?.message, 200) });
    }
  }
  process.reallyExit(0); // neither timers nor `exit` handlers of the program
}

main();
