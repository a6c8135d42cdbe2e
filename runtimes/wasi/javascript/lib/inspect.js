'use strict';
// util.inspect: what console.log makes of a value. It follows the rules of
// Node's lib/internal/util/inspect.js (MIT), to the blank: the output of a
// program is compared. tests/wasi/inspect.js compares the two.

const types = require('types');
const { formatRaw } = require('inspect_values');

const custom = Symbol.for('nodejs.util.inspect.custom');
const KEY = /^[a-zA-Z_][a-zA-Z_0-9]*$/;
// eslint-disable-next-line no-control-regex
const ESCAPED = /[\x00-\x1f\x27\x5c\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const ESCAPES = { '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r', '\\': '\\\\', "'": "\\'" };

const defaults = Object.seal({
  showHidden: false, depth: 2, colors: false, customInspect: true, showProxy: false,
  maxArrayLength: 100, maxStringLength: 10000, breakLength: 80, compact: 3, sorted: false,
  getters: false, numericSeparator: false,
});

function escapeOne(char) {
  const short = ESCAPES[char];
  if (short !== undefined) return short;
  const code = char.charCodeAt(0);
  return code < 256 ? `\\x${code.toString(16).toUpperCase().padStart(2, '0')}` : `\\u${code.toString(16)}`;
}

function quote(text) {
  if (!ESCAPED.test(text)) return `'${text}'`;
  let mark = "'";
  if (text.includes("'")) {
    if (!text.includes('"')) mark = '"';
    else if (!text.includes('`') && !text.includes('${')) mark = '`';
  }
  const body = text.replace(new RegExp(ESCAPED, 'g'), (char) => (char === "'" && mark !== "'" ? char : escapeOne(char)));
  return mark + body + mark;
}

function separated(text) {
  const [, sign, whole, fraction] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return text;
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '_');
  return `${sign}${grouped}${fraction === undefined ? '' : `.${fraction.replace(/(\d{3})(?=\d)/g, '$1_')}`}`;
}

function formatNumber(ctx, number) {
  const text = Object.is(number, -0) ? '-0' : `${number}`;
  return ctx.stylize(ctx.numericSeparator ? separated(text) : text, 'number');
}

function formatPrimitive(ctx, value) {
  switch (typeof value) {
    case 'string': {
      let trailer = '';
      if (value.length > ctx.maxStringLength) {
        const more = value.length - ctx.maxStringLength;
        value = value.slice(0, ctx.maxStringLength);
        trailer = `... ${more} more character${more > 1 ? 's' : ''}`;
      }
      if (ctx.compact !== true && value.length > 16 && value.length > ctx.breakLength - ctx.indentationLvl - 4) {
        const lines = value.split(/(?<=\n)/).map((line) => ctx.stylize(quote(line), 'string'));
        return lines.join(` +\n${' '.repeat(ctx.indentationLvl + 2)}`) + trailer;
      }
      return ctx.stylize(quote(value), 'string') + trailer;
    }
    case 'number':
      return formatNumber(ctx, value);
    case 'bigint':
      return ctx.stylize(`${ctx.numericSeparator ? separated(String(value)) : value}n`, 'bigint');
    case 'symbol':
      return ctx.stylize(Symbol.prototype.toString.call(value), 'symbol');
    default:
      return ctx.stylize(`${value}`, typeof value === 'boolean' ? 'boolean' : value === null ? 'null' : 'undefined');
  }
}

