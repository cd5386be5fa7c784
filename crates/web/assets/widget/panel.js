// The panel: built once, then brought in line with the model after each change. It decides nothing.

import { el, icon } from './dom.js';
import { Labels } from './labels.js';
import { isLive } from './machine.js';
import { CallView } from './view_call.js';
import { OverView } from './view_over.js';
import { ReadyView } from './view_ready.js';

/** @typedef {import('./machine.js').Model} Model */
/** @typedef {'ready' | 'call' | 'over'} ViewName */
/** @typedef {import('./view_callback.js').CallbackView} Form */

/** Which of the three views a state shows. @type {Record<import('./machine.js').State, ViewName>} */
const VIEW = {
  closed: 'over', idle: 'ready', asking: 'call', connecting: 'call', ringing: 'call',
  talking: 'call', held: 'call', reattaching: 'call', ended: 'over', failed: 'over',
};

export class Panel {
  /** @param {import('./talk.js').Talk} talk */
  constructor(talk) {
    this.talk = talk;
    this.labels = new Labels();
    const { labels } = this;
    this.call = new CallView(talk, labels);
    this.views = { ready: new ReadyView(talk, labels), call: this.call, over: new OverView(talk, labels) };
    /** @type {Form | undefined} */
    this.form = undefined;
    this.title = el('h2', { id: 'title', part: 'title' });
    this.minimise = labels.name(el('button', { type: 'button', class: 'plain', part: 'minimise', onclick: () => talk.close() }, icon('down')), 'minimise');
    this.trouble = { title: el('b'), more: el('span') };
    const retry = labels.button('retry', 'plain small', () => void talk.call.recoverMicrophone());
    this.notice = el('div', { class: 'notice', part: 'notice', hidden: true }, icon('micOff'), el('div', {}, this.trouble.title, this.trouble.more, retry));
    this.sound = el(
      'div', { class: 'notice', part: 'notice', hidden: true }, icon('sound'),
      el('div', {}, labels.text('span', 'hearWhy'), labels.button('hear', 'plain small', () => void talk.unlockSound())),
    );
    this.node = el(
      'section',
      { class: 'panel', part: 'panel', role: 'dialog', 'aria-labelledby': 'title', tabindex: '-1', hidden: true },
      el('header', { part: 'header' }, this.title, this.minimise),
      this.notice, this.sound, ...Object.values(this.views).map((view) => view.node),
    );
    this.node.addEventListener('keydown', (event) => this.#key(event));
  }

  /** @param {boolean} focus */
  show(focus) {
    this.node.hidden = false;
    this.views.ready.speak();
    if (focus) this.#focusMain();
  }

  /** @param {Form} form */
  addForm(form) {
    this.form = form;
    this.node.append(form.node);
    form.speak();
    return form;
  }

  /** @param {boolean} busy */
  busy(busy) {
    this.node.setAttribute('aria-busy', String(busy));
  }

  hide() {
    this.node.hidden = true;
  }

  /** Puts every word into the language of the moment. */
  speak() {
    this.node.lang = this.talk.language;
    this.labels.speak(this.talk.say);
    for (const view of Object.values(this.views)) view.speak();
    this.form?.speak();
  }

  /** @param {Model} model */
  render(model) {
    const asking = this.form !== undefined && this.talk.formShown;
    const shown = asking ? undefined : VIEW[model.state];
    const focused = /** @type {ShadowRoot} */ (this.talk.host.shadowRoot).activeElement;
    const ours = focused !== null && this.node.contains(focused);
    this.node.dataset.state = model.state;
    for (const [name, view] of Object.entries(this.views)) {
      view.node.hidden = name !== shown;
      if (name === shown) view.render(model);
    }
    this.title.textContent = this.talk.say(asking ? 'callBack' : 'title');
    if (this.form) {
      this.form.node.hidden = !asking;
      if (asking) this.form.render();
    }
    if (!isLive(model.state)) this.call.keypad.clear();
    const trouble = this.talk.microphoneTold();
    this.notice.hidden = trouble === null || !isLive(model.state);
    this.trouble.title.textContent = trouble?.title ?? '';
    this.trouble.more.textContent = trouble?.more ?? '';
    // What had the focus may be gone now: put it where the visitor goes on, never back to the top of the page.
    if (ours && focused.closest('[hidden]') !== null) this.#focusMain();
  }

  /** @param {string} text */
  tick(text) {
    this.call.tick(text);
  }

  /** @param {number} level */
  otherLevel(level) {
    this.call.face.style.setProperty('--level', level.toFixed(2));
  }

  /** @param {number} level */
  ownLevel(level) {
    this.node.style.setProperty('--own-level', level.toFixed(2));
  }

  /** @param {boolean} blocked */
  soundBlocked(blocked) {
    this.sound.hidden = !blocked;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { keypad } = this.call;
    if (event.key !== 'Escape') keypad.handleKey(event);
    else {
      event.stopPropagation();
      if (keypad.node.hidden) this.talk.close();
      else this.call.showKeypad(false);
    }
  }

  #focusMain() {
    const view = this.talk.formShown && this.form ? this.form : this.views[VIEW[this.talk.model.state]];
    view.main().focus({ preventScroll: true });
  }
}
