// The proof of work: our own SHA-256 against Node's, and a riddle that has an answer, or none.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { hasher, solve } from '../../widget/proof.js';

const hashed = (/** @type {string} */ text) => createHash('sha256').update(text).digest('hex');
const hex = (/** @type {Int32Array} */ words) => [...words].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
const riddle = (/** @type {number} */ number, maxnumber = 5_000) => {
  const salt = 'a5'.repeat(16) + '?expires=1795000000&';
  return { algorithm: 'SHA-256', challenge: hashed(`${salt}${number}`), maxnumber, salt, signature: 'sealed' };
};

test('it hashes as Node does, at every length around the end of a block', () => {
  for (let length = 0; length <= 200; length += 1) {
    const salt = 'x'.repeat(length);
    const hash = hasher(salt);
    for (const number of [0, 7, 42, 99_999, 4_294_967_295]) assert.equal(hex(hash(number)), hashed(`${salt}${number}`), `${length} and ${number}`);
  }
  assert.equal(hex(hasher('été€')(1)), hashed('été€1'));
});

test('the first, the last and any number between is found, and written as ALTCHA writes it', async () => {
  for (const number of [0, 1, 127, 128, 129, 4_999, 5_000]) {
    /** @type {number[]} */
    const shares = [];
    const asked = riddle(number);
    const answer = JSON.parse(atob(await solve(asked, (share) => shares.push(share))));
    const { algorithm, challenge, salt, signature } = asked;
    assert.deepEqual(answer, { algorithm, challenge, number, salt, signature });
    assert.ok(shares.every((share, index) => share > 0 && share <= 1 && share >= (shares[index - 1] ?? 0)), `${shares}`);
  }
});

test('a riddle without an answer ends', async () => {
  await assert.rejects(solve(riddle(5_001)), /no number fits/);
});
