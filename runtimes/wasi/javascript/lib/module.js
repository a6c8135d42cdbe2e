'use strict';
// node:module: what `require` and `import` find. CommonJS modules, JSON, ES
// modules and the built-in ones; packages in node_modules of the submission.

const { lacking, withCode } = require('errors');
const { builtins } = require('builtins');
const loop = require('loop');
const path = require('path');

const isFile = (name) => {
  const found = host.stat(name);
  return typeof found !== 'number' && (found[0] & 0o170000) === 0o100000;
};

const cache = Object.create(null);
const isBuiltin = (id) => Object.hasOwn(builtins, id.replace(/^node:/, '')) && (id.startsWith('node:') || !builtins[id].schemeOnly);

// What Node has and this has not: a different answer from that of a program's
// own file that is missing.
const ELSEWHERE = new Set(['async_hooks', 'child_process', 'cluster', 'crypto', 'dgram', 'diagnostics_channel', 'dns', 'dns/promises', 'domain', 'http', 'http2', 'https', 'inspector', 'net', 'punycode', 'repl', 'sea', 'sqlite', 'test', 'test/reporters', 'tls', 'trace_events', 'tty', 'v8', 'wasi', 'worker_threads', 'zlib']);

function readPackage(directory) {
  const text = host.readText(`${directory}/package.json`);
  if (typeof text !== 'string') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw withCode(Error, 'ERR_INVALID_PACKAGE_CONFIG', `Invalid package config ${directory}/package.json.`);
  }
}

const EXTENSIONS = ['', '.js', '.json', '.mjs', '.cjs'];

/** The file that a path without an ending means. */
function fileAt(name) {
  for (const extension of EXTENSIONS) if (isFile(name + extension)) return name + extension;
  const { main } = readPackage(name) ?? {};
  if (typeof main === 'string') {
    const found = fileAt(path.resolve(name, main));
    if (found !== undefined) return found;
  }
  for (const extension of EXTENSIONS.slice(1)) if (isFile(`${name}/index${extension}`)) return `${name}/index${extension}`;
  return undefined;
}

