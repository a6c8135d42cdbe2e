'use strict';
// node:assert

const { inspect } = require('inspect');
const { isDeepEqual, isDeepStrictEqual } = require('equal');
const { withCode, wrongType } = require('errors');

const WORDS = {
  deepStrictEqual: 'Expected values to be strictly deep-equal:',
  strictEqual: 'Expected values to be strictly equal:',
  deepEqual: 'Expected values to be loosely deep-equal:',
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
};

const show = (x) => inspect(x, { compact: false, customInspect: false, depth: 1000, maxArrayLength: Infinity, showHidden: false, showProxy: false, sorted: true, getters: true });

/** What an assertion says; `said` in the place of its first line. */
function words(actual, expected, operator, said = WORDS[operator]) {
  const [a, b] = [show(actual), show(expected)];
  switch (operator) {
    case 'strictEqual':
    case 'deepStrictEqual': {
      const simple = (x, text) => !text.includes('\n') && (typeof x !== 'object' || x === null) && typeof x !== 'function';
      if (simple(actual, a) && simple(expected, b) && a.length + b.length < 13 && (actual !== 0 || expected !== 0)) {
        return `${said}\n\n${a} !== ${b}\n`;
      }
      if (a === b) return `Values have same structure but are not reference-equal:\n\n${a}\n`;
      const lines = difference(a.split('\n'), b.split('\n'));
      return `${said}\n+ actual - expected\n\n${lines.join('\n')}`;
    }
    case 'deepEqual':
      return `${WORDS.deepEqual}\n\n${a}\n\nshould loosely deep-equal\n\n${b}`;
    case 'notDeepEqual':
    case 'notDeepStrictEqual':
    case 'notStrictEqual':
      return `${WORDS[operator]}${a.includes('\n') ? '\n\n' : ' '}${a}${a.includes('\n') ? '\n' : ''}`;
    default:
      return `${inspect(actual)} ${operator} ${inspect(expected)}`;
  }
}

/** Lines of two texts: `+` is only in the first, `-` only in the second. */
function difference(a, b) {
  if (a.length * b.length > 250_000) return [...a.slice(0, 25).map((line) => `+ ${line}`), ...b.slice(0, 25).map((line) => `- ${line}`)];
  const common = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  }
  const out = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push(`  ${a[i]}`);
      i += 1;
      j += 1;
    } else if (i < a.length && (j === b.length || common[i + 1][j] >= common[i][j + 1])) {
      out.push(`+ ${a[i]}`);
      i += 1;
    } else {
      out.push(`- ${b[j]}`);
      j += 1;
    }
  }
  return out.length > 50 ? [...out.slice(0, 50), '...'] : out;
}

class AssertionError extends Error {
  constructor(options) {
    if (typeof options !== 'object' || options === null) throw wrongType('options', 'of type object', options);
    const { message, actual, expected, operator, stackStartFn } = options;
    const compares = operator === 'strictEqual' || operator === 'deepStrictEqual';
    super(message === undefined || message === null ? words(actual, expected, operator)
      : compares ? words(actual, expected, operator, String(message)) : String(message));
    this.generatedMessage = message === undefined || message === null;
    Object.defineProperty(this, 'name', { value: 'AssertionError [ERR_ASSERTION]', enumerable: false, writable: true, configurable: true });
    this.code = 'ERR_ASSERTION';
    Object.assign(this, { actual, expected, operator });
    Error.captureStackTrace(this, stackStartFn ?? this.constructor);
    this.name = 'AssertionError';
  }

  toString() {
    return `${this.name} [${this.code}]: ${this.message}`;
  }

  [inspect.custom](_, ctx) {
    return inspect(this, { ...ctx, customInspect: false, depth: 0 });
  }
}

function fails({ message, own, ...about }) {
  if (message instanceof Error) throw message;
  const error = new AssertionError({ message: message ?? own, ...about });
  error.generatedMessage = message === undefined;
  throw error;
}