function formatValue(ctx, value, recurseTimes, typedArray) {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return formatPrimitive(ctx, value);
  const context = value;
  const proxied = host.proxy(value);
  if (proxied !== undefined) {
    if (typeof proxied[0] !== 'object' && typeof proxied[0] !== 'function') return ctx.stylize('<Revoked Proxy>', 'special');
    if (ctx.showProxy) return formatProxy(ctx, proxied, recurseTimes);
    while (host.proxy(value) !== undefined) [value] = host.proxy(value);
  }
  if (ctx.customInspect) {
    const own = value[custom];
    if (typeof own === 'function' && own !== inspect && !(value.constructor && value.constructor.prototype === value)) {
      const depth = ctx.depth === null ? null : ctx.depth - recurseTimes;
      const said = own.call(context, depth, options(ctx), inspect);
      if (said !== context) {
        if (typeof said !== 'string') return formatValue(ctx, said, recurseTimes);
        return said.replaceAll('\n', `\n${' '.repeat(ctx.indentationLvl)}`);
      }
    }
  }
  if (ctx.seen.includes(value)) {
    ctx.circular ??= new Map();
    if (!ctx.circular.has(value)) ctx.circular.set(value, ctx.circular.size + 1);
    return ctx.stylize(`[Circular *${ctx.circular.get(value)}]`, 'special');
  }
  return formatRaw(ctx, value, recurseTimes, typedArray);
}

function formatProxy(ctx, proxied, recurseTimes) {
  if (recurseTimes > ctx.depth && ctx.depth !== null) return ctx.stylize('Proxy [Array]', 'special');
  recurseTimes += 1;
  ctx.indentationLvl += 2;
  const parts = [formatValue(ctx, proxied[0], recurseTimes), formatValue(ctx, proxied[1], recurseTimes)];
  ctx.indentationLvl -= 2;
  return reduceToSingleString(ctx, parts, '', ['Proxy [', ']'], 'extras', recurseTimes);
}

/** What a custom function is told: the options, with `stylize`. */
function options(ctx) {
  const told = { ...ctx.user, stylize: ctx.stylize };
  for (const key of Object.keys(defaults)) told[key] = ctx[key];
  return told;
}

/** `type`: 'object', 'array' (no name is printed) or 'extras'. */
function formatProperty(ctx, value, recurseTimes, key, type, given, original = value) {
  let extra = ' ';
  let text;
  const desc = given ?? Object.getOwnPropertyDescriptor(value, key) ?? { value: value[key], enumerable: true };
  if (desc.value !== undefined) {
    const more = ctx.compact !== true || type !== 'object' ? 2 : 3;
    ctx.indentationLvl += more;
    text = formatValue(ctx, desc.value, recurseTimes);
    if (more === 3 && ctx.breakLength < width(text)) extra = `\n${' '.repeat(ctx.indentationLvl)}`;
    ctx.indentationLvl -= more;
  } else if (desc.get !== undefined) {
    const label = desc.set !== undefined ? 'Getter/Setter' : 'Getter';
    const wanted = ctx.getters === true || (ctx.getters === 'get' && !desc.set) || (ctx.getters === 'set' && desc.set);
    text = wanted ? formatGetter(ctx, desc.get, original, label, recurseTimes) : ctx.stylize(`[${label}]`, 'special');
  } else {
    text = desc.set !== undefined ? ctx.stylize('[Setter]', 'special') : ctx.stylize('undefined', 'undefined');
  }
  if (type === 'array') return text;
  const plain = (name) => name.replace(new RegExp(ESCAPED, 'g'), escapeOne);
  let name;
  if (typeof key === 'symbol') name = `[${ctx.stylize(plain(Symbol.prototype.toString.call(key)), 'symbol')}]`;
  else if (key === '__proto__') name = "['__proto__']";
  else if (desc.enumerable === false) name = `[${plain(key)}]`;
  else if (KEY.test(key)) name = ctx.stylize(key, 'name');
  else name = ctx.stylize(quote(key), 'string');
  return `${name}:${extra}${text}`;
}

function formatGetter(ctx, get, original, label, recurseTimes) {
  try {
    const value = get.call(original);
    ctx.indentationLvl += 2;
    const nested = typeof value === 'object' && value !== null;
    const text = nested ? `[${label}] ${formatValue(ctx, value, recurseTimes)}` : `[${label}: ${formatPrimitive(ctx, value)}]`;
    ctx.indentationLvl -= 2;
    return text;
  } catch (error) {
    return `[${label}: <Inspection threw (${error.message})>]`;
  }
}

