// The call-backs on the agent's console, in Chromium, against a stand-in of the gateway's book.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { contrastFailures, targetsTooSmall } from '../support/accessible.js';
import { SKIPPED } from '../support/browser.js';
import { ConsoleHouse } from '../support/console.js';
import { back } from '../support/staff.js';
import { waitFor } from '../support/wait.js';

const house = new ConsoleHouse();
before(async () => SKIPPED || (await house.open()));
after(() => house.close());

/** What was last asked of the book. */
async function asked() {
  await waitFor(() => house.gateway.staff.asked.length > 0);
  return house.gateway.staff.asked.splice(0).at(-1);
}

/** @param {import('playwright-core').BrowserContextOptions} [context] */
async function atWork(context) {
  const agent = await (await house.agent(context)).atWork();
  await agent.page.locator('#backs').waitFor();
  return agent;
}

test('an empty book says what will stand there, in French too', { skip: SKIPPED }, async () => {
  house.gateway.reset();
  house.gateway.staff.opens();
  const agent = await atWork({ locale: 'fr-FR' });
  await agent.page.getByText('Personne n’attend d’être rappelé').waitFor();
  await agent.button('Nouveau rappel').click();
  await agent.page.getByRole('heading', { name: 'Nouveau rappel' }).waitFor();
  assert.deepEqual(await agent.page.evaluate(contrastFailures), []);
  assert.deepEqual(agent.complaints, []);
  await agent.leave();
});

test('a queue that calls nobody back shows nothing of it', { skip: SKIPPED }, async () => {
  house.gateway.reset();
  const agent = await (await house.agent()).atWork();
  await waitFor(() => house.gateway.staff.tokens > 0);
  assert.equal(await agent.page.locator('#backs').isVisible(), false);
  await agent.leave();
});

test('call-backs are listed in order, taken, put off and given back', { skip: SKIPPED }, async () => {
  house.gateway.reset();
  const { staff } = house.gateway;
  staff.opens({ paused: true, paused_note: 'admin: meeting' });
  staff.listed = [
    back({ id: 'cb1', state: 'queued', asap: true, number: '+33 1 42 68 53 00', due_at: undefined, priority: 3, attempts: [{ outcome: 'busy' }], notes: [{ by: 'admin', deed: 'noted', text: '<b>rings twice</b>' }] }),
    back({ id: 'cb2', owner: '1001', purpose: 'follow-up' }),
    back({ id: 'cb3', state: 'dialling', agent: '1002', can_change: false, can_complete: false, number: '+33 7 00 00 00 01' }),
  ];
  const agent = await atWork();
  const rows = agent.page.locator('.back');
  const texts = await rows.allInnerTexts();
  for (const [at, words] of [['Waiting', '+33 1 42 68 53 00', 'As soon as possible', 'Priority 3', 'Tried once', '<b>rings twice</b>'], ['Planned', 'Yours', 'Follow-up'], ['Being called', 'Hugo']].entries()) {
    for (const word of words) assert.ok(texts[at].includes(word), `${word} in ${texts[at]}`);
  }
  await agent.page.getByText('Queue support is paused, nobody is called (admin: meeting).').waitFor();
  assert.deepEqual(await rows.nth(2).getByRole('button').allInnerTexts(), ['Cancel'], 'who is being called can only be stopped');

  await agent.button('I will call, +33 1 42 68 53 00').click();
  assert.deepEqual(await asked(), ['POST', '/v1/callbacks/cb1/accept', {}]);
  await agent.button('Give back, +33 6 12 34 56 78').click();
  assert.deepEqual(await asked(), ['POST', '/v1/callbacks/cb2/decline', {}]);
  await agent.button('In 15 min, +33 6 12 34 56 78').click();
  assert.deepEqual(await asked(), ['POST', '/v1/callbacks/cb2/snooze', { minutes: 15 }]);
  staff.refusal = { status: 409, code: 'gone', sentence: 'It is too late to change this call-back.' };
  await agent.button('In 15 min, +33 6 12 34 56 78').click();
  await agent.page.getByRole('alert').getByText('It is too late to change this call-back.').waitFor();
  assert.deepEqual(await agent.page.evaluate(contrastFailures), []);
  assert.deepEqual(await agent.page.evaluate(targetsTooSmall), []);
  if (process.env.SCREENSHOT) await agent.page.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
  await agent.leave();
});

