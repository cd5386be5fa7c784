// What the console shows: cards of the agent's own calls and the table of all live calls. Text only: every word from a
// visitor's page goes through `textContent`.

import { clock } from '../widget/words.js';

/**
 * @typedef {object} Card  a live call as the gateway tells it
 * @property {string} call
 * @property {string} state
 * @property {string} queue
 * @property {{ url: string, title: string }} page
 * @property {string | null} referrer
 * @property {string} session
 * @property {string} lang
 * @property {number} since_ms
 * @property {string} [agent]
 */

/**
 * @typedef {object} Own  one of the agent's own calls
 * @property {Card} card
 * @property {'ringing' | 'answering' | 'talking' | 'phone'} phase  the last: talking, but on the telephone
 * @property {boolean} listed  the live list has named it
 * @property {boolean} muted
 * @property {string} digits
 * @property {number} since_ms  page time
 */

/** @typedef {import('../widget/language.js').Say} Say */

/** Digits kept on a card. */
const MAX_DIGITS = 24;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export const byId = (id) => /** @type {T} */ (document.getElementById(id));

/** @param {HTMLElement} node @param {string} text */
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {ParentNode} root
 * @param {string} name
 * @returns {HTMLElement}
 */
export const part = (root, name) => /** @type {HTMLElement} */ (root.querySelector(`[data-is="${name}"]`));

/** Fills in the words of a part of the page. @param {ParentNode} root @param {Say} say */
export function translate(root, say) {
  for (const node of root.querySelectorAll('[data-word]')) {
    node.textContent = say(/** @type {HTMLElement} */ (node).dataset.word ?? '');
  }
}

/** @param {string} id @param {Say} say @returns {HTMLElement} */
export function copy(id, say) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  const node = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  translate(node, say);
  return node;
}

/** Where a page is, without scheme, query and secrets in either. @param {string | null} address */
function place(address) {
  if (!address || !URL.canParse(address)) return address ?? '';
  const url = new URL(address);
  return url.host === '' ? address : url.host + decode(url.pathname).replace(/^\/$/, '');
}

/** @param {string} encoded */
function decode(encoded) {
  try {
    return decodeURI(encoded);
  } catch {
    return encoded;
  }
}

/** The same within a site, for the narrow column. @param {string} address */
function path(address) {
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  return url.pathname === '/' ? url.host : decode(url.pathname);
}

/**
 * Shows an address: a link where it is one of the web, else only its text (`javascript:` and the like lead nowhere).
 * @param {HTMLElement} node
 * @param {string} address
 * @param {(address: string) => string} [short]
 */
function putAddress(node, address, short = place) {
  if (node.dataset.address === address) return;
  node.dataset.address = address;
  node.title = address;
  node.replaceChildren();
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) {
    node.textContent = address;
    return;
  }
  const link = document.createElement('a');
  link.href = address;
  link.target = '_blank';
  link.rel = 'noopener noreferrer';
  link.textContent = short(address);
  node.append(link);
}

export class Board {
  /**
   * @param {Say} say
   * @param {string} language
   * @param {(what: 'answer' | 'decline' | 'mute' | 'hangUp', call: string) => void} onDo
   */
  constructor(say, language, onDo) {
    this.say = say;
    this.onDo = onDo;
    this.languages = new Intl.DisplayNames([language], { type: 'language', fallback: 'code' });
    /** @type {Map<string, HTMLElement>} */
    this.cards = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
    /** What the gateway's clock is ahead of ours. */
    this.ahead_ms = 0;
  }

  /**
   * @param {Own[]} calls
   * @param {boolean} ready
   */
  showOwn(calls, ready) {
    const busy = calls.some((own) => own.phase !== 'ringing');
    this.#keep(this.cards, byId('cards'), calls.map((own) => own.card.call), (call) => this.#newCard(call));
    for (const own of calls) this.#fillCard(own, ready, busy);
    byId('no-call').hidden = calls.length > 0;
    put(byId('ready-hint'), this.say(ready ? 'readyOn' : 'readyOff'));
  }

  /** @param {Card[]} calls @param {number} now_ms  the gateway's time */
  showLive(calls, now_ms) {
    this.ahead_ms = now_ms - Date.now();
    this.#keep(this.rows, byId('rows'), calls.map((card) => card.call), () => copy('row-template', this.say));
    for (const card of calls) this.#fillRow(card);
    byId('table').hidden = calls.length === 0;
    byId('nobody').hidden = calls.length > 0;
    put(byId('count'), String(calls.length));
  }

