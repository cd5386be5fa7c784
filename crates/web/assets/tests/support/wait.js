// Waiting for something outside the browser, with an end.

import assert from 'node:assert/strict';

const EVERY_MS = 25;
const TRIES = 200;

/** @param {() => boolean | undefined} done */
export async function waitFor(done) {
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (done()) return;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  assert.fail(`never happened: ${done}`);
}
