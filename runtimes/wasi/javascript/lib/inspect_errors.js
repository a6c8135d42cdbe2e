'use strict';
// util.inspect's part about errors: their stack, with the class that they
// really are and without what is said elsewhere.

const stackOf = (error) => (error.stack ? String(error.stack) : Error.prototype.toString.call(error));

function sameRange(a, b) {
  for (let i = 0; i < a.length - 3; i += 1) {
    const at = b.indexOf(a[i]);
    if (at === -1 || b.length - at <= 3) continue;
    const most = Math.min(a.length - i, b.length - at);
    let length = 1;
    while (most > length && a[i + length] === b[at + length]) length += 1;
    if (length > 3) return { length, offset: i };
  }
  return { length: 0, offset: 0 };
}

function frames(ctx, error, stack) {
  const lines = stack.split('\n');
  let cause;
  try {
    ({ cause } = error);
  } catch {
    // A getter that throws.
  }
  if (cause !== undefined && cause !== null && host.classOf(cause) === 'Error') {
    const said = stackOf(cause);
    const start = said.indexOf('\n    at');
    if (start !== -1) {
      const { length, offset } = sameRange(lines, said.slice(start + 1).split('\n'));
      if (length > 0) {
        lines.splice(offset + 1, length - 2, ctx.stylize(`    ... ${length - 2} lines matching cause stack trace ...`, 'undefined'));
      }
    }
  }
  return lines;
}

function improve(stack, constructor, name, tag, prefix) {
  let { length } = name;
  const regular = name.endsWith('Error') && stack.startsWith(name) && (stack.length === length || stack[length] === ':' || stack[length] === '\n');
  if (constructor !== null && !regular) return stack;
  let fallback = 'Error';
  if (constructor === null) {
    const start = /^([A-Z][a-z_ A-Z0-9[\]()-]+)(?::|\n {4}at)/.exec(stack) || /^([a-z_A-Z0-9-]*Error)$/.exec(stack);
    fallback = (start && start[1]) || '';
    ({ length } = fallback);
    fallback ||= 'Error';
  }
  const before = prefix(constructor, tag, fallback).slice(0, -1);
  if (name === before) return stack;
  if (before.includes(name)) return length === 0 ? `${before}: ${stack}` : `${before}${stack.slice(length)}`;
  return `${before} [${name}]${stack.slice(length)}`;
}

/** The text of an error; `keys` loses what it says and gains what it has. */
function formatError(error, constructor, tag, ctx, keys, prefix) {
  const name = error.name !== undefined && error.name !== null ? String(error.name) : 'Error';
  let stack = stackOf(error);
  if (!ctx.showHidden) {
    for (const key of ['name', 'message', 'stack']) {
      const index = keys.indexOf(key);
      if (index !== -1 && stack.includes(error[key])) keys.splice(index, 1);
    }
  }
  if ('cause' in error && !keys.includes('cause')) keys.push('cause');
  if (Array.isArray(error.errors) && !keys.includes('errors')) keys.push('errors');
  stack = improve(stack, constructor, name, tag, prefix);
  let at = (error.message && stack.indexOf(error.message)) || -1;
  if (at !== -1) at += error.message.length;
  const start = stack.indexOf('\n    at', at);
  if (start === -1) stack = `[${stack}]`;
  else stack = `${stack.slice(0, start)}\n${frames(ctx, error, stack.slice(start + 1)).join('\n')}`;
  return ctx.indentationLvl === 0 ? stack : stack.replaceAll('\n', `\n${' '.repeat(ctx.indentationLvl)}`);
}

module.exports = { formatError };
