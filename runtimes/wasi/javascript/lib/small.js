'use strict';
// Modules of a few lines: node:os, node:perf_hooks, node:timers, node:vm.

const loop = require('loop');
const { lacking } = require('errors');
const internals = require.inside('process');

const os = {
  EOL: '\n',
  devNull: '/dev/null',
  arch: () => 'wasm32',
  platform: () => 'linux',
  type: () => 'Linux',
  release: () => '0.0.0',
  version: () => '0.0.0',
  machine: () => 'wasm32',
  hostname: () => 'localhost',
  homedir: () => '/work',
  tmpdir: () => '/tmp',
  endianness: () => 'LE',
  cpus: () => [{ model: 'wasm32', speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } }],
  availableParallelism: () => 1,
  totalmem: () => 2 ** 32,
  freemem: () => 2 ** 32 - host.memory()[0],
  loadavg: () => [0, 0, 0],
  uptime: () => Number(host.now()) / 1e9,
  networkInterfaces: () => ({}),
  userInfo: () => ({ uid: 1000, gid: 1000, username: 'user', homedir: '/work', shell: null }),
  constants: { signals: {}, errno: {} },
};

const performance = {
  now: () => Number(host.now() - internals.started.at) / 1e6,
  get timeOrigin() {
    return Date.now() - performance.now();
  },
  mark: (name) => {
    const entry = { name, entryType: 'mark', startTime: performance.now(), duration: 0 };
    marks.push(entry);
    return entry;
  },
  measure: (name, from, to) => {
    const at = (mark) => marks.findLast((entry) => entry.name === mark)?.startTime;
    const start = at(from) ?? 0;
    const entry = { name, entryType: 'measure', startTime: start, duration: (at(to) ?? performance.now()) - start };
    marks.push(entry);
    return entry;
  },
  getEntries: () => [...marks],
  getEntriesByName: (name) => marks.filter((entry) => entry.name === name),
  getEntriesByType: (type) => marks.filter((entry) => entry.entryType === type),
  clearMarks: () => { marks.length = 0; },
  clearMeasures: () => { marks.length = 0; },
  timerify: (call) => call,
  toJSON: () => ({}),
};
const marks = [];

const { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate } = loop;
const timers = {
  setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate,
  promises: {
    setTimeout: (wait, value) => new Promise((resolve) => setTimeout(resolve, wait, value)),
    setImmediate: (value) => new Promise((resolve) => setImmediate(resolve, value)),
    setInterval: async function* interval(wait, value) {
      for (;;) {
        await timers.promises.setTimeout(wait);
        yield value;
      }
    },
    scheduler: { wait: (wait) => timers.promises.setTimeout(wait), yield: () => timers.promises.setImmediate() },
  },
};
for (const call of [setTimeout, setImmediate]) {
  const promised = timers.promises[call.name];
  Object.defineProperty(call, Symbol.for('nodejs.util.promisify.custom'), { value: promised });
}

const nameOf = (options) => (typeof options === 'string' ? options : options?.filename) ?? 'evalmachine.<anonymous>';

/** One realm is all there is. */
class Script {
  #run;

  constructor(source, options) {
    this.#run = host.compile(String(source), nameOf(options), 1 + (options?.lineOffset ?? 0));
  }

  runInThisContext() {
    return this.#run();
  }

  runInContext() {
    throw lacking("'vm.createContext'");
  }

  runInNewContext() {
    throw lacking("'vm.createContext'");
  }
}

const elsewhere = () => {
  throw lacking("'vm.createContext'");
};
const vm = {
  Script,
  runInThisContext: (source, options) => new Script(source, options).runInThisContext(),
  createContext: elsewhere, runInNewContext: elsewhere, runInContext: elsewhere, isContext: () => false,
};

module.exports = { os, perfHooks: { performance, PerformanceObserver: class PerformanceObserver { observe() {} disconnect() {} } }, performance, timers, vm };
