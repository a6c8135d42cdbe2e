'use strict';
// node:path, for POSIX.

const { wrongType } = require('errors');

function check(path, name = 'path') {
  if (typeof path !== 'string') throw wrongType(name, 'of type string', path);
}

/** Without `.`, `..` and empty parts; `..` may stay in front of a relative one. */
function parts(path, absolute) {
  const out = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') out.push(part);
    else if (out.length > 0 && out.at(-1) !== '..') out.pop();
    else if (!absolute) out.push('..');
  }
  return out;
}

function normalize(path) {
  check(path);
  if (path === '') return '.';
  const absolute = path.startsWith('/');
  const body = parts(path, absolute).join('/');
  const end = path.endsWith('/') && body !== '' ? '/' : '';
  return absolute ? `/${body}${end}` : `${body || '.'}${body === '' && path.endsWith('/') ? '/' : end}`;
}

function resolve(...paths) {
  const last = paths.at(-1);
  // What is whole already: the usual case.
  if (typeof last === 'string' && last.startsWith('/') && !last.endsWith('/') && !/\/[./]/.test(last)) return last;
  let whole = '';
  for (let i = paths.length - 1; i >= 0 && !whole.startsWith('/'); i -= 1) {
    check(paths[i], `paths[${i}]`);
    if (paths[i] !== '') whole = whole === '' ? paths[i] : `${paths[i]}/${whole}`;
  }
  if (!whole.startsWith('/')) whole = `${require('process').cwd()}/${whole}`;
  return `/${parts(whole, true).join('/')}`;
}

function join(...paths) {
  paths.forEach((path) => check(path));
  const whole = paths.filter((path) => path !== '').join('/');
  return whole === '' ? '.' : normalize(whole);
}

function relative(from, to) {
  check(from, 'from');
  check(to, 'to');
  const a = parts(resolve(from), true);
  const b = parts(resolve(to), true);
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same += 1;
  return [...a.slice(same).map(() => '..'), ...b.slice(same)].join('/');
}

function dirname(path) {
  check(path);
  if (path === '') return '.';
  const cut = path.replace(/\/+$/, '');
  if (cut === '') return '/';
  const at = cut.lastIndexOf('/');
  if (at === -1) return '.';
  return cut.slice(0, at) || '/';
}

function basename(path, suffix) {
  check(path);
  const name = path.replace(/\/+$/, '').replace(/^.*\//s, '');
  return suffix !== undefined && name.endsWith(suffix) && name !== suffix ? name.slice(0, -suffix.length) : name;
}

function extname(path) {
  check(path);
  const name = basename(path);
  const at = name.lastIndexOf('.');
  return at <= 0 || /^\.+$/.test(name.slice(0, at + 1)) && at === name.length - 1 && at === 0 ? '' : name === '..' ? '' : name.slice(at);
}

function parse(path) {
  check(path);
  const base = basename(path);
  const ext = extname(path);
  const root = path.startsWith('/') ? '/' : '';
  const cut = path.replace(/\/+$/, '');
  const dir = cut.includes('/') || root !== '' ? (cut === '' ? root : cut.slice(0, Math.max(cut.lastIndexOf('/'), root.length))) : '';
  return { root, dir, base, ext, name: ext === '' ? base : base.slice(0, -ext.length) };
}

function format({ root = '', dir, base, name = '', ext = '' }) {
  const file = base || `${name}${ext === '' || ext.startsWith('.') ? ext : `.${ext}`}`;
  if (!dir) return `${root}${file}`;
  return dir === root ? `${dir}${file}` : `${dir}/${file}`;
}

const path = {
  basename, dirname, extname, format, join, normalize, parse, relative, resolve,
  isAbsolute: (name) => {
    check(name);
    return name.startsWith('/');
  },
  toNamespacedPath: (name) => name,
  matchesGlob: () => {
    throw require('errors').lacking("'path.matchesGlob'");
  },
  sep: '/',
  delimiter: ':',
};
path.posix = path;

module.exports = path;