  /** Moves the clocks on. */
  tick() {
    for (const node of document.querySelectorAll('[data-since]')) {
      const element = /** @type {HTMLElement} */ (node);
      put(element, clock((Date.now() + this.ahead_ms - Number(element.dataset.since)) / 1000));
    }
  }

  /**
   * Keeps one node a call, in order, without rebuilding those that stay: focus and selection survive.
   * @param {Map<string, HTMLElement>} nodes
   * @param {HTMLElement} parent
   * @param {string[]} calls
   * @param {(call: string) => HTMLElement} make
   */
  #keep(nodes, parent, calls, make) {
    for (const [call, node] of nodes) {
      if (calls.includes(call)) continue;
      node.remove();
      nodes.delete(call);
    }
    calls.forEach((call, index) => {
      const node = nodes.get(call) ?? make(call);
      nodes.set(call, node);
      if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
    });
  }

  /** @param {string} call */
  #newCard(call) {
    const node = copy('card-template', this.say);
    for (const button of node.querySelectorAll('[data-do]')) {
      const what = /** @type {any} */ (/** @type {HTMLElement} */ (button).dataset.do);
      button.addEventListener('click', () => this.onDo(what, call));
    }
    return node;
  }

  /** @param {Own} own @param {boolean} ready @param {boolean} busy */
  #fillCard(own, ready, busy) {
    const node = /** @type {HTMLElement} */ (this.cards.get(own.card.call));
    const { card, phase } = own;
    const ringing = phase === 'ringing';
    const here = phase === 'answering' || phase === 'talking';
    const talking = phase === 'talking' || phase === 'phone';
    node.dataset.phase = talking ? 'talking' : phase;
    this.#fillState(node, talking ? (card.state === 'held' ? 'held' : 'talking') : phase);
    this.#fillPage(node, card);
    const timer = part(node, 'timer');
    timer.dataset.since = String(own.since_ms + this.ahead_ms);
    put(part(node, 'queue'), card.queue);
    put(part(node, 'language'), this.#languageName(card.lang));
    part(node, 'referrer-row').hidden = !card.referrer;
    putAddress(part(node, 'referrer'), card.referrer ?? '');
    part(node, 'digits').hidden = own.digits === '';
    put(part(node, 'keys'), own.digits.slice(-MAX_DIGITS).split('').join(' '));
    const button = (/** @type {string} */ name) => /** @type {HTMLButtonElement} */ (node.querySelector(`[data-do="${name}"]`));
    button('answer').hidden = !ringing || !ready;
    button('answer').disabled = busy;
    button('decline').hidden = !ringing || !ready;
    button('mute').hidden = !here;
    button('mute').setAttribute('aria-pressed', String(own.muted));
    put(button('mute'), this.say(own.muted ? 'muted' : 'mute'));
    button('hangUp').hidden = !here;
    put(part(node, 'hint'), this.#hint(phase, ready, busy));
  }

  /** @param {Own['phase']} phase @param {boolean} ready @param {boolean} busy */
  #hint(phase, ready, busy) {
    if (phase === 'phone') return this.say('onPhone');
    if (phase !== 'ringing') return '';
    if (!ready) return this.say('ringsOnPhone');
    return busy ? this.say('busyHere') : '';
  }

  /** @param {Card} card */
  #fillRow(card) {
    const node = /** @type {HTMLElement} */ (this.rows.get(card.call));
    this.#fillState(node, card.state);
    this.#fillPage(node, card, path);
    put(part(node, 'queue'), card.queue);
    put(part(node, 'agent'), card.agent ?? '');
    part(node, 'timer').dataset.since = String(card.since_ms);
  }

  /** @param {HTMLElement} node @param {string} state */
  #fillState(node, state) {
    const pill = part(node, 'state');
    pill.dataset.state = state;
    put(pill, this.say(state) || state);
  }

  /** @param {HTMLElement} node @param {Card} card @param {(address: string) => string} [short] */
  #fillPage(node, card, short) {
    put(part(node, 'title'), card.page.title || this.say('untitled'));
    putAddress(part(node, 'where'), card.page.url, short);
    const session = part(node, 'session');
    put(session, card.session || this.say('none'));
    session.title = card.session;
  }

  /** @param {string} tag */
  #languageName(tag) {
    try {
      return this.languages.of(tag) ?? tag;
    } catch {
      // Not a language tag: the page said something else.
      return tag || this.say('none');
    }
  }
}
