'use strict';
// How the harness reaches the other side, on Node: pipes. On the WASI backend
// the guest puts its own in this one's place (runtimes/wasi/javascript/lib/
// harness.js): the host's functions, which know frames.

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const REPORT = 4;

function writeAll(fd, bytes) {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at);
}

/** One frame: u32 little-endian length, then `body`. */
function send(fd, body) {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(body.length);
  writeAll(fd, Buffer.concat([head, body]));
}

function exactly(fd, count) {
  const parts = [];
  // Never `count` at once: the length is the peer's claim.
  for (let left = count; left > 0; ) {
    const part = Buffer.allocUnsafe(Math.min(left, 1 << 16));
    let got = 0;
    try {
      got = fs.readSync(fd, part, 0, part.length, null);
    } catch {
      return null;
    }
    if (got === 0) return null;
    parts.push(part.subarray(0, got));
    left -= got;
  }
  return Buffer.concat(parts);
}

/** The next frame's body; null when the peer is gone, also in mid-frame. A
 *  length of more than `most` is handed to `tooLong`, which throws. */
function receive(fd, most, tooLong) {
  const head = exactly(fd, 4);
  if (head === null) return null;
  const length = head.readUInt32LE();
  return length > most ? tooLong(length) : exactly(fd, length);
}

/** The namespace of an ES module whose file does not say so by its name. */
function importSource(file, source) {
  const copy = path.join(path.dirname(file), `.assize-${path.basename(file)}.mjs`);
  fs.writeFileSync(copy, source);
  return import(pathToFileURL(copy));
}

module.exports = { importSource, receive, report: (bytes) => writeAll(REPORT, Buffer.from(bytes)), send };
