'use strict';
// node:readline and node:readline/promises, on streams that are no terminal.

const EventEmitter = require('events');
const { StringDecoder } = require('encodings');
const { withCode } = require('errors');

class Interface extends EventEmitter {
  #prompt = '> ';
  #pending = '';
  #decoder = new StringDecoder('utf8');
  #questions = [];
  #lines = []; // that came while nobody was to be told
  #paused = false;
  #after = false; // the last character was a carriage return
  #ended = false;

  constructor(input, output) {
    super();
    const options = input?.on === undefined ? { ...input } : { input, output };
    if (options.input === undefined) throw withCode(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "input" option must be a stream');
    this.input = options.input;
    this.output = options.output;
    this.terminal = false;
    this.line = '';
    this.cursor = 0;
    this.closed = false;
    if (options.prompt !== undefined) this.#prompt = options.prompt;
    this.input.on('data', (chunk) => this.#take(typeof chunk === 'string' ? chunk : this.#decoder.write(chunk)));
    this.input.on('end', () => {
      this.#ended = true;
      const rest = this.#pending + this.#decoder.end();
      this.#pending = '';
      // As in Node: a line that does not end answers no question.
      if (rest !== '' && !this.closed) this.emit('line', rest);
      this.#flush();
    });
    this.input.resume();
  }

  #take(text) {
    if (this.#after && text.startsWith('\n')) text = text.slice(1);
    this.#after = text === '' ? this.#after : text.endsWith('\r');
    const lines = (this.#pending + text).split(/\r\n|\n|\r/);
    this.#pending = lines.pop();
    for (const line of lines) this.#tell(line);
  }

  #tell(line) {
    if (this.closed && this.#questions.length === 0) return;
    if (this.#paused) this.#lines.push(line);
    else if (this.#questions.length > 0) this.#questions.shift()(line);
    else this.emit('line', line);
  }

  #flush() {
    while (!this.#paused && this.#lines.length > 0) this.#tell(this.#lines.shift());
    if (this.#ended && this.#lines.length === 0 && !this.#paused) this.close();
  }

  setPrompt(prompt) {
    this.#prompt = prompt;
  }

  getPrompt() {
    return this.#prompt;
  }

  prompt() {
    if (this.#paused) this.resume();
    this.output?.write(this.#prompt);
  }

  question(query, options, done = options) {
    if (this.closed) throw withCode(Error, 'ERR_USE_AFTER_CLOSE', 'readline was closed');
    this.output?.write(query);
    if (this.#paused) this.resume();
    this.#questions.push(done);
  }

  pause() {
    if (this.#paused) return this;
    this.#paused = true;
    this.input.pause();
    this.emit('pause');
    return this;
  }

  resume() {
    if (!this.#paused) return this;
    this.#paused = false;
    this.input.resume();
    this.emit('resume');
    require('loop').nextTick(() => this.#flush());
    return this;
  }

  write(text) {
    if (typeof text === 'string') this.#take(text);
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.input.pause();
    this.emit('close');
  }

  async* [Symbol.asyncIterator]() {
    const arrived = [];
    let wake = () => {};
    let over = this.closed;
    this.on('line', (line) => {
      arrived.push(line);
      wake();
    });
    this.on('close', () => {
      over = true;
      wake();
    });
    try {
      for (;;) {
        for (let at = 0; at < arrived.length; at += 1) yield arrived[at];
        arrived.length = 0;
        if (over) return;
        await new Promise((resolve) => { wake = resolve; });
      }
    } finally {
      this.close();
    }
  }

  [Symbol.dispose]() {
    this.close();
  }
}

class Promising extends Interface {
  question(query) {
    return new Promise((resolve, reject) => {
      try {
        super.question(query, resolve);
      } catch (error) {
        reject(error);
      }
    });
  }
}

const helpers = { clearLine: () => true, clearScreenDown: () => true, cursorTo: () => true, moveCursor: () => true, emitKeypressEvents() {} };

module.exports = {
  Interface, ...helpers,
  createInterface: (input, output) => new Interface(input, output),
  promises: { Interface: Promising, createInterface: (input, output) => new Promising(input, output) },
};
