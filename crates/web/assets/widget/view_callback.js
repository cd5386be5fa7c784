// The panel's form for a call-back, then its confirmation. Fetched when it is first opened.

import { fetchSlots, offerOf, prepare, sameWish, send } from './callback.js';
import { localeOf, siteTime, waitWords, whenWords, zoneHere } from './callback_time.js';
import { CALLBACK_STYLE } from './callback_style.js';
import { callbackSpeaker } from './callback_words.js';
import { addStyle, el, icon } from './dom.js';
import { Labels } from './labels.js';
import { visitorLine } from './seat.js';
import { Trouble } from './trouble.js';
import { WhenPicker } from './when.js';

/** @typedef {import('./callback.js').Answer} Answer */
/** @typedef {import('./callback.js').Request} Request */

/** Refusals that another number may mend. */
const OF_NUMBER = /^(number_|country_not_served$)/;
/** Refusals that another address may mend. */
const OF_EMAIL = 'email_invalid';
/** Refusals that another time may mend. */
const OF_TIME = /^(slot_|when_invalid$|tz_invalid$|closed$|paused$|asap_full$|capacity_full$)/;

export class CallbackView {
  /** @param {import('./talk.js').Talk} talk */
  constructor(talk) {
    this.talk = talk;
    addStyle(/** @type {ShadowRoot} */ (talk.host.shadowRoot), CALLBACK_STYLE);
    this.labels = new Labels();
    this.say = callbackSpeaker(talk.language);
    /** @type {import('./callback_time.js').Reader} */
    this.reader = { zone: zoneHere(), locale: talk.language };
    this.busy = false;
    /** How far the gateway's riddle is, in hundredths; none while there is none. @type {number | undefined} */
    this.checked = undefined;
    /** The one not yet answered: pressing the button again repeats it. @type {Request | undefined} */
    this.request = undefined;
    /** @type {Answer | undefined} */
    this.answer = undefined;
    this.picker = new WhenPicker(
      (from, hold) => fetchSlots(talk.host.settings(), zoneHere(), from, hold),
      visitorLine(() => talk.host.settings(), zoneHere()),
      () => this.render(),
    );
    this.ask = askParts(this.labels, () => {
      this.#wrong('');
      this.picker.seat.stir();
    });
    this.back = this.labels.button('back', 'second', () => talk.leaveForm());
    // Our own sentences in the visitor's language, not the browser's bubbles.
    this.form = el(
      'form', { class: 'stack', novalidate: true, part: 'form', onsubmit: (event) => void this.#submit(event) },
      this.ask.lead, this.ask.field, this.picker.node, this.ask.emailField, this.ask.end, this.back,
    );
    this.done = doneParts(this.labels, () => this.#fresh());
    this.node = el('div', { class: 'view callback', hidden: true }, this.form, this.done.node);
  }

  /** What the gateway offers just now. */
  offered() {
    void this.picker.offered(offerOf(this.talk.host.offer));
    this.render();
  }

  /** Put away: what was held for it is anybody's. */
  left() {
    this.picker.putAway();
  }

  render() {
    const { ask, picker, say } = this;
    const shut = this.talk.model.state === 'closed' ? this.talk.model.sentence : '';
    this.form.hidden = this.answer !== undefined;
    this.done.node.hidden = this.answer === undefined;
    ask.field.hidden = ask.end.hidden = picker.empty;
    ask.emailField.hidden = picker.empty || !offerOf(this.talk.host.offer).email;
    ask.lead.textContent = [shut, picker.empty ? '' : say('lead')].filter(Boolean).join(' ');
    ask.lead.hidden = ask.lead.textContent === '';
    ask.word.textContent = say(this.busy ? 'sending' : 'submit');
    this.#renderChecked();
    ask.submit.setAttribute('aria-disabled', String(this.busy));
    if (this.answer) this.#renderDone(this.answer);
  }

  #renderChecked() {
    const { check, checkWord, bar } = this.ask;
    check.hidden = this.checked === undefined;
    // Said once; what grows is for the eye.
    const words = this.checked === undefined ? '' : this.say('checking');
    if (checkWord.textContent !== words) checkWord.textContent = words;
    bar.value = this.checked ?? 0;
  }

  /** @param {Answer} answer */
  #renderDone(answer) {
    const { say, reader, done, picker } = this;
    const { base, lang } = this.talk.host.settings();
    const site = answer.asap || picker.zone === '' ? '' : siteTime(answer.promised_at, picker.zone, reader, say);
    const asap = answer.wait ? say('asapWait', { wait: waitWords(answer.wait, say) }) : say('asap');
    const when = answer.asap ? asap : whenWords(answer.promised_at, Date.now(), reader, say);
    done.number.textContent = answer.number;
    done.when.replaceChildren(when.slice(0, 1).toUpperCase() + when.slice(1), ...(site ? [el('small', {}, site)] : []));
    const page = new URL(answer.page_url, base);
    // The page speaks the language the visitor has been spoken to in.
    page.searchParams.set('lang', lang);
    done.follow.href = page.href;
    done.calendar.hidden = answer.asap;
    done.calendar.href = new URL(answer.ics_url, base).href;
  }

