'use strict';
// The modules that a program can ask for by name.

const lazily = (load) => {
  let done = false;
  let value;
  return () => {
    if (!done) value = load();
    done = true;
    return value;
  };
};

const of = (name, pick = (x) => x) => ({ load: lazily(() => pick(require(name))) });

module.exports = {
  builtins: {
    assert: of('assert'),
    'assert/strict': of('assert', (assert) => assert.strict),
    buffer: of('buffer'),
    console: of('console'),
    constants: of('fs', (fs) => fs.constants),
    events: of('events'),
    fs: of('fs'),
    'fs/promises': of('fs', (fs) => fs.promises),
    module: of('module'),
    os: of('small', (small) => small.os),
    path: of('path'),
    'path/posix': of('path'),
    perf_hooks: of('small', (small) => small.perfHooks),
    process: of('process'),
    querystring: of('url', (url) => url.querystring),
    readline: of('readline'),
    'readline/promises': of('readline', (readline) => readline.promises),
    stream: of('stream'),
    'stream/promises': of('stream', (stream) => stream.promises),
    string_decoder: of('encodings', ({ StringDecoder }) => ({ StringDecoder })),
    sys: of('util'),
    timers: of('small', (small) => small.timers),
    'timers/promises': of('small', (small) => small.timers.promises),
    url: of('url'),
    util: of('util'),
    'util/types': of('types'),
    vm: of('small', (small) => small.vm),
  },
};
