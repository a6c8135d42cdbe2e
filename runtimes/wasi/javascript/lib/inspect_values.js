'use strict';
// util.inspect's part that knows the kinds of objects there are.

const types = require('types');

let about; // inspect.js, which needs this file first
const api = () => (about ??= require('inspect'));

const builtIns = new Set(
  Object.getOwnPropertyNames(globalThis).filter((name) => /^[A-Z][a-zA-Z0-9]+$/.test(name)),
);

function isInstance(x, of) {
  try {
    return x instanceof of;
  } catch {
    return false;
  }
}

function constructorName(object, ctx, recurseTimes, protoProps) {
  let first;
  let at = object;
  while (at) {
    const desc = Object.getOwnPropertyDescriptor(at, 'constructor');
    if (desc !== undefined && typeof desc.value === 'function' && desc.value.name !== '' && isInstance(object, desc.value)) {
      if (protoProps !== undefined && (first !== at || !builtIns.has(desc.value.name))) {
        prototypeProperties(ctx, object, first || object, recurseTimes, protoProps);
      }
      return String(desc.value.name);
    }
    at = Object.getPrototypeOf(at);
    if (first === undefined) first = at;
  }
  if (first === null) return null;
  const own = host.classOf(object);
  if (recurseTimes > ctx.depth && ctx.depth !== null) return `${own} <Complex prototype>`;
  const next = constructorName(first, ctx, recurseTimes + 1, protoProps);
  if (next === null) return `${own} <${api().inspect(first, { ...ctx, customInspect: false, depth: -1 })}>`;
  return `${own} <${next}>`;
}

/** For showHidden: what the prototypes of a class define. */
function prototypeProperties(ctx, main, object, recurseTimes, output) {
  let depth = 0;
  let keys;
  let known;
  do {
    if (depth !== 0 || main === object) {
      object = Object.getPrototypeOf(object);
      if (object === null) return;
      const desc = Object.getOwnPropertyDescriptor(object, 'constructor');
      if (desc !== undefined && typeof desc.value === 'function' && builtIns.has(desc.value.name)) return;
    }
    if (depth === 0) known = new Set();
    else keys.forEach((key) => known.add(key));
    keys = Reflect.ownKeys(object);
    ctx.seen.push(main);
    for (const key of keys) {
      if (key === 'constructor' || Object.hasOwn(main, key) || (depth !== 0 && known.has(key))) continue;
      const desc = Object.getOwnPropertyDescriptor(object, key);
      if (typeof desc.value === 'function') continue;
      output.push(api().formatProperty(ctx, object, recurseTimes, key, 'object', desc, main));
    }
    ctx.seen.pop();
    depth += 1;
  } while (depth !== 3);
}

function prefix(constructor, tag, fallback, size = '') {
  if (constructor === null) {
    return tag !== '' && fallback !== tag ? `[${fallback}${size}: null prototype] [${tag}] ` : `[${fallback}${size}: null prototype] `;
  }
  return tag !== '' && constructor !== tag ? `${constructor}${size} [${tag}] ` : `${constructor}${size} `;
}

function otherPrefix(value, constructor, tag) {
  let fallback = '';
  if (constructor === null) {
    fallback = host.classOf(value);
    if (fallback === tag) fallback = 'Object';
  }
  return prefix(constructor, tag, fallback);
}

function ownKeys(value, showHidden) {
  const symbols = Object.getOwnPropertySymbols(value);
  if (showHidden) return Object.getOwnPropertyNames(value).concat(symbols);
  let keys;
  try {
    keys = Object.keys(value);
  } catch {
    keys = Object.getOwnPropertyNames(value); // a namespace whose module has not run
  }
  return symbols.length === 0 ? keys : keys.concat(symbols.filter((key) => Object.prototype.propertyIsEnumerable.call(value, key)));
}

const isIndex = (key) => typeof key === 'string' && /^(?:0|[1-9]\d{0,9})$/.test(key) && Number(key) < 2 ** 32 - 1;

