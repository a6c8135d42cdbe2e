'use strict';
// Errors as Node's own library throws them: with a code, and with that code in
// the first line of their stack.

const SYSTEM = {
  // errno of wasi-libc: [Linux's number, name, text]
  2: [13, 'EACCES', 'permission denied'],
  8: [9, 'EBADF', 'bad file descriptor'],
  20: [17, 'EEXIST', 'file already exists'],
  28: [22, 'EINVAL', 'invalid argument'],
  29: [5, 'EIO', 'i/o error'],
  31: [21, 'EISDIR', 'illegal operation on a directory'],
  32: [40, 'ELOOP', 'too many symbolic links encountered'],
  37: [36, 'ENAMETOOLONG', 'name too long'],
  44: [2, 'ENOENT', 'no such file or directory'],
  48: [12, 'ENOMEM', 'not enough memory'],
  51: [28, 'ENOSPC', 'no space left on device'],
  54: [20, 'ENOTDIR', 'not a directory'],
  55: [39, 'ENOTEMPTY', 'directory not empty'],
  63: [1, 'EPERM', 'operation not permitted'],
  64: [32, 'EPIPE', 'broken pipe'],
  69: [30, 'EROFS', 'read-only file system'],
  70: [29, 'ESPIPE', 'invalid seek'],
  76: [1, 'EPERM', 'operation not permitted'],
};

function withCode(Base, code, message) {
  const error = new Base(message);
  error.name = `${error.name} [${code}]`;
  Error.captureStackTrace(error, withCode);
  delete error.name;
  error.code = code;
  return error;
}

function show(value) {
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object' && value !== null) {
    const name = value.constructor?.name;
    return name ? `an instance of ${name}` : require('inspect').inspect(value, { depth: -1 });
  }
  const text = require('inspect').inspect(value);
  return `type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

/** What an argument of a wrong type gets. `expected`: "of type string". */
function wrongType(name, expected, value) {
  const what = value === undefined || value === null ? `${value}` : show(value);
  const subject = name.endsWith(' argument') ? name : `The "${name}" ${name.includes('.') ? 'property' : 'argument'}`;
  return withCode(TypeError, 'ERR_INVALID_ARG_TYPE', `${subject} must be ${expected}. Received ${what}`);
}

function outOfRange(name, range, value) {
  return withCode(RangeError, 'ERR_OUT_OF_RANGE', `The value of "${name}" is out of range. It must be ${range}. Received ${String(value)}`);
}

/** A failed call of the system. `number`: what the host answered, negative. */
function system(number, syscall, path, dest) {
  const [errno, code, text] = SYSTEM[-number] ?? [-number, 'UNKNOWN', 'unknown error'];
  let message = `${code}: ${text}, ${syscall}`;
  if (path !== undefined) message += ` '${path}'`;
  if (dest !== undefined) message += ` -> '${dest}'`;
  const error = new Error(message);
  Object.assign(error, { errno: -errno, code, syscall });
  if (path !== undefined) error.path = path;
  if (dest !== undefined) error.dest = dest;
  return error;
}

/** What this backend lacks. `auto` looks for these words and runs again. */
function lacking(what) {
  const error = new Error(`Cannot find ${what} on the wasi backend`);
  error.code = 'MODULE_NOT_FOUND';
  return error;
}

module.exports = { lacking, outOfRange, system, withCode, wrongType };
