'use strict';
// node:fs. Everything happens at once; what calls back does so on the next turn
// of the loop, and what promises, after it.

const { system, withCode, wrongType } = require('errors');
const { Buffer } = require('buffer');
const loop = require('loop');

const STANDARD = { '/dev/stdin': 0, '/dev/stdout': 1, '/dev/stderr': 2, '/proc/self/fd/0': 0, '/dev/fd/0': 0, '/dev/fd/1': 1, '/dev/fd/2': 2 };
const CHUNK = 65536;

/** The whole name of a file: the host knows of no current directory. */
function named(path) {
  if (typeof path === 'string') return path.startsWith('/') ? path : absolute(path);
  if (path instanceof Uint8Array) return absolute(Buffer.from(path).toString());
  if (typeof path === 'object' && path !== null && path.href !== undefined) return require('url').fileURLToPath(path);
  throw wrongType('path', 'of type string or an instance of Buffer or URL', path);
}

const absolute = (path) => {
  if (path === '' || path.includes('\0')) throw path === '' ? system(-44, 'open', path) : withCode(TypeError, 'ERR_INVALID_ARG_VALUE', "The argument 'path' must be a string without null bytes.");
  return require('path').resolve(path);
};

/** A file as an error names it: as the program did. */
const shown = (file) => (typeof file === 'string' ? file : named(file));
const number = (file) => (typeof file === 'number' ? file : STANDARD[file]);
const encodingOf = (options) => (typeof options === 'string' ? options : options?.encoding);

function checked(result, syscall, path, dest) {
  if (typeof result === 'number' && result < 0) throw system(result, syscall, path, dest);
  return result;
}

/** Of a directory it is reading that fails, and of that no name is told. */
const opened = (result, file) => (result === -31 ? checked(result, 'read') : checked(result, 'open', shown(file)));

const bytesOf = (data, encoding) => {
  if (typeof data === 'string') return encoding && encoding !== 'utf8' && encoding !== 'utf-8' ? Buffer.from(data, encoding) : data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw wrongType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
};

function readAll(fd) {
  const parts = [];
  for (;;) {
    const part = new Uint8Array(checked(host.read(fd, CHUNK), 'read'));
    if (part.length === 0) return parts.length === 1 ? Buffer.from(parts[0].buffer) : Buffer.concat(parts);
    parts.push(part);
  }
}

function readFileSync(file, options) {
  const encoding = encodingOf(options);
  const path = typeof file === 'number' ? undefined : named(file);
  const fd = number(path ?? file);
  if (fd === undefined && (encoding === 'utf8' || encoding === 'utf-8')) return opened(host.readText(path), file);
  const bytes = fd === undefined ? Buffer.from(opened(host.readFile(path), file)) : readAll(fd);
  return encoding ? bytes.toString(encoding) : bytes;
}

// What host.open understands: see host.c.
const FLAGS = { r: 0, 'r+': 33, rs: 0, w: 7, wx: 23, 'w+': 39, 'wx+': 55, a: 11, ax: 27, 'a+': 43, 'ax+': 59, as: 11 };

function openSync(file, flags = 'r') {
  const path = named(file);
  if (STANDARD[path] !== undefined) return STANDARD[path];
  let bits = FLAGS[flags];
  if (typeof flags === 'number') bits = (flags & 3 ? 1 : 0) | (flags & 64 ? 2 : 0) | (flags & 512 ? 4 : 0) | (flags & 1024 ? 8 : 0) | (flags & 128 ? 16 : 0) | (flags & 2 ? 32 : 0);
  if (bits === undefined) throw wrongType('flags', 'a flag of fs.open', flags);
  return checked(host.open(path, bits), 'open', shown(file));
}

function writeFileSync(file, data, options) {
  const flag = (typeof options === 'object' && options?.flag) || 'w';
  const bytes = bytesOf(typeof data === 'string' || ArrayBuffer.isView(data) ? data : String(data), encodingOf(options));
  const known = typeof file === 'number' ? file : STANDARD[named(file)];
  const fd = known ?? openSync(file, flag);
  try {
    checked(host.write(fd, bytes), 'write');
  } finally {
    if (known === undefined) host.close(fd);
  }
}

