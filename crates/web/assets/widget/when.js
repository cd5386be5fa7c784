// Choosing when to be called: as soon as possible, or a day and then a time. Used by the form and by the status page.

import { byDay, cityOf, longDay, sameClock, shortDay, siteTime, timeOfDay, waitWords, whenWords } from './callback_time.js';
import { el } from './dom.js';
import { Seat } from './seat.js';

/** @typedef {import('./callback.js').Offer} Offer */
/** @typedef {import('./callback.js').Slot} Slot */
/** @typedef {import('./callback.js').Slots} Slots */
/** @typedef {import('./callback_time.js').Reader} Reader */
/** @typedef {import('./language.js').Say} Say */

export class WhenPicker {
  /**
   * @param {(from?: string, hold?: string) => Promise<Slots>} load
   * @param {import('./seat.js').Line} line  keeps the chosen seat while the form is open
   * @param {() => void} onChange  something to choose came or went
   */
  constructor(load, line, onChange = () => {}) {
    this.load = load;
    this.onChange = onChange;
    this.seat = new Seat(line, { change: () => this.render(), gone: (trouble) => void this.#lost(trouble.sentence) });
    /** Why the times are shown again: the chosen one went to somebody else. */
    this.lost = '';
    /** @type {Offer} */
    this.offer = { callback: true, callback_now: true };
    /** @type {Slots | undefined} */
    this.found = undefined;
    this.state = /** @type {'unread' | 'loading' | 'read' | 'failed'} */ ('unread');
    this.day = '';
    /** The chosen slot's start. */
    this.start = '';
    /** @type {Say} */
    this.say = (key) => key;
    /** @type {Reader} */
    this.reader = { zone: 'UTC', locale: 'en' };
    this.inputs = { asap: this.#way('asap'), later: this.#way('later') };
    this.words = { legend: el('legend'), asap: el('span'), later: el('span'), said: el('p', { class: 'when-said', role: 'status' }), held: el('p', { class: 'when-held', role: 'status' }), note: el('p', { class: 'when-note' }) };
    this.choice = el(
      'div', { class: 'when-choice' },
      el('label', { class: 'when-way', part: 'way' }, this.inputs.asap, this.words.asap),
      el('label', { class: 'when-way', part: 'way' }, this.inputs.later, this.words.later),
    );
    this.days = el('div', { class: 'when-days', role: 'radiogroup' });
    this.times = el('div', { class: 'when-times', role: 'radiogroup' });
    this.more = el('button', { type: 'button', class: 'when-more', hidden: true, onclick: () => void this.#act() });
    this.slots = el('div', { class: 'when-slots', hidden: true }, this.words.said, this.days, this.times, this.words.held, this.words.note, this.more);
    this.node = el('fieldset', { class: 'when', part: 'when' }, this.words.legend, this.choice, this.slots);
    this.inputs.asap.checked = true;
  }

  /** @returns {'asap' | string} a slot's start, or '' while none is chosen */
  get value() {
    return this.#asap() ? 'asap' : this.start;
  }

  /** The name of the held seat. @returns {string | undefined} */
  get hold() {
    return this.#asap() ? undefined : this.seat.id;
  }

  /** Nothing at all can be had. */
  get empty() {
    return !this.offer.callback_now && this.state === 'read' && this.#days().length === 0;
  }

  /** The zone of the site, once a slot is known. */
  get zone() {
    return this.found?.zone ?? '';
  }

  /** Resolves when the free times are there, where they are wanted. @param {Offer} offer */
  async offered(offer) {
    this.offer = offer;
    if (!offer.callback_now) this.inputs.later.checked = true;
    this.render();
    if (!this.#asap() && this.state === 'unread') await this.read();
    else this.#keep();
  }

  /** The form is put away: somebody else may have the seat. */
  putAway() {
    this.seat.choose('');
  }

  /** The call-back that was made has the seat. */
  used() {
    this.start = '';
    this.seat.used();
  }

  /** Begins anew, with a time to choose. */
  reset() {
    this.state = 'unread';
    this.start = this.lost = '';
    this.#keep();
    this.inputs.later.checked = true;
  }

  /**
   * @param {Say} say
   * @param {Reader} reader
   */
  speak(say, reader) {
    this.say = say;
    this.reader = reader;
    this.render();
  }

  /** Reads the free times again: one was taken, or the visitor asks. */
  async read() {
    this.state = 'loading';
    this.start = '';
    const own = this.seat.id;
    this.#keep();
    this.render();
    try {
      this.found = await this.load(undefined, own);
      this.state = 'read';
    } catch {
      this.state = 'failed';
    }
    this.render();
    this.onChange();
  }

  /** Where the visitor goes on when no time is chosen yet. */
  focus() {
    const at = this.#asap() ? this.inputs.asap : this.times.querySelector('input:checked') ?? this.times.querySelector('input:not(:disabled)') ?? this.more;
    /** @type {HTMLElement} */ (at).focus();
  }

  render() {
    const { say } = this;
    const { wait, callback_now } = this.offer;
    this.words.legend.textContent = say('when');
    this.words.legend.hidden = this.empty;
    this.words.asap.textContent = wait ? say('asapWait', { wait: waitWords(wait, say) }) : say('asap');
    this.words.later.textContent = say('later');
    this.choice.hidden = !callback_now;
    this.slots.hidden = this.#asap();
    this.days.setAttribute('aria-label', say('day'));
    this.times.setAttribute('aria-label', say('time'));
    this.#tell(this.#said());
    this.#renderDays();
    this.#renderTimes();
    this.#renderHeld();
    this.words.note.textContent = this.#note();
    this.more.hidden = this.state !== 'failed' && !(this.state === 'read' && this.found?.more_from);
    this.more.textContent = say(this.state === 'failed' ? 'retry' : 'moreDays');
  }

  #asap() {
    return this.offer.callback_now && this.inputs.asap.checked;
  }

  #days() {
    return this.found === undefined ? [] : byDay(this.found.slots, this.reader);
  }

  /** Written only when it is new: a screen reader says it each time. @param {string} text */
  #tell(text) {
    const { said } = this.words;
    said.hidden = text === '';
    if (said.textContent !== text) said.textContent = text;
  }

  #said() {
    const { say, reader } = this;
    const { callback_now, opens_at, callback_sentence } = this.offer;
    const opens = opens_at === undefined ? '' : whenWords(opens_at, Date.now(), reader, say);
    if (this.state === 'loading') return say('loading');
    if (this.state === 'failed') return say('slotsFailed');
    if (this.lost !== '') return this.lost;
    if (this.state === 'read' && this.#days().length === 0) return [say('none'), opens && say('opens', { when: opens })].filter(Boolean).join(' ');
    if (callback_now) return '';
    return opens ? say('closedUntil', { when: opens }) : callback_sentence ?? say('closedNow');
  }

  /** Days as chips; the same nodes stay while the days do, so that the focus does. */
  #renderDays() {
    const { reader } = this;
    const days = this.state === 'read' ? this.#days() : [];
    if (!days.some(({ key }) => key === this.day)) this.day = days[0]?.key ?? '';
    this.days.hidden = days.length === 0;
    const shown = days.map(({ key, times: [{ slot }] }) => ({ key, ...shortDay(slot.start, reader), title: longDay(slot.start, reader) }));
    fill(this.days, shown, ({ key, name, number, title }) => {
      const input = option('day', key, title, () => this.#chooseDay(key));
      return el('label', { class: 'when-day', part: 'day' }, input, el('span', {}, name), el('b', {}, number));
    });
    choose(this.days, this.day);
  }

  #renderTimes() {
    const { say, reader, zone } = this;
    const times = this.state === 'read' ? this.#days().find(({ key }) => key === this.day)?.times ?? [] : [];
    this.times.hidden = times.length === 0;
    const shown = times.map(({ slot, time }) => ({ slot, time, there: zone && siteTime(slot.start, zone, reader, say), taken: slot.seats_left > 0 ? '' : say('taken') }));
    fill(this.times, shown, (one) => this.#time(one));
    choose(this.times, this.start);
  }

  /** @param {{ slot: Slot, time: string, there: string, taken: string }} one */
  #time({ slot: { start }, time, there, taken }) {
    const input = option('time', start, [time, there, taken].filter(Boolean).join(', '), () => this.#chooseTime(start));
    input.disabled = taken !== '';
    const small = there ? [el('small', {}, timeOfDay(start, { zone: this.zone, locale: this.reader.locale }))] : [];
    return el('label', { class: 'when-time', part: 'time' }, input, el('span', {}, time), ...small);
  }

  #renderHeld() {
    const { held } = this.words;
    const { id, over, asked } = this.seat;
    const words = this.#asap() || this.start === '' ? '' : id !== undefined && asked === this.start ? this.say('held') : over ? this.say('heldOver') : '';
    held.hidden = words === '';
    if (held.textContent !== words) held.textContent = words;
  }

  /** Holds what is chosen; nothing while nothing is. */
  #keep() {
    this.seat.choose(this.#asap() ? '' : this.start);
  }

  /** @param {string} sentence */
  async #lost(sentence) {
    this.lost = sentence || this.say('slotLost');
    await this.read();
    this.focus();
  }

  #note() {
    const { say, reader, zone } = this;
    const differ = zone !== '' && this.found?.slots.some(({ start }) => !sameClock(start, zone, reader.zone));
    return this.state === 'read' && differ ? say('zones', { city: cityOf(zone) }) : '';
  }

