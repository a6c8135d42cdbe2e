'use strict';
// structuredClone: data, with its cycles, as something new.

const types = require('types');

const refuse = (value) => {
  const shown = typeof value === 'symbol' ? String(value) : typeof value === 'function' ? Function.prototype.toString.call(value) : '#<Object>';
  throw new DOMException(`${shown} could not be cloned.`, 'DataCloneError');
};

const ERRORS = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

function structuredClone(value) {
  const done = new Map();
  const keep = (from, to) => {
    done.set(from, to);
    return to;
  };
  const walk = (x) => {
    if (typeof x === 'symbol' || typeof x === 'function') return refuse(x);
    if (typeof x !== 'object' || x === null) return x;
    if (done.has(x)) return done.get(x);
    const kind = host.classOf(x);
    if (Array.isArray(x)) {
      const out = keep(x, new Array(x.length));
      for (const key of Object.keys(x)) out[key] = walk(x[key]);
      return out;
    }
    if (types.isBoxedPrimitive(x)) return kind === 'Symbol' ? refuse(x) : keep(x, Object(globalThis[kind].prototype.valueOf.call(x)));
    if (types.isTypedArray(x) || kind === 'DataView') return keep(x, new globalThis[kind](walk(x.buffer), x.byteOffset, kind === 'DataView' ? x.byteLength : x.length));
    switch (kind) {
      case 'Date':
        return keep(x, new Date(x.getTime()));
      case 'RegExp':
        return keep(x, new RegExp(x.source, x.flags));
      case 'ArrayBuffer':
        return keep(x, x.slice(0));
      case 'Map': {
        const out = keep(x, new Map());
        for (const [key, item] of [...Map.prototype.entries.call(x)]) out.set(walk(key), walk(item));
        return out;
      }
      case 'Set': {
        const out = keep(x, new Set());
        for (const item of [...Set.prototype.values.call(x)]) out.add(walk(item));
        return out;
      }
      case 'Error': {
        const Kind = ERRORS[x.name] ?? Error;
        const error = keep(x, new Kind(x.message));
        if ('cause' in x) Object.defineProperty(error, 'cause', { value: walk(x.cause), writable: true, configurable: true });
        error.stack = x.stack;
        return error;
      }
      case 'Promise':
      case 'WeakMap':
      case 'WeakSet':
      case 'WeakRef':
      case 'Generator':
      case 'Proxy':
        throw new DOMException(`#<${kind}> could not be cloned.`, 'DataCloneError');
      default: {
        const out = keep(x, {});
        for (const key of Object.keys(x)) out[key] = walk(x[key]);
        return out;
      }
    }
  };
  return walk(value);
}

module.exports = { structuredClone };
