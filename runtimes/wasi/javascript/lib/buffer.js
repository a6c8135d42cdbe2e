'use strict';
// node:buffer. A Buffer is a Uint8Array with texts in it.

const { outOfRange, withCode, wrongType } = require('errors');
const encodings = require('encodings');

const { encode, decode, nameOf } = encodings;

class Buffer extends Uint8Array {
  static from(value, encodingOrOffset, length) {
    if (typeof value === 'string') return wrap(encode(value, encodingOrOffset));
    if (value instanceof ArrayBuffer || host.classOf(value) === 'SharedArrayBuffer') {
      return new Buffer(value, encodingOrOffset, length);
    }
    if (typeof value === 'object' && value !== null) {
      if (ArrayBuffer.isView(value)) return copyOf(value);
      const inner = value.valueOf?.();
      if (inner !== undefined && inner !== null && inner !== value && (typeof inner === 'string' || typeof inner === 'object')) {
        return Buffer.from(inner, encodingOrOffset, length);
      }
      if (value.type === 'Buffer' && Array.isArray(value.data)) return copyOf(value.data);
      if (typeof value.length === 'number' || value.length !== undefined) return copyOf(value);
      const primitive = value[Symbol.toPrimitive]?.('string');
      if (typeof primitive === 'string') return Buffer.from(primitive, encodingOrOffset);
    }
    throw wrongType('The first argument', 'of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object', value);
  }

  static of(...bytes) {
    return copyOf(bytes);
  }

  static alloc(size, fill, encoding) {
    const out = new Buffer(sized(size));
    return fill === undefined || fill === 0 ? out : out.fill(fill, encoding);
  }

  static allocUnsafe(size) {
    return new Buffer(sized(size));
  }

  static isBuffer(x) {
    return x instanceof Buffer;
  }

  static isEncoding(name) {
    return typeof name === 'string' && nameOf(name) !== undefined;
  }

  static byteLength(value, encoding) {
    if (typeof value === 'string') return encode(value, encoding).byteLength;
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    throw wrongType('string', 'of type string or an instance of Buffer or ArrayBuffer', value);
  }

  static concat(list, total) {
    if (!Array.isArray(list)) throw wrongType('list', 'an instance of Array', list);
    total ??= list.reduce((sum, part) => sum + part.length, 0);
    const out = Buffer.alloc(total);
    let at = 0;
    for (const part of list) {
      if (!(part instanceof Uint8Array)) throw wrongType('list[0]', 'an instance of Buffer or Uint8Array', part);
      const fits = part.length > total - at ? part.subarray(0, total - at) : part;
      out.set(fits, at);
      at += fits.length;
    }
    return out;
  }

  static compare(a, b) {
    const shared = Math.min(a.length, b.length);
    for (let i = 0; i < shared; i += 1) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
    return Math.sign(a.length - b.length);
  }

  get parent() {
    return this.buffer;
  }

  get offset() {
    return this.byteOffset;
  }

  toString(encoding, start = 0, end = this.length) {
    start = Math.max(0, Math.trunc(start) || 0);
    end = Math.min(this.length, end === undefined ? this.length : Math.trunc(end) || 0);
    return end <= start ? '' : decode(this, encoding, start, end);
  }

  toLocaleString(encoding, start, end) {
    return this.toString(encoding, start, end);
  }

  toJSON() {
    return { type: 'Buffer', data: Array.from(this) };
  }

  equals(other) {
    if (!(other instanceof Uint8Array)) throw wrongType('otherBuffer', 'an instance of Buffer or Uint8Array', other);
    return Buffer.compare(this, other) === 0;
  }

  compare(target, from = 0, to = target.length, ownFrom = 0, ownTo = this.length) {
    return Buffer.compare(this.subarray(ownFrom, ownTo), target.subarray(from, to));
  }

  subarray(start, end) {
    const part = super.subarray(start, end);
    return Object.setPrototypeOf(part, Buffer.prototype);
  }

  slice(start, end) {
    return this.subarray(start, end);
  }

  copy(target, at = 0, start = 0, end = this.length) {
    const part = super.subarray(start, Math.min(end, start + Math.max(0, target.length - at)));
    if (at < target.length) target.set(part, at);
    return at < target.length ? part.length : 0;
  }

