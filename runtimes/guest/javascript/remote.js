'use strict';
// Objects of the candidate's, as the test side sees them: instances that the
// script made of its classes, and what those return that is no data.
//
// A remote object is a proxy. Reading a member, calling a method and asking for
// keys are questions to the other process; what comes back is plain data or
// another remote object. So comparisons are made here, of values that are here:
// nothing a class defines is asked whether it is equal.

const plain = require('./plain.js');

/** A handle as it stands in a message: [number, class, is it a function]. */
const known = new WeakMap(); // proxy → handle

class Objects {
  constructor(trial) {
    this.trial = trial;
    this.proxies = new Map();
    this.prototypes = new Map();
  }

  /** The proxy of what the candidate calls its object number so and so. */
  of(body, made = false) {
    const [id, name, callable] = Array.isArray(body) && body.length === 3 ? body : [];
    if (!Number.isSafeInteger(id) || typeof name !== 'string' || typeof callable !== 'boolean') {
      throw new plain.BadData('not a handle');
    }
    if (this.proxies.has(id)) return this.proxies.get(id);
    const proxy = this.proxy({ id, name: plain.clip(name, 100), made }, callable);
    this.proxies.set(id, proxy);
    known.set(proxy, id);
    return proxy;
  }

  /** One prototype for each class: what deepStrictEqual compares. */
  prototype(name) {
    if (!this.prototypes.has(name)) this.prototypes.set(name, Object.create(null, { constructor: { value: { name } } }));
    return this.prototypes.get(name);
  }

  proxy(object, callable) {
    const { trial } = this;
    const about = { of: object.id, made: object.made };
    const target = callable ? function () {} : {};
    const read = (key) => {
      const answer = trial.ask('get', { of: object.id, name: key });
      if (answer.missing === true) return undefined;
      if (answer.callable !== true) return trial.value(answer);
      return (...args) => trial.call(key, args, about);
    };
    return new Proxy(target, {
      apply: (_, self, args) => trial.call('', args, about),
      construct: (_, args, by) => {
        if (known.get(by) !== object.id) trial.stop('unsupported', 'a subclass of a class of the candidate', 'Unsupported');
        return trial.call('', args, { ...about, construct: true, made: true });
      },
      get: (_, key) => {
        // What is awaited would hand functions over; promises come as promises.
        if (key === 'then') return undefined;
        if (key === Symbol.iterator) {
          const iterate = trial.ask('iterate', { of: object.id });
          return iterate.missing === true ? undefined : () => trial.value(iterate)[Symbol.iterator]();
        }
        if (key === Symbol.toPrimitive) {
          return (hint) => {
            const answer = trial.call(hint === 'string' ? 'toString' : 'valueOf', [], about);
            return typeof answer === 'object' || typeof answer === 'function' ? `[object ${object.name}]` : answer;
          };
        }
        return typeof key === 'symbol' ? undefined : read(key);
      },
      set: (_, key, value) => {
        trial.write(object.id, String(key), value);
        return true;
      },
      has: (_, key) => typeof key === 'string' && trial.ask('get', { of: object.id, name: key }).missing !== true,
      getPrototypeOf: () => (callable ? Function.prototype : this.prototype(object.name)),
      ownKeys: () => {
        const keys = trial.value(trial.ask('keys', { of: object.id }));
        const names = Array.isArray(keys) ? [...new Set(keys.filter((k) => typeof k === 'string'))] : [];
        return callable ? [...new Set([...names, 'prototype'])] : names;
      },
      getOwnPropertyDescriptor: (own, key) => {
        if (callable && key === 'prototype') return Reflect.getOwnPropertyDescriptor(own, key);
        const value = typeof key === 'string' ? read(key) : undefined;
        return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true };
      },
    });
  }
}

/** The number of a remote object; undefined for everything else. */
const handle = (x) => known.get(x);

module.exports = { Objects, handle };
