// The call as the page lives it, in Chromium, against a stand-in of the gateway's web edge. No proof of a call: that is made elsewhere.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { House, SKIPPED } from '../support/browser.js';
import { waitFor } from '../support/wait.js';

const house = new House();
before(async () => SKIPPED || (await house.open()));
beforeEach(() => house.gateway?.reset());
after(() => house.close());
const types = () => house.gateway.visitor.received.map((message) => message.type).filter((type) => type !== 'ping');

test('from the button to the end, under a policy that forbids everything inline', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor();
  const { page } = visitor;
  /** @type {string[]} */
  const fetched = [];
  page.on('request', (request) => fetched.push(new URL(request.url()).pathname));
  assert.equal(await page.locator('passerelle-talk').getAttribute('state'), 'idle');
  assert.deepEqual(await page.evaluate(() => performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname).filter((path) => path.endsWith('call.js'))), []);
  await visitor.talks(house.gateway);
  assert.ok(fetched.includes('/widget/call.js'), 'the call code came with the click');
  const [hello] = house.gateway.visitor.received;
  assert.match(hello.offer, /^v=0[\s\S]*m=audio[\s\S]*opus\/48000/);
  assert.doesNotMatch(hello.offer, /m=video/);
  assert.match(hello.session.id, /^[0-9a-f]{32}$/);
  assert.deepEqual({ ...hello, offer: '', session: { ...hello.session, id: '' } }, {
    type: 'hello', v: 1, token: 'a'.repeat(32), offer: '',
    session: { id: '', page: { url: `${house.gateway.origin}/page`, title: 'Halo lamp' }, referrer: '', lang: 'en' },
  });
  assert.deepEqual(house.gateway.tokens.at(-1), { tenant: 'shop', queue: 'echo' });
  await page.waitForFunction(async () => (await /** @type {any} */ (window).passerelle.figures()).packets_received > 20);
  const audio = await page.evaluate(() => {
    const node = document.querySelector('passerelle-talk')?.shadowRoot?.querySelector('audio');
    return { paused: node?.paused, tracks: /** @type {MediaStream} */ (node?.srcObject).getAudioTracks().length };
  });
  assert.deepEqual(audio, { paused: false, tracks: 1 });
  await visitor.button('Hang up').click();
  await visitor.reaches('ended');
  assert.equal(await visitor.states(), 'asking connecting ringing talking ended');
  assert.equal(types().at(-1), 'bye');
  assert.deepEqual(visitor.complaints, []);
  await visitor.leave();
});

test('nothing is left after a call: microphone, connection, socket', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  const { page } = visitor;
  await page.evaluate(() => {
    const { attempt } = /** @type {any} */ (document.querySelector('passerelle-talk')).talker.call;
    Object.assign(window, { attempt });
  });
  house.gateway.say({ type: 'ended', code: 'normal', sentence: 'Bye.', talk_s: 12 });
  await visitor.reaches('ended');
  await visitor.panel.getByText('You talked for 12 seconds.').waitFor();
  const left = await page.evaluate(() => {
    const { stream, peer, signal, timers } = /** @type {any} */ (window).attempt;
    return [stream.getTracks().map((/** @type {any} */ track) => track.readyState), peer.pc.connectionState, signal.closed, timers.size <= 1];
  });
  assert.deepEqual(left, [['ended'], 'closed', true, true]);
  await visitor.leave();
});

test('what the gateway refuses or ends badly is said in its own sentence', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  house.gateway.say({ type: 'ended', code: 'busy', sentence: 'All our agents are talking.' });
  await visitor.reaches('failed');
  await visitor.panel.getByText('All our agents are talking.').waitFor();
  house.gateway.refusal = { status: 429, code: 'too-many', sentence: 'Too many calls from here. Please wait a minute.' };
  await visitor.button('Try again').click();
  await visitor.panel.getByText('Too many calls from here.').waitFor();
  assert.match(await visitor.states(), /failed asking (connecting )?failed$/);
  house.gateway.refusal = null;
  await visitor.button('Try again').click();
  await visitor.accepted();
  await visitor.leave();
});

test('a socket lost in the middle ends the call with a sentence', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  house.gateway.visitor.cut();
  await visitor.reaches('failed');
  await visitor.panel.getByText('The connection was lost').waitFor();
  assert.match((await visitor.live()) ?? '', /The connection was lost.*call again/);
  await visitor.leave();
});

test('a page that goes away says goodbye', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  const socket = house.gateway.visitor;
  await visitor.page.goto(`${house.gateway.origin}/far`);
  await waitFor(() => socket.received.at(-1).type === 'bye');
  await visitor.leave();
});

