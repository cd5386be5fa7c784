// The panel before a call: what will happen, how to talk, what the agent will see, and the one button.

import { el, icon } from './dom.js';
import { byHand } from './hold.js';
import { pageNow } from './session.js';

/** @typedef {import('./machine.js').Mode} Mode */

export class ReadyView {
  /**
   * @param {import('./talk.js').Talk} talk
   * @param {import('./labels.js').Labels} labels
   */
  constructor(talk, labels) {
    this.talk = talk;
    this.start = labels.button('start', 'main', () => void talk.talk(), 'phone');
    this.callBack = labels.button('callBack', 'second', () => void talk.showForm());
    this.inputs = { open: this.#radio('open'), hold: this.#radio('hold') };
    this.shared = el('span');
    this.hint = el('p', { class: 'hint', id: 'mode-hint' });
    this.node = el(
      'div', { class: 'view ready' },
      labels.text('p', 'intro', { class: 'lead' }),
      el(
        'fieldset', { 'aria-describedby': 'mode-hint' },
        labels.text('legend', 'mode'),
        el('div', { class: 'modes' }, this.#label('open', 'phone', 'modeOpen', labels), this.#label('hold', 'hold', 'modeHold', labels)),
        this.hint,
      ),
      this.start, this.callBack,
      el('p', { class: 'small' }, icon('mic'), labels.text('span', 'explain')),
      el('p', { class: 'small' }, icon('page'), this.shared),
    );
  }

  /** @param {import('./machine.js').Model} model */
  render(model) {
    this.callBack.hidden = !this.talk.offersCallback;
    this.inputs.open.checked = model.mode === 'open';
    this.inputs.hold.checked = model.mode === 'hold';
    this.hint.textContent = this.talk.say(model.mode === 'hold' ? byHand('modeHoldHint') : 'modeOpenHint');
  }

  /** The visitor reads beforehand what the agent will see. */
  speak() {
    const { title, url } = pageNow(this.talk.host.said);
    this.shared.textContent = this.talk.say('shared', { page: title || url });
  }

  main() {
    return this.start;
  }

  /** @param {Mode} mode */
  #radio(mode) {
    return el('input', { type: 'radio', name: 'mode', value: mode, onchange: () => this.talk.setMode(mode) });
  }

  /**
   * @param {Mode} mode
   * @param {import('./dom.js').IconName} picture
   * @param {string} key
   * @param {import('./labels.js').Labels} labels
   */
  #label(mode, picture, key, labels) {
    return el('label', { class: 'mode', part: 'mode' }, this.inputs[mode], icon(picture), labels.text('span', key));
  }
}