  /** The one button below: another try, or the days after these. */
  async #act() {
    if (this.state === 'failed') return this.read();
    const { more_from, slots = [] } = this.found ?? {};
    if (more_from === undefined) return;
    this.more.disabled = true;
    try {
      const next = await this.load(more_from, this.seat.id);
      const first = next.slots.find(({ seats_left }) => seats_left > 0);
      this.found = { ...next, slots: [...slots, ...next.slots.filter(({ start }) => !slots.some((slot) => slot.start === start))] };
      if (first) this.day = byDay([first], this.reader)[0].key;
      this.start = '';
      this.#keep();
      this.render();
      /** @type {HTMLElement | null} */ (this.days.querySelector('input:checked'))?.focus();
    } catch {
      this.#tell(this.say('slotsFailed'));
    } finally {
      this.more.disabled = false;
    }
  }

  /** @param {string} key */
  #chooseDay(key) {
    this.day = key;
    this.start = '';
    this.#keep();
    this.render();
  }

  /** @param {string} start */
  #chooseTime(start) {
    this.start = start;
    this.lost = '';
    this.#keep();
    this.render();
    this.onChange();
  }

  /** @param {'asap' | 'later'} value */
  #way(value) {
    return el('input', { type: 'radio', name: 'when', value, onchange: () => this.#chooseWay() });
  }

  #chooseWay() {
    this.#keep();
    this.render();
    this.onChange();
    if (!this.#asap() && this.state !== 'read') void this.read();
  }
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} title
 * @param {() => void} act
 */
const option = (name, value, title, act) => el('input', { type: 'radio', name, value, 'aria-label': title, onchange: act });

/**
 * New children where what they show is new; else the old ones stay, and the focus with them.
 * @template T
 * @param {HTMLElement} node
 * @param {T[]} shown
 * @param {(one: T) => HTMLElement} make
 */
function fill(node, shown, make) {
  const mark = JSON.stringify(shown);
  if (node.dataset.shown === mark) return;
  node.dataset.shown = mark;
  node.replaceChildren(...shown.map(make));
}

/**
 * @param {HTMLElement} node
 * @param {string} value
 */
function choose(node, value) {
  for (const input of node.querySelectorAll('input')) input.checked = input.value === value;
}
