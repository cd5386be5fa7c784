// The call-back's words, times and rules, without a browser: zones and clock changes, ranges, each state in both languages.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { backOff } from '../../callback/follow.js';
import { isOver, outcomeTold, target, told, TONE, track } from '../../callback/told.js';
import { PAGE_WORDS, pageSpeaker } from '../../callback/words.js';
import { CONSENT, guessCountry, sameWish, uuid } from '../../widget/callback.js';
import { byDay, cityOf, countdown, dayKey, localeOf, siteTime, waitWords, whenWords } from '../../widget/callback_time.js';
import { CALLBACK_WORDS, callbackSpeaker } from '../../widget/callback_words.js';
import { slot, view } from '../support/callbacks.js';

const ROOT = new URL('../../', import.meta.url);
const read = (/** @type {string} */ folder) => readdirSync(new URL(folder, ROOT)).map((name) => readFileSync(new URL(`${folder}/${name}`, ROOT), 'utf8')).join('\n');
const PARIS = { zone: 'Europe/Paris', locale: 'en-GB' };
const MONTREAL = { zone: 'America/Montreal', locale: 'en-GB' };
const en = pageSpeaker('en');
/** Spaces of every width are one to a reader. @param {string} text */
const plain = (text) => text.replace(/[\u00a0\u202f\u2009]/g, ' ');

test('French and English have the same keys and the same blanks, and no key is dead', () => {
  const source = `${read('widget')}\n${read('callback')}`.replace(/export const (CALLBACK|PAGE)_WORDS[\s\S]*?\n};/g, '') + readFileSync(new URL('callback/index.html', ROOT), 'utf8').replace(/data-word="(\w+)"/g, "'$1'");
  const built = /^(step|outcome|scheduled|queued|again|due|offered|dialling|connected|completed|cancelled|expired|failed|gone|away)\b|^(d|h|min|s)$/;
  for (const table of [CALLBACK_WORDS, PAGE_WORDS]) {
    assert.deepEqual(Object.keys(table.fr), Object.keys(table.en));
    for (const key of Object.keys(table.en)) {
      const blanks = (/** @type {string} */ text) => (text.match(/\{\w+\}/g) ?? []).sort();
      assert.deepEqual(blanks(table.fr[key]), blanks(table.en[key]), key);
      assert.ok(table.en[key].trim() && table.fr[key].trim(), key);
      assert.ok(!/[^\u00a0\u202f][:;?!»](\s|$)/.test(table.fr[key]), `no-break space before punctuation: ${table.fr[key]}`);
      if (!built.test(key)) assert.ok(source.includes(`'${key}'`), `nothing says ${key}`);
    }
  }
});

test('the consent has an id and a version, and says what the number is for in both languages', () => {
  assert.deepEqual({ ...CONSENT }, { text_id: 'callback-v1', version: '1' });
  assert.match(CALLBACK_WORDS.en.consent, /this request only.*prior consent/);
  assert.match(CALLBACK_WORDS.fr.consent, /pour elle seule.*consentement préalable/);
});

test('the country is the site’s word, else the region of the page’s language, else the gateway’s business', () => {
  assert.equal(guessCountry('fr', 'en-US'), 'FR');
  assert.equal(guessCountry(undefined, undefined, 'fr-CA'), 'CA');
  assert.equal(guessCountry('', 'zh-Hant-TW'), 'TW');
  assert.equal(guessCountry(undefined, 'fr', 'en'), undefined);
  assert.equal(guessCountry('France', null), undefined);
});

