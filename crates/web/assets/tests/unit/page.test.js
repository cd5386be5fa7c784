// What the page may weigh, load and tell: loader size, no foreign address, nothing inline, nothing private sent.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { diagnose } from '../../widget/microphone.js';
import { withoutQuery } from '../../widget/session.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LOADER_LIMIT_BYTES = 10_000;

/**
 * A module and all it imports before it runs.
 * @param {string} path
 * @param {Set<string>} [seen]
 */
function closure(path, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const [, from] of readFileSync(path, 'utf8').matchAll(/^import .*from '(.+)';$/gm)) closure(fileURLToPath(new URL(from, `file://${path}`)), seen);
  return seen;
}

test('the loader with all it needs before the click is at most 10 kB gzipped', () => {
  const files = [...closure(`${ROOT}widget.js`)];
  const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 6 }).length, 0);
  console.log(`loader: ${bytes} bytes gzipped in ${files.length} files`);
  assert.ok(files.length > 1, 'the imports were followed');
  assert.ok(bytes <= LOADER_LIMIT_BYTES, `${bytes}`);
  assert.ok(!files.some((file) => file.endsWith('call.js')), 'the call code waits for the click');
  assert.ok(!files.some((file) => file.includes('callback')), 'the call-back’s form waits for its own');
});

test('every module is short and says first what it is for', () => {
  for (const folder of ['widget', 'callback', 'demo', 'tests/unit', 'tests/browser', 'tests/support']) {
    for (const name of readdirSync(ROOT + folder).filter((name) => name.endsWith('.js'))) {
      const text = readFileSync(`${ROOT}${folder}/${name}`, 'utf8');
      assert.match(text, /^\/\/ [A-Z].{20,}/, name);
      assert.ok(text.split('\n').length < 400, name);
    }
  }
});

test('pages and widget ask nobody but their own origin, and hold nothing inline', () => {
  const demo = readdirSync(`${ROOT}demo`, { recursive: true }).map((name) => `demo/${name}`);
  const widget = readdirSync(`${ROOT}widget`).map((name) => `widget/${name}`);
  const callback = readdirSync(`${ROOT}callback`).map((name) => `callback/${name}`);
  for (const name of [...demo, ...widget, ...callback, 'widget.js'].filter((name) => /\.(js|html|css|svg)$/.test(name))) {
    const text = readFileSync(ROOT + name, 'utf8').replaceAll('http://www.w3.org/2000/svg', '').replace(/^\/\/.*|^ ?\*.*|\/\*\*.*?\*\//gm, '');
    assert.doesNotMatch(text, /(?:src|href|url|import|fetch)\W{1,3}https?:/i, name);
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name);
    if (name.endsWith('.html')) assert.doesNotMatch(text, /<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)/, name);
  }
});

test('the lock file names no registry', () => {
  assert.doesNotMatch(readFileSync(`${ROOT}package-lock.json`, 'utf8'), /https?:|resolved/);
});

test('what is told of a page carries no query, fragment, user or password', () => {
  assert.equal(withoutQuery('https://u:p@shop.test/a/b?token=secret#me'), 'https://shop.test/a/b');
  for (const odd of ['', 'nonsense', 'javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'about:srcdoc']) assert.equal(withoutQuery(odd), '', odd);
});

test('the ways a microphone fails are told apart', () => {
  const around = { secure: true, devices: true, allowed: true, framed: false, permission: /** @type {const} */ ('prompt'), after_ms: 2_000 };
  /** @type {[string, string, object][]} */
  const cases = [
    ['mic-insecure', 'TypeError', { secure: false, devices: false }],
    ['unsupported', 'TypeError', { devices: false }],
    ['mic-denied', 'NotAllowedError', { permission: 'denied' }],
    ['mic-dismissed', 'NotAllowedError', {}],
    ['mic-policy', 'NotAllowedError', { allowed: false }],
    ['mic-policy', 'NotAllowedError', { allowed: undefined, framed: true, permission: '', after_ms: 5 }],
    ['mic-denied', 'NotAllowedError', { allowed: undefined, framed: true, permission: '', after_ms: 3_000 }],
    ['mic-denied', 'NotAllowedError', { allowed: undefined, permission: '', after_ms: 5 }],
    ['mic-missing', 'NotFoundError', {}],
    ['mic-busy', 'NotReadableError', {}],
    ['mic-busy', 'AbortError', {}],
    ['bug', 'TypeError', {}],
  ];
  for (const [code, name, over] of cases) assert.equal(diagnose({ name }, { ...around, ...over }), code, `${name} ${JSON.stringify(over)}`);
  assert.equal(diagnose({ name: 'NotAllowedError', message: 'Permission denied by system' }, { ...around, permission: 'granted' }), 'mic-system');
});