test('a path lost in the network is mended by a restart, and the call comes back', { skip: SKIPPED }, async () => {
  const visitor = await (await house.visitor()).talks(house.gateway);
  await visitor.page.waitForFunction(async () => (await /** @type {any} */ (window).passerelle.figures()).packets_received > 5);
  // The browser's own verdict takes half a minute: it is given here, all that follows is real.
  await visitor.page.evaluate(() => {
    const { pc } = /** @type {any} */ (document.querySelector('passerelle-talk')).talker.call.attempt.peer;
    Object.defineProperty(pc, 'connectionState', { value: 'failed', configurable: true });
    pc.dispatchEvent(new Event('connectionstatechange'));
    delete pc.connectionState;
  });
  await visitor.reaches('reattaching');
  await waitFor(() => types().includes('reoffer'));
  const [first, second] = ['hello', 'reoffer'].map((type) => {
    const message = house.gateway.visitor.received.find((one) => one.type === type);
    return (message.offer ?? message.sdp).match(/a=ice-ufrag:(\S+)/)[1];
  });
  assert.notEqual(first, second, 'a new ICE generation');
  await visitor.page.evaluate(() => /** @type {any} */ (document.querySelector('passerelle-talk')).talker.call.attempt.peer.pc.dispatchEvent(new Event('connectionstatechange')));
  await visitor.reaches('talking');
  const before_packets = await visitor.page.evaluate(async () => (await /** @type {any} */ (window).passerelle.figures()).packets_received);
  await visitor.page.waitForFunction(async (count) => (await /** @type {any} */ (window).passerelle.figures()).packets_received > count + 20, before_packets);
  await visitor.leave();
});

test('window.passerelle calls, mutes, sends digits, tells, hangs up, and owns to what it cannot do', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor();
  const { page } = visitor;
  await page.evaluate(() => {
    const { passerelle } = /** @type {any} */ (window);
    Object.assign(window, { heard: [], off: passerelle.on('mute', (/** @type {any} */ detail) => /** @type {any} */ (window).heard.push(detail.on)) });
    passerelle.on('digit', (/** @type {any} */ detail) => Object.assign(window, { digit: detail.digit }));
    passerelle.setContext({ title: 'Cart', url: 'https://shop.test/cart?secret=1' });
    Object.assign(window, { promise: passerelle.talk({ queue: 'browser' }) });
  });
  await visitor.accepted();
  house.gateway.say({ type: 'state', state: 'talking' });
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).promise), { call: 'c0ffee' });
  assert.equal(house.gateway.tokens.at(-1).queue, 'browser');
  assert.deepEqual(house.gateway.visitor.received[0].session.page, { url: 'https://shop.test/cart', title: 'Cart' });
  house.gateway.say({ type: 'digit', digit: '5' });
  await page.waitForFunction(() => /** @type {any} */ (window).digit === '5');
  await page.evaluate(() => /** @type {any} */ (window).passerelle.mute(true));
  await waitFor(() => house.gateway.visitor.received.some((message) => message.type === 'mute' && message.on));
  await page.evaluate(() => /** @type {any} */ (window).passerelle.setContext({ title: 'Order' }));
  await waitFor(() => house.gateway.visitor.received.some((message) => message.type === 'page' && message.title === 'Order'));
  const refused = await page.evaluate(async () => {
    const { passerelle } = /** @type {any} */ (window);
    const words = [];
    for (const attempt of [async () => passerelle.identify(42), async () => passerelle.setContext({ cart: '1' }), () => passerelle.talk()]) {
      words.push(await attempt().then(() => 'done', (/** @type {any} */ error) => error.code ?? error.message));
    }
    return words;
  });
  assert.deepEqual(refused, ['passerelle: identify wants a token, or a function that gives one', 'passerelle: setContext({ cart }) is not available yet', 'other-call']);
  await page.evaluate(() => /** @type {any} */ (window).passerelle.hangUp());
  await visitor.reaches('ended');
  assert.deepEqual(await page.evaluate(() => [/** @type {any} */ (window).passerelle.state, /** @type {any} */ (window).heard.includes(true)]), ['ended', true]);
  assert.deepEqual(visitor.complaints, []);
  await visitor.leave();
});

test('a promise of talk is broken with the code and the sentence', { skip: SKIPPED }, async () => {
  const visitor = await house.visitor();
  house.gateway.refusal = { status: 403, code: 'not-allowed', sentence: 'This shop may not call.' };
  const told = await visitor.page.evaluate(() => /** @type {any} */ (window).passerelle.talk().catch((/** @type {any} */ error) => [error.code, error.message]));
  house.gateway.refusal = null;
  assert.deepEqual(told, ['not-allowed', 'This shop may not call.']);
  await visitor.leave();
});
