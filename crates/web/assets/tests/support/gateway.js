// A stand-in for the gateway's web edge, for tests of the page alone: files, token, availability, and a scripted WebSocket.
// It carries no call. What it says is the gateway's side of the protocol, driven by the test.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Callbacks } from './callbacks.js';
import { StaffBook } from './staff.js';
import { ServerSocket } from './socket.js';

const ASSETS = fileURLToPath(new URL('../../', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.json': 'application/json' };

export class Gateway {
  constructor() {
    /** @type {ServerSocket[]} */
    this.sockets = [];
    /** @type {{ tenant: string, queue: string }[]} */
    this.tokens = [];
    this.callbacks = new Callbacks();
    this.staff = new StaffBook();
    this.reset();
    /** Pages made up by a test: path, then headers and body. @type {Map<string, { headers?: Record<string, string>, body: string }>} */
    this.pages = new Map();
    /** Who makes the WebRTC answer. @type {(offer: string) => Promise<string>} */
    this.answerer = async () => '';
    /** @type {(socket: ServerSocket, message: any) => void} */
    this.onMessage = () => {};
    this.server = createServer((request, response) => void this.#serve(request, response).catch(unless(() => request.destroyed || response.destroyed)));
    this.server.on('upgrade', (request, stream) => this.#upgrade(request, stream));
  }

  /** What the token and the availability say; a test may change them. */
  reset() {
    this.refusal = /** @type {null | { status: number, code: string, sentence: string }} */ (null);
    this.availability = /** @type {Record<string, unknown>} */ ({ talk_now: true });
    this.callbacks.reset();
    this.staff.reset();
  }

  async start() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', () => resolve(undefined)));
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address());
    this.origin = `http://127.0.0.1:${port}`;
    return this;
  }

  stop() {
    for (const socket of this.sockets) socket.cut();
    this.server.closeAllConnections();
    this.server.close();
  }

  /** The latest visitor's socket. */
  get visitor() {
    return this.sockets.at(-1);
  }

  /** @param {object} message */
  say(message) {
    this.visitor?.send(message);
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  async #serve(request, response) {
    const url = new URL(request.url ?? '/', this.origin);
    const cors = { 'access-control-allow-origin': request.headers.origin ?? '*', 'access-control-allow-headers': 'content-type, accept-language, idempotency-key' };
    const json = (/** @type {number} */ status, /** @type {object} */ body) => response.writeHead(status, { ...cors, 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.method === 'OPTIONS') return response.writeHead(204, cors).end();
    if (url.pathname === '/v1/token') {
      let body = '';
      for await (const part of request) body += part;
      if (this.refusal) return json(this.refusal.status, { title: 'Refused', ...this.refusal });
      this.tokens.push(JSON.parse(body));
      return json(200, { token: 'a'.repeat(32), expires_in_s: 180 });
    }
    if (url.pathname === '/v1/availability') return json(200, this.availability);
    if (await this.staff.serve(request, url, json, response)) return undefined;
    if (await this.callbacks.serve(request, response, url, json)) return undefined;
    const page = this.pages.get(url.pathname);
    if (page) return response.writeHead(200, { 'content-type': TYPES['.html'], ...page.headers }).end(page.body);
    const path = normalize(url.pathname);
    const file = fileOf(path);
    try {
      const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(file))] ?? 'application/octet-stream';
      const bytes = await readFile(file);
      response.writeHead(200, { ...cors, 'content-type': type, 'content-security-policy': DEMO_POLICY }).end(bytes);
    } catch {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found');
    }
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:stream').Duplex} stream
   */
  #upgrade(request, stream) {
    const socket = new ServerSocket(request, stream);
    this.sockets.push(socket);
    const hear = async (/** @type {any} */ message) => {
      if (message.type === 'hello') socket.send({ type: 'answer', call: 'c0ffee', sdp: await this.answerer(message.offer) });
      if (message.type === 'reoffer') socket.send({ type: 'reanswer', sdp: await this.answerer(message.sdp) });
      this.onMessage(socket, message);
    };
    socket.onMessage = (message) => void hear(message).catch(unless((error) => socket.closed || /has been closed/.test(String(error))));
  }
}

/**
 * A visitor who leaves in the middle of a question is no failure of the test he was in, nor of a later one.
 * @param {(error: unknown) => boolean} gone
 */
const unless = (gone) => (/** @type {unknown} */ error) => {
  if (!gone(error)) throw error;
};

/** Where a path lies: the page of a call-back is one for every id. @param {string} path */
function fileOf(path) {
  if (path === '/widget.js' || path.startsWith('/widget/')) return join(ASSETS, path);
  if (path.startsWith('/callback/')) return join(ASSETS, extname(path) === '' ? 'callback/index.html' : path);
  return join(ASSETS, 'demo', path === '/' ? 'index.html' : path);
}

/** What a careful shop would send: no inline code, no inline style, nothing from elsewhere. */
export const DEMO_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
