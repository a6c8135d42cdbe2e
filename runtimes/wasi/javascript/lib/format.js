'use strict';
// util.format: '%s and %d' with what belongs there.

const { formatPrimitive, inspect } = require('inspect');
const { builtIns } = require('inspect_values');

const PLAIN = { stylize: (text) => text, numericSeparator: false };
const number = (value, opts) => formatPrimitive({ ...PLAIN, numericSeparator: opts?.numericSeparator ?? false }, value);

/** Whether `String(value)` would say nothing of the program's own. */
function hasBuiltInToString(value) {
  const proxied = host.proxy(value);
  if (proxied !== undefined) {
    if (proxied[0] === null) return true;
    [value] = proxied;
  }
  let own = (x) => Object.hasOwn(x, 'toString');
  let primitive = (x) => Object.hasOwn(x, Symbol.toPrimitive);
  if (typeof value.toString !== 'function') {
    if (typeof value[Symbol.toPrimitive] !== 'function') return true;
    if (primitive(value)) return false;
    own = () => false;
  } else if (own(value)) {
    return false;
  } else if (typeof value[Symbol.toPrimitive] !== 'function') {
    primitive = () => false;
  } else if (primitive(value)) {
    return false;
  }
  let at = value;
  do at = Object.getPrototypeOf(at);
  while (!own(at) && !primitive(at));
  const desc = Object.getOwnPropertyDescriptor(at, 'constructor');
  return desc !== undefined && typeof desc.value === 'function' && builtIns.has(desc.value.name);
}

function json(value) {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof TypeError && /circular/.test(error.message)) return '[Circular]';
    throw error;
  }
}

const numeric = (of) => (value, opts) => {
  if (typeof value === 'symbol') return 'NaN';
  return number(typeof value === 'bigint' && of !== Number.parseFloat ? value : of(value), opts);
};

const DIRECTIVES = {
  s(value, opts) {
    if (typeof value === 'number' || typeof value === 'bigint') return number(value, opts);
    if (typeof value !== 'object' || value === null || !hasBuiltInToString(value)) return String(value);
    return inspect(value, { ...opts, compact: 3, colors: false, depth: 0 });
  },
  j: json,
  d: numeric(Number),
  i: numeric(Number.parseInt),
  f: numeric(Number.parseFloat),
  O: (value, opts) => inspect(value, opts),
  o: (value, opts) => inspect(value, { ...opts, showHidden: true, showProxy: true, depth: 4 }),
  c: () => '',
};

function formatWithOptions(opts, ...args) {
  const [first] = args;
  if (typeof first === 'string' && args.length === 1) return first;
  let at = 0;
  let text = '';
  let join = '';
  if (typeof first === 'string' && first.includes('%')) {
    let last = 0;
    for (let i = 0; i < first.length - 1; i += 1) {
      if (first[i] !== '%') continue;
      i += 1;
      const letter = first[i];
      if (letter === '%') {
        text += first.slice(last, i);
        last = i + 1;
      } else if (at + 1 !== args.length && Object.hasOwn(DIRECTIVES, letter)) {
        at += 1;
        text += first.slice(last, i - 1) + DIRECTIVES[letter](args[at], opts);
        last = i + 1;
      }
    }
    if (last !== 0) {
      at += 1;
      join = ' ';
      text += first.slice(last);
    }
  }
  for (; at < args.length; at += 1) {
    text += join + (typeof args[at] === 'string' ? args[at] : inspect(args[at], opts));
    join = ' ';
  }
  return text;
}

module.exports = { format: (...args) => formatWithOptions(undefined, ...args), formatWithOptions };
