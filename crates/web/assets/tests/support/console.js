// The agent's console in Chromium, with a stand-in of the gateway's agent socket and a far end that answers for real.

import { readFile, readdir } from 'node:fs/promises';
import { House, TIMEOUT_MS } from './browser.js';
import { waitFor } from './wait.js';

const FOLDER = new URL('../../agent/', import.meta.url);
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };

/** What the gateway sends with its own pages. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** A live call, as the gateway tells it. @param {Record<string, unknown>} [over] */
export const card = (over = {}) => ({
  call: 'c0ffee',
  state: 'ringing',
  tenant: 'shop',
  queue: 'support',
  page: { url: 'https://www.shop.example/lamps/halo?colour=sand', title: 'Halo lamp' },
  referrer: 'https://search.example/?q=lamp',
  session: 's-4f1c9a2277d04c31',
  lang: 'fr-FR',
  since_ms: 1_000_000,
  ...over,
});

export class ConsoleHouse extends House {
  /** @param {string[]} [args] */
  async open(args) {
    await super.open(args);
    for (const name of await readdir(FOLDER)) {
      const type = TYPES[/** @type {keyof typeof TYPES} */ (name.split('.').at(-1))];
      const headers = { 'content-type': type, 'content-security-policy': PAGE_POLICY };
      this.gateway.pages.set(`/agent/${name === 'index.html' ? '' : name}`, { headers, body: await readFile(new URL(name, FOLDER), 'utf8') });
    }
    return this;
  }

  /** @param {import('playwright-core').BrowserContextOptions} [context] */
  async agent(context = { locale: 'en-GB' }) {
    const { gateway, browser } = this;
    const rooms = await browser.newContext(context);
    rooms.setDefaultTimeout(TIMEOUT_MS);
    const far = await rooms.newPage();
    await far.goto(`${gateway.origin}/far`);
    const page = await rooms.newPage();
    const agent = new Agent(gateway, page, far, rooms);
    page.on('pageerror', (error) => agent.complaints.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && agent.complaints.push(message.text()));
    page.on('dialog', (dialog) => {
      agent.dialogs.push(dialog.message());
      void dialog.accept();
    });
    await page.addInitScript(rememberMicrophone);
    gateway.answerer = async () => '';
    gateway.onMessage = (socket, message) => agent.hear(socket, message);
    await page.goto(`${gateway.origin}/agent/`);
    await page.locator('#extension').waitFor();
    return agent;
  }
}

export class Agent {
  /**
   * @param {import('./gateway.js').Gateway} gateway
   * @param {import('playwright-core').Page} page
   * @param {import('playwright-core').Page} far
   * @param {import('playwright-core').BrowserContext} rooms
   */
  constructor(gateway, page, far, rooms) {
    this.gateway = gateway;
    this.page = page;
    this.far = far;
    this.rooms = rooms;
    /** @type {string[]} */
    this.complaints = [];
    /** @type {string[]} */
    this.dialogs = [];
    this.password = 'secret';
  }

  /** @param {import('./socket.js').ServerSocket} socket @param {any} message */
  hear(socket, message) {
    if (message.type === 'hello' && message.password === this.password) {
      socket.send({ type: 'welcome', name: 'Claire', extension: message.extension });
      socket.send({ type: 'live', now_ms: 1_000_000, calls: [] });
    } else if (message.type === 'hello') {
      socket.send({ type: 'error', code: 'login-refused', sentence: 'Extension or password is wrong.' });
      socket.cut();
    } else if (message.type === 'ready') {
      socket.send({ type: 'ready', on: message.on });
    }
  }

  /** @param {string} [password] */
  async logIn(password = 'secret') {
    await this.page.locator('#extension').fill('1001');
    await this.page.locator('#password').fill(password);
    await this.page.locator('#login button').click();
  }

  async atWork() {
    await this.logIn();
    await this.page.locator('#desk').waitFor();
    return this;
  }

  async ready() {
    await this.page.getByRole('switch').click();
    await this.page.locator('#ready[aria-checked=true]').waitFor();
    return this;
  }

  /** @param {object[]} calls @param {number} [now_ms] */
  live(calls, now_ms = 1_012_000) {
    this.gateway.say({ type: 'live', now_ms, calls });
  }

  /** @param {ReturnType<typeof card>} [call] */
  ring(call = card()) {
    this.live([call]);
    this.gateway.say({ type: 'ring', call: call.call, card: call });
  }

  /** The last message of a kind that the console sent. @param {string} type */
  async said(type) {
    /** @type {any} */
    let found;
    await waitFor(() => {
      found = this.gateway.visitor?.received.filter((message) => /** @type {any} */ (message).type === type).at(-1);
      return found !== undefined;
    });
    return found;
  }

  /** Answers the console's offer from the far page. @param {(offer: string) => Promise<string>} answer  runs there */
  async media(answer) {
    const { call, offer } = await this.said('answer');
    this.gateway.say({ type: 'media', call, sdp: await this.far.evaluate(answer, offer) });
  }

  /** @param {string} name */
  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  leave() {
    return this.rooms.close();
  }
}

/** Runs in the page: keeps the microphone's track where a test can look at it. */
function rememberMicrophone() {
  const devices = navigator.mediaDevices;
  const ask = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (constraints) => {
    const stream = await ask(constraints);
    Object.assign(window, { microphone: stream.getAudioTracks()[0] });
    return stream;
  };
}
