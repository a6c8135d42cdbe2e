'use strict';
// The global `console`, and node:console.

const { formatWithOptions } = require('format');
const { inspect, width } = require('inspect');
const internals = require.inside('process');

class Console {
  #indent = '';
  #counts = new Map();
  #timers = new Map();
  #print;

  constructor(options, stderr) {
    const out = options?.stdout ?? options;
    const err = options?.stderr ?? stderr ?? out;
    this.#print = out === undefined ? internals.print : (error, text) => (error ? err : out).write(text);
    // Programs take methods off it.
    for (const name of Object.getOwnPropertyNames(Console.prototype)) {
      if (name !== 'constructor') this[name] = Console.prototype[name].bind(this);
    }
    this.Console = Console;
  }

  #say(error, args) {
    let text = args.length === 1 && typeof args[0] === 'string' ? args[0] : formatWithOptions(undefined, ...args);
    if (this.#indent !== '') text = this.#indent + text.replaceAll('\n', `\n${this.#indent}`);
    this.#print(error, `${text}\n`);
  }

  log(...args) {
    this.#say(false, args);
  }

  info(...args) {
    this.#say(false, args);
  }

  debug(...args) {
    this.#say(false, args);
  }

  error(...args) {
    this.#say(true, args);
  }

  warn(...args) {
    this.#say(true, args);
  }

  dir(value, options) {
    this.#say(false, [inspect(value, { customInspect: false, ...options })]);
  }

  dirxml(...args) {
    this.#say(false, args);
  }

  trace(...args) {
    const error = { name: 'Trace', message: formatWithOptions(undefined, ...args) };
    Error.captureStackTrace(error, this.trace);
    this.#say(true, [`Trace${error.message && `: ${error.message}`}\n${String(error.stack).split('\n').filter((line) => line.startsWith('    at')).join('\n')}`]);
  }

  assert(holds, ...args) {
    if (holds) return;
    if (typeof args[0] === 'string') args[0] = `Assertion failed: ${args[0]}`;
    else args.unshift('Assertion failed');
    this.#say(true, args);
  }

  group(...args) {
    if (args.length > 0) this.#say(false, args);
    this.#indent += '  ';
  }

  groupCollapsed(...args) {
    this.group(...args);
  }

  groupEnd() {
    this.#indent = this.#indent.slice(0, -2);
  }

  count(label = 'default') {
    const count = (this.#counts.get(`${label}`) ?? 0) + 1;
    this.#counts.set(`${label}`, count);
    this.#say(false, [`${label}: ${count}`]);
  }

  countReset(label = 'default') {
    this.#counts.delete(`${label}`);
  }

  time(label = 'default') {
    this.#timers.set(`${label}`, host.now());
  }

  timeLog(label = 'default', ...args) {
    const since = this.#timers.get(`${label}`);
    if (since === undefined) return;
    const ms = Number(host.now() - since) / 1e6;
    const text = ms >= 1000 ? `${(ms / 1000).toFixed(3)}s` : `${Number(ms.toPrecision(ms < 1 ? 3 : 6))}ms`;
    this.#say(false, [`${label}: ${text}`, ...args]);
  }

  timeEnd(label = 'default') {
    this.timeLog(label);
    this.#timers.delete(`${label}`);
  }

  clear() {}

  table(data, columns) {
    if (data === null || typeof data !== 'object') return this.log(data);
    const kind = host.classOf(data);
    const show = (x) => inspect(x, { maxArrayLength: 3, breakLength: Infinity, depth: typeof x === 'object' && x !== null && !Array.isArray(x) && Object.keys(x).length > 2 ? -1 : 0 });
    const isMap = kind === 'Map';
    const rows = isMap ? [...data] : kind === 'Set' ? [...data].map((x, i) => [i, x]) : Object.entries(data);
    const names = [];
    const body = [];
    let values = false;
    for (const [key, row] of rows) {
      const cells = new Map();
      const plain = typeof row !== 'object' || row === null || isMap;
      if (plain || (typeof row === 'function')) {
        cells.set(Console, show(row));
        values = true;
      } else {
        for (const name of columns ?? Object.keys(row)) {
          if (!names.includes(name)) names.push(name);
          if (Object.hasOwn(row, name)) cells.set(name, show(row[name]));
        }
      }
      body.push(isMap ? [String(body.length), show(key), cells] : [String(key), undefined, cells]);
    }
    const head = [isMap || kind === 'Set' ? '(iteration index)' : '(index)', ...(isMap ? ['Key'] : []), ...names.map(String), ...(values ? ['Values'] : [])];
    const lines = body.map(([index, key, cells]) => [index, ...(isMap ? [key] : []), ...names.map((name) => cells.get(name) ?? ''), ...(values ? [cells.get(Console) ?? ''] : [])]);
    this.#say(false, [draw(head, lines)]);
    return undefined;
  }
}

/** A table in Node's frame. */
function draw(head, lines) {
  const widths = head.map((text, i) => Math.max(...[head, ...lines].map((line) => width(line[i]))) + 2);
  const cell = (text, i) => ` ${text}${' '.repeat(widths[i] - width(text) - 1)}`;
  const row = (line) => `│${line.map(cell).join('│')}│`;
  const rule = (a, b, c) => `${a}${widths.map((count) => '─'.repeat(count)).join(b)}${c}`;
  return [rule('┌', '┬', '┐'), row(head), rule('├', '┼', '┤'), ...lines.map(row), rule('└', '┴', '┘')].join('\n');
}

const console = new Console();
for (const name of Object.keys(console)) if (name !== 'Console') Object.defineProperty(console[name], 'name', { value: name });
Object.defineProperty(console, Symbol.toStringTag, { value: 'console', configurable: true });
Object.setPrototypeOf(console, {});

module.exports = console;
