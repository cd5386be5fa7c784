// One seat held while a form is open: asked for when a time is chosen, moved with the choice, let go when the form is put away.

import { sessionId } from './session.js';
import { askJson, fetchToken } from './signal.js';
import { Trouble } from './trouble.js';

/** What the gateway says of a held seat. @typedef {{ hold: string, start: string, until: string, held_s: number }} Held */
/** How a seat is held: by whom differs. @typedef {{ ask: (start: string) => Promise<Held>, release: (hold: string) => void }} Line */

/** The first part of its time: whoever goes on typing after it keeps the seat. */
const FRESH = 0.5;

export class Seat {
  /**
   * @param {Line} line
   * @param {{ change: () => void, gone: (trouble: Trouble) => void }} on  another took it first: `gone`
   */
  constructor(line, on) {
    this.line = line;
    this.on = on;
    /** The time that is wanted; '' for none. */
    this.wanted = '';
    /** The time that was last asked for. */
    this.asked = '';
    /** @type {Held | undefined} */
    this.held = undefined;
    /** The time was up: said until another is chosen. */
    this.over = false;
    this.until_ms = 0;
    this.busy = false;
    this.following = Promise.resolve();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    // A page that goes says so; what is not heard ends by itself.
    addEventListener('pagehide', () => this.#letGo());
  }

  /** The name of the hold, while it lasts. @returns {string | undefined} */
  get id() {
    return this.held?.hold;
  }

  /** Holds a time in the place of the one before; '' holds none. @param {string} start */
  choose(start) {
    if (start !== this.wanted) this.over = false;
    this.wanted = start;
    if (!this.busy) this.following = this.#follow();
  }

  /** The visitor is still at it: the rest of the time begins anew. */
  stir() {
    if (this.held === undefined || this.busy || this.until_ms - performance.now() > this.held.held_s * 1_000 * FRESH) return;
    this.asked = '';
    this.following = this.#follow();
  }

  /** Once no answer is awaited: what is sent without the name of a hold that is just being made would stand in its own way. */
  settled() {
    return this.following;
  }

  /** The call-back has the seat now. */
  used() {
    this.wanted = this.asked = '';
    this.#end();
  }

  /** One request at a time, so that the last choice is the last one heard. */
  async #follow() {
    this.busy = true;
    while (this.wanted !== this.asked) {
      this.asked = this.wanted;
      if (this.asked === '') this.#letGo();
      else await this.#hold(this.asked);
    }
    this.busy = false;
    this.on.change();
  }

  /** @param {string} start */
  async #hold(start) {
    const asked_ms = performance.now();
    try {
      const held = await this.line.ask(start);
      // Let go of, or used up, while it was on its way.
      if (this.wanted === '') return this.line.release(held.hold);
      this.#end();
      this.held = held;
      this.until_ms = asked_ms + held.held_s * 1_000;
      this.timer = setTimeout(() => this.#lapse(), this.until_ms - performance.now());
    } catch (error) {
      // Without a hold the form works all the same: the seat is then taken when it is sent.
      if (!(error instanceof Trouble)) console.error('passerelle:', error);
      else if (error.code === 'slot_gone' && this.wanted === start) this.on.gone(error);
    }
  }

  #lapse() {
    this.held = undefined;
    this.over = true;
    this.on.change();
  }

  #letGo() {
    if (this.held) this.line.release(this.held.hold);
    this.#end();
  }

  #end() {
    clearTimeout(this.timer);
    this.held = undefined;
  }
}

/**
 * A seat for a visitor of the site.
 * @param {() => { base: URL, tenant: string, queue: string, lang: string }} settings
 * @param {string} tz
 * @returns {Line}
 */
export function visitorLine(settings, tz) {
  return {
    ask: async (start) => {
      const { base, tenant, queue, lang } = settings();
      const token = await fetchToken(base, { tenant, queue, lang });
      return postHold(base, { token, start, tz, session: sessionId() }, { 'accept-language': lang });
    },
    release: (hold) => release(settings().base, hold),
  };
}

/**
 * A seat for who has the key of a call-back.
 * @param {URL} base
 * @param {string} callback
 * @param {string} key
 * @param {() => string} lang
 * @param {string} tz
 * @returns {Line}
 */
export function callbackLine(base, callback, key, lang, tz) {
  return {
    ask: (start) => postHold(base, { callback, start, tz }, { authorization: `Bearer ${key}`, 'accept-language': lang() }),
    release: (hold) => release(base, hold),
  };
}

/**
 * @param {URL} base
 * @param {object} body
 * @param {Record<string, string>} headers
 * @returns {Promise<Held>}
 */
const postHold = (base, body, headers) =>
  askJson(new URL('v1/slots/hold', base), { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });

/** Heard even while the page goes; nobody waits for it. @param {URL} base @param {string} hold */
function release(base, hold) {
  fetch(new URL(`v1/slots/hold/${hold}`, base), { method: 'DELETE', credentials: 'omit', keepalive: true }).catch(() => {});
}
