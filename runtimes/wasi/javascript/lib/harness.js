'use strict';
// The two sides of function tests, in the words of runtimes/guest/javascript.
// Their files are the same as Node's; only platform.js, which is how they reach
// the other side, is here the host's functions.

const { isBuiltin } = require('module');
const { builtins } = require('builtins');
const { importFile } = require.inside('module');
const { Buffer } = require('buffer');

const platform = {
  send: (says, body) => {
    if (!host.send(body)) throw new Error('the other side is gone');
  },
  receive: () => {
    const frame = host.receive();
    return frame === null ? null : Buffer.from(frame);
  },
  report: (text) => {
    if (!host.report(text)) throw new Error('the report is full');
  },
  importSource: (file) => importFile(file),
};

const cache = new Map([['platform', platform]]);
const bodies = new Map();

function part(name) {
  if (cache.has(name)) return cache.get(name);
  const module = { exports: {} };
  cache.set(name, module.exports);
  bodies.get(name)(module.exports, ask, module);
  cache.set(name, module.exports);
  return module.exports;
}

function ask(id) {
  if (id.startsWith('./')) return part(id.slice(2).replace(/\.js$/, ''));
  if (!isBuiltin(id)) throw new Error(`the harness asks for ${id}`);
  return builtins[id.replace(/^node:/, '')].load();
}

for (const file of host.readdir('/build/harness')) {
  const source = host.readText(`/build/harness/${file}`);
  const name = file.replace(/\.js$/, '');
  bodies.set(name, host.evaluate(`(function (exports, require, module) {${source}\n})`, `/assize/guest/${file}`));
}
// All but the two that begin to run at once.
for (const name of ['plain', 'remote', 'expect', 'suite']) if (bodies.has(name)) part(name);

module.exports = {
  run: (name) => {
    part(name);
  },
};
