// The widget as a guest in a page: languages, two on a page, storage blocked, closed hours, keyboard and screen readers, contrast.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { contrastFailures, targetsTooSmall } from '../support/accessible.js';
import { House, html, SKIPPED } from '../support/browser.js';

const house = new House();
before(async () => {
  if (SKIPPED) return;
  await house.open();
  const two = '<passerelle-talk id="one" data-queue="echo"></passerelle-talk><passerelle-talk id="two" data-queue="support" data-lang="fr"></passerelle-talk>';
  house.gateway.pages.set('/two', { body: html(`${two}<script type="module" src="/widget.js" data-tenant="shop"></script><script type="module" src="/widget.js" data-tenant="shop"></script>`) });
});
beforeEach(() => house.gateway?.reset());
after(() => house.close());

test('the language follows the page, also when it changes in the middle of a call', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor();
  await visitor.talks(house.gateway);
  await visitor.page.evaluate(() => (document.documentElement.lang = 'fr-CA'));
  await visitor.panel.getByRole('heading', { name: 'Vous parlez avec Claire' }).waitFor();
  await visitor.button('Raccrocher').click();
  await visitor.panel.getByRole('heading', { name: 'Appel terminé' }).waitFor();
  assert.equal(await visitor.panel.getAttribute('lang'), 'fr');
  await visitor.leave();
});

test('without a word from the page, the browser’s language', { skip: SKIPPED }, async () => {
  house.gateway.pages.set('/mute', { body: html(undefined, '') });
  const visitor = await house.visitor({ path: '/mute', context: { locale: 'fr-FR' } });
  await visitor.button('Parlez-nous').waitFor();
  await visitor.leave();
});

test('two widgets on a page keep their queue and language apart, and only one calls', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor({ path: '/two' });
  const { page } = visitor;
  assert.equal(await page.locator('passerelle-talk').count(), 2, 'no third, floating one');
  await page.locator('#one').getByRole('button', { name: 'Talk to us' }).click();
  await page.locator('#one').getByRole('button', { name: 'Talk now' }).click();
  await visitor.accepted();
  assert.equal(house.gateway.tokens.at(-1).queue, 'echo');
  await page.locator('#two').getByRole('button', { name: 'Parlez-nous' }).click();
  await page.locator('#two').getByRole('button', { name: 'Parler maintenant' }).click();
  await page.locator('#two').getByRole('heading', { name: 'Vous êtes déjà en ligne' }).waitFor();
  assert.equal(await page.locator('#one').getAttribute('state'), 'connecting', 'the first goes on');
  await page.evaluate(() => /** @type {any} */ (document.querySelector('#one')).hangUp());
  await page.locator('#two').getByRole('button', { name: 'Réessayer' }).click();
  await page.locator('#two[state=connecting]').waitFor({ state: 'attached' });
  assert.deepEqual(house.gateway.tokens.at(-1), { tenant: 'shop', queue: 'support' });
  assert.deepEqual(visitor.complaints, []);
  await visitor.leave();
});

test('a page that blocks storage has a session all the same', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor({ before: () => {
    Object.defineProperty(window, 'sessionStorage', { get: () => { throw new DOMException('blocked', 'SecurityError'); } });
  } });
  await visitor.talks(house.gateway);
  assert.match(house.gateway.visitor.received[0].session.id, /^[0-9a-f]{32}$/);
  assert.deepEqual(visitor.complaints, []);
  await visitor.leave();
});

test('the session outlives a page change; a cleared element hangs up', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  const { id } = house.gateway.visitor.received[0].session;
  await visitor.page.goto(`${house.gateway.origin}/page?next=1`);
  await visitor.talks(house.gateway);
  assert.equal(house.gateway.visitor.received[0].session.id, id);
  assert.equal(house.gateway.visitor.received[0].session.page.url, `${house.gateway.origin}/page`);
  await visitor.page.evaluate(() => document.querySelector('passerelle-talk')?.remove());
  await visitor.page.waitForTimeout(200);
  assert.equal(house.gateway.visitor.received.at(-1).type, 'bye');
  await visitor.leave();
});

test('closed is said on the button, and open again after a look', { skip: SKIPPED }, async () => {
  house.gateway.availability = { talk_now: false, reason: 'no-agent', sentence: 'Nobody is signed in yet.' };
  const visitor = await house.visitor();
  await visitor.reaches('closed');
  await visitor.button('Closed just now').click();
  await visitor.panel.getByText('Nobody is signed in yet.').waitFor();
  house.gateway.availability = { talk_now: true };
  await visitor.button('Check again').click();
  await visitor.reaches('idle');
  await visitor.button('Talk now').waitFor();
  assert.equal(await visitor.page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.textContent), 'Talk now', 'the focus follows');
  await visitor.leave();
});

