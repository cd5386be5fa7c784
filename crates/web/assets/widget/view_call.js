// The panel during a call: who and how long, the controls, the keypad, the hold-to-talk button.

import { el, icon, setIcon } from './dom.js';
import { byHand, holdButton, holdSpace } from './hold.js';
import { Keypad } from './keypad.js';
import { transmitting } from './machine.js';

/** @typedef {import('./machine.js').Model} Model */
/** @typedef {import('./machine.js').State} State */

/** The picture beside the words. @type {Partial<Record<State, import('./dom.js').IconName>>} */
const FACE = { asking: 'mic', held: 'pause', reattaching: 'wifi' };

/** States in which the other side is, or was, on the line. */
const ON_THE_LINE = new Set(['ringing', 'talking', 'held', 'reattaching']);

export class CallView {
  /**
   * @param {import('./talk.js').Talk} talk
   * @param {import('./labels.js').Labels} labels
   */
  constructor(talk, labels) {
    this.talk = talk;
    const { call } = talk;
    this.faceIcon = icon('phone');
    this.faceName = el('span');
    this.face = el('div', { class: 'face', part: 'face', 'aria-hidden': 'true' }, this.faceIcon, this.faceName);
    this.status = el('h3', { part: 'status' });
    this.more = el('p', { class: 'more', part: 'more' });
    this.timer = labels.name(el('div', { class: 'timer', part: 'timer', role: 'timer', 'aria-live': 'off', hidden: true }), 'timer');
    this.keypad = new Keypad((digit) => talk.digits(digit));

    const gesture = {
      press: () => call.tell({ type: 'press' }),
      release: () => call.tell({ type: 'release' }),
      latch: () => call.tell({ type: 'latch', on: !call.model.latched }),
    };
    this.hold = holdButton(gesture);
    this.holdArea = el('div', { class: 'hold-area', hidden: true }, this.hold.button, labels.text('p', byHand('holdHint'), { class: 'small centre' }));
    holdSpace(this.hold.button, () => this.#holding(call.model), gesture);

    this.mute = labels.round('mute', 'mic', () => talk.mute(!call.model.muted));
    this.latch = labels.round('latch', 'lock', gesture.latch);
    this.pad = labels.round('keypad', 'keypad', () => this.showKeypad(Boolean(this.keypad.node.hidden)));
    this.talkie = labels.round('talkie', 'hold', () => this.#toggleMode());
    this.end = labels.round('hangUp', 'phone', () => talk.hangUp());
    this.controls = el('div', { class: 'controls', part: 'controls' }, this.mute, this.latch, this.pad, this.talkie, this.end);
    this.cancel = labels.button('cancel', 'second', () => talk.hangUp());
    this.stay = labels.text('p', 'stay', { class: 'small centre' });
    this.node = el(
      'div', { class: 'view call' },
      el('div', { class: 'who' }, this.face, el('div', {}, this.status, this.more, this.timer)),
      this.keypad.node, this.holdArea, this.controls, this.cancel, this.stay,
    );
  }

  /** @param {Model} model */
  render(model) {
    const { say } = this.talk;
    const { title, more } = this.talk.told();
    const heard = transmitting(model);
    this.status.textContent = title;
    this.more.textContent = model.state === 'talking' ? say(heard && model.microphone === '' ? 'liveNow' : 'mutedNow') : more;
    setIcon(this.faceIcon, FACE[model.state] ?? 'phone');
    this.faceName.textContent = model.state === 'talking' ? model.agent.slice(0, 1).toUpperCase() : '';

    const asking = model.state === 'asking';
    const onTheLine = ON_THE_LINE.has(model.state);
    this.controls.hidden = asking;
    this.cancel.hidden = !asking;
    this.stay.hidden = !onTheLine;
    this.pad.hidden = !onTheLine;
    this.holdArea.hidden = !this.#holding(model);
    this.mute.hidden = model.mode === 'hold';
    this.latch.hidden = model.mode !== 'hold';
    this.mute.setAttribute('aria-pressed', String(model.muted));
    setIcon(/** @type {SVGElement} */ (this.mute.querySelector('svg')), model.muted ? 'micOff' : 'mic');
    this.latch.setAttribute('aria-pressed', String(model.latched));
    this.talkie.setAttribute('aria-pressed', String(model.mode === 'hold'));
    this.hold.button.setAttribute('aria-pressed', String(heard));
    this.hold.label.textContent = say(heard ? 'holdOn' : 'holdButton');
    this.pad.setAttribute('aria-expanded', String(!this.keypad.node.hidden));
  }

  speak() {
    this.keypad.speak(this.talk.say);
  }

  /** @param {string} text */
  tick(text) {
    this.timer.hidden = text === '';
    if (this.timer.textContent !== text) this.timer.textContent = text;
  }

  /** @param {boolean} shown */
  showKeypad(shown) {
    this.keypad.toggle(shown);
    this.pad.setAttribute('aria-expanded', String(shown));
    (shown ? this.keypad.keys[0] : this.pad).focus();
  }

  /** The space bar talks at once: on the switch it would only switch back. */
  #toggleMode() {
    this.talk.setMode(this.talk.model.mode === 'hold' ? 'open' : 'hold');
    if (!this.holdArea.hidden) this.hold.button.focus();
  }

  main() {
    if (!this.cancel.hidden) return this.cancel;
    return this.holdArea.hidden ? this.end : this.hold.button;
  }

  /** @param {Model} model */
  #holding(model) {
    return model.mode === 'hold' && ['ringing', 'talking', 'reattaching'].includes(model.state);
  }
}
