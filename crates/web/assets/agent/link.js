// The console's WebSocket: log in, stay in, come back after a loss.

import { Trouble } from '../widget/trouble.js';

const PING_EVERY_MS = 15_000;
/** The gateway answers every ping, so this much silence means that the socket is dead. */
const SILENCE_LIMIT_MS = 40_000;
const OPEN_LIMIT_MS = 10_000;
/** Pauses between attempts to come back; the last one repeats. */
const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

/** @typedef {{ extension: string, password: string, lang: string }} Credentials */

/**
 * @typedef {object} On
 * @property {(message: any) => void} message
 * @property {(welcome: any) => void} in      logged in, the first time or again
 * @property {() => void} lost               the socket is gone and will be tried again
 * @property {(trouble: Trouble) => void} out  refused for good: back to the login form
 */

export class Link {
  /** @param {On} on */
  constructor(on) {
    this.on = on;
    this.attempt = 0;
    this.everIn = false;
    this.left = false;
    /** @type {WebSocket | undefined} */
    this.socket = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.pinger = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.heard_ms = performance.now();
  }

  /** @param {Credentials} credentials  kept in memory only, for coming back */
  open(credentials) {
    this.credentials = credentials;
    this.#connect();
  }

  /** @param {object} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  leave() {
    this.left = true;
    clearInterval(this.pinger);
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.credentials = undefined;
  }

  #connect() {
    const url = new URL('/v1/agent', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, 'passerelle.v1');
    this.socket = socket;
    let welcome = false;
    /** @type {Trouble | undefined} what the gateway said before it closed */
    let refusal;
    const late = setTimeout(() => socket.close(), OPEN_LIMIT_MS);
    socket.addEventListener('open', () => this.send({ type: 'hello', v: 1, ...this.credentials }));
    socket.addEventListener('message', (event) => {
      if (socket !== this.socket) return;
      this.heard_ms = performance.now();
      const message = JSON.parse(event.data);
      if (message.type === 'welcome') {
        clearTimeout(late);
        welcome = true;
        this.everIn = true;
        this.attempt = 0;
        this.on.in(message);
      } else if (message.type === 'error' && !welcome) {
        refusal = new Trouble(message.code, message.sentence);
      } else if (message.type !== 'pong') {
        this.on.message(message);
      }
    });
    socket.addEventListener('close', () => {
      clearTimeout(late);
      if (socket !== this.socket || this.left) return;
      this.socket = undefined;
      this.#closed(refusal);
    });
  }

  /** @param {Trouble | undefined} refusal */
  #closed(refusal) {
    const forGood = refusal !== undefined && !['overload', 'shutdown', 'hello-late'].includes(refusal.code);
    if (forGood || !this.everIn) {
      this.leave();
      this.on.out(refusal ?? new Trouble('unreachable'));
      return;
    }
    this.on.lost();
    const pause_ms = PAUSES_MS[Math.min(this.attempt, PAUSES_MS.length - 1)];
    this.attempt += 1;
    // Not all consoles at the same moment after a restart of the gateway.
    this.timer = setTimeout(() => this.#connect(), pause_ms * (0.5 + Math.random()));
  }

  #ping() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (performance.now() - this.heard_ms > SILENCE_LIMIT_MS) this.socket.close();
    else this.send({ type: 'ping' });
  }
}
