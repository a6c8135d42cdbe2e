'use strict';
// What is printed of an error that ends a program: where, the line, the error.

const { inspect } = require('inspect');

function where(error) {
  const found = /(?:\(|at )(\/[^()\n]*|file:[^()\n]*):(\d+):(\d+)\)?/.exec(String(error?.stack ?? ''));
  if (found === null) return '';
  const [, name, line, column] = found;
  const file = name.replace(/^file:\/\//, '');
  const source = host.readText(file);
  const text = typeof source === 'string' ? source.split('\n')[line - 1] : undefined;
  if (text === undefined) return '';
  return `${file}:${line}\n${text.slice(0, 500)}\n${' '.repeat(Math.min(Math.max(column - 1, 0), 500))}^\n\n`;
}

/** `error` as Node prints it before it exits with status 1. */
function describe(error) {
  const isObject = typeof error === 'object' && error !== null;
  if (isObject && host.classOf(error) === 'Error') return `${where(error)}${inspect(error)}\n\nNode.js ${require('process').version}\n`;
  return `Uncaught:\n${isObject || typeof error === 'function' ? inspect(error) : inspect(error)}\n(Use \`node --trace-uncaught ...\` to show where the exception was thrown)\n\nNode.js ${require('process').version}\n`;
}

module.exports = { describe };
