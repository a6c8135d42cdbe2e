'use strict';
// node:stream as far as programs that read and write texts use it: readable,
// writable and transforming streams, `pipe`, `pipeline`, async iteration. No
// back pressure: what is written is written at once.

const EventEmitter = require('events');
const loop = require('loop');
const { StringDecoder } = require('encodings');
const { withCode } = require('errors');

const hidden = (of, members) => {
  for (const [key, value] of Object.entries(members)) Object.defineProperty(of, key, { value, writable: true, configurable: true });
};

class Stream extends EventEmitter {
  pipe(target, { end = true } = {}) {
    this.on('data', (chunk) => target.write(chunk));
    if (end && target !== require('process').stdout && target !== require('process').stderr) this.on('end', () => target.end());
    target.emit('pipe', this);
    return target;
  }
}

class Readable extends Stream {
  constructor(options = {}) {
    super();
    hidden(this, {
      _queue: [], _ended: false, _done: false, _flowing: null, _decoder: undefined, _reading: false, _scheduled: false,
      _object: Boolean(options.objectMode || options.readableObjectMode),
    });
    Object.assign(this, { readable: true, destroyed: false });
    if (options.read) hidden(this, { _read: options.read });
    if (options.destroy) hidden(this, { _destroy: options.destroy });
    if (options.encoding) this.setEncoding(options.encoding);
  }

  static from(items, options) {
    const stream = new Readable({ objectMode: true, ...options });
    const iterator = typeof items === 'string' || items instanceof Uint8Array
      ? [items][Symbol.iterator]() : (items[Symbol.asyncIterator] ?? items[Symbol.iterator]).call(items);
    hidden(stream, {
      _read() {
        Promise.resolve(iterator.next()).then(
          async ({ done, value }) => this.push(done ? null : await value),
          (error) => this.destroy(error),
        );
      },
    });
    return stream;
  }

  _read() {
    throw withCode(Error, 'ERR_METHOD_NOT_IMPLEMENTED', 'The _read() method is not implemented');
  }

  push(chunk, encoding) {
    this._reading = false;
    if (chunk === null) this._ended = true;
    else if (this._object) this._queue.push(chunk);
    else {
      if (typeof chunk === 'string') chunk = require('buffer').Buffer.from(chunk, encoding);
      if (this._decoder) chunk = this._decoder.write(chunk);
      if (chunk.length > 0) this._queue.push(chunk);
    }
    if (this._ended && this._decoder) {
      const rest = this._decoder.end();
      if (rest !== '') this._queue.push(rest);
    }
    this._schedule();
    return true;
  }

  unshift(chunk) {
    this._queue.unshift(chunk);
  }

  setEncoding(encoding) {
    this._decoder = new StringDecoder(encoding);
    this._queue = this._queue.map((chunk) => this._decoder.write(chunk));
    return this;
  }

  get readableFlowing() {
    return this._flowing;
  }

  get readableEnded() {
    return this._done;
  }

  get readableLength() {
    return this._queue.reduce((sum, chunk) => sum + (this._object ? 1 : chunk.length), 0);
  }

  get readableEncoding() {
    return this._decoder?.encoding ?? null;
  }

  get readableObjectMode() {
    return this._object;
  }

  isPaused() {
    return this._flowing === false;
  }

  on(name, listener) {
    super.on(name, listener);
    if (name === 'data' && this._flowing !== false) this.resume();
    if (name === 'readable') {
      this._flowing = false;
      this._schedule();
    }
    return this;
  }

  resume() {
    this._flowing = true;
    this._schedule();
    return this;
  }

  pause() {
    this._flowing = false;
    return this;
  }

  read(size) {
    if (this._queue.length === 0) {
      this._schedule();
      return null;
    }
    if (this._object || size === undefined) {
      const all = this._object ? this._queue.shift() : join(this._queue.splice(0));
      this._schedule();
      return all;
    }
    const all = join(this._queue.splice(0));
    if (all.length > size) this._queue.push(all.slice(size));
    else if (all.length < size && !this._ended) {
      this._queue.push(all);
      this._schedule();
      return null;
    }
    return all.slice(0, size);
  }

  /** Goes on with what there is to do, in a tick of its own. */
  _schedule() {
    if (this._scheduled || this._done || this.destroyed) return;
    this._scheduled = true;
    loop.nextTick(() => {
      this._scheduled = false;
      this._step();
    });
  }

  _step() {
    if (this._done || this.destroyed) return;
    const listens = this._flowing === true;
    while (this._flowing === true && this._queue.length > 0 && !this.destroyed) this.emit('data', this._queue.shift());
    const waits = this.listenerCount('readable') > 0;
    if (waits && (this._queue.length > 0 || this._ended)) this.emit('readable');
    if (this._ended && this._queue.length === 0) {
      if (!listens && this._flowing !== true && !waits) return;
      this._done = true;
      this.readable = false;
      this.emit('end');
      loop.nextTick(() => this.emit('close'));
    } else if (!this._ended && !this._reading && (this._flowing === true || waits)) {
      this._reading = true;
      this._read(65536);
    } else if (this._queue.length > 0 && this._flowing === true) {
      this._schedule();
    }
  }

  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.readable = false;
    this._destroy?.(error ?? null, () => {});
    loop.nextTick(() => {
      if (error) this.emit('error', error);
      this.emit('close');
    });
    return this;
  }

  async* [Symbol.asyncIterator]() {
    const arrived = [];
    let wake = () => {};
    let over = false;
    let failure;
    const stop = (error) => {
      over = true;
      failure ??= error;
      wake();
    };
    this.on('end', () => stop());
    this.on('close', () => stop());
    this.on('error', stop);
    this.on('data', (chunk) => {
      arrived.push(chunk);
      this.pause();
      wake();
    });
    try {
      for (;;) {
        while (arrived.length > 0) yield arrived.shift();
        if (failure !== undefined) throw failure;
        if (over) return;
        const more = new Promise((resolve) => { wake = resolve; });
        this.resume();
        await more;
      }
    } finally {
      this.destroy();
    }
  }

  async toArray() {
    const all = [];
    for await (const item of this) all.push(item);
    return all;
  }
}

