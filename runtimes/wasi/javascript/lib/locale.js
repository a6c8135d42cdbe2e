'use strict';
// What Node knows from ICU and this engine has no tables for: order, numbers
// and dates as they are written in the United States, which is what a program
// gets when it names no locale. Another locale, or an option not known here,
// is refused: a wrong text would be a wrong answer that nobody sees.

const { lacking } = require('errors');

const known = (locales) => {
  const [first] = Array.isArray(locales) ? locales : [locales];
  if (first === undefined || /^(?:en|en-US|C|POSIX)$/.test(first)) return;
  throw lacking(`locale '${first}'`);
};

const only = (options, names) => {
  for (const name of Object.keys(options ?? {})) {
    if (options[name] !== undefined && !names.includes(name)) throw lacking(`Intl option '${name}'`);
  }
};

// ------------------------------------------------------------------- order

// Primary weights of ASCII in the root collation; letters come after digits.
const ORDER = '_-,;:!?.\'"()[]{}@*/\\&#%`^+<=>|~$';
const weight = (char) => {
  const code = char.codePointAt(0);
  if (code <= 32 || code === 0xa0) return 1 + code / 1000;
  const mark = ORDER.indexOf(char);
  if (mark >= 0) return 10 + mark;
  if (char >= '0' && char <= '9') return 100 + code;
  const lower = char.toLowerCase();
  if (lower >= 'a' && lower <= 'z' && lower.length === 1) return 200 + lower.charCodeAt(0);
  if (!/[\p{L}\p{N}]/u.test(char)) return 60 + code / 2 ** 21; // symbols come before digits
  return 1000 + (lower.codePointAt(0) ?? code);
};

// Letters that stand for two, which they come after; \ue000 marks them.
const EXPANDED = { ß: 's\ue000s\ue000', æ: 'a\ue000e\ue000', Æ: 'A\ue000E\ue000', œ: 'o\ue000e\ue000', Œ: 'O\ue000E\ue000', ø: 'o\u0338', Ø: 'O\u0338', đ: 'd\u0335', Đ: 'D\u0335', ł: 'l\u0335', Ł: 'L\u0335', ı: 'i' };
// eslint-disable-next-line no-control-regex
const PLAIN = /^[\x20-\x7e]*$/;

/** The letters of a text with their marks: [weight, marks, is it a capital]. */
function elements(text, numeric) {
  const out = [];
  const spelt = PLAIN.test(text) ? text : text.replace(/[ßæÆœŒøØđĐłŁı]/g, (char) => EXPANDED[char]).normalize('NFD');
  const chars = Array.from(spelt);
  for (let i = 0; i < chars.length; i += 1) {
    const char = chars[i];
    const code = char.codePointAt(0);
    // Controls are passed over.
    if (code < 9 || (code > 13 && code < 32) || (code >= 127 && code < 160 && code !== 133)) continue;
    if (char === '\ue000' && out.length > 0) {
      out.at(-1)[2] += 2;
      continue;
    }
    if (code >= 0x300 && /\p{M}/u.test(char) && out.length > 0) {
      out.at(-1)[1] += char;
      continue;
    }
    if (numeric && char >= '0' && char <= '9') {
      let digits = '';
      for (; i < chars.length && chars[i] >= '0' && chars[i] <= '9'; i += 1) digits += chars[i];
      i -= 1;
      digits = digits.replace(/^0+(?=\d)/, '');
      // Longer numbers are larger; all stand where digits do.
      out.push([148, '', 0, digits]);
      continue;
    }
    out.push([weight(char), '', Number(char !== char.toLowerCase()), '']);
  }
  return out;
}

function compare(a, b, { numeric = false, sensitivity = 'variant', caseFirst = 'false' } = {}) {
  if (a === b) return 0;
  const [x, y] = [elements(a, numeric), elements(b, numeric)];
  const shared = Math.min(x.length, y.length);
  for (let i = 0; i < shared; i += 1) {
    if (x[i][0] !== y[i][0]) return x[i][0] < y[i][0] ? -1 : 1;
    const [m, n] = [x[i][3], y[i][3]];
    if (m !== n) return m.length !== n.length ? Math.sign(m.length - n.length) : m < n ? -1 : 1;
  }
  if (x.length !== y.length) return Math.sign(x.length - y.length);
  if (sensitivity === 'accent' || sensitivity === 'variant') {
    for (let i = 0; i < shared; i += 1) if (x[i][1] !== y[i][1]) return x[i][1] < y[i][1] ? -1 : 1;
  }
  if (sensitivity === 'case' || sensitivity === 'variant') {
    for (let i = 0; i < shared; i += 1) if (x[i][2] !== y[i][2]) return Math.sign(x[i][2] - y[i][2]) * (caseFirst === 'upper' ? -1 : 1);
  }
  return 0;
}

function localeCompare(that, locales, options) {
  if (locales !== undefined) known(locales);
  if (options !== undefined) only(options, ['numeric', 'sensitivity', 'caseFirst', 'usage', 'localeMatcher']);
  return compare(String(this), String(that), options);
}

// ----------------------------------------------------------------- numbers

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ',');