  write(text, offset, length, encoding) {
    if (typeof offset === 'string') [encoding, offset, length] = [offset, 0, undefined];
    else if (typeof length === 'string') [encoding, length] = [length, undefined];
    offset ??= 0;
    const room = Math.min(length ?? Infinity, this.length - offset);
    const bytes = encode(text, encoding);
    let fits = Math.min(room, bytes.byteLength);
    const view = new Uint8Array(bytes);
    // No half characters.
    if (nameOf(encoding ?? 'utf8') === 'utf8') while (fits > 0 && fits < view.length && (view[fits] & 0xc0) === 0x80) fits -= 1;
    this.set(view.subarray(0, fits), offset);
    return fits;
  }

  fill(value, start, end, encoding) {
    if (typeof start === 'string') [encoding, start] = [start, undefined];
    start ??= 0;
    end ??= this.length;
    if (typeof value === 'string' || value instanceof Uint8Array) {
      const bytes = typeof value === 'string' ? new Uint8Array(encode(value, encoding)) : value;
      if (bytes.length === 0) return super.fill(0, start, end);
      for (let i = start; i < end; i += 1) this[i] = bytes[(i - start) % bytes.length];
      return this;
    }
    return super.fill(Number(value) & 255, start, end);
  }

  indexOf(value, from = 0, encoding = undefined) {
    return find(this, value, from, encoding, 1);
  }

  lastIndexOf(value, from = this.length, encoding = undefined) {
    return find(this, value, from, encoding, -1);
  }

  includes(value, from, encoding) {
    return this.indexOf(value, from, encoding) !== -1;
  }

  swap16() {
    return swap(this, 2);
  }

  swap32() {
    return swap(this, 4);
  }

  swap64() {
    return swap(this, 8);
  }

