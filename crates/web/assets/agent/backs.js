// The call-backs of the agent's queues: listed in the order of service, made, changed, closed. Text only: every word from
// a visitor's page, and every note, goes through `textContent`.

import { Trouble } from '../widget/trouble.js';
import { byId, copy, part } from './board.js';
import { BackForm } from './backs_form.js';
import { Staff } from './staff.js';

/** @typedef {import('../widget/language.js').Say} Say */

/**
 * @typedef {object} Back  a call-back as the gateway tells it
 * @property {string} id
 * @property {string} tenant
 * @property {string} queue
 * @property {string} state
 * @property {string} number
 * @property {boolean} asap
 * @property {string} promised_at
 * @property {string} [due_at]
 * @property {string} zone
 * @property {number} priority
 * @property {string} purpose
 * @property {string} [owner]
 * @property {string} [agent]
 * @property {string} [disposition]
 * @property {string} page_title
 * @property {{ outcome: string | null }[]} attempts
 * @property {{ by: string, deed: string, text: string }[]} notes
 * @property {boolean} can_cancel
 * @property {boolean} can_change
 * @property {boolean} can_complete
 */

/** @typedef {{ tenant: string, id: string, paused: boolean, paused_note?: string, agents: { extension: string, name: string }[] }} Queue */
/** @typedef {'take' | 'giveBack' | 'later' | 'edit' | 'close' | 'callOff'} Deed */

const LOOK_EVERY_MS = 5_000;
/** What “Later” adds. */
const LATER_MINUTES = 15;

export class Backs {
  /** @param {Say} say @param {string} language */
  constructor(say, language) {
    this.say = say;
    this.language = language;
    /** @type {Staff | undefined} */
    this.staff = undefined;
    this.extension = '';
    /** @type {Back[]} */
    this.listed = [];
    /** @type {Queue[]} */
    this.queues = [];
    /** Talks of this agent that are over and not closed yet. @type {Map<string, Back>} */
    this.talked = new Map();
    this.shown = '';
    this.form = new BackForm(say, (what, values) => this.#save(what, values));
    byId('new-back').addEventListener('click', () => this.form.open('new', this.queues));
    byId('backs-error').querySelector('button')?.addEventListener('click', () => this.#fail(''));
    setInterval(() => document.visibilityState === 'visible' && void this.look(), LOOK_EVERY_MS);
  }

  /** The agent is in. @param {import('./link.js').Credentials} credentials */
  enter(credentials) {
    if (this.staff?.credentials === credentials) return;
    this.staff = new Staff(credentials);
    this.extension = credentials.extension;
    void this.look();
  }

  leave() {
    this.staff?.leave();
    this.staff = undefined;
    this.listed = [];
    this.queues = [];
    this.talked.clear();
    this.form.close();
    this.#fail('');
    this.#show();
  }

  /** Looks at the book; what cannot be had now is had the next time, and a first time that fails is told. */
  async look() {
    const { staff } = this;
    if (!staff) return;
    try {
      const { callbacks, queues } = await staff.ask('GET', '/v1/callbacks');
      if (staff !== this.staff) return;
      await this.#follow(callbacks);
      [this.listed, this.queues] = [callbacks, queues];
      this.#show();
    } catch (error) {
      if (staff === this.staff && this.queues.length === 0) this.#fail(this.#told(error));
    }
  }

  /** A talk of this agent that has left the list wants to be closed. @param {Back[]} now */
  async #follow(now) {
    const own = this.listed.filter((back) => back.state === 'connected' && back.agent === this.extension);
    for (const { id } of own.filter((back) => !now.some((one) => one.id === back.id))) {
      const back = await this.staff?.ask('GET', `/v1/callbacks/${id}`);
      if (back?.state === 'completed' && !back.disposition) this.talked.set(id, back);
    }
  }

  /** @param {Back} back @param {Deed} deed */
  #do(back, deed) {
    const at = `/v1/callbacks/${back.id}`;
    switch (deed) {
      case 'take':
        return this.#ask('POST', `${at}/accept`, {});
      case 'giveBack':
        return this.#ask('POST', `${at}/decline`, {});
      case 'later':
        return this.#ask('POST', `${at}/snooze`, { minutes: LATER_MINUTES });
      case 'edit':
      case 'close':
      case 'callOff':
        return this.form.open(deed, this.queues, back);
    }
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  async #ask(method, path, body) {
    this.#fail('');
    try {
      await this.staff?.ask(method, path, body);
    } catch (error) {
      this.#fail(this.#told(error));
    }
    await this.look();
  }

