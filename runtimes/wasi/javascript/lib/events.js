'use strict';
// node:events

const { withCode, wrongType } = require('errors');

const LISTENERS = Symbol('listeners');
const ADD = Symbol('add');

/** The listeners of an emitter: a member that no one lists. */
function listenersOf(emitter) {
  if (emitter[LISTENERS] === undefined) Object.defineProperty(emitter, LISTENERS, { value: new Map() });
  return emitter[LISTENERS];
}

class EventEmitter {

  [ADD](name, listener, once, first) {
    if (typeof listener !== 'function') throw wrongType('listener', 'of type function', listener);
    const all = listenersOf(this);
    if (all.has('newListener')) this.emit('newListener', name, listener);
    const entry = { listener, once };
    const list = all.get(name) ?? [];
    // A copy: a list that is being gone through stays as it is.
    all.set(name, first ? [entry, ...list] : [...list, entry]);
    return this;
  }

  on(name, listener) {
    return this[ADD](name, listener, false, false);
  }

  once(name, listener) {
    return this[ADD](name, listener, true, false);
  }

  prependListener(name, listener) {
    return this[ADD](name, listener, false, true);
  }

  prependOnceListener(name, listener) {
    return this[ADD](name, listener, true, true);
  }

  off(name, listener) {
    const list = this[LISTENERS]?.get(name);
    const index = list?.findLastIndex((entry) => entry.listener === listener) ?? -1;
    if (index < 0) return this;
    if (list.length === 1) this[LISTENERS].delete(name);
    else this[LISTENERS].set(name, list.toSpliced(index, 1));
    if (this[LISTENERS].has('removeListener')) this.emit('removeListener', name, listener);
    return this;
  }

  removeAllListeners(name) {
    if (name === undefined) this[LISTENERS]?.clear();
    else this[LISTENERS]?.delete(name);
    return this;
  }

  emit(name, ...args) {
    const list = this[LISTENERS]?.get(name);
    if (list === undefined) {
      if (name !== 'error') return false;
      const [error] = args;
      if (error instanceof Error) throw error;
      const shown = typeof error === 'string' ? `'${error}'` : require('inspect').inspect(error);
      throw Object.assign(withCode(Error, 'ERR_UNHANDLED_ERROR', `Unhandled error. (${shown})`), { context: error });
    }
    for (const { listener, once } of list) {
      if (once) this.off(name, listener);
      Reflect.apply(listener, this, args);
    }
    return true;
  }

  listenerCount(name, listener) {
    const list = this[LISTENERS]?.get(name) ?? [];
    return listener === undefined ? list.length : list.filter((entry) => entry.listener === listener).length;
  }

  listeners(name) {
    return (this[LISTENERS]?.get(name) ?? []).map((entry) => entry.listener);
  }

  rawListeners(name) {
    return this.listeners(name);
  }

  eventNames() {
    return [...(this[LISTENERS]?.keys() ?? [])];
  }

  setMaxListeners() {
    return this;
  }

  getMaxListeners() {
    return EventEmitter.defaultMaxListeners;
  }
}
EventEmitter.prototype.addListener = EventEmitter.prototype.on;
EventEmitter.prototype.removeListener = EventEmitter.prototype.off;

/** A promise of the next event's arguments. */
function once(emitter, name) {
  return new Promise((resolve, reject) => {
    const failed = (error) => {
      emitter.off(name, done);
      reject(error);
    };
    const done = (...args) => {
      emitter.off('error', failed);
      resolve(args);
    };
    emitter.once(name, done);
    if (name !== 'error') emitter.once('error', failed);
  });
}

/** The events as they come, as an async iterator. */
function on(emitter, name) {
  const queue = [];
  const waiting = [];
  let error;
  emitter.on(name, (...args) => (waiting.length > 0 ? waiting.shift().resolve({ value: args, done: false }) : queue.push(args)));
  emitter.on('error', (caught) => (waiting.length > 0 ? waiting.shift().reject(caught) : (error = caught)));
  return {
    next: () => {
      if (queue.length > 0) return Promise.resolve({ value: queue.shift(), done: false });
      if (error !== undefined) return Promise.reject(error);
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    return: () => Promise.resolve({ value: undefined, done: true }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

// Programs inherit from it without `class`: EventEmitter.call(this).
const Callable = new Proxy(EventEmitter, {
  apply: () => {},
});
EventEmitter.prototype.constructor = Callable;
Object.assign(EventEmitter, {
  EventEmitter: Callable, once, on, defaultMaxListeners: 10, errorMonitor: Symbol('events.errorMonitor'),
  captureRejectionSymbol: Symbol.for('nodejs.rejection'), usingDomains: false,
  listenerCount: (emitter, name) => emitter.listenerCount(name),
});
module.exports = Callable;
