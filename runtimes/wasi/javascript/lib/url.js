'use strict';
// node:url and node:querystring: URLs of the special schemes and of files, as
// far as programs that only take texts apart need them. No punycode, no IPv6
// shortening.

const { withCode } = require('errors');

const PORTS = { 'http:': '80', 'https:': '443', 'ftp:': '21', 'ws:': '80', 'wss:': '443', 'file:': '' };

const percent = (text, allowed) => Array.from(text, (char) => {
  const code = char.codePointAt(0);
  if (code > 32 && code < 127 && allowed.test(char)) return char;
  return Array.from(new Uint8Array(host.encode(char)), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}).join('');
const IN_PATH = /[^ "<>`#?{}]/;
const IN_QUERY = /[^ "<>#']/;
const IN_HASH = /[^ "<>`]/;
const IN_USER = /[^ "<>`#?{}/:;=@[\\\]^|]/;

const decodePart = (text) => {
  const bytes = [];
  const all = new Uint8Array(host.encode(text));
  for (let i = 0; i < all.length; i += 1) {
    const hex = all[i] === 37 ? /^[0-9a-f]{2}/i.exec(String.fromCharCode(all[i + 1], all[i + 2])) : null;
    bytes.push(hex ? parseInt(hex[0], 16) : all[i]);
    if (hex) i += 2;
  }
  return host.decode(Uint8Array.from(bytes), 0, bytes.length, false);
};

class URLSearchParams {
  #pairs = [];
  #changed;

  constructor(init = '', changed = undefined) {
    this.#changed = changed;
    if (typeof init === 'string') {
      const text = init.startsWith('?') ? init.slice(1) : init;
      this.#pairs = text.split('&').filter((part) => part !== '').map((part) => {
        const at = part.indexOf('=');
        const clean = (x) => decodePart(x.replaceAll('+', ' '));
        return at === -1 ? [clean(part), ''] : [clean(part.slice(0, at)), clean(part.slice(at + 1))];
      });
    } else if (typeof init?.[Symbol.iterator] === 'function') {
      this.#pairs = Array.from(init, ([key, value]) => [String(key), String(value)]);
    } else {
      this.#pairs = Object.entries(init ?? {}).map(([key, value]) => [key, String(value)]);
    }
  }

  #change() {
    this.#changed?.(this.toString());
  }

  get size() {
    return this.#pairs.length;
  }

  append(key, value) {
    this.#pairs.push([String(key), String(value)]);
    this.#change();
  }

  delete(key, value) {
    this.#pairs = this.#pairs.filter(([k, v]) => k !== key || (value !== undefined && v !== value));
    this.#change();
  }

  get(key) {
    return this.#pairs.find(([k]) => k === key)?.[1] ?? null;
  }

  getAll(key) {
    return this.#pairs.filter(([k]) => k === key).map(([, value]) => value);
  }

  has(key, value) {
    return this.#pairs.some(([k, v]) => k === key && (value === undefined || v === value));
  }

  set(key, value) {
    const first = this.#pairs.find(([k]) => k === key);
    if (first === undefined) this.#pairs.push([String(key), String(value)]);
    else {
      first[1] = String(value);
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== key);
    }
    this.#change();
  }

  sort() {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#change();
  }

  forEach(callback, self) {
    for (const [key, value] of this.#pairs) Reflect.apply(callback, self, [value, key, this]);
  }

  * entries() {
    for (const pair of this.#pairs) yield [...pair];
  }

  * keys() {
    for (const [key] of this.#pairs) yield key;
  }

  * values() {
    for (const [, value] of this.#pairs) yield value;
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toString() {
    const form = (text) => percent(text, /[A-Za-z0-9*\-._]/).replaceAll('%20', '+');
    return this.#pairs.map(([key, value]) => `${form(key)}=${form(value)}`).join('&');
  }

  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    const parts = this.#pairs.map(([key, value]) => `${inspect(key)} => ${inspect(value)}`);
    return parts.length === 0 ? 'URLSearchParams {}' : `URLSearchParams { ${parts.join(', ')} }`;
  }
}

const WHOLE = /^([a-z][a-z0-9+.-]*:)?(?:[/\\]{2}(?:([^/?#\\@]*)@)?([^/?#\\]*))?([^?#]*)(\?[^#]*)?(#.*)?$/is;

class URL {
  #parts;
  #params;

  constructor(input, base) {
    const text = String(input).trim().replace(/[\t\n\r]/g, '');
    const bad = () => Object.assign(withCode(TypeError, 'ERR_INVALID_URL', 'Invalid URL'), { input: text });
    let [, protocol, user, place, path, search = '', hash = ''] = WHOLE.exec(text);
    if (protocol === undefined) {
      if (base === undefined) throw bad();
      const from = new URL(base);
      if (PORTS[from.protocol] === undefined) throw bad();
      protocol = from.protocol;
      if (place === undefined) {
        place = from.host;
        user = from.username + (from.password && `:${from.password}`) || undefined;
        if (path === '') {
          path = from.pathname;
          if (search === '') search = from.search;
        } else if (!/^[/\\]/.test(path)) {
          path = from.pathname.replace(/[^/]*$/, '') + path;
        }
      }
    }
    protocol = protocol.toLowerCase();
    const special = PORTS[protocol] !== undefined;
    let [, hostname, port = ''] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(place ?? '') ?? [];
    if (hostname === undefined || (special && protocol !== 'file:' && hostname === '' && !/^[/\\]/.test(path))) throw bad();
    if (special && protocol !== 'file:' && hostname === '') {
      // http:/host and http:host mean http://host.
      const again = new URL(`${protocol}//${path.replace(/^[/\\]+/, '')}${search}${hash}`);
      this.#parts = again.#parts;
      return;
    }
    hostname = special ? decodePart(hostname).toLowerCase() : hostname;
    if (/[\s<>^|%]/.test(hostname) || Number(port) > 65535) throw bad();
    port = port === '' ? '' : String(Number(port));
    if (port === PORTS[protocol]) port = '';
    if (special) path = path.replaceAll('\\', '/');
    if (special || place !== undefined) {
      const out = [];
      const all = path.replace(/^\//, '').split('/');
      all.forEach((part, i) => {
        const dots = part.replace(/%2e/gi, '.');
        if (dots === '..') out.pop();
        else if (dots !== '.') out.push(part);
        if ((dots === '..' || dots === '.') && i === all.length - 1) out.push('');
      });
      path = place !== undefined && path === '' && !special ? '' : `/${out.join('/')}`;
    }
    const [, name = '', password = ''] = /^([^:]*)(?::(.*))?$/s.exec(user ?? '') ?? [];
    this.#parts = {
      protocol, hostname, port, username: percent(name, IN_USER), password: percent(password, IN_USER),
      pathname: percent(path, IN_PATH), search: search === '?' ? '' : percent(search, IN_QUERY), hash: hash === '#' ? '' : percent(hash, IN_HASH), authority: place !== undefined || special,
    };
  }

  static canParse(input, base) {
    try {
      return Boolean(new URL(input, base));
    } catch {
      return false;
    }
  }

  get searchParams() {
    this.#params ??= new URLSearchParams(this.#parts.search, (text) => { this.#parts.search = text === '' ? '' : `?${text}`; });
    return this.#params;
  }

  get origin() {
    const { protocol } = this.#parts;
    return PORTS[protocol] ? `${protocol}//${this.host}` : 'null';
  }

  get host() {
    const { hostname, port } = this.#parts;
    return hostname + (port && `:${port}`);
  }

  get href() {
    const { protocol, username, password, pathname, search, hash, authority } = this.#parts;
    const user = username || password ? `${username}${password && `:${password}`}@` : '';
    return `${protocol}${authority ? `//${user}${this.host}` : ''}${pathname}${search}${hash}`;
  }

  set href(value) {
    this.#parts = new URL(value).#parts;
    this.#params = undefined;
  }

  set host(value) {
    const [hostname, port = ''] = String(value).split(':');
    Object.assign(this.#parts, { hostname, port: port === PORTS[this.#parts.protocol] ? '' : port });
  }

  toString() {
    return this.href;
  }

  toJSON() {
    return this.href;
  }

  static #define(name, clean) {
    Object.defineProperty(URL.prototype, name, {
      get() {
        return this.#parts[name];
      },
      set(value) {
        this.#parts[name] = clean(String(value), this.#parts);
        if (name === 'search') this.#params = undefined;
      },
      enumerable: true,
      configurable: true,
    });
  }

  static {
    const led = (mark, set) => (text) => (text === '' || text === mark ? '' : mark + percent(text.startsWith(mark) ? text.slice(1) : text, set));
    URL.#define('protocol', (text) => `${text.replace(/:.*$/, '')}:`);
    URL.#define('username', (text) => percent(text, IN_USER));
    URL.#define('password', (text) => percent(text, IN_USER));
    URL.#define('hostname', (text) => text.toLowerCase());
    URL.#define('port', (text, { protocol }) => (text === PORTS[protocol] ? '' : text));
    URL.#define('pathname', (text) => percent(text.startsWith('/') ? text : `/${text}`, IN_PATH));
    URL.#define('search', led('?', IN_QUERY));
    URL.#define('hash', led('#', IN_HASH));
  }

  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    const shown = {};
    for (const name of ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'searchParams', 'hash']) shown[name] = this[name];
    return `URL ${inspect(shown, options)}`;
  }
}

function fileURLToPath(url) {
  const parsed = typeof url === 'string' ? new URL(url) : url;
  if (parsed.protocol !== 'file:') throw withCode(TypeError, 'ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file');
  return decodePart(parsed.pathname);
}

function pathToFileURL(path) {
  const absolute = require('path').resolve(path);
  return new URL(`file://${percent(absolute + (path.endsWith('/') && absolute !== '/' ? '/' : ''), /[^ "<>`#?{}%\\]/)}`);
}

/** What the old url.parse gives. */
class Url {}

function parse(text, query = false) {
  const [, protocol = null, user = null, place = null, path = '', search = null, hash = null] = WHOLE.exec(String(text).trim());
  const [, hostname = null, port = null] = place === null ? [] : (/^(.*?)(?::(\d+))?$/.exec(place.toLowerCase()) ?? []);
  const pathname = path === '' ? (place !== null && PORTS[protocol] !== undefined ? '/' : null) : path;
  const out = Object.assign(new Url(), {
    protocol, slashes: place === null ? null : true, auth: user === null ? null : decodePart(user), host: place === null ? null : place.toLowerCase(), port, hostname, hash, search,
    query: query ? querystring.parse((search ?? '').slice(1)) : (search === null ? null : search.slice(1)), pathname,
    path: pathname === null && search === null ? null : `${pathname ?? ''}${search ?? ''}`,
  });
  out.href = format(out);
  return out;
}

function format(url) {
  if (url instanceof URL || typeof url === 'string') return String(url instanceof URL ? url.href : url);
  const { protocol, auth, host: place, hostname, port, pathname = '', search, query, hash } = url;
  const scheme = protocol ? (protocol.endsWith(':') ? protocol : `${protocol}:`) : '';
  const at = place ?? (hostname ? hostname + (port ? `:${port}` : '') : undefined);
  const asked = search ?? (query && typeof query === 'object' && Object.keys(query).length > 0 ? `?${querystring.stringify(query)}` : '');
  const mark = (text, sign) => (text ? (text.startsWith(sign) ? text : sign + text) : '');
  return `${scheme}${at !== undefined && at !== null ? `//${auth ? `${auth}@` : ''}${at}` : ''}${pathname ?? ''}${mark(asked, '?')}${mark(hash, '#')}`;
}

const querystring = {
  escape: (text) => percent(String(text), /[A-Za-z0-9!'()*\-._~]/),
  unescape: (text) => decodePart(text),
  parse(text, separator = '&', equals = '=', options = {}) {
    const out = Object.create(null);
    const unescape = options?.decodeURIComponent ?? decodePart;
    for (const part of String(text ?? '').split(separator).filter((one) => one !== '').slice(0, options?.maxKeys || Infinity)) {
      const at = part.indexOf(equals);
      const [key, value] = (at === -1 ? [part, ''] : [part.slice(0, at), part.slice(at + equals.length)]).map((x) => unescape(x.replaceAll('+', ' ')));
      if (!(key in out)) out[key] = value;
      else if (Array.isArray(out[key])) out[key].push(value);
      else out[key] = [out[key], value];
    }
    return out;
  },
  stringify(object, separator = '&', equals = '=') {
    const plain = (x) => (['string', 'bigint', 'boolean'].includes(typeof x) || Number.isFinite(x) ? querystring.escape(x) : '');
    return Object.entries(object ?? {}).flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${plain(key)}${equals}${plain(one)}`)).join(separator);
  },
};
querystring.decode = querystring.parse;
querystring.encode = querystring.stringify;

module.exports = {
  URL, URLSearchParams, fileURLToPath, pathToFileURL, parse, format, querystring,
  resolve: (from, to) => {
    const relative = new URL(to, new URL(from, 'resolve://').protocol === 'resolve:' ? `http://x/${from.replace(/^\//, '')}` : from);
    return relative.host === 'x' ? relative.pathname + relative.search + relative.hash : relative.href;
  },
  domainToASCII: (text) => text.toLowerCase(),
  domainToUnicode: (text) => text,
  urlToHttpOptions: (url) => ({ protocol: url.protocol, hostname: url.hostname, hash: url.hash, search: url.search, pathname: url.pathname, path: url.pathname + url.search, href: url.href }),
};