/** Rounds half away from zero in decimal, as ICU does of the exact value. */
function fixed(value, least, most) {
  let text = Math.abs(value) < 1e21 ? Math.abs(value).toFixed(most) : BigInt(Math.abs(value)).toString() + (most > 0 ? `.${'0'.repeat(most)}` : '');
  // toFixed rounds the exact binary value; the shortest decimal is what ICU has.
  const short = String(Math.abs(value));
  const found = /^(\d+)\.(\d+)$/.exec(short);
  if (found !== null && found[2].length > most) {
    const up = found[2][most] >= '5';
    let all = BigInt(found[1] + found[2].slice(0, most));
    if (up) all += 1n;
    const digits = all.toString().padStart(most + 1, '0');
    text = most === 0 ? digits : `${digits.slice(0, -most)}.${digits.slice(-most)}`;
  }
  if (!text.includes('.')) return text;
  let [whole, fraction] = text.split('.');
  while (fraction.length > least && fraction.endsWith('0')) fraction = fraction.slice(0, -1);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

function numberToLocale(locales, options) {
  known(locales);
  only(options, ['minimumFractionDigits', 'maximumFractionDigits', 'minimumIntegerDigits', 'useGrouping', 'style', 'currency', 'localeMatcher']);
  const value = typeof this === 'bigint' || this instanceof BigInt ? BigInt.prototype.valueOf.call(this) : Number.prototype.valueOf.call(this);
  const { style = 'decimal', currency, minimumIntegerDigits = 1, useGrouping = true } = options ?? {};
  if (!['decimal', 'percent', 'currency'].includes(style) || (style === 'currency' && currency !== 'USD')) throw lacking(`Intl style '${style}' ${currency ?? ''}`);
  const usual = style === 'currency' ? [2, 2] : style === 'percent' ? [0, 0] : [0, 3];
  let { minimumFractionDigits: least, maximumFractionDigits: most } = options ?? {};
  least ??= Math.min(usual[0], most ?? usual[0]);
  most ??= Math.max(usual[1], least);
  for (const digits of [least, most]) if (!(digits >= 0 && digits <= 100)) throw new RangeError('maximumFractionDigits value is out of range.');
  if (least > most) throw new RangeError('maximumFractionDigits value is out of range.');
  if (Number.isNaN(value)) return 'NaN';
  const negative = value < 0 || Object.is(value, -0);
  let text;
  if (typeof value === 'bigint') text = String(value < 0n ? -value : value) + (least > 0 ? `.${'0'.repeat(least)}` : '');
  else if (!Number.isFinite(value)) text = '∞';
  else text = fixed(style === 'percent' ? value * 100 : value, least, most);
  const [whole, fraction] = text.split('.');
  const padded = whole.padStart(minimumIntegerDigits, '0');
  const body = (useGrouping === false || whole === '∞' ? padded : grouped(padded)) + (fraction === undefined ? '' : `.${fraction}`);
  return `${negative ? '-' : ''}${style === 'currency' ? '$' : ''}${body}${style === 'percent' ? '%' : ''}`;
}

// ------------------------------------------------------------------- dates

const clock = (date, utc) => {
  const [h, m, s] = utc ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()] : [date.getHours(), date.getMinutes(), date.getSeconds()];
  const two = (n) => String(n).padStart(2, '0');
  return `${h % 12 === 0 ? 12 : h % 12}:${two(m)}:${two(s)} ${h < 12 ? 'AM' : 'PM'}`;
};
const day = (date, utc) => (utc ? `${date.getUTCMonth() + 1}/${date.getUTCDate()}/${date.getUTCFullYear()}` : `${date.getMonth() + 1}/${date.getDate()}/${date.getFullYear()}`);

const dateToLocale = (make) => function toLocale(locales, options) {
  known(locales);
  only(options, ['timeZone']);
  const zone = options?.timeZone;
  if (zone !== undefined && !/^(?:UTC|GMT|Etc\/UTC)$/i.test(zone)) throw lacking(`time zone '${zone}'`);
  return Number.isNaN(Date.prototype.getTime.call(this)) ? 'Invalid Date' : make(this, zone !== undefined);
};

const method = (prototype, name, value) => {
  Object.defineProperty(value, 'name', { value: name });
  Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
};

method(String.prototype, 'localeCompare', localeCompare);
method(Number.prototype, 'toLocaleString', numberToLocale);
method(BigInt.prototype, 'toLocaleString', numberToLocale);
method(Date.prototype, 'toLocaleDateString', dateToLocale(day));
method(Date.prototype, 'toLocaleTimeString', dateToLocale(clock));
method(Date.prototype, 'toLocaleString', dateToLocale((date, utc) => `${day(date, utc)}, ${clock(date, utc)}`));

// As V8 reckons it: with what rounding loses carried along.
method(Math, 'hypot', function hypot(x, y) { // eslint-disable-line no-unused-vars
  const all = Array.from(arguments, (one) => Math.abs(one));
  if (all.includes(Infinity)) return Infinity;
  if (all.some(Number.isNaN)) return NaN;
  const most = all.reduce((a, b) => (b > a ? b : a), 0);
  if (most === 0) return 0;
  let sum = 0;
  let lost = 0;
  for (const one of all) {
    const part = (one / most) * (one / most) - lost;
    const next = sum + part;
    lost = next - sum - part;
    sum = next;
  }
  return Math.sqrt(sum) * most;
});

// V8 names the zone in brackets; where programs run it is always this one.
const { toString, toTimeString } = Date.prototype;
const named = (of) => function inZone() {
  return of.call(this).replace(/GMT\+0000(?: \(.*\))?$/, 'GMT+0000 (Coordinated Universal Time)');
};
method(Date.prototype, 'toString', named(toString));
method(Date.prototype, 'toTimeString', named(toTimeString));