  [Symbol.for('nodejs.util.inspect.custom')](_, ctx) {
    const shown = Math.min(exports.INSPECT_MAX_BYTES, this.length);
    let text = Array.from(super.subarray(0, shown), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const left = this.length - shown;
    if (left > 0) text += ` ... ${left} more byte${left > 1 ? 's' : ''}`;
    const { constructor } = this;
    return `<${constructor === undefined ? 'Buffer' : constructor.name} ${text}>`;
  }
}

const sized = (size) => {
  if (typeof size !== 'number') throw wrongType('size', 'of type number', size);
  if (!(size >= 0 && size <= 2 ** 31)) throw outOfRange('size', '>= 0 && <= 4294967296', size);
  return size;
};

const wrap = (bytes) => new Buffer(bytes);

function copyOf(list) {
  const out = new Buffer(list.length);
  for (let i = 0; i < list.length; i += 1) out[i] = list[i];
  return out;
}

function find(buffer, value, from, encoding, step) {
  if (typeof from === 'string') [encoding, from] = [from, step > 0 ? 0 : buffer.length];
  from = Number.isNaN(Number(from)) ? (step > 0 ? 0 : buffer.length) : Math.trunc(Number(from));
  if (from < 0) from += buffer.length;
  const wanted = typeof value === 'number' ? [value & 255] : typeof value === 'string' ? new Uint8Array(encode(value, encoding)) : value;
  for (let at = Math.min(Math.max(from, step > 0 ? 0 : -1), buffer.length); at >= 0 && at <= buffer.length; at += step) {
    let i = 0;
    while (i < wanted.length && buffer[at + i] === wanted[i]) i += 1;
    if (i === wanted.length && at + i <= buffer.length) return at;
  }
  return -1;
}

function swap(buffer, size) {
  if (buffer.length % size !== 0) throw withCode(RangeError, 'ERR_INVALID_BUFFER_SIZE', `Buffer size must be a multiple of ${8 * size}-bits`);
  for (let at = 0; at < buffer.length; at += size) Uint8Array.prototype.subarray.call(buffer, at, at + size).reverse();
  return buffer;
}

// readUInt32LE and the like, on DataView.
const view = (buffer) => new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
const reach = (buffer, offset, size) => {
  if (typeof offset !== 'number') throw wrongType('offset', 'of type number', offset);
  if (!Number.isInteger(offset)) throw outOfRange('offset', 'an integer', offset);
  if (offset < 0 || offset + size > buffer.length) {
    if (buffer.length < size) throw withCode(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', 'Attempt to access memory outside buffer bounds');
    throw outOfRange('offset', `>= 0 and <= ${buffer.length - size}`, offset);
  }
};
const define = (names, value) => {
  for (const name of names) Object.defineProperty(Buffer.prototype, name, { value, writable: true, configurable: true });
};
const KINDS = [['Uint8', 1], ['Int8', 1], ['Uint16', 2], ['Int16', 2], ['Uint32', 4], ['Int32', 4], ['BigUint64', 8], ['BigInt64', 8], ['Float32', 4], ['Float64', 8]];
for (const [kind, size] of KINDS) {
  const name = kind === 'Float32' ? 'Float' : kind === 'Float64' ? 'Double' : kind;
  const names = (verb, end) => [`${verb}${name}${end}`, ...(kind.includes('Uint') ? [`${verb}${name.replace('Uint', 'UInt')}${end}`] : [])];
  const limits = kind.startsWith('Float') ? null
    : kind.startsWith('Big') ? (kind === 'BigInt64' ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n])
      : kind.startsWith('U') ? [0, 2 ** (8 * size) - 1] : [-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1];
  for (const end of size === 1 ? [''] : ['LE', 'BE']) {
    define(names('read', end), function read(offset = 0) {
      reach(this, offset, size);
      return view(this)[`get${kind}`](offset, end === 'LE');
    });
    define(names('write', end), function write(value, offset = 0) {
      if (limits !== null && (value < limits[0] || value > limits[1])) throw outOfRange('value', `>= ${limits[0]} and <= ${limits[1]}`, value);
      reach(this, offset, size);
      view(this)[`set${kind}`](offset, value, end === 'LE');
      return offset + size;
    });
  }
}
for (const signed of [true, false]) {
  for (const little of [true, false]) {
    const names = (verb) => (signed ? [`${verb}Int`] : [`${verb}UInt`, `${verb}Uint`]).map((name) => `${name}${little ? 'LE' : 'BE'}`);
    define(names('read'), function read(offset, size) {
      reach(this, offset, size);
      let value = 0;
      for (let i = 0; i < size; i += 1) value = value * 256 + this[little ? offset + size - 1 - i : offset + i];
      return signed && value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value;
    });
    define(names('write'), function write(value, offset, size) {
      reach(this, offset, size);
      let rest = value < 0 ? value + 2 ** (8 * size) : value;
      for (let i = 0; i < size; i += 1) {
        this[little ? offset + i : offset + size - 1 - i] = rest % 256;
        rest = Math.floor(rest / 256);
      }
      return offset + size;
    });
  }
}
for (const name of ['hex', 'utf8', 'latin1', 'ascii', 'base64', 'base64url', 'ucs2']) {
  define([`${name}Slice`], function slice(start, end) {
    return this.toString(name, start, end);
  });
  define([`${name}Write`], function write(text, offset, length) {
    return this.write(text, offset, length, name);
  });
}
Buffer.allocUnsafeSlow = Buffer.allocUnsafe;
Buffer.poolSize = 8192;

// `Buffer(x)` and `new Buffer(x)` are old, and still written.
const Callable = new Proxy(Buffer, {
  apply: (_, self, [value, encoding, length]) => (typeof value === 'number' ? Buffer.alloc(value) : Buffer.from(value, encoding, length)),
  construct: (target, args, by) => {
    const [value] = args;
    if (by !== Callable || typeof value === 'number' || value instanceof ArrayBuffer) return Reflect.construct(target, args, by === Callable ? target : by);
    return Buffer.from(...args);
  },
});
Object.defineProperty(Buffer.prototype, 'constructor', { value: Callable, writable: true, configurable: true });
Object.defineProperty(Buffer, Symbol.species, { get: () => Buffer });

Object.assign(exports, {
  Buffer: Callable, SlowBuffer: Callable, INSPECT_MAX_BYTES: 50, kMaxLength: 2 ** 31, kStringMaxLength: 2 ** 29 - 24,
  constants: { MAX_LENGTH: 2 ** 31, MAX_STRING_LENGTH: 2 ** 29 - 24 },
  atob: encodings.atob, btoa: encodings.btoa,
  isUtf8: (bytes) => host.decode(bytes, 0, bytes.byteLength, true) !== null,
  isAscii: (bytes) => bytes.every((byte) => byte < 128),
});