/** What the `exports` of a package say of one of its paths. */
function exported(map, subpath) {
  if (typeof map === 'string') return subpath === '.' ? map : undefined;
  if (Array.isArray(map)) return map.map((one) => exported(one, subpath)).find((one) => one !== undefined);
  if (typeof map !== 'object' || map === null) return undefined;
  const keys = Object.keys(map);
  if (keys.some((key) => key.startsWith('.'))) {
    if (Object.hasOwn(map, subpath)) return exported(map[subpath], '.');
    for (const key of keys.filter((one) => one.includes('*'))) {
      const [before, after] = key.split('*');
      if (subpath.startsWith(before) && subpath.endsWith(after)) {
        return exported(map[key], '.')?.replaceAll('*', subpath.slice(before.length, subpath.length - after.length));
      }
    }
    return undefined;
  }
  for (const key of keys) if (['node', 'require', 'import', 'default'].includes(key)) {
    const found = exported(map[key], subpath);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The name of the module that `id` means in a file of `directory`. */
function find(id, directory) {
  if (isBuiltin(id)) return `node:${id.replace(/^node:/, '')}`;
  if (/^\.{0,2}\//.test(id) || id === '.' || id === '..') return fileAt(path.resolve(directory, id));
  if (id.startsWith('file:')) return fileAt(require('url').fileURLToPath(id));
  const [, name, subpath] = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(id) ?? [];
  for (let at = directory; name !== undefined; at = path.dirname(at)) {
    const home = `${at === '/' ? '' : at}/node_modules/${name}`;
    const about = readPackage(home);
    if (about?.exports !== undefined) {
      const to = exported(about.exports, `.${subpath ?? ''}`);
      if (to !== undefined) return path.resolve(home, to);
    } else {
      const found = fileAt(home + (subpath ?? ''));
      if (found !== undefined) return found;
    }
    if (at === '/') break;
  }
  return undefined;
}

function missing(id, parent) {
  const plain = id.replace(/^node:/, '');
  if (!/^(?:\.{0,2}\/|file:)/.test(id)) return lacking(`module '${ELSEWHERE.has(plain) ? plain : id}'`);
  const error = new Error(`Cannot find module '${id}'${parent ? `\nRequire stack:\n- ${parent}` : ''}`);
  error.code = 'MODULE_NOT_FOUND';
  error.requireStack = parent ? [parent] : [];
  return error;
}

class Module {
  constructor(id = '', parent = undefined) {
    Object.assign(this, { id, path: path.dirname(id), exports: {}, filename: null, loaded: false, children: [] });
    Object.defineProperty(this, 'parent', { value: parent, configurable: true, writable: true });
    this.paths = [];
  }

  require(id) {
    if (typeof id !== 'string') throw withCode(TypeError, 'ERR_INVALID_ARG_TYPE', `The "id" argument must be of type string. Received ${id === null ? 'null' : typeof id}`);
    if (id === '') throw withCode(TypeError, 'ERR_INVALID_ARG_VALUE', "The argument 'id' must be a non-empty string. Received ''");
    const name = find(id, path.dirname(this.filename ?? `${require('process').cwd()}/x`));
    if (name === undefined) throw missing(id, this.filename);
    if (name.startsWith('node:')) return builtins[name.slice(5)].load();
    return load(name, this).exports;
  }

  _compile(source, filename) {
    const body = host.evaluate(`(function (exports, require, module, __filename, __dirname) {${bare(source)}\n})`, filename);
    const call = this === first ? firstRequire : requirer(this);
    return Reflect.apply(body, this.exports, [this.exports, call, this, filename, path.dirname(filename)]);
  }
}
for (const name of Object.getOwnPropertyNames(Module.prototype)) if (name !== 'constructor') Object.defineProperty(Module.prototype, name, { enumerable: false });

const bare = (source) => (source.startsWith('#!') ? `//${source}` : source);

function requirer(module) {
  const call = (id) => module.require(id);
  call.resolve = (id) => {
    const name = find(id, path.dirname(module.filename));
    if (name === undefined) throw missing(id, module.filename);
    return name.startsWith('node:') ? id : name;
  };
  call.cache = cache;
  call.main = main ?? module;
  call.extensions = Object.create(null);
  return call;
}

let main;
// The program's own module: made before the freeze.
const first = new Module('.');
const firstRequire = requirer(first);

function read(filename) {
  const source = host.readText(filename);
  if (typeof source !== 'string') throw require('errors').system(source, 'open', filename);
  return source.startsWith('\ufeff') ? source.slice(1) : source;
}

// Words that only a module has, outside of a function.
const WORDS = /(?:^|[;\n}{*/])\s*(?:import\b(?!\s*\()|export\b)|\bawait\b|\bimport\s*\.\s*meta\b/;

/** Whether a file that does not say so by its name is an ES module. */
function saysModule(filename, source) {
  if (/\.(?:mjs|cjs|json)$/.test(filename)) return filename.endsWith('.mjs');
  if (!WORDS.test(source)) return false;
  for (let at = path.dirname(filename); ; at = path.dirname(at)) {
    const about = readPackage(at);
    if (about !== undefined) {
      if (about.type === 'module') return true;
      if (about.type === 'commonjs') return false;
      break;
    }
    if (at === '/') break;
  }
  // It is one if it does not compile as anything else.
  try {
    host.compile(`(function (exports, require, module, __filename, __dirname) {${bare(source)}\n})`, filename);
    return false;
  } catch {
    return true;
  }
}

function load(filename, parent, given) {
  const known = cache[filename];
  if (known !== undefined) return known;
  const module = main === undefined ? first : new Module(filename, parent);
  module.filename = filename;
  if (main === undefined) {
    main = module;
    module.path = path.dirname(filename);
    require('process').mainModule = module;
  }
  cache[filename] = module;
  parent?.children.push(module);
  let done = false;
  try {
    const source = given ?? read(filename);
    if (filename.endsWith('.json')) {
      try {
        module.exports = JSON.parse(source);
      } catch (error) {
        error.message = `${filename}: ${error.message}`;
        throw error;
      }
    } else if (given === undefined && saysModule(filename, source)) {
      module.exports = namespace(filename);
    } else {
      module._compile(source, filename);
    }
    done = true;
  } finally {
    if (!done) delete cache[filename];
  }
  module.loaded = true;
  return module;
}

/** The namespace of an ES module, run to its end here and now. */
function namespace(filename) {
  const promise = importFile(filename);
  promise.catch(() => {});
  for (let i = 0; i < 1e6 && host.promise(promise)[0] === 0; i += 1) if (!host.jobs(1)) break;
  const [state, value] = host.promise(promise);
  if (state === 2) throw value;
  if (state === 0) throw withCode(Error, 'ERR_REQUIRE_ASYNC_MODULE', 'require() cannot be used on an ESM graph with top-level await. Use import() instead.');
  return value;
}

const importFile = host.evaluate('(name) => import(name)', '/');

/** The names that `import { x }` finds in what is no ES module. */
function named(value, extra) {
  const own = (typeof value === 'object' || typeof value === 'function') && value !== null ? Object.keys(value) : [];
  const names = own.filter((name) => name !== 'default' && name !== '__esModule');
  const all = ['default', ...names, ...extra];
  return [all, all.map((name) => (name === 'default' || name === 'module.exports' ? value : value[name]))];
}

host.resolve = (base, specifier) => {
  if (specifier.startsWith('data:')) throw lacking(`module '${specifier.slice(0, 40)}'`);
  const directory = base.startsWith('/') ? path.dirname(base) : require('process').cwd();
  const name = find(specifier.replace(/[?#].*$/, ''), directory);
  if (name === undefined) {
    if (!/^(?:\.{0,2}\/|file:)/.test(specifier)) throw missing(specifier, undefined);
    throw withCode(Error, 'ERR_MODULE_NOT_FOUND', `Cannot find module '${path.resolve(directory, specifier)}' imported from ${base}`);
  }
  return name;
};

host.load = (name) => {
  if (name.startsWith('node:')) return named(builtins[name.slice(5)].load(), []);
  const source = read(name);
  if (cache[name] === undefined && saysModule(name, source)) return bare(source);
  return named(load(name).exports, name.endsWith('.json') ? [] : ['module.exports']);
};

host.describe = (meta, name) => {
  const { href } = require('url').pathToFileURL(name);
  Object.assign(meta, {
    url: href, filename: name, dirname: path.dirname(name),
    resolve: (id) => {
      const found = host.resolve(name, id);
      return found.startsWith('node:') ? found : require('url').pathToFileURL(found).href;
    },
  });
};

function createRequire(from) {
  const module = new Module(typeof from === 'string' && !from.startsWith('file:') ? from : require('url').fileURLToPath(from));
  module.filename = module.id;
  return requirer(module);
}

/** Runs a program's file; a promise when it is an ES module. */
function runMain(wanted) {
  let filename = wanted;
  let source = host.readText(filename);
  if (typeof source !== 'string') {
    filename = find(wanted, '/');
    if (filename === undefined) throw Object.assign(new Error(`Cannot find module '${wanted}'`), { code: 'MODULE_NOT_FOUND', requireStack: [] });
    require('process').argv[1] = filename;
    source = read(filename);
  }
  if (filename.endsWith('.json')) source = undefined;
  else if (saysModule(filename, source)) return importFile(filename);
  load(filename, undefined, source);
  return undefined;
}

Object.assign(Module, {
  Module, createRequire, isBuiltin, _cache: cache, _load: (id, parent) => (parent ?? new Module('/')).require(id),
  builtinModules: Object.keys(builtins).filter((name) => !builtins[name].schemeOnly), globalPaths: [],
  _resolveFilename: (id, parent) => createRequire(parent?.filename ?? '/').resolve(id),
  wrap: (source) => `(function (exports, require, module, __filename, __dirname) { ${source}\n});`,
  syncBuiltinESMExports() {},
});

module.exports = Module;
module.internals = { find, importFile, missing, runMain, requirer, loop };
