// The status page of one call-back, `/callback/{id}#{manage_token}`: what happens, when, and the visitor's ways to change it.

import { fetchSlots, offerOf } from '../widget/callback.js';
import { countdown, dayKey, localeOf, longDay, shortDay, siteTime, timeOfDay, waitWords, zoneHere } from '../widget/callback_time.js';
import { addStyle, el } from '../widget/dom.js';
import { chooseLanguage } from '../widget/language.js';
import { callbackLine } from '../widget/seat.js';
import { askJson } from '../widget/signal.js';
import { Trouble } from '../widget/trouble.js';
import { WhenPicker } from '../widget/when.js';
import { WHEN_STYLE } from '../widget/when_style.js';
import { Follow } from './follow.js';
import { isOver, outcomeTold, target, told, TONE, track } from './told.js';
import { pageSpeaker } from './words.js';

/** @typedef {import('./told.js').View} View */

const BASE = new URL('..', import.meta.url);
const TICK_MS = 250;

const id = location.pathname.split('/').filter(Boolean).at(-1) ?? '';
/** Stays in the fragment: it is in no log of any server but as the gateway's own. */
const token = location.hash.slice(1);
let language = chooseLanguage(new URLSearchParams(location.search).get('lang'), ...navigator.languages);
let say = pageSpeaker(language);
/** @type {import('../widget/callback_time.js').Reader} */
let reader;
/** @type {View | undefined} */
let view;
/** The gateway's clock less ours. */
let ahead_ms = 0;
let gone = false;
let up = true;
let sheet = /** @type {'' | 'move' | 'sure' | 'disown'} */ ('');
let busy = false;

const follow = new Follow({ base: BASE, id, token, lang: () => language }, { view: show, link: showLink, gone: showGone });
const picker = new WhenPicker(
  (from, hold) => fetchSlots({ base: BASE, tenant: view?.tenant ?? '', queue: view?.queue ?? '', lang: language }, zoneHere(), from, hold),
  callbackLine(BASE, id, token, () => language, zoneHere()),
);

/** @param {string} name */
const byId = (name) => /** @type {HTMLElement} */ (document.getElementById(name));

const now_ms = () => Date.now() + ahead_ms;

function start() {
  addStyle(/** @type {any} */ (document), WHEN_STYLE);
  byId('when').append(picker.node);
  byId('language').addEventListener('click', () => speak(language === 'fr' ? 'en' : 'fr'));
  byId('move-open').addEventListener('click', () => void openMove());
  byId('move-not').addEventListener('click', () => openSheet(''));
  byId('move').addEventListener('change', () => wrong(''));
  byId('move').addEventListener('submit', (event) => {
    event.preventDefault();
    void move();
  });
  byId('cancel-open').addEventListener('click', () => openSheet('sure'));
  byId('cancel-not').addEventListener('click', () => openSheet(''));
  byId('cancel-do').addEventListener('click', () => void change('DELETE'));
  byId('disown-open').addEventListener('click', () => openSheet('disown'));
  byId('disown-not').addEventListener('click', () => openSheet(''));
  byId('disown-do').addEventListener('click', () => void change('POST', undefined, '/not-me'));
  addEventListener('keydown', (event) => event.key === 'Escape' && sheet !== '' && openSheet(''));
  // Another link of ours pasted over this one.
  addEventListener('hashchange', () => location.reload());
  speak(language);
  setInterval(tick, TICK_MS);
  if (id === '' || token === '') showGone();
  else void follow.look();
}

/** @param {import('../widget/language.js').Language} wanted */
function speak(wanted) {
  if (wanted !== language) {
    const here = new URL(location.href);
    here.searchParams.set('lang', wanted);
    history.replaceState(null, '', here);
  }
  language = wanted;
  say = pageSpeaker(language);
  reader = { zone: zoneHere(), locale: localeOf(language, navigator.languages) };
  document.documentElement.lang = language;
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-word]'))) node.textContent = say(node.dataset.word ?? '');
  const other = byId('language');
  other.textContent = say('other');
  other.lang = language === 'fr' ? 'en' : 'fr';
  picker.speak(say, reader);
  render();
}

