// The status page in Chromium: each state and its words, the clock, moving, cancelling, a broken line, a link that is no more.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { contrastFailures, targetsTooSmall } from '../support/accessible.js';
import { House, SKIPPED, TIMEOUT_MS } from '../support/browser.js';
import { ID, slot, soon, TOKEN, view } from '../support/callbacks.js';
import { waitFor } from '../support/wait.js';

const house = new House();
before(async () => SKIPPED || (await house.open()));
beforeEach(() => {
  house.gateway?.reset();
  if (house.gateway) house.gateway.availability = { talk_now: true, callback: true, callback_now: true, wait: { p50_s: 170, p90_s: 350 } };
});
after(() => house.close());

/**
 * The page as a visitor opens it.
 * @param {Partial<import('../../callback/told.js').View>} [over]
 * @param {import('playwright-core').BrowserContextOptions & { hash?: string, lang?: string, until?: string }} [options]
 */
async function open(over, { hash = TOKEN, lang = 'en', until = 'main:not([aria-busy=true])', ...context } = {}) {
  const { gateway, browser } = /** @type {Required<House>} */ (/** @type {unknown} */ (house));
  if (over) gateway.callbacks.view = view(over);
  const rooms = await browser.newContext({ timezoneId: 'Europe/Paris', locale: 'en-GB', ...context });
  rooms.setDefaultTimeout(TIMEOUT_MS);
  const page = await rooms.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.goto(`${gateway.origin}/callback/${ID}?lang=${lang}#${hash}`);
  await page.locator(until).waitFor();
  const button = (/** @type {string} */ name) => page.getByRole('button', { name, exact: true });
  const title = (/** @type {string | RegExp} */ words) => page.getByRole('heading', { level: 1, name: words }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.id);
  return { page, rooms, complaints, button, title, focused, leave: () => rooms.close() };
}

test('from asked to done: each change is shown as it comes, and the page then rests', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const { page, title, complaints, leave } = await open({ state: 'queued', asap: true, wait: { p50_s: 170, p90_s: 350 } });
  await title('We call you in about 3–6 min');
  await waitFor(() => callbacks.listeners.size === 1);
  callbacks.change({ wait: { p50_s: 100, p90_s: 200 } });
  await title('We call you in about 2–4 min');
  callbacks.change({ state: 'offered', can_move: false });
  await title('Somebody is getting ready for you');
  callbacks.change({ state: 'dialling', attempts: [{ at: soon(), outcome: null }] });
  await title('We are calling you');
  await page.getByText('Calling now').waitFor();
  assert.equal(await page.locator('#track [aria-current=step]').textContent(), 'Your telephone');
  assert.equal(await page.locator('#announce').textContent(), 'We are calling you. Please pick up your telephone.');
  callbacks.change({ state: 'connected', can_cancel: false });
  await title('You are on the line');
  callbacks.change({ state: 'completed', attempts: [{ at: soon(-60), outcome: 'reached' }] });
  await title('The call has taken place');
  await page.getByText('You talked with us').waitFor();
  assert.equal(await page.getByRole('button').filter({ hasNotText: 'Français' }).count(), 0, 'nothing left to press');
  await page.waitForTimeout(1_500);
  assert.equal(callbacks.connections, 1, 'the closed stream is not opened again');
  assert.equal(await page.locator('#link').isVisible(), false);
  assert.equal(await page.title(), 'The call has taken place');
  assert.deepEqual(complaints, []);
  await leave();
});

