// Signalling with the gateway: the one-use token, then one WebSocket of JSON messages (`passerelle.v1`).

import { Trouble } from './trouble.js';

const OPEN_LIMIT_MS = 10_000;
const PING_EVERY_MS = 15_000;
/** Silence longer than this means the socket is dead though nobody said so (Wi-Fi gone, NAT forgot us). */
const SILENCE_LIMIT_MS = 40_000;

/**
 * @param {URL} base  where the widget came from
 * @param {{ tenant: string, queue: string, lang: string }} wanted
 * @returns {Promise<string>} rejects with a `Trouble`
 */
export async function fetchToken(base, { tenant, queue, lang }) {
  const { token } = await askJson(new URL('v1/token', base), {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'accept-language': lang },
    body: JSON.stringify({ tenant, queue }),
  });
  if (typeof token !== 'string') throw new Trouble('unreachable');
  return token;
}

/**
 * @param {URL} url
 * @param {RequestInit} init
 * @returns {Promise<any>} rejects with a `Trouble`: the gateway's code and sentence, or `unreachable`
 */
export async function askJson(url, init) {
  const limit = AbortSignal.timeout?.(OPEN_LIMIT_MS);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(url, { ...init, credentials: 'omit', cache: 'no-store', signal: limit });
  } catch {
    throw new Trouble('unreachable');
  }
  const body = await response.json().catch(() => null);
  // An answer cut short on its way is none, whatever its first line said.
  if (body === null || typeof body !== 'object') throw new Trouble('unreachable');
  if (!response.ok) throw new Trouble(String(body.code ?? 'unreachable'), String(body.sentence ?? ''), response.status, body);
  return body;
}

/** One WebSocket, alive until it ends or `close` is called; `onLost` is called at most once and never after `close`. */
export class Signal {
  /**
   * @param {URL} base
   * @param {{ onMessage: (message: any) => void, onLost: () => void }} on
   */
  constructor(base, on) {
    const url = new URL('v1/talk', base);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.on = on;
    this.closed = false;
    this.heard_ms = performance.now();
    this.socket = new WebSocket(url, 'passerelle.v1');
    this.socket.addEventListener('message', (event) => this.#hear(event.data));
    this.pinger = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.opened = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Trouble('unreachable')), OPEN_LIMIT_MS);
      this.socket.addEventListener('open', () => {
        clearTimeout(late);
        this.socket.addEventListener('close', () => this.#lose());
        resolve(undefined);
      });
      this.socket.addEventListener('error', () => reject(new Trouble('unreachable')));
    });
    this.opened.catch(() => this.close());
  }

  /** @param {object} message */
  send(message) {
    if (!this.closed && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Says goodbye and closes; what was sent before still leaves first. */
  leave() {
    this.send({ type: 'bye' });
    this.close();
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.pinger);
    this.socket.close();
  }

  /** @param {unknown} data */
  #hear(data) {
    this.heard_ms = performance.now();
    if (this.closed || typeof data !== 'string') return;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message !== null && typeof message === 'object') this.on.onMessage(message);
  }

  #ping() {
    if (performance.now() - this.heard_ms > SILENCE_LIMIT_MS) this.#lose();
    else this.send({ type: 'ping' });
  }

  #lose() {
    if (this.closed) return;
    this.close();
    this.on.onLost();
  }
}
