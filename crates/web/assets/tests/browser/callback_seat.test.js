// A seat held while the form is open, in Chromium: said, moved with the choice, lost to another, over, let go.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { House, html, SKIPPED, TIMEOUT_MS } from '../support/browser.js';
import { ID, slot, TOKEN, view } from '../support/callbacks.js';
import { atForm, field, focused, OFFERED } from '../support/form.js';
import { waitFor } from '../support/wait.js';

const house = new House();
before(async () => SKIPPED || (await house.open()));
beforeEach(() => {
  house.gateway?.reset();
  if (house.gateway) house.gateway.availability = OFFERED;
});
after(() => house.close());

/** @param {Parameters<typeof atForm>[1]} [options] */
async function choosing(options) {
  const visitor = await atForm(house, options);
  await visitor.panel.getByLabel('At a time I choose').check();
  return visitor;
}

test('a chosen time is held, the hold moves with the choice, and the call-back uses it', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const visitor = await choosing();
  const { panel } = visitor;
  await panel.getByRole('radio', { name: '14:30' }).check();
  await panel.getByRole('status').filter({ hasText: 'Held for you for 2 minutes.' }).waitFor();
  const [{ session, token, ...held }] = callbacks.holds;
  assert.deepEqual(held, { start: '2031-06-10T12:30:00Z', tz: 'Europe/Paris' });
  assert.deepEqual([/^[0-9a-f]{32}$/.test(session), token], [true, 'a'.repeat(32)]);
  await panel.getByRole('radio', { name: '09:00' }).check();
  await waitFor(() => callbacks.holds.length === 2);
  assert.deepEqual([callbacks.holds[1].session, callbacks.holds[1].start], [session, '2031-06-10T07:00:00Z'], 'the same visitor, another time');
  await panel.getByText('Held for you').waitFor();
  await field(visitor).fill('0612345678');
  await visitor.button('Call me back').click();
  await panel.getByRole('heading', { name: 'We will call you' }).waitFor();
  assert.deepEqual([callbacks.asked[0].body.when, callbacks.asked[0].body.hold], ['2031-06-10T07:00:00Z', 'hold-2']);
  await visitor.page.keyboard.press('Escape');
  await visitor.page.waitForTimeout(200);
  assert.deepEqual([callbacks.released, callbacks.holds.length], [[], 2], 'what was used is not let go, nor held again');
  assert.deepEqual(visitor.complaints, []);
  await visitor.leave();
});

test('a time that somebody else took first is said, and the times are shown again without it', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const visitor = await choosing();
  const { panel } = visitor;
  await panel.getByRole('radio', { name: '14:30' }).waitFor();
  callbacks.slots.slots = [slot('2031-06-10T07:00:00Z'), slot('2031-06-10T12:30:00Z', 0)];
  callbacks.holdRefusals = [{ status: 409, code: 'slot_gone', sentence: 'The gateway says: taken.' }];
  await panel.getByRole('radio', { name: '14:30' }).click();
  await panel.getByRole('status').filter({ hasText: 'The gateway says: taken.' }).waitFor();
  assert.equal(await panel.getByRole('radio', { name: /^14:30/ }).isDisabled(), true);
  assert.match((await focused(visitor)) ?? '', /^09:00/, 'where one can go on');
  await panel.getByRole('radio', { name: '09:00' }).check();
  await panel.getByText('Held for you').waitFor();
  assert.equal(await panel.getByText('The gateway says: taken.').isVisible(), false);
  await visitor.leave();
});

test('without a hold the form works as before', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  callbacks.holdRefusals = [{ status: 429, code: 'too_many_holds', sentence: 'Not now.' }];
  const visitor = await choosing();
  await visitor.panel.getByRole('radio', { name: '14:30' }).check();
  await waitFor(() => callbacks.holds.length === 1);
  await field(visitor).fill('0612345678');
  assert.equal(await visitor.panel.getByText(/Held for you|Not now/).count(), 0);
  await visitor.button('Call me back').click();
  await visitor.panel.getByRole('heading', { name: 'We will call you' }).waitFor();
  assert.equal('hold' in callbacks.asked[0].body, false);
  await visitor.leave();
});

