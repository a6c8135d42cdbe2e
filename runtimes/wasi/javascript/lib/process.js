'use strict';
// The global `process`, its streams, and what becomes of errors that nobody
// caught.

const EventEmitter = require('events');
const loop = require('loop');
const { wrongType, withCode } = require('errors');
const { Readable, Writable } = require('stream');

class process extends EventEmitter {}
const it = new process();

const started = { at: 0n };
const hrtime = (since) => {
  const now = host.now();
  const seconds = Number(now / 1_000_000_000n);
  const nanos = Number(now % 1_000_000_000n);
  if (since === undefined) return [seconds, nanos];
  const [s, n] = [seconds - since[0], nanos - since[1]];
  return n < 0 ? [s - 1, n + 1e9] : [s, n];
};
hrtime.bigint = () => host.now();

let cwd = '/';
let umask = 0o22;
let exiting = false;

/** Tells those who listen, once, and leaves. */
function exit(code) {
  if (code !== undefined) it.exitCode = code;
  if (!exiting) {
    exiting = true;
    it.emit('exit', status());
  }
  it.reallyExit(status());
}

function status() {
  const code = Number(it.exitCode ?? 0);
  return Number.isInteger(code) ? code & 255 : 0;
}

/** An error that nobody caught: told to those who listen, or the end. */
function uncaught(error, origin) {
  if (it.listenerCount('uncaughtExceptionMonitor') > 0) it.emit('uncaughtExceptionMonitor', error, origin);
  if (!exiting && it.listenerCount('uncaughtException') > 0) {
    try {
      it.emit('uncaughtException', error, origin);
      return;
    } catch (second) {
      error = second;
    }
  }
  let text;
  try {
    text = require('fatal').describe(error);
  } catch {
    text = 'Uncaught: an error that cannot be shown\n';
  }
  host.write(2, text);
  it.exitCode = 1;
  try {
    exit();
  } catch {
    host.exit(1);
  }
}

function unhandled(reason, promise) {
  if (it.listenerCount('unhandledRejection') > 0) {
    try {
      it.emit('unhandledRejection', reason, promise);
    } catch (error) {
      uncaught(error, 'uncaughtException');
    }
    return;
  }
  if (reason instanceof Error) {
    uncaught(reason, 'unhandledRejection');
    return;
  }
  const shown = typeof reason === 'symbol' ? String(reason) : require('inspect').inspect(reason);
  const error = withCode(Error, 'ERR_UNHANDLED_REJECTION', 'This error originated either by throwing inside of an async function without a catch block, or by rejecting a promise which was not handled with .catch(). The promise rejected with the reason '
    + `"${typeof reason === 'string' ? reason : shown}".`);
  // As Node shows it: by this name and without a stack of its own.
  error.name = 'UnhandledPromiseRejection';
  error.stack = `UnhandledPromiseRejection: ${error.message}`;
  uncaught(error, 'unhandledRejection');
}
loop.onFailure(uncaught, unhandled);

/** Standard output or error: what is written is with the host when this
 *  returns. `console` writes past it while `write` is this one. */
function output(fd) {
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, encoding, done) {
      host.write(fd, encoding === 'buffer' || encoding === 'utf8' || encoding === 'utf-8' ? chunk : require('buffer').Buffer.from(chunk, encoding));
      done();
    },
  });
  const write = (chunk, encoding, done) => {
    if (typeof encoding === 'function') [encoding, done] = [undefined, encoding];
    if (typeof chunk === 'string') {
      const plain = encoding === undefined || encoding === null || encoding === 'utf8' || encoding === 'utf-8';
      host.write(fd, plain ? chunk : require('buffer').Buffer.from(chunk, encoding));
    } else if (chunk instanceof Uint8Array) {
      host.write(fd, chunk);
    } else {
      throw wrongType('chunk', 'of type string or an instance of Buffer, TypedArray, or DataView', chunk);
    }
    if (done) loop.nextTick(done);
    return true;
  };
  Object.defineProperty(stream, 'write', { value: write, writable: true, configurable: true });
  // Ending it ends nothing, as in Node.
  Object.defineProperty(stream, 'end', {
    value(chunk, encoding, done) {
      const after = [chunk, encoding, done].find((x) => typeof x === 'function');
      if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') this.write(chunk, encoding);
      loop.nextTick(() => {
        this.emit('finish');
        after?.();
      });
      return this;
    },
    writable: true,
    configurable: true,
  });
  Object.assign(stream, { fd, _type: 'pipe' });
  stream.getColorDepth = () => 1;
  stream.hasColors = () => false;
  return { stream, write };
}
const out = output(1);
const err = output(2);

