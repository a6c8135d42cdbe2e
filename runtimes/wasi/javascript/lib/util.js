'use strict';
// node:util

const types = require('types');
const { format, formatWithOptions } = require('format');
const { inspect } = require('inspect');
const { isDeepStrictEqual } = require('equal');
const { withCode, wrongType } = require('errors');
const { TextDecoder, TextEncoder } = require('encodings');

const kCustom = Symbol.for('nodejs.util.promisify.custom');

function promisify(original) {
  if (typeof original !== 'function') throw wrongType('original', 'of type function', original);
  if (original[kCustom]) return original[kCustom];
  return Object.setPrototypeOf(function promised(...args) {
    return new Promise((resolve, reject) => {
      Reflect.apply(original, this, [...args, (error, value) => (error ? reject(error) : resolve(value))]);
    });
  }, Object.getPrototypeOf(original));
}
promisify.custom = kCustom;

function callbackify(original) {
  return function calling(...args) {
    const done = args.pop();
    Reflect.apply(original, this, args).then(
      (value) => require('loop').nextTick(done, null, value),
      (error) => require('loop').nextTick(done, error ?? withCode(Error, 'ERR_FALSY_VALUE_REJECTION', 'Promise was rejected with falsy value')),
    );
  };
}

function inherits(constructor, above) {
  if (typeof constructor !== 'function') throw wrongType('ctor', 'of type function', constructor);
  Object.defineProperty(constructor, 'super_', { value: above, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, above.prototype);
}

function deprecate(call, message, code) {
  let said = false;
  return function deprecated(...args) {
    if (!said) require('process').emitWarning(`${code ? `[${code}] ` : ''}${message}`, 'DeprecationWarning');
    said = true;
    return new.target ? Reflect.construct(call, args, new.target) : Reflect.apply(call, this, args);
  };
}

/** Options of a command line, by the rules of util.parseArgs. */
function parseArgs({ args = require('process').argv.slice(2), options = {}, strict = true, allowPositionals = !strict } = {}) {
  const values = Object.create(null);
  const positionals = [];
  const set = (name, value) => {
    const { type, multiple } = options[name] ?? {};
    if (strict && type === undefined) throw withCode(TypeError, 'ERR_PARSE_ARGS_UNKNOWN_OPTION', `Unknown option '--${name}'`);
    if (strict && type === 'string' && typeof value !== 'string') throw withCode(TypeError, 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE', `Option '--${name} <value>' argument missing`);
    if (multiple) (values[name] ??= []).push(value);
    else values[name] = value;
  };
  const queue = [...args];
  while (queue.length > 0) {
    const arg = queue.shift();
    if (arg === '--') {
      positionals.push(...queue.splice(0));
    } else if (arg.startsWith('--')) {
      const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
      set(name, value ?? (options[name]?.type === 'string' && queue.length > 0 ? queue.shift() : true));
    } else if (arg.startsWith('-') && arg.length > 1) {
      for (let i = 1; i < arg.length; i += 1) {
        const name = Object.keys(options).find((key) => options[key].short === arg[i]) ?? arg[i];
        if (options[name]?.type === 'string') {
          set(name, arg.slice(i + 1) || queue.shift());
          break;
        }
        set(name, true);
      }
    } else {
      if (!allowPositionals) throw withCode(TypeError, 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL', `Unexpected argument '${arg}'. This command does not take positional arguments`);
      positionals.push(arg);
    }
  }
  for (const [name, { default: value }] of Object.entries(options)) if (values[name] === undefined && value !== undefined) values[name] = value;
  return { values, positionals };
}

const old = {
  isArray: Array.isArray,
  isBoolean: (x) => typeof x === 'boolean',
  isBuffer: (x) => require('buffer').Buffer.isBuffer(x),
  isDate: types.isDate,
  isError: (x) => types.isNativeError(x) || x instanceof Error,
  isFunction: (x) => typeof x === 'function',
  isNull: (x) => x === null,
  isNullOrUndefined: (x) => x === null || x === undefined,
  isNumber: (x) => typeof x === 'number',
  isObject: (x) => x !== null && typeof x === 'object',
  isPrimitive: (x) => x === null || (typeof x !== 'object' && typeof x !== 'function'),
  isRegExp: types.isRegExp,
  isString: (x) => typeof x === 'string',
  isSymbol: (x) => typeof x === 'symbol',
  isUndefined: (x) => x === undefined,
};

module.exports = {
  ...old, format, formatWithOptions, inspect, isDeepStrictEqual, promisify, callbackify, inherits, deprecate, parseArgs,
  types, TextDecoder, TextEncoder,
  // eslint-disable-next-line no-control-regex
  stripVTControlCharacters: (text) => text.replace(/\u001b\[[0-9;]*[A-Za-z]/g, ''),
  toUSVString: (text) => `${text}`.toWellFormed(),
  debuglog: () => Object.assign(() => {}, { enabled: false }),
  debug: () => Object.assign(() => {}, { enabled: false }),
  styleText: (style, text) => {
    const all = (Array.isArray(style) ? style : [style]).map((one) => inspect.colors[one]);
    return all.reduceRight((inside, [open, close]) => `\u001b[${open}m${inside}\u001b[${close}m`, text);
  },
  _extend: (to, from) => Object.assign(to, from),
  log: (...args) => require('console').log(...args),
};