/** @param {View} latest */
function show(latest) {
  const before = view?.state;
  view = latest;
  ahead_ms = Date.parse(latest.now) - Date.now();
  if (isOver(latest.state) || (sheet === 'move' && !latest.can_move) || ((sheet === 'sure' || sheet === 'disown') && !latest.can_cancel)) openSheet('');
  render();
  const { title, more } = told(latest, now_ms(), reader, say);
  if (before !== undefined && before !== latest.state) byId('announce').textContent = `${title}. ${more}`;
}

/** @param {boolean} isUp */
function showLink(isUp) {
  up = isUp;
  renderLink();
  tick();
}

function showGone() {
  gone = true;
  openSheet('');
}

function render() {
  const main = byId('main');
  main.hidden = false;
  main.setAttribute('aria-busy', String(view === undefined && !gone));
  main.dataset.tone = gone ? 'bad' : view === undefined ? 'wait' : TONE[view.state] ?? 'wait';
  text('kind', say('kind'));
  renderLink();
  renderFacts();
  renderTrack();
  renderAttempts();
  renderActions();
  tick();
}

function renderLink() {
  byId('link').hidden = gone || view === undefined || isOver(view.state);
  byId('link').dataset.up = String(up);
  text('link', say(up ? 'live' : 'offline'));
}

/** What changes with the clock alone. */
function tick() {
  const at_ms = view && !gone ? target(view, now_ms()) : undefined;
  const { title, more } = gone
    ? { title: say('gone'), more: say('gone.more') }
    : view ? told(view, now_ms(), reader, say) : { title: say(up ? 'loading' : 'away'), more: up ? '' : say('away.more') };
  text('title', title);
  text('more', more);
  byId('more').hidden = more === '';
  document.title = title;
  const parts = at_ms === undefined ? [] : countdown(at_ms - now_ms());
  const clock = byId('countdown');
  clock.hidden = parts.length === 0;
  clock.setAttribute('aria-label', say('left'));
  fill(clock, parts, ({ amount, unit }) => el('span', {}, el('b', {}, amount), el('small', {}, say(unit))));
  renderRange(at_ms);
}

/** The range stands beside a clock too; where there is none, the title already says it. @param {number | undefined} at_ms */
function renderRange(at_ms) {
  const shown = view?.wait !== undefined && !gone && !view.asap && at_ms === undefined && view.state === 'queued';
  byId('range').hidden = !shown;
  text('range', shown && view?.wait ? say('queued.wait', { wait: waitWords(view.wait, say) }) : '');
}

function renderFacts() {
  const facts = byId('facts');
  facts.hidden = view === undefined || gone;
  if (view === undefined) return;
  const { number, asap, promised_at, tz } = view;
  const site = asap ? '' : siteTime(promised_at, tz, reader, say);
  const day = longDay(promised_at, reader);
  const when = asap ? say('asked') : say('chosen', { day: day.slice(0, 1).toUpperCase() + day.slice(1), time: timeOfDay(promised_at, reader) });
  fill(facts, [{ name: say('toNumber'), value: number, small: '' }, { name: say('at'), value: when, small: site }], ({ name, value, small }) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value, ...(small ? [el('small', {}, small)] : []))));
}

function renderTrack() {
  const steps = view === undefined || gone ? [] : track(view);
  byId('track').hidden = steps.length === 0;
  fill(byId('track'), steps.map(({ key, is }) => ({ is, words: say(key) })), ({ is, words }) =>
    el('li', { 'data-is': is, 'aria-current': is === 'now' ? 'step' : false }, el('span', {}, words)));
}

function renderAttempts() {
  const attempts = view === undefined || gone ? [] : view.attempts;
  byId('tried').hidden = attempts.length === 0;
  const today = dayKey(now_ms(), reader.zone);
  const shown = attempts.map((attempt) => {
    const { name, number } = shortDay(attempt.at, reader);
    const day = dayKey(attempt.at, reader.zone) === today ? '' : `${name} ${number}, `;
    return { at: attempt.at, time: day + timeOfDay(attempt.at, reader), words: outcomeTold(attempt, say), outcome: attempt.outcome ?? 'running' };
  });
  fill(byId('attempts'), shown, ({ at, time, words, outcome }) =>
    el('li', { 'data-outcome': outcome }, el('time', { datetime: at }, time), el('span', {}, words)));
}

