// The agent's console in Chromium, against a stand-in of the gateway's agent socket.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SKIPPED } from '../support/browser.js';
import { ConsoleHouse, card } from '../support/console.js';

const house = new ConsoleHouse();
before(async () => SKIPPED || (await house.open()));
after(() => house.close());

/** Runs in the far page: a real answer with a tone. @param {string} offer */
async function answer(offer) {
  const pc = new RTCPeerConnection();
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 440 });
  const way = new MediaStreamAudioDestinationNode(context);
  tone.connect(way);
  tone.start();
  pc.addTrack(way.stream.getTracks()[0], way.stream);
  Object.assign(window, { pc });
  await pc.setRemoteDescription({ type: 'offer', sdp: offer });
  await pc.setLocalDescription(await pc.createAnswer());
  await new Promise((resolve) => {
    const done = () => pc.iceGatheringState === 'complete' && resolve(undefined);
    pc.addEventListener('icegatheringstatechange', done);
    done();
    setTimeout(resolve, 1_000);
  });
  return pc.localDescription?.sdp ?? '';
}

test('a call is taken, heard, muted and ended in the browser', { skip: SKIPPED }, async () => {
  const agent = await (await house.agent()).atWork();
  const { page } = agent;
  await page.getByText('No call for you right now').waitFor();
  await page.getByText('Nobody is calling').waitFor();
  await agent.ready();
  agent.ring();
  await page.getByRole('heading', { name: 'Halo lamp' }).waitFor();
  assert.equal(await page.title(), '● Halo lamp');
  assert.equal(await page.locator('#announce').textContent(), 'Incoming call from the page Halo lamp');
  const shown = await page.locator('.card').innerText();
  for (const word of ['Ringing', 'www.shop.example/lamps/halo', 's-4f1c9a2277d04c31', 'support', 'French', 'search.example']) assert.ok(shown.includes(word), word);
  assert.match(await page.locator('#rows .timer').innerText(), /^0:1[2-9]$/);

  await agent.button('Answer').click();
  const { call, offer } = await agent.said('answer');
  assert.equal(call, 'c0ffee');
  assert.match(offer, /^v=0[\s\S]*m=audio[\s\S]*opus\/48000/);
  assert.match(offer, /^a=candidate:/m);
  assert.doesNotMatch(offer, /m=video/);
  await agent.media(answer);
  await page.locator('.card[data-phase=talking]').waitFor();
  agent.live([card({ state: 'talking', agent: 'Claire' })]);
  await page.waitForFunction(() => {
    const sound = /** @type {HTMLAudioElement} */ (document.getElementById('sound'));
    return !sound.paused && /** @type {MediaStream} */ (sound.srcObject).getAudioTracks().length === 1;
  });
  for (const digit of '12#') agent.gateway.say({ type: 'digit', call: 'c0ffee', digit });
  await page.getByText('1 2 #', { exact: true }).waitFor();
  agent.live([card({ state: 'held', agent: 'Claire', page: { url: 'https://www.shop.example/cart', title: 'Basket' } })]);
  await page.locator('.card').getByText('On hold').waitFor();
  await page.getByRole('heading', { name: 'Basket' }).waitFor();

  const microphone = () => page.evaluate(() => {
    const { enabled, readyState } = /** @type {any} */ (window).microphone;
    return `${enabled ? 'on' : 'off'} ${readyState}`;
  });
  assert.equal(await microphone(), 'on live');
  await agent.button('Mute').click();
  assert.equal(await agent.button('Muted').getAttribute('aria-pressed'), 'true');
  assert.equal(await microphone(), 'off live');
  await agent.button('Muted').click();
  assert.equal(await microphone(), 'on live');
  await agent.button('Hang up').click();
  assert.equal(await microphone(), 'on ended');
  assert.deepEqual(await agent.said('bye'), { type: 'bye', call: 'c0ffee' });
  agent.gateway.say({ type: 'ended', call: 'c0ffee', code: 'normal', sentence: 'The call has ended.' });
  agent.live([]);
  await page.getByText('No call for you right now').waitFor();
  assert.equal(await page.evaluate(() => /** @type {HTMLAudioElement} */ (document.getElementById('sound')).srcObject), null);
  assert.equal(await page.title(), 'Passerelle');
  assert.deepEqual(agent.complaints, []);
  await agent.leave();
});