test('a call-back is made for a customer, with his consent, and a refusal is told in the form', { skip: SKIPPED }, async () => {
  house.gateway.reset();
  const { staff } = house.gateway;
  staff.opens();
  const agent = await atWork();
  const { page } = agent;
  await agent.button('New call-back').click();
  await page.getByLabel('Telephone number').fill('06 12 34 56 78');
  await agent.button('Make the call-back').click();
  assert.deepEqual(staff.asked, [], 'not without the consent');
  await page.getByLabel('When and how').fill('asked at the counter');
  await page.getByLabel('Who calls').selectOption('Hugo');
  await page.getByLabel('When', { exact: true }).selectOption('At a time…');
  await page.getByLabel('Day and time').fill('2026-11-18T10:30');
  await page.getByLabel('Priority').selectOption('2');
  staff.refusal = { status: 422, code: 'hours_forbid', sentence: 'Nobody may be called at that time.' };
  await agent.button('Make the call-back').click();
  await page.getByRole('alert').getByText('Nobody may be called at that time.').waitFor();
  assert.equal(await page.getByLabel('Telephone number').inputValue(), '06 12 34 56 78', 'nothing is typed twice');
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT.replace('.png', '_form.png') });
  staff.refusal = null;
  await agent.button('Make the call-back').click();
  await page.locator('#back-dialog').waitFor({ state: 'hidden' });
  const expected = { tenant: 'shop', queue: 'support', number: '06 12 34 56 78', when: '2026-11-18T10:30', purpose: 'requested', consent_note: 'asked at the counter', note: '', priority: 2, agent: '1002', lang: 'en' };
  assert.deepEqual(await asked(), ['POST', '/v1/callbacks', expected]);
  await agent.leave();
});

test('only what is changed is sent; a cancel says why', { skip: SKIPPED }, async () => {
  house.gateway.reset();
  const { staff } = house.gateway;
  staff.opens();
  staff.listed = [back({ owner: '1002', priority: 1 })];
  const agent = await atWork();
  await agent.button('Change, +33 6 12 34 56 78').click();
  await agent.page.getByLabel('Queue').selectOption('advice');
  await agent.page.getByLabel('Note').fill('knows lamps');
  await agent.button('Save').click();
  assert.deepEqual(await asked(), ['PATCH', '/v1/callbacks/cb1', { note: 'knows lamps', tz: 'Europe/Paris', queue: 'advice', agent: '' }]);
  await agent.page.locator('#back-dialog').waitFor({ state: 'hidden' });
  await agent.button('Cancel, +33 6 12 34 56 78').click();
  await agent.page.getByLabel('Note').fill('bought it & left');
  await agent.button('Cancel the call-back').click();
  assert.deepEqual(await asked(), ['DELETE', '/v1/callbacks/cb1?note=bought+it+%26+left', null]);
  await agent.leave();
});

test('a talk that is over asks how it went', { skip: SKIPPED }, async () => {
  house.gateway.reset();
  const { staff } = house.gateway;
  staff.opens();
  staff.listed = [back({ state: 'connected', agent: '1001', can_change: false, can_cancel: false })];
  const agent = await atWork();
  await agent.page.getByText('With you').waitFor();
  staff.over.set('cb1', back({ state: 'completed', can_change: false, can_cancel: false }));
  staff.listed = [];
  await agent.page.locator('.back').getByText('How did it go?').waitFor();
  await agent.button('Close, +33 6 12 34 56 78').click();
  await agent.page.getByLabel('How did it go?').selectOption('Sold');
  await agent.button('Close it').click();
  assert.deepEqual(await asked(), ['POST', '/v1/callbacks/cb1/complete', { note: '', disposition: 'sold' }]);
  await agent.page.getByText('Nobody is waiting to be called back').waitFor();
  assert.deepEqual(agent.complaints, []);
  await agent.leave();
});