test('every state and every ending has its words, and an ending says what to do next', { skip: SKIPPED }, async () => {
  /** @type {[Partial<import('../../callback/told.js').View>, RegExp, RegExp][]} */
  const cases = [
    [{}, /^We call you on Tuesday 10 June at 14:30$/, /Keep your telephone/],
    [{ promised_at: soon(-5) }, /any moment now/, /somebody who is free/],
    [{ state: 'queued', asap: true }, /as soon as possible/, /close this page/],
    [{ state: 'queued', asap: true, due_at: soon(200), attempts: [{ at: soon(-9), outcome: 'busy' }] }, /^We try again (today|tomorrow) at/, /did not reach you/],
    [{ state: 'cancelled', detail: 'visitor' }, /^You cancelled/, /ask again on our site/],
    [{ state: 'cancelled', detail: 'agent' }, /^Our team cancelled/, /ask again/],
    [{ state: 'cancelled', detail: 'admin' }, /^Our team cancelled/, /ask again/],
    [{ state: 'cancelled', detail: 'recipient' }, /turned down/, /mistake, ask again/],
    [{ state: 'completed', detail: 'served' }, /^You have talked with us on the site/, /nobody needs to call you/],
    [{ state: 'expired' }, /in time/, /choose another time/],
    [{ state: 'failed', detail: 'bad-number' }, /cannot be reached/, /check the number/],
    [{ state: 'failed', detail: 'not-reached' }, /did not reach you/, /choose a time/],
    [{ state: 'failed', detail: 'not-allowed' }, /may not call/, /another number/],
  ];
  for (const [over, name, more] of cases) {
    const { page, title, complaints, leave } = await open(over);
    await title(name);
    assert.match((await page.locator('#more').textContent()) ?? '', more);
    assert.deepEqual(complaints, [], JSON.stringify(over));
    await leave();
  }
});

test('the countdown runs by the gateway’s clock and ends in “any moment”', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const { page, title, leave } = await open({ promised_at: soon(3_600 * 2 + 5) });
  const shown = async () => (await page.getByRole('timer', { name: 'Time left' }).innerText()).replace(/\s+/g, ' ');
  assert.match(await shown(), /^02 h 00 min 0\d s$/);
  const first = await shown();
  await page.waitForTimeout(1_300);
  assert.notEqual(await shown(), first);
  // The visitor's clock is an hour slow: what is left is told by the gateway's.
  await page.evaluate(() => {
    const real = Date.now.bind(Date);
    Date.now = () => real() - 3_600_000;
  });
  callbacks.change({ promised_at: soon(62) });
  await page.getByRole('timer').filter({ hasText: /^01min0\ds|^00min5\ds/ }).waitFor();
  callbacks.change({ promised_at: soon(2) });
  await title('We call you any moment now');
  assert.equal(await page.getByRole('timer').isVisible(), false);
  await leave();
});

test('what was tried is a list of times and outcomes, with the day where it is another', { skip: SKIPPED }, async () => {
  const attempts = [{ at: '2025-11-24T08:05:00Z', outcome: 'trunk-fault' }, { at: '2025-11-24T08:20:00Z', outcome: 'no-answer' }, { at: soon(-30), outcome: 'voicemail' }];
  const { page, leave } = await open({ state: 'queued', asap: true, due_at: soon(900), attempts });
  const rows = await page.getByRole('region', { name: 'What we tried' }).getByRole('listitem').allInnerTexts();
  assert.deepEqual(rows.slice(0, 2).map((row) => row.replace(/\s+/g, ' ')), ['Mon 24, 09:05 Our line had a fault: we try again', 'Mon 24, 09:20 No answer']);
  assert.match(rows[2], /^\d\d:\d\d\s+A voicemail answered$/);
  await leave();
});

test('another time is chosen from the free ones, by keyboard, and told with the token in a header', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const { page, button, title, focused, complaints, leave } = await open();
  await title(/10 June at 14:30/);
  await button('Choose another time').focus();
  await page.keyboard.press('Enter');
  await page.getByRole('radio', { name: 'Tuesday 10 June' }).waitFor();
  assert.deepEqual(callbacks.read, [{ tenant: 'shop', queue: 'support', tz: 'Europe/Paris' }]);
  await button('Call me then').click();
  await page.getByRole('alert').filter({ hasText: 'Choose a time' }).waitFor();
  await page.getByRole('radio', { name: 'Wednesday 11 June' }).check();
  await page.getByRole('radio', { name: '10:15' }).focus();
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await title('We call you on Wednesday 11 June at 10:15');
  assert.deepEqual(callbacks.changes, [{ method: 'PATCH', authorization: `Bearer ${TOKEN}`, body: { when: '2031-06-11T08:15:00Z', tz: 'Europe/Paris', hold: 'hold-1' } }], 'with the seat, although its answer had not come when Enter was pressed');
  assert.equal(await focused(), 'title');
  assert.equal(await page.locator('#move').isVisible(), false);
  assert.match((await page.locator('#announce').textContent()) ?? '', /^Changed\. We call you on Wednesday/);
  await button('Choose another time').click();
  await page.getByLabel('As soon as possible, in about 3–6 min').check();
  await button('Call me then').click();
  await title('We call you as soon as possible');
  assert.equal(callbacks.changes[1].body.when, 'asap');
  assert.deepEqual(complaints, []);
  await leave();
});