function readSync(fd, buffer, offset = 0, length = undefined, position = null) {
  if (typeof offset === 'object' && offset !== null) ({ offset = 0, length, position = null } = offset);
  const room = length ?? buffer.byteLength - offset;
  if (typeof position === 'number' && position >= 0) checked(host.seek(fd, position), 'read');
  const got = new Uint8Array(checked(host.read(fd, room), 'read'));
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).set(got, offset);
  return got.length;
}

function writeSync(fd, data, offset, length, position) {
  if (typeof data === 'string') {
    if (typeof offset === 'number') checked(host.seek(fd, offset), 'write');
    const bytes = bytesOf(data, length);
    return checked(host.write(fd, bytes), 'write');
  }
  const all = bytesOf(data);
  if (typeof position === 'number') checked(host.seek(fd, position), 'write');
  offset ??= 0;
  const part = all.subarray(offset, offset + (length ?? all.length - offset));
  return checked(host.write(fd, part), 'write');
}

class Stats {
  constructor([mode, size, ms, ino]) {
    Object.assign(this, { dev: 0, mode, nlink: 1, uid: 0, gid: 0, rdev: 0, blksize: 4096, ino, size, blocks: Math.ceil(size / 512), atimeMs: ms, mtimeMs: ms, ctimeMs: ms, birthtimeMs: ms });
    for (const name of ['atime', 'mtime', 'ctime', 'birthtime']) this[name] = new Date(this[`${name}Ms`]);
  }
}
// The kinds of files, as st_mode has them.
for (const [name, kind] of [['isFile', 0o100000], ['isDirectory', 0o040000], ['isSymbolicLink', 0o120000], ['isCharacterDevice', 0o020000], ['isBlockDevice', 0o060000], ['isFIFO', 0o010000], ['isSocket', 0o140000]]) {
  Object.defineProperty(Stats.prototype, name, {
    value() {
      return (this.mode & 0o170000) === kind;
    },
  });
}

function statSync(path, options) {
  path = named(path);
  const found = host.stat(STANDARD[path] ?? path);
  if (typeof found === 'number' && options?.throwIfNoEntry === false) return undefined;
  return new Stats(checked(found, 'stat', path));
}

function existsSync(path) {
  try {
    path = named(path);
  } catch {
    return false;
  }
  return STANDARD[path] !== undefined || host.access(path) >= 0;
}

function readdirSync(path, options) {
  path = named(path);
  const names = checked(host.readdir(path), 'scandir', path).sort();
  if (!options?.withFileTypes) return names;
  return names.map((name) => Object.assign(Object.create(statSync(`${path}/${name}`)), { name, parentPath: path, path }));
}

function mkdirSync(path, options) {
  path = named(path);
  if (!options?.recursive) return void checked(host.mkdir(path), 'mkdir', path);
  const absolute = require('path').resolve(path);
  const parts = absolute.split('/').slice(1);
  for (let i = 1; i <= parts.length; i += 1) {
    const part = `/${parts.slice(0, i).join('/')}`;
    if (!existsSync(part)) checked(host.mkdir(part), 'mkdir', path);
  }
  return undefined;
}

function rmSync(path, options) {
  path = named(path);
  const found = host.stat(path);
  if (typeof found === 'number') {
    if (options?.force) return;
    throw system(found, 'rm', path);
  }
  if (!new Stats(found).isDirectory()) return void checked(host.unlink(path), 'rm', path);
  if (options?.recursive) readdirSync(path).forEach((name) => rmSync(`${path}/${name}`, options));
  checked(host.rmdir(path), 'rmdir', path);
}

const simple = (name, syscall = name) => (path, dest) => {
  path = named(path);
  if (dest !== undefined && typeof dest === 'string') checked(host[name](path, dest), syscall, path, dest);
  else checked(host[name](path, dest), syscall, path);
};