const join = (chunks) => (typeof chunks[0] === 'string' ? chunks.join('') : chunks.length === 1 ? chunks[0] : require('buffer').Buffer.concat(chunks));

/** What a writable stream does, for those that are readable too. */
const writing = {
  write(chunk, encoding, done) {
    if (typeof encoding === 'function') [encoding, done] = [undefined, encoding];
    if (this.writableEnded) {
      const error = withCode(Error, 'ERR_STREAM_WRITE_AFTER_END', 'write after end');
      loop.nextTick(() => {
        done?.(error);
        this.emit('error', error);
      });
      return false;
    }
    if (chunk === null) throw withCode(TypeError, 'ERR_STREAM_NULL_VALUES', 'May not write null values to stream');
    if (typeof chunk === 'string' && !this._objects && this._decode) chunk = require('buffer').Buffer.from(chunk, encoding);
    this._waiting.push({ chunk, encoding: typeof chunk === 'string' ? (encoding ?? 'utf8') : 'buffer', done });
    this._next();
    return true;
  },

  _next() {
    if (this._busy) return;
    const one = this._waiting.shift();
    if (one === undefined) {
      if (this.writableEnded && !this.writableFinished) this._finish();
      return;
    }
    this._busy = true;
    this._write(one.chunk, one.encoding, (error) => {
      this._busy = false;
      loop.nextTick(() => one.done?.(error));
      if (error) this.destroy(error);
      else this._next();
    });
  },

  _finish() {
    this.writableFinished = true;
    const finished = () => loop.nextTick(() => {
      this.emit('finish');
      if (!this._queue) this.emit('close');
    });
    if (this._final) this._final((error) => (error ? this.destroy(error) : finished()));
    else finished();
  },

  end(chunk, encoding, done) {
    if (typeof chunk === 'function') [chunk, done] = [undefined, chunk];
    else if (typeof encoding === 'function') [encoding, done] = [undefined, encoding];
    if (chunk !== undefined && chunk !== null) this.write(chunk, encoding);
    if (done) this.once('finish', done);
    this.writableEnded = true;
    this.writable = false;
    this._next();
    return this;
  },

  cork() {},
  uncork() {},
  setDefaultEncoding() {
    return this;
  },
};

function startWriting(stream, options) {
  hidden(stream, { _waiting: [], _busy: false, _objects: Boolean(options.objectMode || options.writableObjectMode), _decode: options.decodeStrings !== false, writableEnded: false, writableFinished: false });
  stream.writable = true;
  for (const name of ['write', 'final', 'transform', 'flush']) if (options[name]) hidden(stream, { [`_${name}`]: options[name] });
}

class Writable extends Stream {
  constructor(options = {}) {
    super();
    this.destroyed = false;
    startWriting(this, options);
  }

  _write(chunk, encoding, done) {
    done(withCode(Error, 'ERR_METHOD_NOT_IMPLEMENTED', 'The _write() method is not implemented'));
  }

  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    loop.nextTick(() => {
      if (error) this.emit('error', error);
      this.emit('close');
    });
    return this;
  }
}

class Duplex extends Readable {
  constructor(options = {}) {
    super(options);
    startWriting(this, options);
  }
}

for (const kind of [Writable, Duplex]) hidden(kind.prototype, writing);

class Transform extends Duplex {
  _read() {}

  _write(chunk, encoding, done) {
    this._transform(chunk, encoding, (error, out) => {
      if (!error && out !== undefined && out !== null) this.push(out);
      done(error);
    });
  }

  _final(done) {
    const end = (error, out) => {
      if (!error && out !== undefined && out !== null) this.push(out);
      if (!error) this.push(null);
      done(error);
    };
    if (this._flush) this._flush(end);
    else end();
  }
}

class PassThrough extends Transform {
  _transform(chunk, encoding, done) {
    done(null, chunk);
  }
}

/** Calls back when a stream has come to its end. */
function finished(stream, options, done = options) {
  let called = false;
  const once = (error) => {
    if (!called) done.call(stream, error);
    called = true;
  };
  stream.on('error', once);
  if (stream instanceof Readable && !(stream instanceof Duplex)) stream.on('end', () => once());
  else stream.on('finish', () => once());
}

function pipeline(...streams) {
  const done = typeof streams.at(-1) === 'function' && !(streams.at(-1) instanceof Stream) ? streams.pop() : () => {};
  const all = (Array.isArray(streams[0]) ? streams[0] : streams).map((one) => (one instanceof Stream || one?.on ? one : Readable.from(one)));
  let failed = false;
  for (const stream of all) {
    stream.on('error', (error) => {
      if (!failed) done(error);
      failed = true;
    });
  }
  all.reduce((from, to) => from.pipe(to));
  const last = all.at(-1);
  last.on(last instanceof Readable && !(last instanceof Duplex) ? 'end' : 'finish', () => {
    if (!failed) done();
  });
  return last;
}

const promises = {
  pipeline: (...streams) => new Promise((resolve, reject) => pipeline(...streams, (error) => (error ? reject(error) : resolve()))),
  finished: (stream) => new Promise((resolve, reject) => finished(stream, (error) => (error ? reject(error) : resolve()))),
};

module.exports = Object.assign(Stream, { Stream, Readable, Writable, Duplex, Transform, PassThrough, finished, pipeline, promises });
