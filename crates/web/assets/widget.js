// The loader: one script tag brings <passerelle-talk> and `window.passerelle`. The call itself is fetched at the click.
//
// On the script tag or the element:  data-tenant  data-queue     who is called
//   data-lang    fr | en             else the page's lang, else the browser's
//   data-customer a token of the shop's own server: who the visitor is (README, "Known customers")
//   data-country FR …  of a number typed without one; else the page's lang (fr-CA), else the gateway's own
//   data-label   words on the button            data-phone   a number shown when the call cannot be had
//   data-side    left | right                   data-theme   light | dark, else as the visitor's system
//   data-direct  the button calls at once       data-audio   raw: no echo cancelling, for measuring
// Look: custom properties --passerelle-* (below), ::part() of every piece. A page's Content-Security-Policy needs the gateway
// in script-src and connect-src (https and wss), nothing inline. A frame needs allow="microphone".

import { addStyle, el, icon, setIcon } from './widget/dom.js';
import { BUTTON, chooseLanguage, speakerOf } from './widget/language.js';

/** @typedef {import('./widget/machine.js').State} State */
/** @typedef {import('./widget/talk.js').Talk} Talk */
/** @typedef {{ queue?: string, mode?: 'open' | 'hold' }} TalkOptions */
/** @typedef {import('./widget/callback.js').Asked} CallBackOptions */

/** A token, or what fetches a fresh one. @typedef {string | (() => string | Promise<string>)} Customer */

/** Where the gateway is: beside this script. */
const BASE = new URL('.', import.meta.url);
/** The tags that brought us. A module runs once, however often its tag stands in the page. */
const SCRIPT = [...document.querySelectorAll('script')].find((script) => script.src === import.meta.url);
const AVAILABILITY_EVERY_MS = 30_000;
const speaker = speakerOf(BUTTON);

const STYLE = `
:host {
  --accent: var(--passerelle-accent, #0a6b5e); --on-accent: var(--passerelle-on-accent, #fff);
  --surface: var(--passerelle-surface, #fff); --soft: var(--passerelle-soft, #f1f6f4); --text: var(--passerelle-text, #14211e);
  --quiet: var(--passerelle-quiet, #566864); --line: var(--passerelle-line, #d8e3df); --edge: #7b8e89;
  --danger: var(--passerelle-danger, #c4273a); --on-danger: #fff; --warn: #fff4d6; --on-warn: #5b4100;
  --radius: var(--passerelle-radius, 20px); --shadow: 0 1px 2px #0b1f1a14, 0 12px 40px #0b1f1a30;
  all: initial; display: inline-block; color-scheme: light;
  font: 400 15px/1.45 var(--passerelle-font, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif);
}
:host([hidden]) { display: none; }
@media (prefers-color-scheme: dark) { :host(:not([data-theme=light])) { DARK } }
:host([data-theme=dark]) { DARK }
:host([floating]) { position: fixed; z-index: var(--passerelle-layer, 2147483000); bottom: calc(var(--passerelle-offset-y, 20px) + env(safe-area-inset-bottom, 0px)); right: var(--passerelle-offset-x, 20px); }
:host([floating][data-side=left]) { right: auto; left: var(--passerelle-offset-x, 20px); }
*, ::before, ::after { box-sizing: border-box; }
button { font: inherit; color: inherit; cursor: pointer; -webkit-tap-highlight-color: transparent; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
.icon { width: 22px; height: 22px; flex: none; fill: none; stroke: currentColor; stroke-width: 1.9; stroke-linecap: round; stroke-linejoin: round; }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.launcher { display: inline-flex; align-items: center; gap: 10px; min-height: 52px; padding: 0 22px 0 18px; border: 1px solid transparent; border-radius: var(--passerelle-launcher-radius, 26px);
  background: var(--accent); color: var(--on-accent); font-weight: 600; white-space: nowrap; transition: filter .15s, transform .15s, box-shadow .15s; }
:host([floating]) .launcher { box-shadow: var(--shadow); }
.launcher:hover { filter: brightness(1.08); transform: translateY(-1px); }
.launcher:active { transform: none; }
.launcher[aria-busy=true] .icon { animation: breathe 1s ease-in-out infinite; }
.launcher .clock { font-variant-numeric: tabular-nums; font-weight: 500; opacity: .9; }
:host([state=closed]:not([callback])) .launcher { background: var(--surface); color: var(--text); border-color: var(--edge); }
:host(:is([state=asking],[state=connecting],[state=ringing],[state=talking],[state=held],[state=reattaching])) .launcher .icon { animation: breathe 1.6s ease-in-out infinite; }
:host([floating][open]) .launcher { visibility: hidden; }
@keyframes breathe { 50% { opacity: .45; } }
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .launcher { border-color: ButtonText; } }
`.replaceAll('DARK', `color-scheme: dark;
  --accent: var(--passerelle-accent-dark, #5fd0bb); --on-accent: var(--passerelle-on-accent-dark, #04211b);
  --surface: var(--passerelle-surface-dark, #141d1b); --soft: var(--passerelle-soft-dark, #1e2a27); --text: var(--passerelle-text-dark, #e8f1ee);
  --quiet: var(--passerelle-quiet-dark, #a3b5b0); --line: var(--passerelle-line-dark, #2e3e3a); --edge: #78908a;
  --danger: var(--passerelle-danger-dark, #ff8087); --on-danger: #33060a; --warn: #3a2e0c; --on-warn: #ffe2a0;
  --shadow: 0 1px 2px #0006, 0 16px 48px #000a;`);