/** Own keys that are no index. */
function otherKeys(value, showHidden) {
  const all = showHidden ? Reflect.ownKeys(value) : ownKeys(value, false);
  // Indices come first, in order.
  let start = 0;
  while (start < all.length && isIndex(all[start])) start += 1;
  return start === 0 ? all : all.slice(start);
}

const more = (count) => `... ${count} more item${count > 1 ? 's' : ''}`;

/** What there is to say before the braces, and how to say what is in them:
 *  { text } alone when there is nothing in them. */
function describe(ctx, value, recurseTimes, constructor, tag, typedArray, hidden) {
  const { stylize } = ctx;
  const iterable = Symbol.iterator in value || constructor === null;
  const kind = host.classOf(value);
  const nothing = (keys) => keys.length === 0 && hidden === undefined;
  if (iterable && Array.isArray(value)) {
    const before = constructor !== 'Array' || tag !== '' ? prefix(constructor, tag, 'Array', `(${value.length})`) : '';
    const keys = otherKeys(value, ctx.showHidden);
    if (value.length === 0 && nothing(keys)) return { text: `${before}[]` };
    return { keys, braces: [`${before}[`, ']'], type: 'extras', inside: (deeper) => formatArray(ctx, value, deeper) };
  }
  if (iterable && (kind === 'Set' || kind === 'Map')) {
    const size = Object.getOwnPropertyDescriptor(kind === 'Set' ? Set.prototype : Map.prototype, 'size').get.call(value);
    const before = prefix(constructor, tag, kind, `(${size})`);
    const keys = ownKeys(value, ctx.showHidden);
    if (size === 0 && nothing(keys)) return { text: `${before}{}` };
    const inside = kind === 'Set' ? formatSet : formatMap;
    return { keys, braces: [`${before}{`, '}'], inside: (deeper) => inside(ctx, value, size, deeper) };
  }
  if (iterable && types.isTypedArray(value)) {
    const keys = otherKeys(value, ctx.showHidden);
    const bound = constructor === null ? new globalThis[kind](value) : value;
    const before = prefix(constructor, tag, constructor === null ? kind : '', `(${bound.length})`);
    if (value.length === 0 && keys.length === 0 && !ctx.showHidden) return { text: `${before}[]` };
    return { keys, braces: [`${before}[`, ']'], type: 'extras', inside: (deeper) => formatTyped(ctx, bound, deeper) };
  }
  if (iterable && (kind === 'Map Iterator' || kind === 'Set Iterator')) {
    const of = kind.slice(0, 3);
    const label = tag === kind ? tag : `${tag === '' ? '' : `${tag}] [`}${kind}`;
    const braces = [`[${label}] {`, '}'];
    return { keys: ownKeys(value, ctx.showHidden), braces, inside: (deeper) => formatIterator(ctx, value, braces, deeper, of) };
  }
  const keys = ownKeys(value, ctx.showHidden);
  const braces = ['{', '}'];
  if (typeof value === 'function') {
    const base = functionBase(value, constructor, tag);
    return nothing(keys) ? { text: stylize(base, 'special') } : { keys, braces, base };
  }
  if (constructor === 'Object' && kind !== 'Module') {
    if (kind === 'Arguments') braces[0] = '[Arguments] {';
    else if (tag !== '') braces[0] = `${prefix(constructor, tag, 'Object')}{`;
    return nothing(keys) ? { text: `${braces[0]}}` } : { keys, braces };
  }
  const based = (base, name) => {
    const before = prefix(constructor, tag, name);
    return before === `${name} ` ? base : `${before}${base}`;
  };
  switch (kind) {
    case 'RegExp': {
      const base = based(RegExp.prototype.toString.call(value), 'RegExp');
      if (nothing(keys) || (recurseTimes > ctx.depth && ctx.depth !== null)) return { text: stylize(base, 'regexp') };
      return { keys, braces, base };
    }
    case 'Date': {
      const valid = !Number.isNaN(Date.prototype.getTime.call(value));
      const base = based(valid ? Date.prototype.toISOString.call(value) : 'Invalid Date', 'Date');
      return nothing(keys) ? { text: stylize(base, 'date') } : { keys, braces, base };
    }
    case 'Error': {
      const base = require('inspect_errors').formatError(value, constructor, tag, ctx, keys, prefix);
      return nothing(keys) ? { text: base } : { keys, braces, base };
    }
    case 'ArrayBuffer':
    case 'SharedArrayBuffer': {
      const before = prefix(constructor, tag, kind);
      if (typedArray === undefined) {
        return { keys: ['byteLength', ...keys], braces: [`${before}{`, '}'], inside: () => formatBuffer(ctx, value) };
      }
      if (nothing(keys)) return { text: `${before}{ byteLength: ${api().formatNumber(ctx, value.byteLength)} }` };
      return { keys: ['byteLength', ...keys], braces: [`${before}{`, '}'] };
    }
    case 'DataView':
      return { keys: ['byteLength', 'byteOffset', 'buffer', ...keys], braces: [`${prefix(constructor, tag, 'DataView')}{`, '}'] };
    case 'Promise':
      return { keys, braces: [`${prefix(constructor, tag, 'Promise')}{`, '}'], inside: (deeper) => formatPromise(ctx, value, deeper) };
    case 'WeakSet':
    case 'WeakMap':
      return { keys, braces: [`${prefix(constructor, tag, kind)}{`, '}'], inside: () => [stylize('<items unknown>', 'special')] };
    case 'Module':
      return { keys: [], braces: [`${prefix(constructor, tag, 'Module')}{`, '}'], inside: (deeper) => formatNamespace(ctx, value, deeper, keys) };
    case 'Number':
    case 'String':
    case 'Boolean':
    case 'BigInt':
    case 'Symbol': {
      const base = boxedBase(value, ctx, keys, constructor, tag, kind);
      return nothing(keys) ? { text: base } : { keys, braces, base };
    }
    default:
      break;
  }
  const before = otherPrefix(value, constructor, tag);
  if (nothing(keys)) return { text: `${before}{}` };
  return { keys, braces: [`${before}{`, '}'] };
}

