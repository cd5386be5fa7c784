// What the click brings: one call and its panel, bound to one <passerelle-talk>.

import { Call } from './call.js';
import { addStyle, el } from './dom.js';
import { Levels } from './level.js';
import { isLive, transmitting } from './machine.js';
import { Panel } from './panel.js';
import { clockText, microphoneTold, told } from './sentences.js';
import { PANEL_STYLE } from './style.js';
import { Trouble } from './trouble.js';
import { speaker } from './words.js';

/** @typedef {import('./machine.js').Model} Model */
/** @typedef {import('../widget.js').PasserelleTalk} Host */

const CLOCK_EVERY_MS = 500;
const MODE_KEY = 'passerelle.mode';
const SAFARI = /^((?!chrome|android|crios|fxios).)*safari/i.test(navigator.userAgent);

export class Talk {
  /** @param {Host} host */
  constructor(host) {
    this.host = host;
    const root = /** @type {ShadowRoot} */ (host.shadowRoot);
    addStyle(root, PANEL_STYLE);
    this.audio = el('audio', { autoplay: true });
    this.language = host.lang_;
    this.say = speaker(this.language);
    this.levels = new Levels();
    /** @type {string | undefined} */
    this.queue = undefined;
    this.ownEnd = false;
    /** The call-back's form, once fetched. @type {import('./view_callback.js').CallbackView | undefined} */
    this.form = undefined;
    /** Whether the form stands in the panel in place of what the state shows. */
    this.formShown = false;
    this.call = new Call(
      () => ({ ...host.settings(), ...(this.queue === undefined ? {} : { queue: this.queue }) }),
      {
        onChange: (model, before) => this.#change(model, before),
        onSound: (stream) => this.#hear(stream),
        onDigit: (digit) => this.#digit(digit),
        onMicrophone: (stream) => this.levels.watch('own', stream, (level) => this.panel.ownLevel(level)),
      },
      { state: host.state === 'closed' ? 'closed' : 'idle', mode: rememberedMode() },
    );
    this.panel = new Panel(this);
    root.append(this.panel.node, this.audio);
    this.speak();
    const followPage = () => this.pageChanged();
    addEventListener('popstate', followPage);
    /** @type {any} */ (window).navigation?.addEventListener('navigatesuccess', followPage);
  }

  get model() {
    return this.call.model;
  }

  open(focus = true) {
    for (const other of document.querySelectorAll('passerelle-talk[open]')) {
      if (other !== this.host) /** @type {Host} */ (other).talker?.close(false);
    }
    this.host.setAttribute('open', '');
    this.host.launcher.setAttribute('aria-expanded', 'true');
    this.panel.show(focus);
    if (this.model.state === 'closed') void this.host.askAvailability();
    // Where nobody can talk, the call-back is the first choice; one already asked for is what the visitor comes back to.
    const first = this.model.state === 'closed' && this.offersCallback;
    if (first || (this.model.state === 'idle' && this.form?.answer !== undefined)) void this.showForm();
  }

  get offersCallback() {
    return this.host.offer.callback === true;
  }

  /** The call-back's form, fetched at its first opening. */
  async showForm() {
    this.panel.busy(true);
    const from = this.model.state;
    try {
      const { CallbackView } = await import('./view_callback.js');
      this.form ??= this.panel.addForm(new CallbackView(this));
      // A call begun or failed meanwhile, or the panel put away, has the last word.
      const failed = this.model.state === 'failed' && from !== 'failed';
      if (failed || isLive(this.model.state) || !this.host.hasAttribute('open')) return;
      this.formShown = true;
      this.form.offered();
      this.#show(this.model);
    } catch (error) {
      console.error('passerelle:', error);
      this.announce(this.say('unreachable'));
    } finally {
      this.panel.busy(false);
    }
  }

  leaveForm() {
    this.formShown = false;
    this.form?.left();
    this.#show(this.model);
  }

  /** Puts the panel away; a call goes on. */
  close(focus = true) {
    if (!isLive(this.model.state)) this.call.tell({ type: 'dismiss' });
    if (this.formShown) this.leaveForm();
    this.host.removeAttribute('open');
    this.host.launcher.setAttribute('aria-expanded', 'false');
    this.panel.hide();
    if (focus) this.host.launcher.focus();
  }

