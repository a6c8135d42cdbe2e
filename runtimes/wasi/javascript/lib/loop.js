'use strict';
// The event loop: timers, immediates, what is read and written "later", ticks
// and promises, in Node's order. Nothing here runs beside anything else: where
// Node would wait for the world, this sleeps or reads.

const { wrongType } = require('errors');

const now = () => Number(host.now() / 1_000_000n);
const ticks = [];
let immediates = [];
const work = []; // callbacks of reads and writes that are done
const rejected = new Map(); // promise → reason, until somebody looks
let heap = []; // timers by time and age
let sequence = 0;
let time = 0; // as of this turn of the loop, in milliseconds; 0: look now
let failed; // what is done with an error that nobody caught
let unhandled; // the same for a promise

host.onRejection((promise, reason, handled) => {
  if (handled) rejected.delete(promise);
  else rejected.set(promise, reason);
});

function guarded(callback, args, self) {
  try {
    Reflect.apply(callback, self, args);
  } catch (error) {
    failed(error, 'uncaughtException');
  }
}

function jobs() {
  for (;;) {
    try {
      host.jobs();
      return;
    } catch (error) {
      failed(error, 'uncaughtException');
    }
  }
}

/** Ticks, then promises, until there are no more: after every callback. */
function drain() {
  if (ticks.length === 0 && rejected.size === 0 && !host.pending()) return;
  do {
    for (let at = 0; at < ticks.length; at += 1) {
      const { callback, args } = ticks[at];
      guarded(callback, args);
      // What a tick's promises wait for comes after all ticks.
    }
    ticks.length = 0;
    jobs();
    if (ticks.length === 0 && rejected.size > 0) {
      const all = [...rejected];
      rejected.clear();
      for (const [promise, reason] of all) unhandled(reason, promise);
    }
  } while (ticks.length > 0 || rejected.size > 0);
}

function nextTick(callback, ...args) {
  if (typeof callback !== 'function') throw wrongType('callback', 'of type function', callback);
  ticks.push({ callback, args });
}

const earlier = (a, b) => a.due - b.due || a.age - b.age;

function push(timer) {
  let at = heap.push(timer) - 1;
  while (at > 0) {
    const up = (at - 1) >> 1;
    if (earlier(heap[up], timer) <= 0) break;
    heap[at] = heap[up];
    at = up;
  }
  heap[at] = timer;
}

function pop() {
  const [first] = heap;
  const last = heap.pop();
  if (heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let down = 2 * at + 1;
    if (down >= heap.length) break;
    if (down + 1 < heap.length && earlier(heap[down + 1], heap[down]) < 0) down += 1;
    if (earlier(last, heap[down]) <= 0) break;
    heap[at] = heap[down];
    at = down;
  }
  heap[at] = last;
  return first;
}

const INSPECT = Symbol.for('nodejs.util.inspect.custom');

class Timeout {
  #wait;
  constructor(callback, wait, args, again) {
    this.#wait = wait;
    Object.assign(this, { callback, args, again, live: true, refed: true });
    for (const key of Object.keys(this)) Object.defineProperty(this, key, { enumerable: false });
    this.start();
  }

  start() {
    const entry = { timer: this, due: (time ||= now()) + this.#wait, age: (sequence += 1) };
    Object.defineProperty(this, 'entry', { value: entry, configurable: true });
    push(entry);
  }

  ref() {
    this.refed = true;
    return this;
  }

  unref() {
    this.refed = false;
    return this;
  }

  hasRef() {
    return this.refed;
  }

  refresh() {
    if (this.live) this.start();
    return this;
  }

  close() {
    this.live = false;
    return this;
  }

  [Symbol.toPrimitive]() {
    byNumber.set(this.entry.age, this);
    return this.entry.age;
  }

  [INSPECT]() {
    return `Timeout {\n  _idleTimeout: ${this.#wait},\n  _onTimeout: [Function],\n  _repeat: ${this.again ? this.#wait : null}\n}`;
  }
}
const byNumber = new Map(); // timers whose number was asked for

function timer(callback, wait, args, again) {
  if (typeof callback !== 'function') throw wrongType('callback', 'of type function', callback);
  wait = Number(wait);
  if (!(wait >= 1 && wait <= 2 ** 31 - 1)) wait = 1;
  return new Timeout(callback, Math.trunc(wait), args, again);
}

function clear(timeout) {
  const found = timeout instanceof Timeout ? timeout : byNumber.get(Number(timeout));
  if (found) found.live = false;
}

class Immediate {
  constructor(callback, args) {
    Object.assign(this, { callback, args, live: true });
    immediates.push(this);
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  hasRef() {
    return true;
  }
}

function setImmediate(callback, ...args) {
  if (typeof callback !== 'function') throw wrongType('callback', 'of type function', callback);
  return new Immediate(callback, args);
}

function runTimers() {
  while (heap.length > 0 && heap[0].due <= time) {
    const entry = pop();
    const { timer: timeout } = entry;
    if (!timeout.live || timeout.entry !== entry) continue;
    if (timeout.again) timeout.start();
    else timeout.live = false;
    guarded(timeout.callback, timeout.args, timeout);
    drain();
  }
}

function runAll(list) {
  for (const one of list) {
    if (one.live === false) continue;
    guarded(one.callback, one.args ?? []);
    drain();
  }
}

const waits = () => heap.some(({ timer: { live, refed } }) => live && refed);

/** Goes on until nothing is left to happen. */
function run() {
  drain();
  if (heap.length === 0 && work.length === 0 && immediates.length === 0) return;
  // A timer of one millisecond is due on the first turn: starting Node takes
  // longer, so there it is too.
  let grace = 1;
  for (;;) {
    time = now() + grace;
    grace = 0;
    runTimers();
    runAll(work.splice(0));
    const due = immediates;
    immediates = [];
    runAll(due);
    if (work.length > 0 || immediates.length > 0) continue;
    if (!waits()) return;
    while (heap.length > 0 && !heap[0].timer.live) pop();
    if (heap.length > 0) host.sleep(heap[0].due - now());
  }
}

module.exports = {
  run, drain, nextTick, setImmediate,
  /** Whether there is anything left to happen. */
  hasMore: () => {
    drain();
    return work.length > 0 || immediates.length > 0 || waits();
  },
  setTimeout: (callback, wait, ...args) => timer(callback, wait, args, false),
  setInterval: (callback, wait, ...args) => timer(callback, wait, args, true),
  clearTimeout: clear,
  clearInterval: clear,
  clearImmediate: (immediate) => {
    if (immediate instanceof Immediate) immediate.live = false;
  },
  /** Calls back on the next turn, as what comes from a file does. */
  later: (callback, ...args) => work.push({ callback, args }),
  /** Who is told of errors. */
  onFailure: (whenThrown, whenRejected) => {
    failed = whenThrown;
    unhandled = whenRejected;
  },
};