  speak() {
    this.say = callbackSpeaker(this.talk.language);
    this.reader = { zone: zoneHere(), locale: localeOf(this.talk.language, navigator.languages) };
    this.labels.speak(this.say);
    this.picker.speak(this.say, this.reader);
    this.render();
  }

  main() {
    if (this.answer) return this.done.follow;
    return this.picker.empty ? this.back : this.ask.number;
  }

  /** @param {Event} event */
  async #submit(event) {
    event.preventDefault();
    const number = this.ask.number.value.trim();
    const when = this.picker.value;
    if (this.busy) return;
    if (number === '') return this.#wrong(this.say('numberMissing'), this.ask.number);
    if (when === '') {
      this.#wrong(this.say('timeMissing'));
      return this.picker.focus();
    }
    const email = this.ask.emailField.hidden ? '' : this.ask.email.value;
    this.#wrong('');
    this.#setBusy(true);
    await this.picker.seat.settled();
    // It went to somebody else meanwhile, and that has been said.
    if (this.picker.value !== when) return this.#setBusy(false);
    const request = prepare(this.talk.host.settings(), { number, when, email, hold: this.picker.hold });
    if (!sameWish(this.request, request)) this.request = request;
    try {
      this.#answered(await send(this.request ?? request, (share) => this.#check(share)));
    } catch (error) {
      if (!(error instanceof Trouble)) console.error('passerelle:', error);
      this.#refused(error instanceof Trouble ? error : new Trouble('bug'));
    }
  }

  /** @param {Answer} answer */
  #answered(answer) {
    this.request = undefined;
    this.answer = answer;
    this.picker.used();
    this.#setBusy(false);
    this.talk.host.announce('callback', { ...answer });
    const when = [...this.done.when.childNodes].map(({ textContent }) => textContent).join(', ');
    this.talk.announce(`${this.say('doneTitle')}. ${when}. ${answer.number}`);
    this.main().focus({ preventScroll: true });
  }

  /** @param {Trouble} trouble */
  #refused({ code, sentence, status }) {
    // Lost on the way, or in the gateway itself: nobody knows whether it counts, so the next press repeats it.
    if (code !== 'unreachable' && status < 500) this.request = undefined;
    this.#setBusy(false);
    const about = OF_NUMBER.test(code) ? this.ask.number : code === OF_EMAIL ? this.ask.email : undefined;
    this.#wrong(sentence || this.say(code === 'unreachable' ? 'unreachable' : 'wrong'), about);
    if (!OF_TIME.test(code)) return;
    void this.talk.host.askAvailability();
    if (this.picker.state !== 'unread') void this.picker.read().then(() => this.picker.focus());
  }

  /**
   * @param {string} sentence
   * @param {HTMLInputElement} [about]
   */
  #wrong(sentence, about) {
    const { wrong, number, email, end } = this.ask;
    // Beside what it is about: on a telephone the rest is under the keyboard.
    const place = about?.parentElement ?? end;
    if (sentence !== '' && wrong.parentElement !== place) place.insertBefore(wrong, about ? about.nextSibling : end.firstChild);
    wrong.textContent = sentence;
    for (const input of [number, email]) input.setAttribute('aria-invalid', String(input === about));
    about?.focus();
  }

  /** @param {number} share */
  #check(share) {
    this.checked = Math.round(share * 100);
    this.#renderChecked();
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.busy = busy;
    this.checked = undefined;
    this.render();
  }

  #fresh() {
    this.answer = undefined;
    this.ask.number.value = '';
    if (this.picker.state === 'read') void this.picker.read();
    this.render();
    this.main().focus();
  }
}