function renderActions() {
  const over = view === undefined || gone || isOver(view.state);
  byId('actions').hidden = over || sheet !== '' || !(view?.can_move || view?.can_cancel || !view?.asap);
  byId('move-open').hidden = !view?.can_move;
  byId('cancel-open').hidden = byId('disown-open').hidden = !view?.can_cancel;
  byId('move').hidden = sheet !== 'move';
  byId('sure').hidden = sheet !== 'sure';
  byId('disown').hidden = sheet !== 'disown';
  for (const name of ['move-do', 'cancel-do', 'disown-do']) byId(name).setAttribute('aria-disabled', String(busy));
  const calendar = /** @type {HTMLAnchorElement} */ (byId('calendar'));
  calendar.hidden = over || view?.asap !== false || view.state !== 'scheduled';
  calendar.href = follow.address('calendar.ics');
}

/** One sheet at a time; the focus goes into it, and back to its button. @param {typeof sheet} wanted */
function openSheet(wanted) {
  const from = sheet;
  sheet = wanted;
  if (from === 'move' && wanted !== 'move') picker.putAway();
  if (wanted !== from) wrong('');
  render();
  if (wanted === 'sure') byId('cancel-not').focus();
  if (wanted === 'disown') byId('disown-not').focus();
  if (wanted === '' && from !== '') {
    const button = byId({ move: 'move-open', sure: 'cancel-open', disown: 'disown-open' }[from]);
    (button.checkVisibility() ? button : byId('title')).focus();
  }
}

async function openMove() {
  picker.reset();
  openSheet('move');
  const query = new URLSearchParams({ tenant: view?.tenant ?? '', queue: view?.queue ?? '' });
  const availability = await askJson(new URL(`v1/availability?${query}`, BASE), { headers: { 'accept-language': language } }).catch(() => ({}));
  await picker.offered(offerOf(availability));
  if (sheet === 'move') picker.focus();
}

async function move() {
  const when = picker.value;
  if (when === '') {
    wrong(say('timeMissing'));
    return picker.focus();
  }
  await picker.seat.settled();
  // It went to somebody else meanwhile, and that has been said.
  if (picker.value !== when) return;
  if (await change('PATCH', { when, tz: zoneHere(), ...(picker.hold === undefined ? {} : { hold: picker.hold }) })) byId('announce').textContent = `${say('moved')} ${byId('title').textContent}`;
}

/**
 * @param {'PATCH' | 'DELETE' | 'POST'} method
 * @param {object} [body]
 * @param {string} [path]  below the call-back itself
 * @returns {Promise<boolean>} whether it was done
 */
async function change(method, body, path) {
  if (busy) return false;
  setBusy(true);
  wrong('');
  try {
    const latest = await follow.ask(method, body, path);
    if (method === 'PATCH') picker.used();
    openSheet('');
    follow.take(latest);
    byId('title').focus();
    return true;
  } catch (error) {
    const { code, sentence } = error instanceof Trouble ? error : new Trouble('bug');
    wrong(sentence || say(code === 'unreachable' ? 'unreachable' : 'wrong'));
    if (sheet === 'move' && code.startsWith('slot_')) await picker.read();
    // It may have moved on under our hands.
    void follow.look();
    return false;
  } finally {
    setBusy(false);
  }
}

/** @param {boolean} is */
function setBusy(is) {
  busy = is;
  renderActions();
}

/** @param {string} sentence */
function wrong(sentence) {
  text('wrong', sentence);
}

/**
 * Written only when it is new, so that nothing is said twice.
 * @param {string} name
 * @param {string} words
 */
function text(name, words) {
  const node = byId(name);
  if (node.textContent !== words) node.textContent = words;
}

/**
 * @template T
 * @param {HTMLElement} node
 * @param {T[]} shown
 * @param {(one: T) => HTMLElement} make
 */
function fill(node, shown, make) {
  const mark = JSON.stringify([language, shown]);
  if (node.dataset.shown === mark) return;
  node.dataset.shown = mark;
  node.replaceChildren(...shown.map(make));
}

start();