const sync = {
  readFileSync, writeFileSync, openSync, readSync, writeSync, statSync, existsSync, readdirSync, mkdirSync, rmSync,
  appendFileSync: (file, data, options) => writeFileSync(file, data, { encoding: encodingOf(options), flag: 'a' }),
  lstatSync: statSync,
  fstatSync: (fd) => new Stats(checked(host.stat(fd), 'fstat')),
  closeSync: (fd) => checked(host.close(fd), 'close'),
  accessSync: simple('access'),
  unlinkSync: simple('unlink'),
  rmdirSync: (path, options) => (options?.recursive ? rmSync(path, options) : simple('rmdir')(path)),
  renameSync: (from, to) => simple('rename')(from, named(to)),
  truncateSync: (path, length = 0) => simple('truncate')(path, length),
  copyFileSync: (from, to) => writeFileSync(to, readFileSync(from)),
  realpathSync: (path) => {
    simple('access', 'realpath')(path);
    return require('path').resolve(named(path));
  },
  mkdtempSync: (prefix) => {
    const path = `${prefix}${Math.random().toString(36).slice(2, 8).padEnd(6, '0')}`;
    mkdirSync(path);
    return path;
  },
  fsyncSync() {},
  chmodSync() {},
  utimesSync() {},
};

const exported = { ...sync };
const promises = { constants: {} };
for (const [name, act] of Object.entries(sync)) {
  const short = name.slice(0, -4);
  exported[short] = (...args) => {
    const done = args.findLast((x) => typeof x === 'function');
    if (done === undefined) throw wrongType('cb', 'of type function', args.at(-1));
    const given = args.slice(0, args.lastIndexOf(done));
    if (short === 'exists') return loop.later(done, existsSync(...given));
    try {
      const result = act(...given);
      if (short === 'read' || short === 'write') loop.later(done, null, result, given[1]);
      else loop.later(done, null, result);
    } catch (error) {
      loop.later(done, error);
    }
    return undefined;
  };
  promises[short] = (...args) => new Promise((resolve, reject) => {
    const call = exported[short];
    call(...args, (error, result) => (error ? reject(error) : resolve(result)));
  });
}
delete promises.exists;

promises.open = async (path, flags) => {
  const fd = openSync(path, flags);
  return {
    fd,
    readFile: async (options) => readFileSync(fd, options),
    writeFile: async (data, options) => writeFileSync(fd, data, options),
    close: async () => sync.closeSync(fd),
    createReadStream: (options) => createReadStream(undefined, { ...options, fd }),
    readLines: () => require('readline').createInterface({ input: createReadStream(undefined, { fd }) }),
  };
};

/** A stream of what a file holds. */
function createReadStream(path, options) {
  const { Readable } = require('stream');
  const opts = typeof options === 'string' ? { encoding: options } : { ...options };
  let { fd } = opts;
  let left = (opts.end ?? Infinity) - (opts.start ?? 0) + 1;
  const stream = new Readable({
    encoding: opts.encoding,
    read() {
      loop.later(() => {
        try {
          fd ??= openSync(path, opts.flags);
          if (opts.start && left === (opts.end ?? Infinity) - opts.start + 1) host.seek(fd, opts.start);
          const size = Math.min(opts.highWaterMark ?? CHUNK, left);
          const bytes = size > 0 ? Buffer.from(checked(host.read(fd, size), 'read')) : Buffer.alloc(0);
          left -= bytes.length;
          this.push(bytes.length === 0 ? null : bytes);
        } catch (error) {
          this.destroy(error);
        }
      });
    },
  });
  stream.path = path;
  return stream;
}

function createWriteStream(path, options) {
  const { Writable } = require('stream');
  const opts = typeof options === 'string' ? { encoding: options } : { ...options };
  let { fd } = opts;
  return new Writable({
    write(chunk, encoding, done) {
      try {
        fd ??= openSync(path, opts.flags ?? 'w');
        checked(host.write(fd, bytesOf(chunk, encoding)), 'write');
        done();
      } catch (error) {
        done(error);
      }
    },
    final(done) {
      fd ??= openSync(path, opts.flags ?? 'w');
      if (fd > 2) host.close(fd);
      done();
    },
  });
}

module.exports = {
  ...exported, promises, createReadStream, createWriteStream, Stats,
  constants: { F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1, O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2, O_CREAT: 64, O_EXCL: 128, O_TRUNC: 512, O_APPEND: 1024 },
  F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1,
};
