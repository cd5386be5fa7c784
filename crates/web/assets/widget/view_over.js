// The panel after a call, after a failure, or when nobody can answer: what happened, what to do, one button to go on.

import { el, icon, setIcon } from './dom.js';

/** @typedef {import('./machine.js').Model} Model */

/** Failures that another try on this page and device will hardly mend. */
const HOPELESS = new Set(['mic-missing', 'mic-insecure', 'mic-policy', 'unsupported', 'no-agent']);

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
    this.first = this.again;
    this.callBack = labels.button('callBack', 'main', () => void talk.showForm());
    this.phone = el('a', { class: 'phone', part: 'phone', hidden: true });
    this.node = el(
      'div', { class: 'view over' },
      el('div', { class: 'badge', part: 'badge', 'aria-hidden': 'true' }, this.picture),
      this.title, this.more, this.again, this.callBack, this.phone, labels.button('close', 'second', () => talk.close()),
    );
  }

  /** @param {Model} model */
  render(model) {
    const { title, more } = this.talk.told();
    this.title.textContent = title;
    this.more.textContent = more;
    setIcon(this.picture, model.state === 'closed' ? 'clock' : model.state === 'ended' ? 'check' : model.code.startsWith('mic-') ? 'micOff' : 'alert');
    this.#offer(model);
    this.phone.hidden = model.state === 'ended' || this.talk.host.setting('phone') === undefined;
    this.word.textContent = this.talk.say(model.state === 'closed' ? 'check' : model.state === 'ended' ? 'again' : 'retry');
  }

  /** The call-back is the way out when nobody can be talked to; where another try may help, that comes first. @param {Model} model */
  #offer(model) {
    const offered = model.state !== 'ended' && this.talk.offersCallback;
    this.first = offered && (model.state === 'closed' || HOPELESS.has(model.code)) ? this.callBack : this.again;
    this.callBack.hidden = !offered;
    for (const button of [this.callBack, this.again]) button.className = button === this.first ? 'main' : 'second';
    const second = this.first === this.again ? this.callBack : this.again;
    if (this.first.nextSibling !== second) this.first.after(second);
  }

  /** The site's telephone number, where it gave one with `data-phone`: for who cannot be heard from here. */
  speak() {
    const phone = this.talk.host.setting('phone') ?? '';
    this.phone.href = `tel:${phone.replace(/[^+\d]/g, '')}`;
    this.phone.textContent = this.talk.say('phoneInstead', { phone });
  }

  main() {
    return this.first;
  }

  #again() {
    if (this.talk.model.state === 'closed') void this.talk.host.askAvailability();
    else void this.talk.talk();
  }
}