// eslint-disable-next-line no-control-regex
const COLOURS = /\u001b\[\d\d?m/g;
const bare = (text, ctx) => (ctx.colors ? text.replace(COLOURS, '') : text);

const ZERO = /[\p{Mn}\p{Me}\p{Cf}\u0000-\u001f\u007f-\u009f]/u;
const WIDE = /[\u1100-\u115f\u231a\u231b\u2329\u232a\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753-\u2755\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f004}\u{1f0cf}\u{1f18e}\u{1f191}-\u{1f19a}\u{1f200}-\u{1f320}\u{1f32d}-\u{1f335}\u{1f337}-\u{1f37c}\u{1f37e}-\u{1f393}\u{1f3a0}-\u{1f3ca}\u{1f3cf}-\u{1f3d3}\u{1f3e0}-\u{1f3f0}\u{1f3f4}\u{1f3f8}-\u{1f43e}\u{1f440}\u{1f442}-\u{1f4fc}\u{1f4ff}-\u{1f53d}\u{1f54b}-\u{1f54e}\u{1f550}-\u{1f567}\u{1f57a}\u{1f595}\u{1f596}\u{1f5a4}\u{1f5fb}-\u{1f64f}\u{1f680}-\u{1f6c5}\u{1f6cc}\u{1f6d0}-\u{1f6d2}\u{1f6d5}-\u{1f6d7}\u{1f6dc}-\u{1f6df}\u{1f6eb}\u{1f6ec}\u{1f6f4}-\u{1f6fc}\u{1f7e0}-\u{1f7eb}\u{1f7f0}\u{1f90c}-\u{1f93a}\u{1f93c}-\u{1f945}\u{1f947}-\u{1f9ff}\u{1fa70}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns of a terminal that a text takes. */
function width(text) {
  text = text.replace(COLOURS, '');
  // eslint-disable-next-line no-control-regex
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let columns = 0;
  for (const char of text.normalize('NFC')) columns += ZERO.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return columns;
}

function groupArrayElements(ctx, output, value) {
  let total = 0;
  let longest = 0;
  const count = ctx.maxArrayLength < output.length ? output.length - 1 : output.length;
  const lengths = new Array(count);
  for (let i = 0; i < count; i++) {
    lengths[i] = width(output[i]);
    total += lengths[i] + 2;
    if (longest < lengths[i]) longest = lengths[i];
  }
  const actual = longest + 2;
  if (actual * 3 + ctx.indentationLvl >= ctx.breakLength || (total / actual <= 5 && longest > 6)) return output;
  const bias = Math.sqrt(actual - total / output.length);
  const biased = Math.max(actual - 3 - bias, 1);
  const columns = Math.min(
    Math.round(Math.sqrt(2.5 * biased * count) / biased),
    Math.floor((ctx.breakLength - ctx.indentationLvl) / actual),
    ctx.compact * 4,
    15,
  );
  if (columns <= 1) return output;
  const widths = [];
  for (let i = 0; i < columns; i++) {
    let widest = 0;
    for (let j = i; j < output.length; j += columns) if (lengths[j] > widest) widest = lengths[j];
    widths.push(widest + 2);
  }
  let pad = 'padStart';
  if (value !== undefined) {
    for (let i = 0; i < output.length; i++) {
      if (typeof value[i] !== 'number' && typeof value[i] !== 'bigint') {
        pad = 'padEnd';
        break;
      }
    }
  }
  const lines = [];
  for (let i = 0; i < count; i += columns) {
    const end = Math.min(i + columns, count);
    let line = '';
    let j = i;
    for (; j < end - 1; j++) line += `${output[j]}, `[pad](widths[j - i] + output[j].length - lengths[j], ' ');
    line += pad === 'padStart' ? output[j].padStart(widths[j - i] + output[j].length - lengths[j] - 2, ' ') : output[j];
    lines.push(line);
  }
  if (ctx.maxArrayLength < output.length) lines.push(output[count]);
  return lines;
}

function isBelowBreakLength(ctx, output, start, base) {
  let total = output.length + start;
  if (total + output.length > ctx.breakLength) return false;
  for (const entry of output) {
    total += bare(entry, ctx).length;
    if (total > ctx.breakLength) return false;
  }
  return base === '' || !base.includes('\n');
}

function reduceToSingleString(ctx, output, base, braces, type, recurseTimes, value) {
  const before = base ? `${base} ` : '';
  if (ctx.compact !== true) {
    if (typeof ctx.compact === 'number' && ctx.compact >= 1) {
      const entries = output.length;
      if (type === 'extras' && entries > 6) output = groupArrayElements(ctx, output, value);
      if (ctx.currentDepth - recurseTimes < ctx.compact && entries === output.length) {
        const start = output.length + ctx.indentationLvl + braces[0].length + base.length + 10;
        if (isBelowBreakLength(ctx, output, start, base)) {
          const joined = output.join(', ');
          if (!joined.includes('\n')) return `${before}${braces[0]} ${joined} ${braces[1]}`;
        }
      }
    }
    const indentation = `\n${' '.repeat(ctx.indentationLvl)}`;
    return `${before}${braces[0]}${indentation}  ${output.join(`,${indentation}  `)}${indentation}${braces[1]}`;
  }
  if (isBelowBreakLength(ctx, output, 0, base)) {
    return `${braces[0]}${base ? ` ${base}` : ''} ${output.join(', ')} ${braces[1]}`;
  }
  const indentation = ' '.repeat(ctx.indentationLvl);
  const first = base === '' && braces[0].length === 1 ? ' ' : `${base ? ` ${base}` : ''}\n${indentation}  `;
  return `${braces[0]}${first}${output.join(`,\n${indentation}  `)} ${braces[1]}`;
}

function stylizeWithColor(text, style) {
  const colour = inspect.colors[inspect.styles[style]];
  return colour === undefined ? text : `\u001b[${colour[0]}m${text}\u001b[${colour[1]}m`;
}

function inspect(value, opts, ...old) {
  const ctx = { ...defaults, budget: {}, indentationLvl: 0, seen: [], currentDepth: 0, circular: undefined, stylize: (text) => text, user: undefined };
  if (typeof opts === 'boolean') ctx.showHidden = opts;
  else if (opts) {
    for (const key of Object.keys(opts)) {
      if (Object.hasOwn(defaults, key) || key === 'stylize') ctx[key] = opts[key];
      else ctx.user = { ...ctx.user, [key]: opts[key] };
    }
  }
  if (old.length > 0 && old[0] !== undefined) [ctx.depth] = old;
  if (old.length > 1 && old[1] !== undefined) [, ctx.colors] = old;
  if (ctx.colors) ctx.stylize = stylizeWithColor;
  if (ctx.maxArrayLength === null) ctx.maxArrayLength = Infinity;
  if (ctx.maxStringLength === null) ctx.maxStringLength = Infinity;
  return formatValue(ctx, value, 0);
}

inspect.custom = custom;
inspect.defaultOptions = defaults;
inspect.colors = Object.assign(Object.create(null), {
  reset: [0, 0], bold: [1, 22], dim: [2, 22], italic: [3, 23], underline: [4, 24], inverse: [7, 27],
  black: [30, 39], red: [31, 39], green: [32, 39], yellow: [33, 39], blue: [34, 39], magenta: [35, 39],
  cyan: [36, 39], white: [37, 39], gray: [90, 39], grey: [90, 39],
});
inspect.styles = Object.assign(Object.create(null), {
  special: 'cyan', number: 'yellow', bigint: 'yellow', boolean: 'yellow', undefined: 'grey', null: 'bold',
  string: 'green', symbol: 'green', date: 'magenta', regexp: 'red', module: 'underline',
});

module.exports = { custom, formatNumber, formatPrimitive, formatProperty, formatValue, inspect, quote, reduceToSingleString, types, width };