function assert(value, message) {
  if (!value) ok(assert, arguments.length, value, message);
}

function ok(by, count, value, message) {
  let generated = false;
  if (count === 0) message = 'No value argument passed to `assert.ok()`';
  else if (message === undefined) {
    generated = true;
    message = 'The expression evaluated to a falsy value';
  } else if (message instanceof Error) throw message;
  const error = new AssertionError({ actual: value, expected: true, message, operator: '==', stackStartFn: by });
  error.generatedMessage = generated;
  throw error;
}

const comparison = (operator, holds) => {
  const compare = (...args) => {
    if (args.length < 2) throw withCode(TypeError, 'ERR_MISSING_ARGS', 'The "actual" and "expected" arguments must be specified');
    const [actual, expected, message] = args;
    if (!holds(actual, expected)) fails({ actual, expected, message, operator, stackStartFn: compare });
  };
  Object.defineProperty(compare, 'name', { value: operator === '==' ? 'equal' : operator === '!=' ? 'notEqual' : operator });
  return compare;
};

const strictly = {
  strictEqual: comparison('strictEqual', Object.is),
  notStrictEqual: comparison('notStrictEqual', (a, b) => !Object.is(a, b)),
  deepStrictEqual: comparison('deepStrictEqual', isDeepStrictEqual),
  notDeepStrictEqual: comparison('notDeepStrictEqual', (a, b) => !isDeepStrictEqual(a, b)),
};
const loosely = {
  // eslint-disable-next-line eqeqeq
  equal: comparison('==', (a, b) => a == b || (Number.isNaN(a) && Number.isNaN(b))),
  // eslint-disable-next-line eqeqeq
  notEqual: comparison('!=', (a, b) => a != b && !(Number.isNaN(a) && Number.isNaN(b))),
  deepEqual: comparison('deepEqual', isDeepEqual),
  notDeepEqual: comparison('notDeepEqual', (a, b) => !isDeepEqual(a, b)),
};

/** Whether an error is what was expected; a failure of its own if not. */
function matches(error, expected, message, by) {
  if (expected === undefined) return true;
  if (typeof expected === 'function') {
    if (expected.prototype !== undefined && error instanceof expected) return true;
    if (Object.prototype.isPrototypeOf.call(Error, expected)) {
      fails({ actual: error, expected, operator: by.name, stackStartFn: by, message, own: `The error is expected to be an instance of "${expected.name}". Received "${error?.constructor?.name ?? inspect(error)}"\n\nError message:\n\n${error?.message}` });
    }
    if (Reflect.apply(expected, {}, [error]) === true) return true;
    fails({ actual: error, expected, operator: by.name, stackStartFn: by, message, own: `The ${expected.name ? `"${expected.name}" ` : ''}validation function is expected to return "true". Received ${inspect(Reflect.apply(expected, {}, [error]))}\n\nCaught error:\n\n${error}` });
  }
  if (expected instanceof RegExp) {
    if (expected.exec(String(error)) !== null) return true;
    fails({ actual: error, expected, operator: by.name, stackStartFn: by, message, own: `The input did not match the regular expression ${inspect(expected)}. Input:\n\n${inspect(String(error))}\n` });
  }
  if (typeof expected !== 'object' || expected === null) throw wrongType('expected', 'of type function or an instance of Error, RegExp, or Object', expected);
  const keys = Object.keys(expected);
  if (expected instanceof Error) keys.push('name', 'message');
  if (typeof error !== 'object' || error === null) fails({ actual: error, expected, message, operator: by.name, stackStartFn: by });
  for (const key of keys) {
    const same = expected[key] instanceof RegExp && typeof error[key] === 'string' ? expected[key].exec(error[key]) !== null : isDeepStrictEqual(error[key], expected[key]);
    if (!(key in error) || !same) {
      const pick = (from) => Object.fromEntries(keys.filter((name) => name in from).map((name) => [name, from[name]]));
      fails({ actual: pick(error), expected: pick(expected), message, operator: message === undefined ? 'deepStrictEqual' : by.name, stackStartFn: by });
    }
  }
  return true;
}