test('a wrong password is told, a right one lets in, and leaving forgets it', { skip: SKIPPED }, async () => {
  const agent = await house.agent();
  await agent.logIn('guess');
  await agent.page.getByRole('alert').getByText('Extension or password is wrong.').waitFor();
  assert.equal(await agent.page.locator('#password').inputValue(), '');
  assert.equal(await agent.page.evaluate(() => document.activeElement?.id), 'password');
  await agent.atWork();
  assert.equal(await agent.page.locator('.me').innerText(), 'Claire\n1001');
  await agent.button('Log out').click();
  await agent.page.locator('#extension').waitFor();
  assert.equal(await agent.page.locator('#password').inputValue(), '');
  assert.deepEqual(await agent.page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, '']);
  await agent.leave();
});

test('a lost connection is told and comes back by itself, ready as before', { skip: SKIPPED }, async () => {
  const agent = await (await (await house.agent()).atWork()).ready();
  agent.ring();
  await agent.page.locator('.card').waitFor();
  const sockets = house.gateway.sockets.length;
  house.gateway.visitor.cut();
  await agent.page.getByText('Connection lost, trying again…').waitFor();
  assert.equal(await agent.page.locator('.card').count(), 0);
  await agent.page.getByText('Connected', { exact: true }).waitFor();
  assert.equal(house.gateway.sockets.length, sockets + 1);
  await agent.page.locator('#ready[aria-checked=true]').waitFor();
  assert.deepEqual(await agent.said('ready'), { type: 'ready', on: true });
  await agent.leave();
});

test('who took no call is told that he gets none, and comes back by the button', { skip: SKIPPED }, async () => {
  const agent = await (await (await house.agent()).atWork()).ready();
  agent.gateway.say({ type: 'away', on: true });
  await agent.page.getByText('You did not take two calls in a row').waitFor();
  await agent.page.locator('#ready[aria-checked=false]').waitFor();
  await agent.page.locator('#ready').click();
  await agent.page.locator('#ready[aria-checked=true]').waitFor();
  assert.deepEqual(await agent.said('ready'), { type: 'ready', on: true });
  agent.gateway.say({ type: 'away', on: false });
  await agent.page.getByText('You did not take two calls in a row').waitFor({ state: 'hidden' });
  await agent.leave();
});

test('calls on the telephone show, and go when somebody else took them', { skip: SKIPPED }, async () => {
  const agent = await (await house.agent()).atWork();
  const { page } = agent;
  agent.ring();
  await page.locator('.card').getByText('Ringing on your telephone').waitFor();
  assert.equal(await agent.button('Answer').count(), 0);
  agent.live([card({ state: 'talking', agent: 'Claire' })]);
  await page.locator('.card[data-phase=talking]').getByText('On your telephone', { exact: true }).waitFor();
  agent.live([]);
  await page.getByText('No call for you right now').waitFor();
  agent.ring(card({ call: 'beef' }));
  await page.locator('.card').waitFor();
  agent.live([card({ call: 'beef', state: 'talking', agent: 'Marc' })]);
  await page.getByText('No call for you right now').waitFor();
  await page.getByRole('cell', { name: 'support Marc' }).waitFor();
  await agent.leave();
});

test('a refused microphone is explained and the call rings on', { skip: SKIPPED }, async () => {
  const blocked = await new ConsoleHouse().open(['--deny-permission-prompts']);
  const agent = await (await (await blocked.agent()).atWork()).ready();
  agent.ring();
  await agent.button('Answer').click();
  await agent.page.getByRole('alert').getByText(/microphone/i).waitFor();
  await agent.button('Answer').waitFor();
  assert.equal(blocked.gateway.visitor.received.filter((message) => message.type === 'answer').length, 0);
  await agent.button('Decline').click();
  assert.deepEqual(await agent.said('decline'), { type: 'decline', call: 'c0ffee' });
  await agent.leave();
  await blocked.close();
});

const TAGS = ['img src=x onerror=', 'svg onload=', 'body onload=', 'iframe srcdoc=', 'details open ontoggle=', 'input autofocus onfocus=', 'video src=x onerror=', 'marquee onstart=', 'style onload=', 'object data=x onerror='];
/** A hundred texts that want to be a script. */
const PAYLOADS = [
  ...TAGS.flatMap((tag) => [`<${tag}alert(1)>`, `"><${tag}alert(1)>`, `'><${tag}"alert(1)">`, `</title><${tag}alert(1)>`, `</td></tr></table><${tag}alert(1)>`, `]]><${tag}alert(1)>`, `<!--><${tag}alert(1)>-->`, `\u2028<${tag}alert(1)>`]),
  '<script>alert(1)</script>', '<ScRiPt>alert(1)</sCrIpT>', '<script src=//evil.test></script>', '<<script>alert(1)//<</script>', '</script><script>alert(1)</script>',
  'javascript:alert(1)', 'JaVaScRiPt:alert(1)', ' javascript:alert(1)', 'java\nscript:alert(1)', 'data:text/html,<script>alert(1)</script>', 'vbscript:msgbox(1)', 'blob:https://x/1', 'file:///etc/passwd',
  '{{constructor.constructor("alert(1)")()}}', '${alert(1)}', '" onmouseover="alert(1)', "' onfocus='alert(1)' autofocus='", '<a href="javascript:alert(1)">x</a>', '<math><mtext></mtext><script>alert(1)</script>', '\u0000<script>alert(1)</script>',
];