/**
 * What stands around the choice of a time: the number above it, the button and the consent below.
 * @param {Labels} labels
 * @param {() => void} onType
 */
function askParts(labels, onType) {
  const number = el('input', {
    id: 'number', name: 'tel', type: 'tel', autocomplete: 'tel', inputmode: 'tel', enterkeyhint: 'go', required: true, maxlength: '40',
    'aria-describedby': 'number-hint wrong', part: 'number', oninput: onType,
  });
  const email = el('input', {
    id: 'email', name: 'email', type: 'email', autocomplete: 'email', inputmode: 'email', enterkeyhint: 'go', maxlength: '254',
    'aria-describedby': 'email-hint wrong', part: 'email', oninput: onType,
  });
  const wrong = el('p', { class: 'wrong', id: 'wrong', role: 'alert', part: 'wrong' });
  const word = el('span');
  const submit = el('button', { type: 'submit', class: 'main', part: 'action submit' }, icon('phone'), word);
  const checkWord = el('span', { role: 'status' });
  const bar = /** @type {HTMLProgressElement} */ (el('progress', { max: '100', value: '0', 'aria-hidden': 'true' }));
  const check = el('p', { class: 'check', part: 'check', hidden: true }, checkWord, bar);
  const consent = el('p', { class: 'small' }, icon('lock'), labels.text('span', 'consent', { part: 'consent' }));
  const field = el('div', { class: 'field' }, labels.text('label', 'number', { for: 'number' }), number, labels.text('p', 'numberHint', { id: 'number-hint' }));
  const emailField = el('div', { class: 'field', hidden: true }, labels.text('label', 'email', { for: 'email' }), email, labels.text('p', 'emailHint', { id: 'email-hint' }));
  const end = el('div', { class: 'stack' }, wrong, submit, check, consent);
  return { lead: el('p', { class: 'lead' }), field, number, emailField, email, wrong, word, submit, check, checkWord, bar, end };
}

/**
 * @param {Labels} labels
 * @param {() => void} onAnother
 */
function doneParts(labels, onAnother) {
  const number = el('dd', { part: 'number-said' });
  const when = el('dd', { part: 'when-said' });
  const tab = { target: '_blank', rel: 'noopener noreferrer' };
  const newTab = el('span', { class: 'unseen' }, ' ', labels.text('span', 'newTab'));
  const follow = el('a', { class: 'main', part: 'action follow', ...tab }, labels.text('span', 'follow'), newTab);
  const calendar = el('a', { class: 'second', part: 'action calendar' }, icon('calendar'), labels.text('span', 'calendar'));
  const node = el(
    'div', { class: 'stack over', hidden: true },
    el('div', { class: 'badge', 'aria-hidden': 'true' }, icon('check')),
    labels.text('h3', 'doneTitle', { part: 'status' }),
    el('dl', { class: 'facts' }, el('div', {}, labels.text('dt', 'doneNumber'), number), el('div', {}, labels.text('dt', 'doneWhen'), when)),
    labels.text('p', 'doneKeep', { class: 'more' }),
    follow, calendar, labels.button('another', 'second', onAnother),
  );
  return { node, number, when, follow, calendar };
}
