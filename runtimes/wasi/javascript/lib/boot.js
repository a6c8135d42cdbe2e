// Starts the library: what a program written for Node finds around itself.
// Evaluates to a function of the host object (host.c), which answers with the
// function that runs a program (main.js). Everything here happens before the
// freeze; the files of this directory are gone when a program runs.
(function boot(host) {
  'use strict';
  const cache = new Map();

  /** Many built-in functions are made when they are first looked at: now, and
   *  not in every run. */
  function materialize(from, seen = new Set()) {
    const waiting = [from];
    while (waiting.length > 0) {
      const one = waiting.pop();
      if ((typeof one !== 'object' && typeof one !== 'function') || one === null || seen.has(one)) continue;
      seen.add(one);
      waiting.push(Object.getPrototypeOf(one));
      for (const key of Reflect.ownKeys(one)) {
        const { value, get, set } = Object.getOwnPropertyDescriptor(one, key);
        waiting.push(value, get, set);
      }
    }
  }

  /** A file of this directory: `(exports, require, module, host)`. */
  function internal(name) {
    const found = cache.get(name);
    if (found) return found.exports;
    const source = host.readText(`/build/lib/${name}.js`);
    if (typeof source !== 'string') throw new Error(`no lib/${name}.js`);
    const module = { exports: {} };
    cache.set(name, module);
    const body = host.evaluate(`(function (exports, require, module, host) {${source}\n})`, `node:internal/${name}`);
    body(module.exports, internal, module, host);
    return module.exports;
  }

  internal.inside = (name) => internal(name) && cache.get(name).internals;
  internal('globals');
  for (const file of host.readdir('/build/lib')) if (file !== 'boot.js') internal(file.replace(/\.js$/, ''));
  for (const { load } of Object.values(internal('builtins').builtins)) load();
  materialize(globalThis);
  return internal('main').main;
});
