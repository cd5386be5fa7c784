// Both languages say everything, in every state and for every trouble the code can name.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chooseLanguage } from '../../widget/language.js';
import { begin, TABLE } from '../../widget/machine.js';
import { clockText, told } from '../../widget/sentences.js';
import { clock, speaker, spokenTime, WORDS } from '../../widget/words.js';

const ROOT = new URL('../../', import.meta.url);
const SOURCES = ['widget.js', ...readdirSync(new URL('widget', ROOT)).map((name) => `widget/${name}`)].map((name) => readFileSync(new URL(name, ROOT), 'utf8'));

test('French and English have the same keys and the same blanks', () => {
  assert.deepEqual(Object.keys(WORDS.fr), Object.keys(WORDS.en));
  for (const key of Object.keys(WORDS.en)) {
    const blanks = (/** @type {string} */ text) => (text.match(/\{\w+\}/g) ?? []).sort();
    assert.deepEqual(blanks(WORDS.fr[key]), blanks(WORDS.en[key]), key);
    assert.ok(WORDS.en[key].trim() && WORDS.fr[key].trim(), key);
    assert.ok(!/[^\u00a0\u202f][:;?!»](\s|$)/.test(WORDS.fr[key].replaceAll('https:', '')), `no-break space before punctuation: ${WORDS.fr[key]}`);
  }
});

test('every code a Trouble is made with has a title and something to do', () => {
  const codes = new Set();
  for (const source of SOURCES) {
    for (const [, code] of source.matchAll(/new Trouble\('([\w-]+)'/g)) codes.add(code);
    for (const [, code] of source.matchAll(/'(mic-[a-z]+)'/g)) codes.add(code);
    for (const [, code] of source.matchAll(/code: '([\w-]+)'/g)) if (code !== 'normal') codes.add(code);
  }
  assert.ok(codes.size > 12, `only ${[...codes]}`);
  for (const code of codes) {
    assert.ok(WORDS.en[code], `title of ${code}`);
    assert.ok(WORDS.en[`${code}.do`], `what to do about ${code}`);
  }
});

test('no key is dead', () => {
  const text = SOURCES.join('\n').replace(/export const WORDS[\s\S]*?\n};/, '');
  const built = /^(state\.|mic-)|\.do(\.safari)?$|Hint(Touch)?$/;
  for (const key of Object.keys(WORDS.en)) {
    if (!built.test(key)) assert.ok(text.includes(`'${key}'`), `nothing says ${key}`);
  }
});

test('each state is told with a title and a line in both languages', () => {
  for (const language of /** @type {const} */ (['en', 'fr'])) {
    for (const state of /** @type {import('../../widget/machine.js').State[]} */ (Object.keys(TABLE))) {
      const { title, more } = told(begin({ state }), speaker(language), language);
      assert.ok(title, `${language} ${state}`);
      if (!['idle', 'talking'].includes(state)) assert.ok(more, `${language} ${state}`);
    }
  }
});

test('the gateway’s sentence is shown as it came; our own advice stands in without one', () => {
  const say = speaker('fr');
  assert.equal(told(begin({ state: 'failed', code: 'busy', sentence: 'Tous nos agents parlent.' }), say, 'fr').more, 'Tous nos agents parlent.');
  assert.equal(told(begin({ state: 'failed', code: 'mic-missing' }), say, 'fr').title, 'Aucun micro n’a été trouvé');
  assert.match(told(begin({ state: 'failed', code: 'mic-denied' }), say, 'fr', true).more, /Safari/);
  assert.equal(told(begin({ state: 'failed', code: 'never-heard-of' }), say, 'fr').title, 'L’appel n’a pas abouti');
});

test('an end is told with its length, a reason if there was one, and a cut call is not called a failed try', () => {
  const say = speaker('en');
  assert.equal(told(begin({ state: 'ended', code: 'normal', sentence: 'The call has ended.', talk_s: 61 }), say, 'en').more, 'You talked for 1 minute 1 second.');
  assert.equal(told(begin({ state: 'ended', code: 'too-long', sentence: 'Longest time reached.', talk_s: 60 }), say, 'en').more, 'Longest time reached. You talked for 1 minute.');
  assert.equal(told(begin({ state: 'ended', code: 'normal' }), say, 'en').more, 'Thank you for talking with us.');
  assert.equal(told(begin({ state: 'failed', code: 'shutdown', talking_ms: 5 }), say, 'en').title, 'The call was cut off');
  assert.equal(told(begin({ state: 'failed', code: 'no-answer' }), say, 'en').title, 'The call did not go through');
});

test('the language is the first wish that is spoken here', () => {
  assert.equal(chooseLanguage(undefined, 'fr-CA', 'en'), 'fr');
  assert.equal(chooseLanguage('EN_us', 'fr'), 'en');
  assert.equal(chooseLanguage(null, '', 'de', 'fr'), 'fr');
  assert.equal(chooseLanguage('frysk'), 'en', 'a language that only begins alike');
  assert.equal(chooseLanguage(), 'en');
});

test('clocks and lengths read as people say them', () => {
  assert.deepEqual([0, 7.9, 60, 760, 3_723].map(clock), ['0:00', '0:07', '1:00', '12:40', '1:02:03']);
  assert.equal(spokenTime(192, 'en'), '3 minutes 12 seconds');
  assert.equal(spokenTime(1, 'fr'), '1\u00a0seconde');
  assert.equal(spokenTime(3_600, 'en'), '1 hour');
  assert.equal(clockText(begin({ state: 'talking', talking_ms: 1_000 }), 64_000), '1:03');
  assert.equal(clockText(begin({ state: 'connecting' }), 64_000), '');
});
