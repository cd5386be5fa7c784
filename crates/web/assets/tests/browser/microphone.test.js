// Every way a microphone can be refused or lost, as Chromium really tells it, and what the visitor reads then.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { House, html, SKIPPED } from '../support/browser.js';

const house = new House();
/** Here the browser asks, and the permission is what the test sets. */
const asked = new House();
before(async () => {
  if (SKIPPED) return;
  await house.open();
  await asked.open(['--use-fake-device-for-media-stream']);
  house.gateway.pages.set('/forbidden', { headers: { 'permissions-policy': 'microphone=()' }, body: html() });
});
after(async () => {
  await house.close();
  await asked.close();
});

/**
 * @param {import('../support/browser.js').Visitor} visitor
 * @param {RegExp} title
 * @param {RegExp} advice
 */
async function isTold(visitor, title, advice) {
  await visitor.button('Talk to us').click();
  await visitor.button('Talk now').click();
  await visitor.reaches('failed');
  await visitor.panel.getByRole('heading', { name: title }).waitFor();
  await visitor.panel.getByText(advice).waitFor();
  assert.match((await visitor.live()) ?? '', title);
  await visitor.button('Try again').waitFor();
}

test('blocked by the visitor: where the switch is, and the same button goes on once it is set', { skip: SKIPPED }, async () => {
  const visitor = await asked.visitor();
  await visitor.permission('denied');
  await isTold(visitor, /The microphone is blocked/, /icon left of the page address/);
  await visitor.permission('granted');
  await visitor.button('Try again').click();
  await visitor.accepted();
  await visitor.leave();
});

test('no microphone at all: plug one in', { skip: SKIPPED }, async () => {
  const bare = await new House().open(['--use-fake-ui-for-media-stream']);
  const visitor = await bare.visitor();
  await isTold(visitor, /No microphone was found/, /Plug in a microphone/);
  await bare.close();
});

test('in use by another program: close it', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor({ before: () => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Could not start audio source', 'NotReadableError'));
  } });
  await isTold(visitor, /The microphone is in use/, /Close other calls/);
  await visitor.leave();
});

test('an insecure page: https', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor({ host: 'shop.test' });
  assert.equal(await visitor.page.evaluate(() => window.isSecureContext), false);
  await isTold(visitor, /This page cannot use a microphone/, /begins with https/);
  assert.equal(house.gateway.sockets.length, house.gateway.sockets.filter((socket) => socket.received.length > 0).length, 'no socket was opened for nothing');
  await visitor.leave();
});

test('forbidden by the page’s own policy: told apart from a visitor’s no', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor({ path: '/forbidden' });
  await isTold(visitor, /may not use the microphone/, /Permissions-Policy/);
  await visitor.leave();
});

test('a frame of another site without allow="microphone"; with it, the call goes through', { skip: SKIPPED }, async () => {
  const { port } = new URL(house.gateway.origin);
  for (const allow of ['', ' allow="microphone"']) {
    house.gateway.pages.set('/framing', { body: html(`<iframe src="http://localhost:${port}/page"${allow} width="600" height="700"></iframe><passerelle-talk hidden></passerelle-talk><script type="module" src="/widget.js" data-tenant="shop"></script>`) });
    const visitor = await house.visitor({ path: '/framing' });
    const frame = visitor.page.frameLocator('iframe');
    await frame.getByRole('button', { name: 'Talk to us' }).click();
    await frame.getByRole('button', { name: 'Talk now' }).click();
    if (allow) await frame.locator('passerelle-talk[state=connecting]').waitFor({ state: 'attached' });
    else await frame.getByRole('heading', { name: /may not use the microphone/ }).waitFor();
    await visitor.leave();
  }
});

test('the browser’s question unanswered can be cancelled, and a late yes lights no microphone', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor({ before: () => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (constraints) => new Promise((resolve) => Object.assign(window, { sayYes: async () => {
      const stream = await real(constraints);
      resolve(stream);
      return new Promise((later) => setTimeout(() => later(stream.getTracks().map((track) => track.readyState)), 50));
    } }));
  } });
  await visitor.button('Talk to us').click();
  await visitor.button('Talk now').click();
  await visitor.reaches('asking');
  await visitor.panel.getByText('Choose “Allow”').waitFor();
  await visitor.button('Cancel').click();
  await visitor.reaches('idle');
  assert.deepEqual(await visitor.page.evaluate(() => /** @type {any} */ (window).sayYes()), ['ended']);
  assert.equal(await visitor.states(), 'asking idle');
  await visitor.leave();
});

test('unplugged in the middle: the call stays, a banner says so, and a new device is taken by itself', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor({ before: () => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (constraints) =>
      /** @type {any} */ (window).unplugged ? Promise.reject(new DOMException('Requested device not found', 'NotFoundError')) : real(constraints);
  } })).talks(house.gateway);
  const { page } = visitor;
  const track = () => page.evaluate(() => {
    const { sender } = /** @type {any} */ (document.querySelector('passerelle-talk')).talker.call.attempt.peer;
    return { id: sender.track.id, state: sender.track.readyState, enabled: sender.track.enabled };
  });
  const first = await track();
  await page.evaluate(() => {
    Object.assign(window, { unplugged: true });
    const { stream } = /** @type {any} */ (document.querySelector('passerelle-talk')).talker.call.attempt;
    // A fake device cannot be pulled out: what the browser would do is done here.
    for (const one of stream.getAudioTracks()) {
      one.stop();
      one.dispatchEvent(new Event('ended'));
    }
  });
  await visitor.panel.getByText('Your microphone was unplugged').waitFor();
  await visitor.panel.getByText('The call goes on').waitFor();
  assert.equal(await page.evaluate(() => /** @type {any} */ (window).passerelle.state), 'talking');
  assert.match((await visitor.live()) ?? '', /unplugged/);
  await page.evaluate(() => {
    Object.assign(window, { unplugged: false });
    navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
  });
  await visitor.panel.getByText('Your microphone was unplugged').waitFor({ state: 'hidden' });
  const second = await track();
  assert.notEqual(second.id, first.id);
  assert.deepEqual([second.state, second.enabled], ['live', true]);
  assert.ok(!house.gateway.visitor.received.some((message) => message.type === 'bye'));
  await visitor.leave();
});

test('a permission taken back in the middle is named for what it is', { skip: SKIPPED }, async () => {
  const visitor = await asked.visitor();
  await visitor.permission('granted');
  await visitor.talks(asked.gateway);
  await visitor.permission('denied');
  await visitor.panel.getByText('The microphone is blocked').waitFor();
  assert.equal(await visitor.page.evaluate(() => /** @type {any} */ (window).passerelle.state), 'talking');
  await visitor.permission('granted');
  await visitor.button('Try again').click();
  await visitor.panel.getByText('The microphone is blocked').waitFor({ state: 'hidden' });
  assert.equal(await visitor.heard(), true);
  assert.equal(asked.gateway.visitor.closed, false);
  await visitor.leave();
});
