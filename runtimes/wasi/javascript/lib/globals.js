'use strict';
// The global names of Node.

const { lacking } = require('errors');
require('locale');
const buffer = require('buffer');
const encodings = require('encodings');
const { URL, URLSearchParams } = require('url');
const { performance, timers } = require('small');
const { structuredClone } = require('clone');

const define = (name, value, enumerable = false) => {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable });
};

define('global', globalThis);
define('process', require('process'));
define('console', require('console'));
define('Buffer', buffer.Buffer);
for (const name of ['TextDecoder', 'TextEncoder']) define(name, encodings[name]);
for (const [name, value] of Object.entries({ URL, URLSearchParams })) define(name, value);
const { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate } = timers;
for (const [name, value] of Object.entries({ clearImmediate, setImmediate, clearInterval, clearTimeout, setInterval, setTimeout, structuredClone, atob: encodings.atob, btoa: encodings.btoa, performance })) {
  Object.defineProperty(value, 'name', { value: name, configurable: true });
  define(name, value, true);
}

// A job of its own that may throw: an error there is nobody's to catch.
const { queueMicrotask } = globalThis;
define('queueMicrotask', queueMicrotask, true);

// What Node has besides. A program that looks at one of these runs elsewhere.
for (const name of ['Intl', 'WebAssembly', 'crypto', 'fetch', 'AbortController', 'AbortSignal', 'Event', 'EventTarget', 'MessageChannel', 'MessagePort', 'BroadcastChannel', 'Blob', 'FormData', 'Headers', 'Request', 'Response', 'ReadableStream', 'WritableStream', 'TransformStream', 'CompressionStream', 'DecompressionStream', 'SharedWorker', 'Worker', 'navigator']) {
  if (name in globalThis || ['SharedWorker', 'Worker', 'navigator'].includes(name)) continue;
  Object.defineProperty(globalThis, name, {
    get() {
      throw lacking(`global '${name}'`);
    },
    set(value) {
      define(name, value);
    },
    configurable: true,
  });
}
for (const name of ['print', 'gc', 'navigator', 'scriptArgs', 'bjson', 'std', 'os']) delete globalThis[name];
Object.defineProperty(globalThis, Symbol.toStringTag, { value: 'global', configurable: true });
