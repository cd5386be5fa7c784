// Proof of work, ALTCHA's scheme: finds the number the gateway hashed. Fetched only when the gateway asks for it.
// In slices on the page's own thread: a worker from another origin is refused by browsers, one made of text by strict policies,
// and crypto.subtle is missing without https. A slice is shorter than a frame, so the page never freezes.

/** @typedef {{ algorithm: string, challenge: string, maxnumber: number, salt: string, signature: string }} Challenge */

const SLICE_MS = 8;
/** Tries between two looks at the clock. */
const STRIDE = 128;

/**
 * @param {Challenge} challenge
 * @param {(share: number) => void} [progress]  0 to 1 of what may have to be tried, after each slice
 * @returns {Promise<string>} what `pow` wants; rejects when no number fits
 */
export async function solve({ algorithm, challenge, maxnumber, salt, signature }, progress = () => {}) {
  const hash = hasher(salt);
  const wanted = wordsOf(challenge);
  let number = 0;
  while (number <= maxnumber) {
    const until_ms = performance.now() + SLICE_MS;
    do {
      for (const last = Math.min(number + STRIDE, maxnumber + 1); number < last; number += 1) {
        if (hash(number)[0] === wanted[0] && same(hash(number), wanted)) return btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
      }
    } while (number <= maxnumber && performance.now() < until_ms);
    progress(number / (maxnumber + 1));
    await breath();
  }
  throw new Error('no number fits the challenge');
}

/** Lets the page do what waits: input, painting. A timer would be slowed down in a tab behind. */
function breath() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage('');
  });
}

/** @param {Int32Array} a @param {Int32Array} b */
const same = (a, b) => a.every((word, index) => word === b[index]);

/** 64 hexadecimal digits as eight words. @param {string} hex */
function wordsOf(hex) {
  return Int32Array.from({ length: 8 }, (_, index) => Number.parseInt(hex.slice(8 * index, 8 * index + 8), 16) | 0);
}

/**
 * SHA-256 (FIPS 180-4) of a salt and a number behind it. What the salt fills whole is hashed once.
 * @param {string} salt
 * @returns {(number: number) => Int32Array} the digest; the same array each time
 */
export function hasher(salt) {
  const bytes = new TextEncoder().encode(salt);
  const whole = bytes.length - (bytes.length % 64);
  const begun = Int32Array.from(START);
  for (let at = 0; at < whole; at += 64) compress(begun, wordsAt(bytes, at));
  const rest = bytes.subarray(whole);
  const tail = new Uint8Array(128);
  const lengths = new DataView(tail.buffer);
  const state = new Int32Array(8);
  return (number) => {
    const digits = String(number);
    const length = rest.length + digits.length;
    tail.fill(0);
    tail.set(rest);
    for (let index = 0; index < digits.length; index += 1) tail[rest.length + index] = digits.charCodeAt(index);
    tail[length] = 0x80;
    const end = length < 56 ? 64 : 128;
    lengths.setUint32(end - 4, (whole + length) * 8);
    state.set(begun);
    for (let at = 0; at < end; at += 64) compress(state, wordsAt(tail, at));
    return state;
  };
}

/** The first 32 bits behind the point of a root. @param {number} root */
const fraction = (root) => ((root - Math.floor(root)) * 0x1_0000_0000) | 0;

const PRIMES = [...Array(312).keys()].filter((n) => n > 1 && ![...Array(n).keys()].some((d) => d > 1 && n % d === 0));
const START = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
const ROUND = Int32Array.from(PRIMES.slice(0, 64), (prime) => fraction(Math.cbrt(prime)));
const schedule = new Int32Array(64);

/** @param {Uint8Array} bytes @param {number} at */
function wordsAt(bytes, at) {
  for (let index = 0; index < 16; index += 1, at += 4) schedule[index] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  return schedule;
}

/** @param {number} word @param {number} by */
const turn = (word, by) => (word >>> by) | (word << (32 - by));

/** @param {Int32Array} state @param {Int32Array} w  its first 16 words are the block */
function compress(state, w) {
  for (let t = 16; t < 64; t += 1) {
    const x = w[t - 15];
    const y = w[t - 2];
    w[t] = (w[t - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[t - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))) | 0;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let t = 0; t < 64; t += 1) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[t] + w[t]) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}
