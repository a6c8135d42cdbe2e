'use strict';
// Texts and bytes: the encodings of Buffer, TextEncoder and TextDecoder, and
// the string decoder, which keeps what is left of a character.

const { withCode } = require('errors');

const NAMES = {
  utf8: 'utf8', 'utf-8': 'utf8', hex: 'hex', base64: 'base64', base64url: 'base64url', ascii: 'ascii',
  latin1: 'latin1', binary: 'latin1', ucs2: 'utf16le', 'ucs-2': 'utf16le', utf16le: 'utf16le', 'utf-16le': 'utf16le',
};
const nameOf = (encoding) => (Object.hasOwn(NAMES, encoding) ? NAMES[encoding] : NAMES[String(encoding).toLowerCase()]);
const unknown = (encoding) => withCode(TypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`);

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const DIGITS = new Uint8Array(128).fill(255);
for (let i = 0; i < 62; i += 1) DIGITS[LETTERS.charCodeAt(i)] = i;
[['+', 62], ['-', 62], ['/', 63], ['_', 63]].forEach(([char, value]) => { DIGITS[char.charCodeAt(0)] = value; });

function fromBase64(text) {
  const out = new Uint8Array(Math.ceil((text.length * 3) / 4));
  let length = 0;
  let bits = 0;
  let held = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 61) break;
    const digit = code < 128 ? DIGITS[code] : 255;
    if (digit === 255) continue;
    held = (held << 6) | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[length] = (held >> bits) & 255;
      length += 1;
    }
  }
  return out.buffer.slice(0, length);
}

function toBase64(bytes, url) {
  const letters = LETTERS + (url ? '-_' : '+/');
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const three = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += letters[three >> 18] + letters[(three >> 12) & 63];
    if (i + 1 < bytes.length) text += letters[(three >> 6) & 63];
    else if (!url) text += '=';
    if (i + 2 < bytes.length) text += letters[three & 63];
    else if (!url) text += '=';
  }
  return text;
}

const CHUNK = 4096;
function fromCodes(codes) {
  let text = '';
  for (let at = 0; at < codes.length; at += CHUNK) text += String.fromCharCode(...codes.subarray(at, at + CHUNK));
  return text;
}

/** The bytes of a text, as an ArrayBuffer. */
function encode(text, encoding = 'utf8') {
  switch (nameOf(encoding ?? 'utf8')) {
    case 'utf8':
      return host.encode(text);
    case 'hex': {
      const valid = /^(?:[0-9a-f]{2})*/i.exec(text)[0];
      return Uint8Array.from({ length: valid.length / 2 }, (_, i) => parseInt(valid.slice(2 * i, 2 * i + 2), 16)).buffer;
    }
    case 'base64':
    case 'base64url':
      return fromBase64(text);
    case 'ascii':
    case 'latin1': {
      const out = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i += 1) out[i] = text.charCodeAt(i);
      return out.buffer;
    }
    case 'utf16le': {
      const out = new Uint16Array(text.length);
      for (let i = 0; i < text.length; i += 1) out[i] = text.charCodeAt(i);
      return out.buffer;
    }
    default:
      throw unknown(encoding);
  }
}

function decode(bytes, encoding = 'utf8', start = 0, end = bytes.length) {
  const part = () => new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
  switch (nameOf(encoding ?? 'utf8')) {
    case 'utf8':
      return host.decode(bytes, start, end, false);
    case 'hex':
      return Array.from(part(), (byte) => byte.toString(16).padStart(2, '0')).join('');
    case 'base64':
      return toBase64(part(), false);
    case 'base64url':
      return toBase64(part(), true);
    case 'ascii':
      return fromCodes(part().map((byte) => byte & 127));
    case 'latin1':
      return fromCodes(part());
    case 'utf16le': {
      const all = part();
      const units = new Uint16Array(all.length >> 1);
      for (let i = 0; i < units.length; i += 1) units[i] = all[2 * i] | (all[2 * i + 1] << 8);
      return fromCodes(units);
    }
    default:
      throw unknown(encoding);
  }
}

/** How many bytes at the end are the beginning of a character. */
function unfinished(bytes, name) {
  const { length } = bytes;
  if (name === 'utf16le') {
    const odd = length % 2;
    const high = length - odd >= 2 && (bytes[length - odd - 1] & 0xfc) === 0xd8;
    return odd + (high ? 2 : 0);
  }
  if (name === 'base64' || name === 'base64url') return length % 3;
  if (name !== 'utf8') return 0;
  for (let back = 1; back <= Math.min(3, length); back += 1) {
    const byte = bytes[length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const size = byte >= 0xf0 && byte < 0xf5 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    return byte < 0xf5 && size > back ? back : 0;
  }
  return 0;
}

class StringDecoder {
  #rest = new Uint8Array(0);

  constructor(encoding = 'utf8') {
    const name = nameOf(encoding ?? 'utf8');
    if (name === undefined) throw unknown(encoding);
    this.encoding = name;
  }

  write(bytes) {
    if (typeof bytes === 'string') return bytes;
    let all = bytes;
    if (this.#rest.length > 0) {
      all = new Uint8Array(this.#rest.length + bytes.length);
      all.set(this.#rest);
      all.set(bytes, this.#rest.length);
    }
    const left = unfinished(all, this.encoding);
    this.#rest = Uint8Array.prototype.slice.call(all, all.length - left);
    return decode(all, this.encoding, 0, all.length - left);
  }

  end(bytes) {
    const text = bytes === undefined ? '' : this.write(bytes);
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    if (rest.length === 0) return text;
    return text + (this.encoding === 'utf8' ? '\ufffd' : decode(rest, this.encoding));
  }
}

class TextEncoder {
  get encoding() {
    return 'utf-8';
  }

  encode(text = '') {
    return new Uint8Array(host.encode(String(text)));
  }

  encodeInto(text, target) {
    let read = 0;
    let written = 0;
    for (const char of text) {
      const bytes = new Uint8Array(host.encode(char));
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      written += bytes.length;
      read += char.length;
    }
    return { read, written };
  }
}

class TextDecoder {
  #decoder;
  #started = false;

  constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
    const name = { 'utf-8': 'utf8', utf8: 'utf8', 'unicode-1-1-utf-8': 'utf8', 'utf-16le': 'utf16le', 'utf-16': 'utf16le', latin1: 'latin1', ascii: 'latin1', 'iso-8859-1': 'latin1', 'windows-1252': 'latin1' }[String(label).trim().toLowerCase()];
    if (name === undefined) throw withCode(RangeError, 'ERR_ENCODING_NOT_SUPPORTED', `The "${label}" encoding is not supported`);
    Object.assign(this, { fatal, ignoreBOM, encoding: name === 'utf8' ? 'utf-8' : name === 'utf16le' ? 'utf-16le' : 'windows-1252' });
    this.#decoder = new StringDecoder(name);
  }

  decode(input, { stream = false } = {}) {
    const bytes = input === undefined ? new Uint8Array(0)
      : ArrayBuffer.isView(input) ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength) : new Uint8Array(input);
    if (this.fatal && this.encoding === 'utf-8' && !stream && host.decode(bytes, 0, bytes.length, true) === null) {
      throw withCode(TypeError, 'ERR_ENCODING_INVALID_ENCODED_DATA', 'The encoded data was not valid for encoding utf-8');
    }
    let text = this.#decoder.write(bytes);
    if (!stream) text += this.#decoder.end();
    if (!this.#started && !this.ignoreBOM && text.startsWith('\ufeff')) text = text.slice(1);
    this.#started = stream && (this.#started || text !== '');
    return text;
  }
}

function btoa(text) {
  const bytes = new Uint8Array(encode(String(text), 'latin1'));
  // eslint-disable-next-line no-control-regex
  if (/[^\x00-\xff]/.test(text)) throw new DOMException('Invalid character', 'InvalidCharacterError');
  return toBase64(bytes, false);
}

function atob(text) {
  const clean = String(text).replace(/[\t\n\f\r ]/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(clean) || clean.replace(/=+$/, '').length % 4 === 1) {
    throw new DOMException('The string to be decoded is not correctly encoded.', 'InvalidCharacterError');
  }
  return decode(new Uint8Array(fromBase64(clean)), 'latin1');
}

module.exports = { StringDecoder, TextDecoder, TextEncoder, atob, btoa, decode, encode, nameOf };