export class PasserelleTalk extends HTMLElement {
  static observedAttributes = ['data-lang', 'data-queue', 'data-tenant', 'data-label'];

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    addStyle(root, STYLE);
    this.picture = icon('phone');
    this.label = el('span', { part: 'label' });
    this.clock = el('span', { class: 'clock', part: 'clock', hidden: true });
    this.launcher = el(
      'button',
      { type: 'button', class: 'launcher', part: 'launcher', 'aria-expanded': 'false', onclick: () => void this.open() },
      this.picture, this.label, this.clock,
    );
    // It must stand in the page before its text changes, else no screen reader says it.
    this.live = el('div', { class: 'unseen', role: 'status', 'aria-live': 'polite' });
    root.append(this.launcher, this.live);
    /** What the host page said with `setContext`. @type {{ url?: string, title?: string, queue?: string, lang?: string }} */
    this.said = {};
    /** What the host page said with `identify`. @type {Customer | undefined} */
    this.customer = undefined;
    /** @type {Promise<Talk> | undefined} */
    this.coming = undefined;
    /** @type {Talk | undefined} */
    this.talker = undefined;
    this.asked_ms = -Infinity;
    /** The gateway's last word on who can answer, and when. @type {any} */
    this.offer = {};
  }

  connectedCallback() {
    if (!this.hasAttribute('state')) this.setAttribute('state', 'idle');
    this.speak();
    this.askAvailability();
  }

  disconnectedCallback() {
    // Moved within the page is not removed.
    queueMicrotask(() => this.isConnected || this.hangUp());
  }

  attributeChangedCallback(/** @type {string} */ name) {
    if (!this.isConnected) return;
    if (name === 'data-lang' || name === 'data-label') this.speak();
    else void this.askAvailability();
  }

  /** A setting: the element's own attribute, else the script tag's. @param {string} name */
  setting(name) {
    return this.dataset[name] ?? SCRIPT?.dataset[name];
  }

  get lang_() {
    return chooseLanguage(this.said.lang, this.setting('lang'), document.documentElement.lang, ...navigator.languages);
  }

  /** Everything a call needs to know of the page, read when it is needed. */
  settings() {
    return {
      base: BASE,
      tenant: this.setting('tenant') ?? 'default',
      queue: this.said.queue ?? this.setting('queue') ?? 'default',
      lang: this.lang_,
      country: this.setting('country'),
      customer: this.customer ?? this.setting('customer'),
      raw: this.setting('audio') === 'raw',
      said: this.said,
    };
  }

  /** @returns {State} */
  get state() {
    return /** @type {State} */ (this.getAttribute('state') ?? 'idle');
  }

  /** Shows the panel; with `data-direct` the click is already the call. */
  async open() {
    const talk = await this.load();
    talk.open();
    if (this.setting('direct') !== undefined && ['idle', 'ended', 'failed'].includes(this.state)) await talk.talk();
  }

  /**
   * Calls at once. Resolves when the two sides can speak; rejects with `code` and a sentence when it fails before.
   * @param {TalkOptions} [options]
   */
  talk(options = {}) {
    const spoken = this.load().then((talk) => talk.talk(options));
    spoken.catch(() => {}); // The state says it too: a page that does not care gets no noise in its console.
    return spoken;
  }

  /**
   * Asks for a call-back, without the form. Rejects with `code` and the gateway's sentence.
   * @param {CallBackOptions} options
   */
  callBack(options) {
    const asked = import('./widget/callback.js').then(({ callBack }) => callBack(this.settings(), options));
    asked.then((answer) => this.announce('callback', { ...answer }), () => {});
    return asked.then(({ id, page_url, promised_at }) => ({ id, page_url, promised_at }));
  }

  hangUp() {
    this.talker?.hangUp();
  }

  /** @param {boolean} on */
  mute(on) {
    this.talker?.mute(on);
  }

  /** @param {string} digits */
  digits(digits) {
    return this.talker?.digits(digits) ?? false;
  }

  figures() {
    return this.talker?.figures() ?? Promise.resolve(null);
  }

  /** @param {Record<string, unknown>} context */
  setContext(context) {
    for (const [name, value] of Object.entries(context)) {
      if (!['url', 'title', 'queue', 'lang'].includes(name)) throw notYet(`setContext({ ${name} })`);
      if (typeof value !== 'string') throw new TypeError(`passerelle: setContext wants "${name}" to be a text`);
    }
    Object.assign(this.said, context);
    if ('lang' in context) this.speak();
    if ('queue' in context) void this.askAvailability();
    this.talker?.pageChanged();
  }

  /** Puts the words of the current language on the button. */
  speak() {
    this.launcher.lang = this.lang_;
    if (this.talker) this.talker.speak();
    else this.name(this.state === 'closed' ? 'closed' : 'idle');
  }

  /**
   * What stands on the button.
   * @param {State} state
   * @param {string} [running]  the words of a call under way
   */
  name(state, running) {
    const say = speaker(this.lang_);
    const shut = state === 'closed' && this.offer.callback !== true;
    const idle = state === 'closed' ? say(shut ? 'shut' : 'callBack') : this.setting('label') ?? say('talk');
    this.label.textContent = running ?? idle;
    setIcon(this.picture, shut ? 'clock' : 'phone');
  }

  /** Asks whether anybody can answer; no answer at all leaves the button open, for the call itself says more. */
  async askAvailability() {
    const { base, tenant, queue, lang } = this.settings();
    this.asked_ms = performance.now();
    const url = new URL(`v1/availability?${new URLSearchParams({ tenant, queue })}`, base);
    const answer = await fetch(url, { credentials: 'omit', cache: 'no-store', headers: { 'accept-language': lang } })
      .then((response) => (response.ok ? response.json() : null))
      .catch(() => null);
    if (answer === null || queue !== this.settings().queue) return;
    const open = answer.talk_now !== false;
    this.offer = answer;
    this.toggleAttribute('callback', answer.callback === true);
    if (this.talker) this.talker.available(open, answer.reason, answer.sentence);
    else {
      this.become(open ? 'idle' : 'closed', { code: open ? '' : String(answer.reason ?? 'closed'), sentence: answer.sentence ?? '' });
      this.speak();
    }
  }

  /** Asks again after a while, when somebody is looking and it may have changed. */
  maybeAskAvailability() {
    const due = performance.now() - this.asked_ms > AVAILABILITY_EVERY_MS;
    if (due && document.visibilityState === 'visible' && ['idle', 'closed'].includes(this.state)) void this.askAvailability();
  }

  /**
   * The one place where the state becomes visible: the attribute, then the event.
   * @param {State} state
   * @param {Record<string, unknown>} [detail]
   */
  become(state, detail = {}) {
    const previous = this.state;
    if (state === previous && this.hasAttribute('state')) return;
    this.setAttribute('state', state);
    if (!this.talker) this.speak();
    this.announce('state', { state, previous, ...detail });
  }

  /**
   * @param {string} name
   * @param {Record<string, unknown>} detail
   */
  announce(name, detail) {
    this.dispatchEvent(new CustomEvent(`passerelle:${name}`, { detail, bubbles: true, composed: true }));
  }

  /** Fetches the call code, once. */
  load() {
    this.launcher.setAttribute('aria-busy', 'true');
    this.coming ??= import('./widget/talk.js').then(
      ({ Talk }) => (this.talker = new Talk(this)),
      (error) => {
        this.coming = undefined; // The next click tries again.
        this.live.textContent = speaker(this.lang_)('unreachable');
        throw error;
      },
    );
    return this.coming.finally(() => this.launcher.removeAttribute('aria-busy'));
  }
}