test('a slot that has gone is said, and the free ones are read again', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const { page, button, leave } = await open();
  await button('Choose another time').click();
  await page.getByRole('radio', { name: '09:00' }).check();
  callbacks.refusals.push({ status: 409, code: 'slot_gone', sentence: 'Somebody was faster.' });
  callbacks.slots.slots = [slot('2031-06-12T07:00:00Z')];
  await button('Call me then').click();
  await page.getByRole('alert').filter({ hasText: 'Somebody was faster.' }).waitFor();
  await page.getByRole('radio', { name: 'Thursday 12 June' }).waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#move').isVisible(), false);
  assert.equal(await page.locator('#wrong').textContent(), '');
  await leave();
});

test('cancelling asks once, in the page, and then it is over', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const { page, button, title, focused, complaints, leave } = await open();
  page.on('dialog', () => complaints.push('a dialog of the browser'));
  await button('Cancel the call-back').click();
  await page.getByRole('group', { name: 'Cancel this call-back?' }).waitFor();
  assert.equal(await focused(), 'cancel-not', 'the harmless answer is the near one');
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'cancel-open');
  assert.equal(callbacks.changes.length, 0);
  await button('Cancel the call-back').click();
  callbacks.refusals.push({ status: 503, code: 'overload', sentence: 'Not just now.' });
  await button('Yes, cancel it').click();
  await page.getByRole('alert').filter({ hasText: 'Not just now.' }).waitFor();
  await button('Yes, cancel it').click();
  await title('You cancelled this call-back');
  assert.deepEqual(callbacks.changes.map(({ method, authorization }) => `${method} ${authorization}`), [`DELETE Bearer ${TOKEN}`, `DELETE Bearer ${TOKEN}`]);
  assert.equal(await button('Cancel the call-back').isVisible(), false);
  assert.deepEqual(complaints.filter((one) => !one.includes('503')), []);
  await leave();
});

test('“this was not me” asks once, in the page, and then nobody calls', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const { page, button, title, focused, complaints, leave } = await open();
  await button('I did not ask for this').click();
  await page.getByRole('group', { name: 'Was it not you who asked?' }).waitFor();
  await page.getByText('we do not call this number again').waitFor();
  assert.equal(await focused(), 'disown-not', 'the harmless answer is the near one');
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'disown-open');
  assert.equal(callbacks.changes.length, 0);
  await button('I did not ask for this').click();
  await button('It was not me, do not call').click();
  await title('The call was turned down');
  assert.deepEqual(callbacks.changes, [{ method: 'POST', authorization: `Bearer ${TOKEN}`, body: undefined }]);
  assert.equal(await button('I did not ask for this').isVisible(), false);
  assert.deepEqual(complaints, []);
  await leave();
});

test('what is no longer allowed has no button, and an open question closes by itself', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const { page, button, title, leave } = await open();
  await button('Cancel the call-back').click();
  await waitFor(() => callbacks.listeners.size === 1);
  callbacks.change({ state: 'connected', can_cancel: false, can_move: false });
  await title('You are on the line');
  assert.equal(await page.getByRole('button').filter({ hasNotText: 'Français' }).count(), 0);
  await leave();
});

test('the calendar’s link carries the token; the page’s own address never leaves the fragment', { skip: SKIPPED }, async () => {
  /** @type {string[]} */
  const asked = [];
  const { page, leave } = await open(undefined, {});
  page.on('request', (request) => asked.push(`${request.method()} ${request.url()} ${request.headers().referer ?? ''}`));
  const link = page.getByRole('link', { name: 'Add to calendar' });
  assert.equal(await link.getAttribute('href'), `${house.gateway.origin}/v1/callbacks/${ID}/calendar.ics?token=${TOKEN}&lang=en`);
  await page.reload();
  await link.waitFor();
  const withToken = asked.filter((one) => one.includes(TOKEN)).map((one) => one.split('?')[0]);
  assert.deepEqual([...new Set(withToken)], [`GET ${house.gateway.origin}/v1/callbacks/${ID}/events`]);
  await leave();
});