function standardInput() {
  const stream = new Readable({
    read() {
      loop.later(() => {
        const got = host.read(0, 65536);
        if (typeof got === 'number') this.destroy(require('errors').system(got, 'read'));
        else this.push(got.byteLength === 0 ? null : require('buffer').Buffer.from(got));
      });
    },
  });
  stream.fd = 0;
  stream.setRawMode = () => stream;
  stream.ref = () => stream;
  stream.unref = () => stream;
  return stream;
}
let stdin;

const memory = () => {
  const [total, used] = host.memory();
  return { rss: total, heapTotal: total, heapUsed: used, external: 0, arrayBuffers: 0 };
};
memory.rss = () => host.memory()[0];

Object.assign(it, {
  version: 'v20.20.2',
  versions: { node: '20.20.2', quickjs: '0.16.2', v8: '0.0.0', uv: '0.0.0', modules: '115' },
  arch: 'wasm32',
  platform: 'linux',
  release: { name: 'node', lts: 'Iron' },
  title: 'node',
  pid: 1,
  ppid: 0,
  execPath: '/usr/local/bin/node',
  execArgv: [],
  argv: [],
  argv0: 'node',
  env: {},
  debugPort: 9229,
  config: { variables: {}, target_defaults: {} },
  features: {},
  exitCode: undefined,
  hrtime,
  exit,
  nextTick: loop.nextTick,
  cwd: () => cwd,
  chdir: (path) => {
    const to = require('path').resolve(path);
    if (!require('fs').statSync(to).isDirectory()) throw require('errors').system(-54, 'chdir', path);
    cwd = to;
  },
  umask: (mask) => {
    const before = umask;
    if (mask !== undefined) umask = mask;
    return before;
  },
  uptime: () => Number(host.now() - started.at) / 1e9,
  memoryUsage: memory,
  resourceUsage: () => ({ userCPUTime: Number((host.now() - started.at) / 1000n), systemCPUTime: 0, maxRSS: host.memory()[0] / 1024 }),
  cpuUsage: (since) => ({ user: Number((host.now() - started.at) / 1000n) - (since?.user ?? 0), system: 0 }),
  constrainedMemory: () => 0,
  availableMemory: () => 2 ** 32,
  getuid: () => 1000,
  geteuid: () => 1000,
  getgid: () => 1000,
  getegid: () => 1000,
  abort: () => host.abort(),
  kill: () => {
    throw require('errors').system(-63, 'kill');
  },
  emitWarning: (warning, options) => {
    const name = typeof options === 'string' ? options : (options?.type ?? warning.name ?? 'Warning');
    host.write(2, `(node:1) ${name}: ${warning.message ?? warning}\n`);
  },
  setUncaughtExceptionCaptureCallback: () => {},
  binding: (name) => {
    throw require('errors').lacking(`binding '${name}'`);
  },
  reallyExit: (code = 0) => host.exit(code),
});
Object.defineProperty(it, Symbol.toStringTag, { value: 'process', configurable: true });
Object.defineProperties(it, {
  stdin: {
    get: () => (stdin ??= standardInput()),
    configurable: true,
    enumerable: true,
  },
  stdout: { value: out.stream, writable: true, configurable: true, enumerable: true },
  stderr: { value: err.stream, writable: true, configurable: true, enumerable: true },
});

/** A line to standard output or error, as `process.stdout.write` would. */
function print(to, text) {
  const { stream, write } = to;
  if (stream.write === write) host.write(stream.fd, text);
  else stream.write(text);
}

/** What only this library may do. */
const internals = {
  start(argv, environment, directory) {
    started.at = host.now();
    cwd = directory;
    it.argv = argv;
    for (const entry of environment) {
      const at = entry.indexOf('=');
      if (at > 0) it.env[entry.slice(0, at)] = entry.slice(at + 1);
    }
  },
  isExiting: () => exiting,
  print: (error, text) => print(error ? err : out, text),
  status, exit, uncaught, started,
};

module.exports = it;
module.internals = internals;
