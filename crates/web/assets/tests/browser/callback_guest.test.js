// The call-back's form as a guest in a page: keyboard, screen readers, contrast, a language that changes, a call that comes between.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { contrastFailures, targetsTooSmall } from '../support/accessible.js';
import { House, SKIPPED } from '../support/browser.js';
import { atForm, CLOSED, field, focused, OFFERED, PARIS } from '../support/form.js';

const house = new House();
before(async () => SKIPPED || (await house.open()));
beforeEach(() => {
  house.gateway?.reset();
  if (house.gateway) house.gateway.availability = OFFERED;
});
after(() => house.close());

test('by keyboard alone: a number, a day, a time, and the link', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor({ context: PARIS });
  const { page } = visitor;
  const press = async (/** @type {string[]} */ ...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await page.locator('#field').focus();
  await press('Tab', 'Enter');
  await visitor.button('Talk now').waitFor();
  await press('Tab');
  assert.equal(await focused(visitor), 'Be called back');
  await press('Enter');
  await field(visitor).waitFor();
  await press('Enter');
  await visitor.panel.getByText('Type the number we should call.').waitFor();
  assert.equal(await focused(visitor), 'number');
  await page.keyboard.type('0612345678');
  assert.equal(await visitor.panel.getByText('Type the number we should call.').count(), 0, 'typing takes the complaint away');
  await press('Tab');
  assert.equal(await focused(visitor), 'asap');
  await press('ArrowDown');
  await visitor.panel.getByRole('radio', { name: 'Tuesday 10 June' }).waitFor();
  await press('Tab');
  assert.equal(await focused(visitor), 'Tuesday 10 June');
  await press('ArrowRight');
  assert.equal(await focused(visitor), 'Wednesday 11 June');
  await press('Tab', 'Space');
  assert.equal(await focused(visitor), '10:15');
  await press('Tab');
  assert.equal(await focused(visitor), 'Call me back');
  await press('Enter');
  await visitor.panel.getByText('On Wednesday 11 June at 10:15').waitFor();
  assert.match((await focused(visitor)) ?? '', /^Follow or change it/);
  await visitor.leave();
});

test('what a screen reader finds in the form', { skip: SKIPPED }, async () => {
  const visitor = await atForm(house);
  await visitor.panel.getByLabel('At a time I choose').check();
  await visitor.panel.getByRole('radio', { name: '14:30' }).waitFor();
  const form = await visitor.panel.ariaSnapshot();
  for (const part of ['dialog "Be called back"', 'textbox "Your telephone number"', 'group "When should we call?"', 'radio "As soon as possible, in about 3–6 min"', 'radio "At a time I choose" [checked]', 'radiogroup "Day"', 'radio "Tuesday 10 June" [checked]', 'radiogroup "Time"', 'radio "14:45, taken" [disabled]', 'button "Call me back"', 'button "Back"']) {
    assert.ok(form.includes(part), `${part} in\n${form}`);
  }
  await visitor.leave();
});

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`contrast and target size in the form and its confirmation, ${colorScheme}`, { skip: SKIPPED }, async () => {
    const visitor = await atForm(house, { context: { ...PARIS, timezoneId: 'America/Toronto', colorScheme, reducedMotion: 'reduce' } });
    const { page, panel } = visitor;
    const look = async (/** @type {string} */ name) => {
      assert.deepEqual(await page.evaluate(contrastFailures), [], `contrast, ${name}`);
      assert.deepEqual(await page.evaluate(targetsTooSmall), [], `targets, ${name}`);
    };
    await look('form');
    await panel.getByLabel('At a time I choose').check();
    await panel.getByRole('radio', { name: /^08:30/ }).check();
    await look('slots');
    await visitor.button('Call me back').click();
    await panel.getByText('Type the number').waitFor();
    await look('wrong');
    await field(visitor).fill('0612345678');
    await visitor.button('Call me back').click();
    await panel.getByText('14:30 in Paris').waitFor();
    await look('done');
    await visitor.leave();
  });
}

test('the language changes under the form, and nothing typed or chosen is lost', { skip: SKIPPED }, async () => {
  const visitor = await atForm(house);
  await field(visitor).fill('0612345678');
  await visitor.panel.getByLabel('At a time I choose').check();
  await visitor.panel.getByRole('radio', { name: '14:30' }).check();
  await visitor.page.evaluate(() => (document.documentElement.lang = 'fr'));
  assert.equal(await visitor.panel.getByLabel('Votre numéro de téléphone').inputValue(), '0612345678');
  await visitor.panel.getByRole('radio', { name: 'mardi 10 juin' }).waitFor();
  assert.equal(await visitor.panel.getByRole('radio', { name: '14:30' }).isChecked(), true);
  await visitor.leave();
});

test('availability asked again does not take the form away, and a call does', { skip: SKIPPED }, async () => {
  const visitor = await atForm(house);
  await field(visitor).fill('0612');
  house.gateway.availability = CLOSED;
  await visitor.page.evaluate(() => /** @type {any} */ (document.querySelector('passerelle-talk')).askAvailability());
  await visitor.reaches('closed');
  assert.equal(await field(visitor).inputValue(), '0612');
  assert.equal(await field(visitor).isVisible(), true);
  await visitor.page.evaluate(() => void /** @type {any} */ (window).passerelle.talk());
  await visitor.accepted();
  assert.equal(await field(visitor).isVisible(), false);
  await visitor.button('Hang up').waitFor();
  await visitor.leave();
});