  /**
   * What the form gives; its trouble is told in the form.
   * @param {import('./backs_form.js').Mode} mode @param {import('./backs_form.js').Values} values
   * @returns {Promise<string>} why not, or nothing
   */
  async #save(mode, { back, body }) {
    const at = `/v1/callbacks/${back?.id}`;
    try {
      if (mode === 'new') await this.staff?.ask('POST', '/v1/callbacks', body);
      if (mode === 'edit') await this.staff?.ask('PATCH', at, body);
      if (mode === 'close') await this.staff?.ask('POST', `${at}/complete`, body);
      if (mode === 'callOff') await this.staff?.ask('DELETE', `${at}?${new URLSearchParams({ note: String(body.note) })}`);
    } catch (error) {
      return this.#told(error);
    }
    if (back) this.talked.delete(back.id);
    void this.look();
    return '';
  }

  /** @param {unknown} error */
  #told(error) {
    return (error instanceof Trouble && (error.sentence || this.say(error.code))) || this.say('unreachable');
  }

  /** @param {string} sentence */
  #fail(sentence) {
    const box = byId('backs-error');
    box.hidden = sentence === '';
    /** @type {HTMLElement} */ (box.firstElementChild).textContent = sentence;
  }

  #show() {
    const all = [...this.talked.values(), ...this.listed];
    byId('backs').hidden = this.queues.length === 0 && byId('backs-error').hidden;
    byId('new-back').hidden = this.queues.length === 0;
    const now = JSON.stringify([all, this.queues]);
    // A list that is made anew takes the focus and the pointer away: only when there is news.
    if (now === this.shown) return;
    this.shown = now;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement?.closest('[data-do]'))?.dataset;
    const place = focused && `[data-of="${focused.of}"][data-do="${focused.do}"]`;
    byId('backs-count').textContent = String(all.length);
    byId('no-back').hidden = all.length > 0;
    byId('back-rows').replaceChildren(...all.map((back) => this.#row(back)));
    const paused = this.queues.filter((queue) => queue.paused);
    byId('backs-paused').hidden = paused.length === 0;
    byId('backs-paused').textContent = paused.map((queue) => this.say('queuePaused', { queue: queue.id, why: queue.paused_note ?? '' })).join(' ');
    if (place) /** @type {HTMLElement | null} */ (byId('back-rows').querySelector(place))?.focus();
  }

  /** @param {Back} back */
  #row(back) {
    const node = copy('back-template', this.say);
    const put = (/** @type {string} */ name, /** @type {string} */ text) => {
      const at = part(node, name);
      at.textContent = text;
      at.hidden = text === '';
    };
    const over = this.talked.has(back.id);
    part(node, 'state').dataset.state = over ? 'held' : STATE_LOOKS[back.state] ?? '';
    put('state', this.say(over ? 'talkOver' : `back-${back.state}`));
    put('number', back.number);
    put('when', over ? '' : this.#when(back));
    put('queue', back.queue);
    put('rank', back.priority > 0 ? this.say('rankOf', { rank: String(back.priority) }) : '');
    put('owner', this.#whose(back));
    put('purpose', back.purpose === 'follow-up' ? this.say('followUp') : '');
    put('title', back.page_title);
    put('note', back.notes.filter((note) => note.text).at(-1)?.text ?? '');
    const tries = back.attempts.length;
    put('tries', tries > 0 ? this.say(tries === 1 ? 'triedOnce' : 'tried', { tries: String(tries) }) : '');
    for (const button of node.querySelectorAll('button')) {
      button.dataset.of = back.id;
      const deed = /** @type {Deed} */ (button.dataset.do);
      button.hidden = !this.#may(back, deed);
      button.setAttribute('aria-label', `${button.textContent}, ${back.number}`);
      button.addEventListener('click', () => void this.#do(back, deed));
    }
    return node;
  }

  /** @param {Back} back @param {Deed} deed */
  #may(back, deed) {
    const own = back.owner === this.extension;
    switch (deed) {
      case 'take':
        return back.can_change && !own && this.#queue(back)?.agents.some((agent) => agent.extension === this.extension) === true;
      case 'giveBack':
        return (back.can_change && own) || (back.state === 'offered' && back.agent === this.extension);
      case 'later':
      case 'edit':
        return back.can_change;
      case 'close':
        return back.can_complete;
      case 'callOff':
        return back.can_cancel;
    }
  }

  /** @param {Back} back */
  #queue(back) {
    return this.queues.find((queue) => queue.id === back.queue && queue.tenant === back.tenant);
  }

  /** @param {Back} back */
  #whose(back) {
    const who = back.agent ?? back.owner;
    if (!who) return '';
    if (who === this.extension) return this.say(back.agent ? 'withYou' : 'yours');
    return this.#queue(back)?.agents.find((agent) => agent.extension === who)?.name || who;
  }

  /** @param {Back} back */
  #when(back) {
    if (back.asap && back.state !== 'scheduled') return this.say('asap');
    const at = new Date(back.due_at ?? back.promised_at);
    const today = new Date().toDateString() === at.toDateString();
    const day = today ? {} : /** @type {const} */ ({ weekday: 'short', day: 'numeric', month: 'short' });
    return at.toLocaleString(this.language, { ...day, hour: '2-digit', minute: '2-digit', timeZone: back.zone });
  }
}

/** Which of the console's colours a state has. @type {Record<string, string>} */
const STATE_LOOKS = { offered: 'ringing', dialling: 'ringing', connected: 'talking', queued: 'held' };