test('a site with a telephone number offers it when the call cannot be had', { skip: SKIPPED }, async () => {
  house.gateway.pages.set('/phone', { body: html('<script type="module" src="/widget.js" data-tenant="shop" data-phone="+33 1 86 65 00 00"></script>') });
  const visitor = await house.visitor({ path: '/phone' });
  house.gateway.refusal = { status: 503, code: 'overload', sentence: 'Too many calls.' };
  await visitor.button('Talk to us').click();
  await visitor.button('Talk now').click();
  const link = visitor.panel.getByRole('link', { name: 'Or telephone +33 1 86 65 00 00' });
  assert.equal(await link.getAttribute('href'), 'tel:+33186650000');
  await visitor.leave();
});

test('by keyboard alone: open, choose, call, put away, come back, hang up', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor();
  const { page } = visitor;
  const focused = () => page.evaluate(() => {
    const node = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
    return node?.getAttribute('aria-label') ?? (/** @type {HTMLInputElement} */ (node).value || node?.textContent);
  });
  await page.locator('#field').focus();
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Talk to us');
  await page.keyboard.press('Enter');
  await visitor.panel.waitFor();
  assert.equal(await focused(), 'Talk now');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'open');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'Minimise');
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight');
  assert.equal(await focused(), 'hold');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await visitor.accepted();
  assert.equal(await focused(), 'Hang up', 'never lost to the top of the page');
  house.gateway.say({ type: 'state', state: 'talking' });
  await visitor.reaches('talking');
  await page.keyboard.press('Escape');
  assert.equal(await visitor.panel.isVisible(), false);
  assert.match((await focused()) ?? '', /In call/, 'put away, the button says what goes on');
  assert.equal(await page.locator('passerelle-talk').getAttribute('state'), 'talking', 'and the call goes on');
  await page.keyboard.press('Enter');
  await visitor.panel.waitFor();
  assert.equal(await focused(), 'Hang up');
  await page.keyboard.press('Enter');
  await visitor.reaches('ended');
  assert.equal(await focused(), 'Talk again');
  await visitor.leave();
});

test('what a screen reader finds before and during a call', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor();
  await visitor.button('Talk to us').click();
  await visitor.button('Talk now').waitFor();
  const ready = await visitor.panel.ariaSnapshot();
  for (const part of ['dialog "Talk to us"', 'heading "Talk to us" [level=2]', 'button "Minimise"', 'group "How would you like to talk?"', 'radio "Open line" [checked]', 'radio "Hold to talk"', 'button "Talk now"']) {
    assert.ok(ready.includes(part), `${part} in\n${ready}`);
  }
  await visitor.button('Talk now').click();
  await visitor.accepted();
  assert.match((await visitor.live()) ?? '', /^Connecting/);
  house.gateway.say({ type: 'state', state: 'talking', agent: 'Claire' });
  await visitor.reaches('talking');
  assert.match((await visitor.live()) ?? '', /^You are talking with Claire/);
  const talking = await visitor.panel.ariaSnapshot();
  for (const part of ['heading "You are talking with Claire" [level=3]', 'timer "Time in call"', 'button "Mute"', 'button "Keypad"', 'button "Hold to talk"', 'button "Hang up"']) {
    assert.ok(talking.includes(part), `${part} in\n${talking}`);
  }
  await visitor.leave();
});

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`contrast and target size in every view, ${colorScheme}`, { skip: SKIPPED }, async () => {
    const visitor = await house.visitor({ context: { colorScheme, reducedMotion: 'reduce' } });
    const { page } = visitor;
    const look = async (/** @type {string} */ name) => {
      assert.deepEqual(await page.evaluate(contrastFailures), [], `contrast, ${name}`);
      assert.deepEqual(await page.evaluate(targetsTooSmall), [], `targets, ${name}`);
    };
    await look('button');
    await visitor.talks(house.gateway);
    await look('talking');
    assert.equal(await page.evaluate(() => document.getAnimations().length + document.querySelector('passerelle-talk').shadowRoot.getAnimations().length), 0, 'nothing moves for who wants no motion');
    await visitor.button('Keypad').click();
    await look('keypad');
    await visitor.button('Keypad').click();
    await visitor.button('Hold to talk').click();
    await look('hold to talk');
    await page.keyboard.down('Space');
    await look('held down');
    await page.keyboard.up('Space');
    house.gateway.say({ type: 'state', state: 'held' });
    await visitor.reaches('held');
    await look('held');
    house.gateway.say({ type: 'ended', code: 'busy', sentence: 'Busy.' });
    await visitor.reaches('failed');
    await look('failed');
    await visitor.button('Close').click();
    await visitor.button('Talk to us').click();
    await visitor.button('Talk now').waitFor();
    await look('ready');
    await visitor.leave();
  });
}
