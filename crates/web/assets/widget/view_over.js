// The panel after a call, after a failure, or when nobody can answer: what happened, what to do, one button to go on.

import { el, icon, setIcon } from './dom.js';

/** @typedef {import('./machine.js').Model} Model */

export class OverView {
  /**
   * @param {import('./talk.js').Talk} talk
   * @param {import('./labels.js').Labels} labels
   */
  constructor(talk, labels) {
    this.talk = talk;
    this.picture = icon('check');
    this.title = el('h3', { part: 'status' });
    this.more = el('p', { class: 'more', part: 'more' });
    this.word = el('span');
    this.again = el('button', { type: 'button', class: 'main', part: 'action again', onclick: () => this.#again() }, this.word);
    this.phone = el('a', { class: 'phone', part: 'phone', hidden: true });
    this.node = el(
      'div', { class: 'view over' },
      el('div', { class: 'badge', part: 'badge', 'aria-hidden': 'true' }, this.picture),
      this.title, this.more, this.again, this.phone, labels.button('close', 'second', () => talk.close()),
    );
  }

  /** @param {Model} model */
  render(model) {
    const { title, more } = this.talk.told();
    this.title.textContent = title;
    this.more.textContent = more;
    setIcon(this.picture, model.state === 'closed' ? 'clock' : model.state === 'ended' ? 'check' : model.code.startsWith('mic-') ? 'micOff' : 'alert');
    this.phone.hidden = model.state === 'ended' || this.talk.host.setting('phone') === undefined;
    this.word.textContent = this.talk.say(model.state === 'closed' ? 'check' : model.state === 'ended' ? 'again' : 'retry');
  }

  /** The site's telephone number, where it gave one with `data-phone`: for who cannot be heard from here. */
  speak() {
    const phone = this.talk.host.setting('phone') ?? '';
    this.phone.href = `tel:${phone.replace(/[^+\d]/g, '')}`;
    this.phone.textContent = this.talk.say('phoneInstead', { phone });
  }

  main() {
    return this.again;
  }

  #again() {
    if (this.talk.model.state === 'closed') void this.talk.host.askAvailability();
    else void this.talk.talk();
  }
}