/** @param {string} what */
function notYet(what) {
  const error = new Error(`passerelle: ${what} is not available yet`);
  error.name = 'NotAvailableYet';
  return error;
}

/** The element that `window.passerelle` speaks to: the first of the page. */
function main() {
  const element = document.querySelector('passerelle-talk');
  if (!(element instanceof PasserelleTalk)) throw new Error('passerelle: there is no <passerelle-talk> in the page');
  return element;
}

const api = Object.freeze({
  /** @param {TalkOptions} [options] */
  talk: (options) => main().talk(options),
  open: () => main().open(),
  hangUp: () => main().hangUp(),
  /** @param {boolean} on */
  mute: (on) => main().mute(on),
  /** @param {string} digits */
  digits: (digits) => main().digits(digits),
  /** @param {Record<string, unknown>} context */
  setContext: (context) => main().setContext(context),
  figures: () => main().figures(),
  /**
   * @param {'state' | 'digit' | 'mute' | 'callback'} event
   * @param {(detail: any) => void} handler
   * @returns {() => void} takes the handler away again
   */
  on(event, handler) {
    const listener = (/** @type {any} */ happened) => handler(happened.detail);
    document.addEventListener(`passerelle:${event}`, listener);
    return () => document.removeEventListener(`passerelle:${event}`, listener);
  },
  get state() {
    return main().state;
  },
  /**
   * Who the visitor is, as the shop's server signed it; '' forgets him. A function is asked for a fresh token at each request.
   * @param {Customer} customer
   */
  identify(customer) {
    if (typeof customer !== 'string' && typeof customer !== 'function') throw new TypeError('passerelle: identify wants a token, or a function that gives one');
    main().customer = customer;
  },
  /** @param {CallBackOptions} options */
  callBack: (options) => main().callBack(options),
});

function start() {
  customElements.define('passerelle-talk', PasserelleTalk);
  Object.defineProperty(window, 'passerelle', { value: api, configurable: true });
  const all = () => /** @type {PasserelleTalk[]} */ ([...document.querySelectorAll('passerelle-talk')]);
  if (all().length === 0) document.body.append(el(/** @type {any} */ ('passerelle-talk'), { floating: true }));
  for (const name of ['side', 'theme']) {
    const value = SCRIPT?.dataset[name];
    if (value !== undefined) for (const element of all()) element.dataset[name] ??= value;
  }
  // The page's own language switch, and its moves without a reload.
  new MutationObserver(() => all().forEach((element) => element.speak())).observe(document.documentElement, { attributeFilter: ['lang'] });
  setInterval(() => all().forEach((element) => element.maybeAskAvailability()), AVAILABILITY_EVERY_MS);
  document.addEventListener('visibilitychange', () => all().forEach((element) => element.maybeAskAvailability()));
}

if (customElements.get('passerelle-talk') === undefined) start();