test('when the time is over it is said; who goes on typing keeps it', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  callbacks.held_s = 2;
  const visitor = await choosing();
  await visitor.panel.getByRole('radio', { name: '14:30' }).check();
  await visitor.panel.getByText('Held for you').waitFor();
  await visitor.panel.getByText('The 2 minutes are over').waitFor();
  assert.equal(await visitor.panel.getByRole('radio', { name: '14:30' }).isChecked(), true, 'it may still be free');
  await visitor.panel.getByRole('radio', { name: '09:00' }).check();
  await visitor.panel.getByText('Held for you').waitFor();
  callbacks.held_s = 120;
  for (let keys = 0; keys < 100 && callbacks.holds.length < 3; keys += 1) {
    await field(visitor).press('6');
    await visitor.page.waitForTimeout(50);
  }
  assert.equal(callbacks.holds.length, 3);
  assert.equal(callbacks.holds[2].start, '2031-06-10T07:00:00Z');
  await visitor.page.waitForTimeout(2_500);
  await visitor.panel.getByText('Held for you').waitFor();
  await visitor.leave();
});

test('put away or as soon as possible after all: the seat is anybody’s; opened again it is held again', { skip: SKIPPED }, async () => {
  const { callbacks } = house.gateway;
  const visitor = await choosing();
  const { panel } = visitor;
  await panel.getByRole('radio', { name: '14:30' }).check();
  await panel.getByText('Held for you').waitFor();
  await visitor.button('Back').click();
  await waitFor(() => callbacks.released.length === 1);
  await visitor.button('Be called back').click();
  await panel.getByText('Held for you').waitFor();
  assert.equal(callbacks.holds.at(-1).start, '2031-06-10T12:30:00Z');
  await panel.getByLabel(/As soon as possible/).check();
  await waitFor(() => callbacks.released.length === 2);
  await panel.getByLabel('At a time I choose').check();
  await panel.getByText('Held for you').waitFor();
  await visitor.page.goto('about:blank');
  await waitFor(() => callbacks.released.length === 3);
  assert.deepEqual(callbacks.released, ['hold-1', 'hold-2', 'hold-3']);
  await visitor.leave();
});

test('a French visitor reads it in French', { skip: SKIPPED }, async () => {
  house.gateway.pages.set('/fr', { body: html(undefined, 'fr-FR') });
  const visitor = await house.visitor({ path: '/fr', context: { timezoneId: 'Europe/Paris', locale: 'fr-FR' } });
  await visitor.button('Parlez-nous').click();
  await visitor.button('Être rappelé').click();
  await visitor.panel.getByLabel('À l’heure de mon choix').check();
  await visitor.panel.getByRole('radio', { name: '14:30' }).check();
  await visitor.panel.getByText('Gardée pour vous pendant 2 minutes.').waitFor();
  await visitor.leave();
});

test('on the status page another time is held by the call-back’s key, and used by the move', { skip: SKIPPED }, async () => {
  const { gateway, browser } = /** @type {Required<House>} */ (/** @type {unknown} */ (house));
  const { callbacks } = gateway;
  callbacks.view = view();
  const rooms = await browser.newContext({ timezoneId: 'Europe/Paris', locale: 'en-GB' });
  rooms.setDefaultTimeout(TIMEOUT_MS);
  const page = await rooms.newPage();
  await page.goto(`${gateway.origin}/callback/${ID}?lang=en#${TOKEN}`);
  const button = (/** @type {string} */ name) => page.getByRole('button', { name, exact: true });
  await button('Choose another time').click();
  await page.getByRole('radio', { name: 'Wednesday 11 June' }).check();
  await page.getByRole('radio', { name: '10:15' }).check();
  await page.getByText('Held for you for 2 minutes.').waitFor();
  assert.deepEqual(callbacks.holds, [{ callback: ID, start: '2031-06-11T08:15:00Z', tz: 'Europe/Paris', authorization: `Bearer ${TOKEN}` }]);
  await page.keyboard.press('Escape');
  await waitFor(() => callbacks.released.length === 1);
  await button('Choose another time').click();
  await page.getByRole('radio', { name: 'Wednesday 11 June' }).check();
  await page.getByRole('radio', { name: '10:15' }).check();
  await page.getByText('Held for you').waitFor();
  await button('Call me then').click();
  await page.getByRole('heading', { level: 1, name: /11 June at 10:15/ }).waitFor();
  assert.deepEqual(callbacks.changes[0].body, { when: '2031-06-11T08:15:00Z', tz: 'Europe/Paris', hold: 'hold-2' });
  assert.deepEqual(callbacks.released, ['hold-1'], 'the moved call-back has it');
  await rooms.close();
});