  /**
   * @param {import('../widget.js').TalkOptions} [options]
   * @returns {Promise<{ call: string }>}
   */
  talk(options = {}) {
    this.open();
    if (isLive(this.model.state)) return Promise.reject(this.#trouble('other-call'));
    if (options.mode) this.setMode(options.mode);
    this.queue = options.queue;
    const spoken = new Promise((resolve, reject) => (this.waiting = { resolve, reject }));
    spoken.catch(() => {}); // A button's click has nobody to tell: the panel does.
    void this.call.talk();
    return spoken;
  }

  hangUp() {
    this.ownEnd = true;
    this.call.hangUp();
    this.ownEnd = false;
  }

  /** @param {boolean} on */
  mute(on) {
    this.call.tell({ type: 'mute', on });
  }

  /** @param {string} digits */
  digits(digits) {
    return this.call.digits(digits);
  }

  figures() {
    return this.call.figures();
  }

  pageChanged() {
    this.call.pageChanged();
  }

  /** @param {import('./machine.js').Mode} mode */
  setMode(mode) {
    this.call.tell({ type: 'mode', mode });
    try {
      sessionStorage.setItem(MODE_KEY, mode);
    } catch {
      // Storage is blocked: the wish holds for this page.
    }
  }

  /**
   * @param {boolean} open
   * @param {string} [code]
   * @param {string} [sentence]
   */
  available(open, code, sentence) {
    this.call.tell({ type: 'availability', open, code, sentence });
    this.form?.offered();
    this.#show(this.model);
  }

  /** Puts everything into the language of the moment. */
  speak() {
    this.language = this.host.lang_;
    this.say = speaker(this.language);
    this.host.live.lang = this.language;
    this.panel.speak();
    this.#show(this.model);
  }

  told() {
    return told(this.model, this.say, this.language, SAFARI);
  }

  microphoneTold() {
    return microphoneTold(this.model, this.say, SAFARI);
  }

  /** The browser kept us silent; the visitor's click on the banner ends that. */
  async unlockSound() {
    await this.audio.play().then(
      () => this.panel.soundBlocked(false),
      () => this.panel.soundBlocked(true),
    );
  }

  /**
   * @param {Model} model
   * @param {Model} before
   */
  #change(model, before) {
    if (model.state !== before.state) this.#entered(model, before);
    if (model.muted !== before.muted || transmitting(model) !== transmitting(before)) {
      this.host.announce('mute', { on: model.muted, heard: transmitting(model) });
    }
    if (model.microphone !== before.microphone) {
      const trouble = this.microphoneTold();
      this.announce(trouble === null ? this.say('liveNow') : `${trouble.title}. ${trouble.more}`);
    }
    this.#show(model);
  }

  /**
   * @param {Model} model
   * @param {Model} before
   */
  #entered(model, before) {
    const { code, sentence, agent, call, talk_s } = model;
    const { title, more } = this.told();
    if (!isLive(model.state)) this.#silence();
    else this.formShown = false;
    this.host.become(model.state, { code, sentence: sentence || (code ? more : ''), agent, call, talk_s });
    if (model.state !== 'idle') this.announce(`${title}. ${more}`);
    if (model.state === 'talking') this.waiting?.resolve({ call });
    else if (!isLive(model.state)) this.waiting?.reject(this.#trouble(code || 'cancelled', sentence || title));
    if (model.state === 'talking' || !isLive(model.state)) this.waiting = undefined;
    // An end that was not his own must be seen, also by a visitor who had put the panel away.
    const over = isLive(before.state) && ['ended', 'failed'].includes(model.state);
    if (over && !this.ownEnd && !this.host.hasAttribute('open')) this.open(false);
  }

  /** @param {Model} model */
  #show(model) {
    this.panel.render(model);
    this.host.name(model.state, isLive(model.state) ? this.say(model.state === 'talking' ? 'inCall' : `state.${model.state}`) : undefined);
    clearInterval(this.ticking);
    if (clockText(model, 0) !== '') this.ticking = setInterval(() => this.#tick(), CLOCK_EVERY_MS);
    this.#tick();
  }

  #tick() {
    const text = clockText(this.model, performance.now());
    this.panel.tick(text);
    this.host.clock.hidden = text === '';
    if (this.host.clock.textContent !== text) this.host.clock.textContent = text;
  }

  /** @param {MediaStream} stream */
  #hear(stream) {
    this.audio.srcObject = stream;
    void this.unlockSound();
    this.levels.watch('other', stream, (level) => this.panel.otherLevel(level));
  }

  #silence() {
    this.levels.stop();
    this.audio.srcObject = null;
    this.panel.soundBlocked(false);
  }

  /** @param {string} digit */
  #digit(digit) {
    this.host.announce('digit', { digit });
    this.announce(this.say('received', { digit }));
  }

  /** @param {string} text */
  announce(text) {
    this.host.live.textContent = text;
  }

  /**
   * @param {string} code
   * @param {string} [sentence]
   */
  #trouble(code, sentence) {
    return new Trouble(code, sentence ?? this.say(code));
  }
}

/** @returns {import('./machine.js').Mode} */
function rememberedMode() {
  try {
    return sessionStorage.getItem(MODE_KEY) === 'hold' ? 'hold' : 'open';
  } catch {
    return 'open';
  }
}
