// Mute, keypad and hold to talk: what the hand does, and what reaches the microphone's track and the gateway.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { House, SKIPPED, TIMEOUT_MS } from '../support/browser.js';
import { waitFor } from '../support/wait.js';

const house = new House();
before(async () => SKIPPED || (await house.open()));
after(() => house.close());
const said = (/** @type {string} */ type) => house.gateway.visitor.received.filter((/** @type {any} */ message) => message.type === type);

test('mute shuts the microphone and tells the gateway; again opens it', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  assert.equal(await visitor.heard(), true);
  await visitor.button('Mute').click();
  assert.equal(await visitor.heard(), false);
  assert.equal(await visitor.button('Mute').getAttribute('aria-pressed'), 'true');
  await visitor.panel.getByText('Your microphone is off.').waitFor();
  await waitFor(() => said('mute').at(-1)?.on === true);
  await visitor.button('Mute').click();
  assert.equal(await visitor.heard(), true);
  await waitFor(() => said('mute').at(-1)?.on === false);
  await visitor.leave();
});

test('on hold nothing is heard, whatever the visitor pressed', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  house.gateway.say({ type: 'state', state: 'held' });
  await visitor.reaches('held');
  assert.equal(await visitor.heard(), false);
  await visitor.panel.getByText('Please stay on the line.').waitFor();
  house.gateway.say({ type: 'state', state: 'talking' });
  await visitor.reaches('talking');
  assert.equal(await visitor.heard(), true);
  await visitor.leave();
});

test('the keypad plays telephone-events, each key once, by hand and by keyboard', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  const { page } = visitor;
  await page.evaluate(() => {
    const { sender } = /** @type {any} */ (document.querySelector('passerelle-talk')).talker.call.attempt.peer;
    Object.assign(window, { played: '', dtmf: sender.dtmf });
    sender.dtmf.addEventListener('tonechange', (/** @type {RTCDTMFToneChangeEvent} */ event) => (/** @type {any} */ (window).played += event.tone));
  });
  await page.waitForFunction(() => /** @type {any} */ (window).dtmf.canInsertDTMF);
  await visitor.button('Keypad').click();
  await visitor.button('Key 4').click();
  await visitor.button('Key 2').click();
  await page.keyboard.type('7#');
  await page.waitForFunction(() => /** @type {any} */ (window).played === '427#', null, { timeout: TIMEOUT_MS });
  assert.equal(await visitor.panel.getByRole('status', { name: 'Keys pressed: 427#' }).textContent(), '427#');
  assert.equal(said('digits').length, 0, 'not said twice');
  await page.keyboard.press('Escape');
  assert.equal(await visitor.button('Keypad').getAttribute('aria-expanded'), 'false');
  assert.equal(await visitor.panel.isVisible(), true, 'the first Escape only closes the keypad');
  await visitor.leave();
});

test('a line without telephone-event sends digits by message', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor();
  await visitor.far.evaluate(() => Object.assign(window, { plain: true }));
  await visitor.talks(house.gateway);
  assert.equal(await visitor.page.evaluate(() => [/** @type {any} */ (window).passerelle.digits('12#'), /** @type {any} */ (window).passerelle.digits('DROP TABLE')].join()), 'true,false');
  await waitFor(() => said('digits')[0]?.digits === '12#');
  await visitor.leave();
});

test('hold to talk by the space bar: on the page, not in a field, and let go when the window goes', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  const { page } = visitor;
  await visitor.button('Hold to talk').click();
  assert.equal(await visitor.heard(), false);
  await page.keyboard.down('Space');
  assert.equal(await visitor.heard(), true);
  await page.keyboard.down('Space');
  await page.keyboard.up('Space');
  assert.equal(await visitor.heard(), false);
  await page.waitForTimeout(400); // A second press sooner would keep it on.
  await page.evaluate(() => document.body.append(Object.assign(document.createElement('div'), { style: 'height:3000px' })));
  await page.locator('p').first().click();
  await page.keyboard.down('Space');
  assert.equal(await visitor.heard(), true, 'anywhere on the page');
  assert.equal(await page.evaluate(() => scrollY), 0, 'and the page does not scroll');
  await page.evaluate(() => dispatchEvent(new Event('blur')));
  assert.equal(await visitor.heard(), false, 'another window took the key');
  await page.keyboard.up('Space');
  await page.locator('#field').click();
  await page.keyboard.type('a b');
  assert.equal(await page.locator('#field').inputValue(), 'a b');
  assert.equal(await visitor.heard(), false);
  await visitor.leave();
});

test('hold to talk by pointer, kept on by a double press, and without holding at all', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  const { page } = visitor;
  await visitor.button('Hold to talk').click();
  const hold = page.locator('.hold');
  const box = await hold.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  assert.equal(await visitor.heard(), true);
  await page.mouse.move(box.x - 200, box.y - 200);
  assert.equal(await visitor.heard(), true, 'a finger that slides off still talks');
  await page.mouse.up();
  assert.equal(await visitor.heard(), false);
  await page.waitForTimeout(500);
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.dblclick(box.x + box.width / 2, box.y + box.height / 2);
  assert.equal(await visitor.heard(), true, 'two presses keep it on');
  assert.equal(await visitor.button('Keep on').getAttribute('aria-pressed'), 'true');
  await visitor.button('Keep on').click();
  assert.equal(await visitor.heard(), false);
  await hold.focus();
  await page.keyboard.press('Enter');
  assert.equal(await visitor.heard(), true, 'Enter, as a screen reader clicks, needs no holding');
  await page.keyboard.press('Enter');
  assert.equal(await visitor.heard(), false);
  await page.locator('[part~=talkie]').click();
  assert.equal(await visitor.heard(), true, 'back to the open line');
  await visitor.leave();
});

test('hold to talk chosen before the call holds from the first moment', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor();
  await visitor.button('Talk to us').click();
  await visitor.panel.getByRole('radio', { name: 'Hold to talk' }).check();
  await visitor.panel.getByText('only while you press').waitFor();
  await visitor.button('Talk now').click();
  await visitor.accepted();
  assert.equal(await visitor.heard(), false);
  house.gateway.say({ type: 'state', state: 'talking' });
  await visitor.reaches('talking');
  assert.equal(await visitor.heard(), false);
  await waitFor(() => said('mute').at(-1)?.on === true);
  await visitor.leave();
});