test('a broken line is said, tried again with patience, and caught up with', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const { page, title, leave } = await open();
  const link = page.locator('#link');
  await link.filter({ hasText: 'Up to date' }).waitFor();
  await waitFor(() => callbacks.listeners.size === 1);
  callbacks.down = true;
  callbacks.cut();
  await link.filter({ hasText: 'Offline' }).waitFor();
  assert.equal(await link.getAttribute('data-up'), 'false');
  await title(/10 June at 14:30/);
  callbacks.view = view({ state: 'dialling', can_move: false });
  await page.waitForTimeout(1_500);
  callbacks.down = false;
  await title('We are calling you');
  await link.filter({ hasText: 'Up to date' }).waitFor();
  assert.equal(callbacks.connections, 2);
  callbacks.change({ state: 'connected' });
  await title('You are on the line');
  await leave();
});

test('no network at all: said at once, and at once over when it is back', { skip: SKIPPED }, async () => {
  const { page, rooms, leave } = await open();
  const link = page.locator('#link');
  await link.filter({ hasText: 'Up to date' }).waitFor();
  await rooms.setOffline(true);
  await link.filter({ hasText: 'Offline' }).waitFor();
  await rooms.setOffline(false);
  await link.filter({ hasText: 'Up to date' }).waitFor();
  await leave();
});

test('opened while the gateway is away, it says so and comes when it can', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  callbacks.down = true;
  const { page, title, leave } = await open(undefined, { until: 'main' });
  await title('We cannot be reached just now');
  await page.getByText('This page keeps trying.').waitFor();
  callbacks.down = false;
  await title(/10 June at 14:30/);
  await leave();
});

test('a wrong or cut link says so, and asks for nothing more', { skip: SKIPPED }, async () => {
  for (const hash of ['', 'wrong']) {
    const { page, title, leave } = await open(undefined, { hash });
    await title('This link does not work any more');
    assert.equal(await page.getByRole('button').filter({ hasNotText: 'Français' }).count(), 0);
    await page.waitForTimeout(1_200);
    assert.equal(house.gateway.callbacks.connections, 0);
    await leave();
  }
});

test('French, in another zone: the visitor’s time first, the other beside it; the language changes at a click and stays', { skip: SKIPPED }, async () => {
  const { page, button, title, leave } = await open({}, { lang: 'fr', locale: 'fr-CA', timezoneId: 'America/Toronto' });
  await title(/^Nous vous appelons mardi 10 juin à 08.h.30$/);
  await page.getByText(/^14.h.30 à Paris$/).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'fr');
  await button('English').click();
  await title(/^We call you on/);
  assert.equal(new URL(page.url()).hash, `#${TOKEN}`, 'the key is kept');
  await page.reload();
  await title(/^We call you on/);
  await leave();
});

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`contrast and target size on a telephone, ${colorScheme}; nothing wider than it, nothing moves unasked`, { skip: SKIPPED }, async () => {
    const { callbacks } = house.gateway;
    const { page, button, title, leave } = await open({ promised_at: soon(8_000), attempts: [{ at: soon(-50), outcome: 'busy' }] }, { colorScheme, reducedMotion: 'reduce', viewport: { width: 320, height: 640 } });
    const look = async (/** @type {string} */ name) => {
      assert.deepEqual(await page.evaluate(contrastFailures), [], `contrast, ${name}`);
      assert.deepEqual(await page.evaluate(targetsTooSmall), [], `targets, ${name}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `width, ${name}`);
      assert.equal(await page.evaluate(() => document.getAnimations().length), 0, `motion, ${name}`);
    };
    await look('waiting');
    await button('Choose another time').click();
    await page.getByRole('radio', { name: '09:00' }).check();
    await look('moving');
    await button('Back').click();
    await button('Cancel the call-back').click();
    await look('sure');
    await button('Keep it').click();
    callbacks.cut();
    callbacks.down = true;
    await page.locator('#link[data-up=false]').waitFor();
    await look('offline');
    callbacks.down = false;
    callbacks.view = view({ state: 'failed', detail: 'not-reached', can_cancel: false, can_move: false });
    await title(/did not reach you/);
    await look('over');
    await leave();
  });
}
