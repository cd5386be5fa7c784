// Follows one call-back: a first look, then the gateway's events; after a break a look again, each time a little later.

import { askJson } from '../widget/signal.js';
import { Trouble } from '../widget/trouble.js';
import { isOver } from './told.js';

/** @typedef {import('./told.js').View} View */

const FIRST_BACK_OFF_MS = 1_000;
const LONGEST_BACK_OFF_MS = 30_000;
/** A dead connection is not always told: now and then we look. */
const LOOK_EVERY_MS = 60_000;
/** Refusals that no waiting mends. */
const FINAL = new Set(['not_found', 'gone', 'not-found', 'token-invalid']);

/**
 * How long to wait before another try: doubling, and never two pages at the same moment.
 * @param {number} tries  failed ones so far, from 1
 * @param {number} random  0 to 1
 */
export function backOff(tries, random) {
  return Math.min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** (tries - 1)) * (0.75 + random / 2);
}

export class Follow {
  /**
   * @param {{ base: URL, id: string, token: string, lang: () => string }} where
   * @param {{ view: (view: View) => void, link: (up: boolean) => void, gone: () => void }} on
   */
  constructor(where, on) {
    this.where = where;
    this.on = on;
    this.tries = 0;
    this.over = false;
    this.latest_ms = -Infinity;
    /** @type {EventSource | undefined} */
    this.source = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    addEventListener('online', () => this.look());
    addEventListener('offline', () => this.#broken());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.look());
    setInterval(() => this.source !== undefined && this.look(), LOOK_EVERY_MS);
  }

  /** Reads the call-back, and listens from then on. */
  async look() {
    if (this.over) return;
    clearTimeout(this.timer);
    try {
      this.take(await this.ask('GET'));
      this.#listen();
    } catch (error) {
      if (error instanceof Trouble && FINAL.has(error.code)) this.#gone();
      else this.#broken();
    }
  }

  /**
   * @param {'GET' | 'PATCH' | 'DELETE' | 'POST'} method
   * @param {object} [body]
   * @param {string} [path]  below the call-back itself
   * @returns {Promise<View>} rejects with a `Trouble`
   */
  ask(method, body, path = '') {
    const { base, id, token, lang } = this.where;
    const headers = { authorization: `Bearer ${token}`, 'accept-language': lang(), ...(body ? { 'content-type': 'application/json' } : {}) };
    return askJson(new URL(`v1/callbacks/${id}${path}`, base), { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  }

  /** An answer may overtake an event: the older of two is not shown. @param {View} view */
  take(view) {
    const now_ms = Date.parse(view.now);
    if (now_ms < this.latest_ms) return;
    this.latest_ms = now_ms;
    this.over = isOver(view.state);
    if (this.over) this.#close();
    this.on.view(view);
    this.on.link(true);
  }

  /** @param {string} path @returns {string} an address that carries the token itself, for what sends no headers */
  address(path) {
    const { base, id, token, lang } = this.where;
    return new URL(`v1/callbacks/${id}/${path}?${new URLSearchParams({ token, lang: lang() })}`, base).href;
  }

  #listen() {
    if (this.source !== undefined || this.over) return;
    const source = (this.source = new EventSource(this.address('events')));
    source.addEventListener('callback', (event) => {
      this.tries = 0;
      this.take(JSON.parse(event.data));
    });
    // The browser's own retry knows neither back-off nor a link that is gone.
    source.addEventListener('error', () => this.source === source && this.#broken());
  }

  #broken() {
    if (this.over) return;
    this.#close();
    this.on.link(false);
    clearTimeout(this.timer);
    this.tries += 1;
    this.timer = setTimeout(() => this.look(), backOff(this.tries, Math.random()));
  }

  #close() {
    this.source?.close();
    this.source = undefined;
  }

  #gone() {
    this.over = true;
    this.#close();
    this.on.gone();
  }
}