test('a request has a key of its own, and the same wish is known again', () => {
  assert.match(uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(uuid(), uuid());
  const wish = (/** @type {string} */ number, /** @type {string} */ when) => /** @type {any} */ ({ key: uuid(), body: { number, when, token: uuid() } });
  assert.equal(sameWish(undefined, wish('1', 'asap')), false);
  assert.equal(sameWish(wish('1', 'asap'), wish('1', 'asap')), true);
  assert.equal(sameWish(wish('1', 'asap'), wish('2', 'asap')), false);
  assert.equal(sameWish(wish('1', 'asap'), wish('1', '2031-06-10T12:30:00Z')), false);
});

test('an instant is today, tomorrow or a day by name, in the reader’s zone', () => {
  const say = callbackSpeaker('en');
  const now_ms = Date.parse('2026-11-24T22:30:00Z');
  /** @type {[string, import('../../widget/callback_time.js').Reader, string][]} */
  const cases = [
    ['2026-11-24T22:45:00Z', PARIS, 'today at 23:45'],
    ['2026-11-24T23:15:00Z', PARIS, 'tomorrow at 00:15'],
    ['2026-11-24T23:15:00Z', MONTREAL, 'today at 18:15'],
    ['2026-11-26T13:30:00Z', PARIS, 'on Thursday 26 November at 14:30'],
  ];
  for (const [at, reader, words] of cases) assert.equal(whenWords(at, now_ms, reader, say), words);
  assert.equal(whenWords('2026-11-26T13:30:00Z', now_ms, { zone: 'Europe/Paris', locale: 'fr-FR' }, callbackSpeaker('fr')), 'jeudi 26 novembre à 14:30');
  // The day clocks go back has 25 hours: just after midnight, a day on is still the same date.
  assert.equal(whenWords('2026-10-26T07:00:00Z', Date.parse('2026-10-24T22:10:00Z'), PARIS, say), 'tomorrow at 08:00');
});

test('the site’s time is said only where its clocks show another', () => {
  const say = callbackSpeaker('en');
  assert.equal(siteTime('2026-11-26T13:30:00Z', 'Europe/Paris', PARIS, say), '');
  assert.equal(siteTime('2026-11-26T13:30:00Z', 'Europe/Brussels', PARIS, say), '', 'another name, the same clock');
  assert.equal(siteTime('2026-11-26T13:30:00Z', 'Europe/Paris', MONTREAL, say), '14:30 in Paris');
  assert.equal(siteTime('2026-11-26T23:30:00Z', 'Europe/Paris', MONTREAL, say), 'Friday 27 November, 00:30 in Paris');
  // Two weeks of March in which the two change at different dates: the difference is five hours, not six.
  assert.equal(siteTime('2026-03-15T13:00:00Z', 'Europe/Paris', MONTREAL, say), '14:00 in Paris');
  assert.equal(cityOf('America/Argentina/Buenos_Aires'), 'Buenos Aires');
  assert.equal(cityOf('UTC'), 'UTC');
});

test('slots fall into the visitor’s days, taken days are left out, and an hour that comes twice is told apart', () => {
  const slots = [slot('2026-10-25T01:30:00Z'), slot('2026-10-25T00:30:00Z'), slot('2026-10-26T09:00:00Z', 0), slot('2026-10-24T22:30:00Z', 0), slot('2026-10-25T08:00:00Z')];
  const days = byDay(slots, PARIS);
  assert.deepEqual(days.map(({ key }) => key), ['2026-10-25']);
  assert.deepEqual(days[0].times.map(({ time }) => time), ['00:30', '02:30 GMT+2', '02:30 GMT+1', '09:00']);
  assert.deepEqual(byDay(slots, MONTREAL).map(({ key, times }) => `${key} ${times.map(({ time }) => time)}`), ['2026-10-24 18:30,20:30,21:30', '2026-10-25 04:00']);
  // A date line away.
  assert.equal(dayKey('2026-10-25T12:00:00Z', 'Pacific/Kiritimati'), '2026-10-26');
});

test('a wait is a range in whole minutes', () => {
  const say = callbackSpeaker('en');
  /** @type {[number, number, string][]} */
  const cases = [[170, 350, 'in about 3–6 min'], [10, 50, 'within a minute'], [61, 62, 'in about 1–2 min'], [300, 300, 'in about 5 min'], [3_000, 7_200, 'in about 50 min to 2 h'], [5_400, 9_000, 'in about 1 h 30 to 2 h 30']];
  for (const [p50_s, p90_s, words] of cases) assert.equal(waitWords({ p50_s, p90_s }, say), words);
  assert.equal(plain(waitWords({ p50_s: 170, p90_s: 350 }, callbackSpeaker('fr'))), 'dans 3 à 6 min environ');
});

test('a countdown shows what counts', () => {
  const shown = (/** @type {number} */ left_ms) => countdown(left_ms).map(({ amount, unit }) => amount + unit).join(' ');
  assert.equal(shown(-5), '00min 00s');
  assert.equal(shown(59_001), '01min 00s');
  assert.equal(shown(3_600_000), '01h 00min 00s');
  assert.equal(shown(86_400_000 + 3_660_000), '1d 01h 01min');
});

test('times are written the reader’s way', () => {
  assert.equal(localeOf('en', ['fr-FR', 'en-US']), 'en-US');
  assert.equal(localeOf('en', ['fr-FR']), 'en-GB');
  assert.equal(localeOf('fr', ['en-US']), 'fr');
});

test('each state is told in both languages, with what to do next at an end', () => {
  const now_ms = Date.now();
  /** @type {Partial<import('../../callback/told.js').View>[]} */
  const cases = [
    ...Object.keys(TONE).map((state) => ({ state: /** @type {any} */ (state) })),
    ...['visitor', 'agent', 'admin', 'recipient', 'nobody-knows'].map((detail) => ({ state: /** @type {const} */ ('cancelled'), detail })),
    ...['bad-number', 'not-reached', 'not-allowed', 'nobody-knows'].map((detail) => ({ state: /** @type {const} */ ('failed'), detail })),
    { state: 'queued', asap: true }, { state: 'queued', asap: true, wait: { p50_s: 170, p90_s: 350 } }, { state: 'queued', promised_at: '2020-01-01T00:00:00Z' },
    { state: 'queued', attempts: [{ at: '2026-11-24T22:30:00Z', outcome: 'busy' }] },
  ];
  for (const language of /** @type {const} */ (['en', 'fr'])) {
    for (const one of cases) {
      const { title, more } = told(view(one), now_ms, PARIS, pageSpeaker(language));
      assert.ok(title && more, `${language} ${JSON.stringify(one)}`);
      assert.doesNotMatch(title + more, /[{}]/);
      if (isOver(view(one).state) && one.state !== 'completed') assert.match(more, language === 'en' ? /again/ : /refaites|refaire/i, `a way on: ${more}`);
    }
  }
  const titles = cases.slice(0, 9).map((one) => told(view(one), now_ms, PARIS, en).title);
  assert.equal(new Set(titles).size, 8, 'a date is told alike, scheduled or queued; every other state differs');
  assert.equal(told(view({ state: /** @type {any} */ ('newer'), sentence: 'From tomorrow’s gateway.' }), now_ms, PARIS, en).title, 'From tomorrow’s gateway.');
});

test('each outcome of a try is told, also while it lasts and when it is one we never heard of', () => {
  const outcomes = ['reached', 'short-talk', 'busy', 'no-answer', 'voicemail', 'later', 'declined', 'not-me', 'bad-number', 'trunk-fault', 'trunk-refuses', 'agent-gone', 'interrupted', 'in-doubt', null];
  const words = outcomes.map((outcome) => outcomeTold({ at: '', outcome }, en));
  assert.equal(new Set(words).size, outcomes.length);
  assert.equal(outcomeTold({ at: '', outcome: 'newer' }, en), outcomeTold({ at: '', outcome: 'in-doubt' }, en));
});

test('the clock counts to the promise, then to the next try, and never for a wait that is a range', () => {
  const now_ms = Date.parse('2031-06-10T12:00:00Z');
  const tried = [{ at: '2031-06-10T11:59:00Z', outcome: 'busy' }];
  assert.equal(target(view(), now_ms), Date.parse('2031-06-10T12:30:00Z'));
  assert.equal(target(view({ state: 'queued', attempts: tried, due_at: '2031-06-10T12:03:00Z' }), now_ms), Date.parse('2031-06-10T12:03:00Z'));
  assert.equal(target(view({ state: 'queued', asap: true }), now_ms), undefined);
  assert.equal(target(view({ state: 'queued', asap: true, attempts: tried, due_at: '2031-06-10T12:03:00Z' }), now_ms), Date.parse('2031-06-10T12:03:00Z'));
  assert.equal(target(view(), Date.parse('2031-06-10T12:30:01Z')), undefined, 'the moment has come');
  assert.equal(target(view({ state: 'dialling' }), now_ms), undefined);
});

test('the track has one step at a time, and none after a bad end', () => {
  const is = (/** @type {any} */ state) => track(view({ state })).map((step) => step.is).join(' ');
  assert.equal(is('scheduled'), 'now next next next');
  assert.equal(is('dialling'), 'done done now next');
  assert.equal(is('completed'), 'done done done done');
  assert.equal(is('failed'), '');
});

test('tries to connect again come later and later, with an end to it', () => {
  assert.deepEqual([1, 2, 3, 6, 40].map((tries) => backOff(tries, 0.5)), [1_000, 2_000, 4_000, 30_000, 30_000]);
  assert.ok(backOff(1, 0) >= 750 && backOff(1, 1) <= 1_250);
});