function formatRaw(ctx, value, recurseTimes, typedArray) {
  let hidden = ctx.showHidden && (recurseTimes <= ctx.depth || ctx.depth === null) ? [] : undefined;
  const constructor = constructorName(value, ctx, recurseTimes, hidden);
  if (hidden !== undefined && hidden.length === 0) hidden = undefined;
  let tag = value[Symbol.toStringTag];
  const own = ctx.showHidden ? Object.prototype.hasOwnProperty : Object.prototype.propertyIsEnumerable;
  if (typeof tag !== 'string' || (tag !== '' && own.call(value, Symbol.toStringTag))) tag = '';
  const found = describe(ctx, value, recurseTimes, constructor, tag, typedArray, hidden);
  if (found.text !== undefined) return found.text;
  const { keys, braces, type = 'object', inside } = found;
  let { base = '' } = found;
  const name = () => otherPrefix(value, constructor, tag).slice(0, -1);
  if (recurseTimes > ctx.depth && ctx.depth !== null) {
    return ctx.stylize(constructor !== null ? `[${name()}]` : name(), 'special');
  }
  recurseTimes += 1;
  ctx.seen.push(value);
  ctx.currentDepth = recurseTimes;
  const level = ctx.indentationLvl;
  let output;
  try {
    output = inside === undefined ? [] : inside(recurseTimes);
    for (const key of keys) output.push(api().formatProperty(ctx, value, recurseTimes, key, type));
    if (hidden !== undefined) output.push(...hidden);
  } catch (error) {
    if (!(error instanceof RangeError && error.message === 'Maximum call stack size exceeded')) throw error;
    ctx.seen.pop();
    ctx.indentationLvl = level;
    return ctx.stylize(`[${name()}: Inspection interrupted prematurely. Maximum call stack size exceeded.]`, 'special');
  }
  const index = ctx.circular?.get(value);
  if (index !== undefined) {
    const reference = ctx.stylize(`<ref *${index}>`, 'special');
    if (ctx.compact !== true) base = base === '' ? reference : `${reference} ${base}`;
    else braces[0] = `${reference} ${braces[0]}`;
  }
  ctx.seen.pop();
  if (ctx.sorted) {
    const order = ctx.sorted === true ? undefined : ctx.sorted;
    if (type === 'object') output.sort(order);
    else if (keys.length > 1) output.push(...output.splice(output.length - keys.length).sort(order));
  }
  const text = api().reduceToSingleString(ctx, output, base, braces, type, recurseTimes, value);
  const used = (ctx.budget[ctx.indentationLvl] || 0) + text.length;
  ctx.budget[ctx.indentationLvl] = used;
  if (used > 2 ** 27) ctx.depth = -1;
  return text;
}

