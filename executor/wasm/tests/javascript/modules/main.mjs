import fs, { readFileSync } from 'fs'; import { strict as assert } from 'node:assert'; import path from 'path'; import * as ns from './second.mjs'; import def, { named } from './second.mjs'; import cjs from './third.cjs'; import { x as cx } from './third.cjs'; import data from './data.json' with { type: 'json' };
import { createRequire } from 'module'; import readline from 'readline/promises';
console.log(typeof readFileSync, def, named, ns, cjs, cx, data, import.meta.url.endsWith('/main.mjs'), typeof import.meta.dirname, typeof require, this);
const r = createRequire(import.meta.url); console.log(r('./third.cjs') === cjs, r('./data.json'));
const dyn = await import('./second.mjs'); console.log(dyn === ns, dyn.default);
try { await import('./missing.mjs') } catch (e) { console.log(e.code) }
await new Promise(r => setTimeout(r, 2)); console.log('after tla');
const rl = readline.createInterface({ input: process.stdin }); const lines = []; for await (const l of rl) lines.push(l); console.log(lines);
export default 1;
