// The keypad: twelve keys, the visitor's keyboard, and what was typed so far.

import { el } from './dom.js';

const KEYS = '123456789*0#';
const LETTERS = ['', 'ABC', 'DEF', 'GHI', 'JKL', 'MNO', 'PQRS', 'TUV', 'WXYZ', '', '+', ''];
const SHOWN_DIGITS = 16;

export class Keypad {
  /** @param {(digit: string) => void} onDigit */
  constructor(onDigit) {
    this.onDigit = onDigit;
    this.typed = '';
    this.display = el('output', { class: 'typed', part: 'typed' });
    this.keys = [...KEYS].map((key, index) =>
      el('button', { type: 'button', class: 'key', part: 'key', onclick: () => this.type(key) }, el('b', {}, key), el('small', { 'aria-hidden': 'true' }, LETTERS[index])),
    );
    this.node = el('div', { class: 'keypad', part: 'keypad', role: 'group', hidden: true }, this.display, el('div', { class: 'keys' }, ...this.keys));
  }

  /** @param {string} key */
  type(key) {
    this.typed = (this.typed + key).slice(-SHOWN_DIGITS);
    this.show();
    this.onDigit(key);
  }

  /** @param {KeyboardEvent} event */
  handleKey(event) {
    if (this.node.hidden || event.ctrlKey || event.altKey || event.metaKey || event.key.length !== 1 || !KEYS.includes(event.key)) return;
    event.preventDefault();
    this.type(event.key);
  }

  /** @param {boolean} shown */
  toggle(shown) {
    this.node.hidden = !shown;
  }

  clear() {
    this.typed = '';
    this.toggle(false);
    this.show();
  }

  /** @param {import('./language.js').Say} say */
  speak(say) {
    this.say = say;
    this.node.setAttribute('aria-label', say('keypad'));
    this.keys.forEach((key, index) => key.setAttribute('aria-label', say('key', { key: KEYS[index] })));
    this.show();
  }

  show() {
    this.display.textContent = this.typed;
    this.display.setAttribute('aria-label', this.say?.('typed', { digits: this.typed }) ?? '');
  }
}