test('a hundred hostile texts from a page stay texts', { skip: SKIPPED }, async () => {
  assert.equal(PAYLOADS.length, 100);
  const agent = await (await (await house.agent()).atWork()).ready();
  const { page } = agent;
  const calls = PAYLOADS.map((text, index) =>
    card({ call: `c${index}`, queue: text, session: text, lang: text, referrer: text, agent: text, page: { url: text, title: text } }));
  agent.live(calls);
  for (const call of calls.slice(0, 20)) agent.gateway.say({ type: 'ring', call: call.call, card: call });
  await page.waitForFunction(() => document.querySelectorAll('#rows tr').length === 100 && document.querySelectorAll('.card').length === 20);
  assert.equal(await page.locator('#rows tr').nth(0).locator('.page b').textContent(), PAYLOADS[0]);
  const found = await page.evaluate(() => {
    const own = new Set(['B', 'SPAN', 'TD', 'TR', 'A', 'ARTICLE', 'HEADER', 'H2', 'P', 'DL', 'DIV', 'DT', 'DD', 'FOOTER', 'BUTTON']);
    const nodes = [...document.querySelectorAll('#rows *, #cards *')];
    const links = /** @type {HTMLAnchorElement[]} */ (nodes.filter((node) => node.tagName === 'A'));
    return {
      strange: nodes.filter((node) => !own.has(node.tagName)).map((node) => node.outerHTML),
      handlers: nodes.flatMap((node) => [...node.attributes].filter((attribute) => attribute.name.startsWith('on')).map((attribute) => attribute.name)),
      schemes: [...new Set(links.map((link) => link.protocol))].filter((scheme) => !/^https?:$/.test(scheme)),
    };
  });
  assert.deepEqual(found, { strange: [], handlers: [], schemes: [] });
  assert.deepEqual([agent.dialogs, agent.complaints], [[], []]);
  await agent.leave();
});

test('a French browser gets a French console', { skip: SKIPPED }, async () => {
  const agent = await house.agent({ locale: 'fr-FR' });
  await agent.page.getByRole('heading', { name: 'Console de l’agent' }).waitFor();
  await agent.atWork();
  assert.equal((await agent.said('hello')).lang, 'fr');
  assert.equal(await agent.page.locator('html').getAttribute('lang'), 'fr');
  await agent.page.getByRole('switch', { name: 'Répondre ici' }).waitFor();
  await agent.leave();
});

/** Visible text whose contrast is below 4.5 (WCAG 2.2, 1.4.3), and controls smaller than 24 px (2.5.8). Runs in the page. */
function hardToUse() {
  const canvas = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true }));
  const rgba = (/** @type {string} */ text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (/** @type {number[]} */ color) => {
    const [r, g, b] = color.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (/** @type {Element | null} */ node) => {
    for (let at = node; at !== null; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const faults = [];
  for (const node of document.body.querySelectorAll('*')) {
    if (!node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || node.closest('.spoken, [disabled]')) continue;
    const text = [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.textContent?.trim()).join('');
    const [light, dark] = [luminance(rgba(getComputedStyle(node).color)), luminance(behind(node))].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (text !== '' && ratio < 4.5) faults.push(`${text.slice(0, 30)}: ${ratio.toFixed(2)}`);
    const { width, height } = node.getBoundingClientRect();
    if (node.matches('button, input') && (width < 24 || height < 24)) faults.push(`${text}: ${width} × ${height}`);
  }
  return faults;
}

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`the console is readable, ${colorScheme}`, { skip: SKIPPED }, async () => {
    const agent = await house.agent({ locale: 'en-GB', colorScheme });
    assert.deepEqual(await agent.page.evaluate(hardToUse), []);
    await (await agent.atWork()).ready();
    const states = ['connecting', 'ringing', 'talking', 'held', 'reattaching', 'ending'];
    const calls = states.map((state, index) => card({ call: `c${index}`, state, since_ms: 1_000_000 - index * 40_000 }));
    agent.live(calls);
    agent.gateway.say({ type: 'ring', call: 'c1', card: calls[1] });
    agent.gateway.say({ type: 'error', code: 'x', sentence: 'Somebody else has taken this call.' });
    await agent.page.locator('.card').waitFor();
    assert.deepEqual(await agent.page.evaluate(hardToUse), []);
    await agent.leave();
  });
}