const NONE = Symbol('none');

function caught(call) {
  if (typeof call !== 'function') throw wrongType('fn', 'of type function', call);
  try {
    call();
  } catch (error) {
    return error;
  }
  return NONE;
}

async function settled(promise) {
  try {
    await (typeof promise === 'function' ? promise() : promise);
  } catch (error) {
    return error;
  }
  return NONE;
}

function expectsError(by, error, expected, message) {
  if (typeof expected === 'string') [expected, message] = [undefined, expected];
  if (error === NONE) {
    const name = expected?.name ? ` (${expected.name})` : '';
    const kind = by.name === 'rejects' ? 'rejection' : 'exception';
    fails({ actual: undefined, expected, operator: by.name, stackStartFn: by, message: message instanceof Error ? message : `Missing expected ${kind}${name}${message ? `: ${message}` : '.'}` });
  }
  matches(error, expected, message, by);
}

function expectsNone(by, error, expected, message) {
  if (error === NONE) return;
  if (typeof expected === 'string') [expected, message] = [undefined, expected];
  const kind = by.name === 'doesNotReject' ? 'rejection' : 'exception';
  if (expected === undefined || (typeof expected === 'function' && error instanceof expected)) {
    fails({ actual: error, expected, operator: by.name, stackStartFn: by, message: `Got unwanted ${kind}${message ? `: ${message}` : '.'}\nActual message: "${error?.message}"` });
  }
  throw error;
}

const matching = (operator, wanted) => function match(text, pattern, message) {
  if (!(pattern instanceof RegExp)) throw wrongType('regexp', 'an instance of RegExp', pattern);
  if (typeof text === 'string' && (pattern.exec(text) !== null) === wanted) return;
  const said = typeof text !== 'string' ? `The "string" argument must be of type string. Received type ${typeof text} (${inspect(text)})`
    : `The input ${wanted ? 'did not match' : 'was expected to not match'} the regular expression ${inspect(pattern)}. Input:\n\n${inspect(text)}\n`;
  fails({ actual: text, expected: pattern, message, own: said, operator, stackStartFn: match });
};

const rest = {
  AssertionError,
  ok(value, message) {
    if (!value) ok(rest.ok, arguments.length, value, message);
  },
  fail(message = 'Failed') {
    if (message instanceof Error) throw message;
    const error = new AssertionError({ message, operator: 'fail', stackStartFn: rest.fail });
    error.generatedMessage = message === 'Failed';
    throw error;
  },
  throws: function throws(call, expected, message) {
    expectsError(throws, caught(call), expected, message);
  },
  doesNotThrow: function doesNotThrow(call, expected, message) {
    expectsNone(doesNotThrow, caught(call), expected, message);
  },
  rejects: async function rejects(promise, expected, message) {
    expectsError(rejects, await settled(promise), expected, message);
  },
  doesNotReject: async function doesNotReject(promise, expected, message) {
    expectsNone(doesNotReject, await settled(promise), expected, message);
  },
  ifError(value) {
    if (value === null || value === undefined) return;
    fails({ actual: value, expected: null, operator: 'ifError', message: `ifError got unwanted exception: ${value instanceof Error ? value.message : inspect(value)}`, stackStartFn: rest.ifError });
  },
  match: matching('match', true),
  doesNotMatch: matching('doesNotMatch', false),
};

Object.assign(assert, rest, loosely, strictly);
const strict = Object.assign((...args) => (args[0] ? undefined : ok(strict, args.length, ...args)), rest, strictly, {
  equal: strictly.strictEqual, notEqual: strictly.notStrictEqual, deepEqual: strictly.deepStrictEqual, notDeepEqual: strictly.notDeepStrictEqual,
});
assert.strict = strict;
strict.strict = strict;

module.exports = assert;
