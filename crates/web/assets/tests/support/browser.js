// Chromium for the page tests: a visitor's page, and a second page that answers his offers with a real RTCPeerConnection.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { Gateway } from './gateway.js';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Why the browser tests cannot run here, or false. */
export const SKIPPED = existsSync(CHROMIUM) ? false : `SKIPPED: no Chromium at ${CHROMIUM}`;

/** The strictest page we promise to work in. */
export const STRICT_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'";

// What never happens costs so long; what happens late on a busy machine has happened.
export const TIMEOUT_MS = 20_000;
const SCRIPT = '<script type="module" src="/widget.js" data-tenant="shop" data-queue="echo"></script>';

/**
 * @param {string} body
 * @param {string} [lang]
 */
export const html = (body = SCRIPT, lang = 'en') => `<!doctype html><html lang="${lang}"><meta charset="utf-8"><title>Halo lamp</title><body><p>A page.</p><input id="field">${body}</body></html>`;

/** One gateway stand-in, one browser, as many visitors as wanted. */
export class House {
  /** @param {string[]} [args] more switches for Chromium */
  async open(args = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']) {
    this.gateway = await new Gateway().start();
    this.gateway.pages.set('/page', { headers: { 'content-security-policy': STRICT_POLICY }, body: html() });
    this.gateway.pages.set('/far', { body: '<!doctype html><title>far end</title>' });
    this.browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--allow-loopback-in-peer-connection', '--host-resolver-rules=MAP *.test 127.0.0.1', ...args],
    });
    return this;
  }

  async close() {
    await this.browser?.close();
    this.gateway?.stop();
  }

  /**
   * A visitor on a page, and a far end for him.
   * @param {object} [options]
   * @param {string} [options.path]
   * @param {import('playwright-core').BrowserContextOptions} [options.context]
   * @param {() => void} [options.before]  runs in the page before any script
   * @param {string} [options.host]
   */
  async visitor({ path = '/page', context = {}, before, host } = {}) {
    const { gateway, browser } = /** @type {Required<House>} */ (/** @type {unknown} */ (this));
    const rooms = await browser.newContext(context);
    rooms.setDefaultTimeout(TIMEOUT_MS);
    const far = await rooms.newPage();
    await far.goto(`${gateway.origin}/far`);
    gateway.answerer = (offer) => far.evaluate(answer, offer);
    const page = await rooms.newPage();
    /** @type {string[]} */
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await page.addInitScript(recordStates);
    if (before) await page.addInitScript(before);
    const origin = host ? gateway.origin?.replace('127.0.0.1', host) : gateway.origin;
    await page.goto(`${origin}${path}`);
    await page.waitForFunction(() => customElements.get('passerelle-talk') !== undefined);
    return new Visitor(page, far, complaints, rooms);
  }
}

export class Visitor {
  /**
   * @param {import('playwright-core').Page} page
   * @param {import('playwright-core').Page} far
   * @param {string[]} complaints
   * @param {import('playwright-core').BrowserContext} rooms
   */
  constructor(page, far, complaints, rooms) {
    Object.assign(this, { page, far, complaints, rooms });
    this.page = page;
    this.far = far;
    this.complaints = complaints;
    this.rooms = rooms;
  }

  /** @param {string} name */
  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  get panel() {
    return this.page.getByRole('dialog');
  }

  /** @param {string} state */
  async reaches(state) {
    await this.page.locator(`passerelle-talk[state=${state}]`).first().waitFor({ state: 'attached' });
  }

  /** The gateway's answer has come. */
  async accepted() {
    await this.reaches('connecting');
    await this.page.waitForFunction(() =>
      [...document.querySelectorAll('passerelle-talk')].some((element) => /** @type {any} */ (element).talker?.call.model.call),
    );
  }

  states() {
    return this.page.evaluate(() => /** @type {any} */ (window).states.join(' '));
  }

  live() {
    return this.page.evaluate(() => document.querySelector('passerelle-talk')?.shadowRoot?.querySelector('[role=status]')?.textContent);
  }

  /** Whether the microphone's track is open, as the browser has it. */
  heard() {
    return this.page.evaluate(() => /** @type {any} */ (document.querySelector('passerelle-talk')).talker.call.attempt.peer.sender.track.enabled);
  }

  /**
   * From the button to a talk.
   * @param {Gateway} gateway
   */
  async talks(gateway) {
    await this.button('Talk to us').click();
    await this.button('Talk now').click();
    await this.accepted();
    gateway.say({ type: 'state', state: 'ringing' });
    await this.reaches('ringing');
    gateway.say({ type: 'state', state: 'talking', agent: 'Claire' });
    await this.reaches('talking');
    return this;
  }

  /**
   * The visitor sets the microphone in his browser's settings.
   * @param {'granted' | 'denied' | 'prompt'} setting
   */
  async permission(setting) {
    const control = await this.rooms.newCDPSession(this.page);
    const { targetInfo } = await control.send('Target.getTargetInfo');
    const { origin } = new URL(this.page.url());
    await control.send('Browser.setPermission', { permission: { name: 'microphone' }, setting, origin, browserContextId: targetInfo.browserContextId });
  }

  leave() {
    return this.rooms.close();
  }
}

/** Runs in the page: writes down every state told, and every socket opened. */
function recordStates() {
  const record = /** @type {any} */ (window);
  record.states = [];
  record.details = [];
  document.addEventListener('passerelle:state', (event) => {
    record.states.push(/** @type {CustomEvent} */ (event).detail.state);
    record.details.push(/** @type {CustomEvent} */ (event).detail);
  });
}

/**
 * Runs in the far page: a real answer with a tone to send, made anew for each first offer.
 * @param {string} offer
 */
async function answer(offer) {
  const far = /** @type {any} */ (window);
  const again = far.pc !== undefined && far.fingerprint === offer.match(/a=fingerprint:(\S+ \S+)/)?.[1];
  if (!again) {
    far.fingerprint = offer.match(/a=fingerprint:(\S+ \S+)/)?.[1];
    far.pc = new RTCPeerConnection();
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: 440 });
    const way = new MediaStreamAudioDestinationNode(context);
    tone.connect(way);
    tone.start();
    far.pc.addTrack(way.stream.getTracks()[0], way.stream);
  }
  await far.pc.setRemoteDescription({ type: 'offer', sdp: far.plain ? offer.replace(/^a=(rtpmap|fmtp):\d+ telephone-event.*\r\n/gm, '') : offer });
  await far.pc.setLocalDescription(await far.pc.createAnswer());
  await new Promise((resolve) => {
    const done = () => far.pc.iceGatheringState === 'complete' && resolve(undefined);
    far.pc.addEventListener('icegatheringstatechange', done);
    done();
    setTimeout(resolve, 1_000);
  });
  return far.pc.localDescription.sdp;
}
