'use strict';
// Runs a program: `node FILE ARGS...`, `node -e CODE`, `node -p CODE`, or one of
// the two sides of a function test (runtimes/guest/javascript).

const loop = require('loop');
const path = require('path');
const Module = require('module');
const process = require('process');

const { exit, isExiting, start, status, uncaught } = require.inside('process');
const { requirer, runMain } = require.inside('module');
const harness = require('harness');

/** `node -e`: a script in global scope, with what a module would have. */
function evaluate(code, print) {
  const module = new Module('[eval]');
  module.filename = path.resolve('[eval]');
  Object.assign(globalThis, { require: requirer(module), module, exports: module.exports, __filename: '[eval]', __dirname: '.' });
  const result = host.evaluate(code, '[eval]');
  if (print) console.log(result);
}

/** Begins what the arguments say; a promise of it when it is a module. */
function begin(args) {
  const [first, second] = args;
  switch (first) {
    case '-e':
    case '--eval':
    case '-p':
    case '--print':
      process.argv = [process.execPath, ...args.slice(2)];
      return evaluate(second, first.includes('p'));
    case '--assize-candidate':
    case '--assize-tester':
      process.argv = [process.execPath, first, ...args.slice(1)];
      return harness.run(first.slice(9));
    default: {
      const file = path.resolve(first);
      process.argv = [process.execPath, file, ...args.slice(1)];
      return runMain(file);
    }
  }
}

/** Called once in each copy; answers with the exit status. */
function main(argv, environment, hasFiles) {
  start([], environment, hasFiles ? '/work' : '/');
  if (argv.length < 2) {
    host.write(2, 'usage: node FILE | -e CODE [ARGUMENT...]\n');
    return 9;
  }
  let running;
  try {
    running = begin(argv.slice(1));
    // Of a module that fails, the error is this one's to tell.
    running?.catch((error) => uncaught(error, 'uncaughtException'));
  } catch (error) {
    uncaught(error, 'uncaughtException');
  }
  for (;;) {
    loop.run();
    if (running !== undefined && host.promise(running)[0] === 0) {
      host.write(2, 'Warning: Detected unsettled top-level await\n');
      process.exitCode ??= 13;
      exit();
    }
    if (isExiting() || process.listenerCount('beforeExit') === 0) break;
    process.emit('beforeExit', status());
    if (!loop.hasMore()) break;
  }
  if (process.listenerCount('exit') > 0) exit();
  return status();
}

module.exports = { main };