function boxedBase(value, ctx, keys, constructor, tag, kind) {
  if (kind === 'String') keys.splice(0, value.length);
  let base = `[${kind}`;
  if (kind !== constructor) base += constructor === null ? ' (null prototype)' : ` (${constructor})`;
  const { valueOf } = globalThis[kind].prototype;
  base += `: ${api().formatPrimitive({ ...ctx, stylize: (text) => text }, valueOf.call(value))}]`;
  if (tag !== '' && tag !== constructor) base += ` [${tag}]`;
  return keys.length !== 0 ? base : ctx.stylize(base, kind.toLowerCase());
}

function functionBase(value, constructor, tag) {
  const source = Function.prototype.toString.call(value);
  if (source.startsWith('class') && source.endsWith('}')) {
    const rest = source.slice(5, -1);
    const brace = rest.indexOf('{');
    if (brace !== -1 && (!rest.slice(0, brace).includes('(') || /^(\s+[^(]*?)\s*{/.test(rest.replace(/(\/\/.*?\n)|(\/\*(.|\n)*?\*\/)/g, '')))) {
      return classBase(value, constructor, tag);
    }
  }
  const type = `${types.isAsyncFunction(value) ? 'Async' : ''}${types.isGeneratorFunction(value) ? 'Generator' : ''}Function`;
  let base = `[${type}${constructor === null ? ' (null prototype)' : ''}`;
  base += value.name === '' ? ' (anonymous)' : `: ${value.name}`;
  base += ']';
  if (constructor !== type && constructor !== null) base += ` ${constructor}`;
  if (tag !== '' && constructor !== tag) base += ` [${tag}]`;
  return base;
}

function classBase(value, constructor, tag) {
  const name = (Object.hasOwn(value, 'name') && value.name) || '(anonymous)';
  let base = `class ${name}`;
  if (constructor !== 'Function' && constructor !== null) base += ` [${constructor}]`;
  if (tag !== '' && constructor !== tag) base += ` [${tag}]`;
  if (constructor === null) base += ' extends [null prototype]';
  else {
    const above = Object.getPrototypeOf(value).name;
    if (above) base += ` extends ${above}`;
  }
  return `[${base}]`;
}

function formatArray(ctx, value, recurseTimes) {
  const { length } = value;
  const shown = Math.min(Math.max(0, ctx.maxArrayLength), length);
  const output = [];
  for (let i = 0; i < shown; i += 1) {
    if (!Object.hasOwn(value, i)) return formatSparse(ctx, value, recurseTimes, shown, output, i);
    output.push(api().formatProperty(ctx, value, recurseTimes, i, 'array'));
  }
  if (length > shown) output.push(more(length - shown));
  return output;
}

function formatSparse(ctx, value, recurseTimes, most, output, i) {
  const keys = Object.keys(value);
  const holes = (count) => ctx.stylize(`<${count} empty item${count > 1 ? 's' : ''}>`, 'undefined');
  let index = i;
  for (; i < keys.length && output.length < most; i += 1) {
    const key = keys[i];
    if (`${index}` !== key) {
      if (!isIndex(key)) break;
      output.push(holes(Number(key) - index));
      index = Number(key);
      if (output.length === most) break;
    }
    output.push(api().formatProperty(ctx, value, recurseTimes, key, 'array'));
    index += 1;
  }
  const left = value.length - index;
  if (output.length !== most) {
    if (left > 0) output.push(holes(left));
  } else if (left > 0) {
    output.push(more(left));
  }
  return output;
}

function formatTyped(ctx, value, recurseTimes) {
  const shown = Math.min(Math.max(0, ctx.maxArrayLength), value.length);
  const output = [];
  for (let i = 0; i < shown; i += 1) output.push(api().formatPrimitive(ctx, value[i]));
  if (value.length > shown) output.push(more(value.length - shown));
  if (ctx.showHidden) {
    ctx.indentationLvl += 2;
    for (const key of ['BYTES_PER_ELEMENT', 'length', 'byteLength', 'byteOffset', 'buffer']) {
      output.push(`[${key}]: ${api().formatValue(ctx, value[key], recurseTimes, true)}`);
    }
    ctx.indentationLvl -= 2;
  }
  return output;
}

function formatSet(ctx, value, size, recurseTimes) {
  const shown = Math.min(Math.max(0, ctx.maxArrayLength), size);
  const output = [];
  ctx.indentationLvl += 2;
  for (const item of Set.prototype.values.call(value)) {
    if (output.length >= shown) break;
    output.push(api().formatValue(ctx, item, recurseTimes));
  }
  if (size > shown) output.push(more(size - shown));
  ctx.indentationLvl -= 2;
  return output;
}

function formatMap(ctx, value, size, recurseTimes) {
  const shown = Math.min(Math.max(0, ctx.maxArrayLength), size);
  const output = [];
  ctx.indentationLvl += 2;
  for (const [key, item] of Map.prototype.entries.call(value)) {
    if (output.length >= shown) break;
    output.push(`${api().formatValue(ctx, key, recurseTimes)} => ${api().formatValue(ctx, item, recurseTimes)}`);
  }
  if (size > shown) output.push(more(size - shown));
  ctx.indentationLvl -= 2;
  return output;
}

function formatIterator(ctx, value, braces, recurseTimes) {
  const [entries, pairs] = host.entries(value);
  const most = Math.max(ctx.maxArrayLength, 0);
  const count = pairs ? entries.length / 2 : entries.length;
  const shown = Math.min(most, count);
  const output = [];
  if (pairs) braces[0] = braces[0].replace(/ Iterator] {$/, ' Entries] {');
  ctx.indentationLvl += 2;
  for (let i = 0; i < shown; i += 1) {
    if (!pairs) {
      output.push(api().formatValue(ctx, entries[i], recurseTimes));
      continue;
    }
    const two = [api().formatValue(ctx, entries[2 * i], recurseTimes), api().formatValue(ctx, entries[2 * i + 1], recurseTimes)];
    output.push(api().reduceToSingleString(ctx, two, '', ['[', ']'], 'extras', recurseTimes));
  }
  ctx.indentationLvl -= 2;
  if (count > shown) output.push(more(count - shown));
  return output;
}

function formatBuffer(ctx, value) {
  let bytes;
  try {
    bytes = new Uint8Array(value);
  } catch {
    return [ctx.stylize('(detached)', 'special')];
  }
  const shown = Math.min(ctx.maxArrayLength, bytes.length);
  let text = Array.from(bytes.subarray(0, shown), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const left = bytes.length - ctx.maxArrayLength;
  if (left > 0) text += ` ... ${left} more byte${left > 1 ? 's' : ''}`;
  return [`${ctx.stylize('[Uint8Contents]', 'special')}: <${text}>`];
}

function formatPromise(ctx, value, recurseTimes) {
  const [state, result] = host.promise(value);
  if (state === 0) return [ctx.stylize('<pending>', 'special')];
  ctx.indentationLvl += 2;
  const text = api().formatValue(ctx, result, recurseTimes);
  ctx.indentationLvl -= 2;
  return [state === 2 ? `${ctx.stylize('<rejected>', 'special')} ${text}` : text];
}

function formatNamespace(ctx, value, recurseTimes, keys) {
  return keys.map((key) => {
    try {
      return api().formatProperty(ctx, value, recurseTimes, key, 'object');
    } catch {
      const text = api().formatProperty(ctx, { [key]: '' }, recurseTimes, key, 'object');
      return text.slice(0, text.lastIndexOf(' ') + 1) + ctx.stylize('<uninitialized>', 'special');
    }
  });
}

module.exports = { builtIns, formatRaw };
