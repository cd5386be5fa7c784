// A stand-in for the gateway's call-back API: slots, requests by idempotency key, one call-back's view, and its events.

import { createHash, createHmac, randomBytes } from 'node:crypto';

/** @typedef {import('../../callback/told.js').View} View */
/** @typedef {{ key: string, body: any }} Asked */

export const ID = 'cb-7d1f';
export const TOKEN = 'manage-me';

/** A day and hours far enough ahead to be never past. @param {string} at @param {number} [seats_left] */
export const slot = (at, seats_left = 1) => ({ start: at, end: new Date(Date.parse(at) + 900_000).toISOString(), seats_left });

/** @param {number} [in_s] */
export const soon = (in_s = 0) => new Date(Date.now() + in_s * 1_000).toISOString();

/** A call-back as the gateway tells it. @param {Partial<View>} [over] @returns {View} */
export const view = (over = {}) => ({
  id: ID, tenant: 'shop', queue: 'support', state: 'scheduled', sentence: '', asap: false,
  promised_at: '2031-06-10T12:30:00Z', tz: 'Europe/Paris', number: '+33 6 ** ** ** 78', attempts: [], can_cancel: true, can_move: true, now: soon(), ...over,
});

export class Callbacks {
  constructor() {
    /** @type {Set<import('node:http').ServerResponse>} */
    this.listeners = new Set();
    this.reset();
  }

  reset() {
    for (const listener of this.listeners ?? []) listener.destroy();
    this.listeners = new Set();
    /** What was asked for, in order. @type {Asked[]} */
    this.asked = [];
    /** Query of each reading of slots. @type {Record<string, string>[]} */
    this.read = [];
    /** What the status page sent. @type {{ method: string, authorization?: string, body?: any }[]} */
    this.changes = [];
    this.slots = { zone: 'Europe/Paris', slots: [slot('2031-06-10T07:00:00Z'), slot('2031-06-10T12:30:00Z'), slot('2031-06-10T12:45:00Z', 0), slot('2031-06-11T08:15:00Z')], more_from: /** @type {string | undefined} */ (undefined) };
    this.moreSlots = [slot('2031-06-18T09:00:00Z')];
    /** Seats asked to be held, and those let go. @type {any[]} */
    this.holds = [];
    /** @type {string[]} */
    this.released = [];
    /** How long a seat is held, seconds. */
    this.held_s = 120;
    /** The next holds are refused. @type {{ status: number, code: string, sentence: string }[]} */
    this.holdRefusals = [];
    /** The next answers are refusals. @type {{ status: number, code: string, sentence: string }[]} */
    this.refusals = [];
    /** A request needs the answer to a riddle. */
    this.riddles = false;
    /** How many answers to a request are lost on the way, the request being kept. */
    this.lost = 0;
    this.number = '+33 6 12 34 56 78';
    this.answer = /** @type {Record<string, unknown>} */ ({});
    this.view = view();
    /** The gateway cannot be reached at all. */
    this.down = false;
    this.connections = 0;
  }

  /** Something happened: everybody who listens is told. @param {Partial<View>} over */
  change(over) {
    this.view = { ...this.view, now: soon(), ...over };
    for (const listener of this.listeners) this.#tell(listener);
  }

  /** Cuts every event stream. */
  cut() {
    for (const listener of this.listeners) listener.destroy();
    this.listeners.clear();
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   * @param {URL} url
   * @param {(status: number, body: object) => void} json
   * @returns {Promise<boolean>} whether it was one of ours
   */
  async serve(request, response, url, json) {
    if (!/^\/v1\/(slots|callbacks)/.test(url.pathname)) return false;
    if (this.down) {
      request.socket.destroy();
    } else if (url.pathname.startsWith('/v1/slots/hold')) {
      this.#hold(request, response, url, await bodyOf(request), json);
    } else if (url.pathname === '/v1/slots') {
      this.read.push(Object.fromEntries(url.searchParams));
      const later = url.searchParams.has('from');
      json(200, { tz: url.searchParams.get('tz'), now: soon(), ...this.slots, ...(later ? { slots: this.moreSlots, more_from: undefined } : {}) });
    } else if (url.pathname === '/v1/callbacks') {
      this.#ask(request, response, await bodyOf(request), json);
    } else {
      this.#manage(request, response, url, await bodyOf(request), json);
    }
    return true;
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   * @param {URL} url
   * @param {any} body
   * @param {(status: number, body: object) => void} json
   */
  #hold({ method, headers }, response, url, body, json) {
    if (method === 'DELETE') {
      this.released.push(url.pathname.split('/').at(-1) ?? '');
      return void response.writeHead(204, { 'access-control-allow-origin': '*' }).end();
    }
    this.holds.push({ ...body, ...(headers.authorization ? { authorization: headers.authorization } : {}) });
    const refusal = this.holdRefusals.shift();
    if (refusal) return json(refusal.status, { title: 'Refused', ...refusal });
    return json(201, { hold: `hold-${this.holds.length}`, start: body.start, until: soon(this.held_s), held_s: this.held_s });
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   * @param {any} body
   * @param {(status: number, body: object) => void} json
   */
  #ask(request, response, body, json) {
    const key = String(request.headers['idempotency-key']);
    const known = this.asked.some((one) => one.key === key);
    this.asked.push({ key, body });
    if (this.riddles && !(body.pow && proven(body.pow))) return json(403, { type: 'about:blank', title: 'Forbidden', code: 'verification_needed', sentence: 'Prove it first.', challenge: riddle() });
    const refusal = this.refusals.shift();
    if (refusal) return json(refusal.status, { type: 'about:blank', title: 'Refused', ...refusal });
    if (this.lost > 0) {
      this.lost -= 1;
      // Begun, then cut: a request without any answer on a kept connection, Chromium repeats by itself.
      response.writeHead(201, { 'access-control-allow-origin': '*', 'content-type': 'application/json', 'content-length': 500 }).write('{"id":');
      return void setTimeout(() => request.socket.destroy(), 20);
    }
    const asap = body.when === 'asap';
    const path = `/v1/callbacks/${ID}`;
    json(known ? 200 : 201, {
      id: ID, manage_token: TOKEN, page_url: `http://${request.headers.host}/callback/${ID}#${TOKEN}`, ics_url: `${path}/calendar.ics?token=${TOKEN}`, events_url: `${path}/events?token=${TOKEN}`,
      state: asap ? 'queued' : 'scheduled', asap, promised_at: asap ? soon(240) : body.when, tz: body.tz, number: this.number, ...(asap ? { wait: { p50_s: 170, p90_s: 350 } } : {}), ...this.answer,
    });
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   * @param {URL} url
   * @param {any} body
   * @param {(status: number, body: object) => void} json
   */
  #manage({ method = 'GET', headers }, response, url, body, json) {
    const token = url.searchParams.get('token') ?? headers.authorization?.replace('Bearer ', '');
    if (token !== TOKEN || !url.pathname.startsWith(`/v1/callbacks/${ID}`)) return json(404, { code: 'not_found', title: 'Not found', sentence: 'There is no such call-back.' });
    if (url.pathname.endsWith('/events')) return this.#listen(response);
    if (method !== 'GET') {
      this.changes.push({ method, authorization: headers.authorization, body });
      const refusal = this.refusals.shift();
      if (refusal) return json(refusal.status, { title: 'Refused', ...refusal });
      if (url.pathname.endsWith('/not-me')) this.change({ state: 'cancelled', detail: 'recipient', can_cancel: false, can_move: false });
      else if (method === 'DELETE') this.change({ state: 'cancelled', detail: 'visitor', can_cancel: false, can_move: false });
      else this.change({ state: body.when === 'asap' ? 'queued' : 'scheduled', asap: body.when === 'asap', promised_at: body.when === 'asap' ? soon(240) : body.when, tz: body.tz });
    }
    this.view = { ...this.view, now: soon() };
    return json(200, this.view);
  }

  /** @param {import('node:http').ServerResponse} response */
  #listen(response) {
    this.connections += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    this.listeners.add(response);
    response.on('close', () => this.listeners.delete(response));
    this.#tell(response);
  }

  /** @param {import('node:http').ServerResponse} listener */
  #tell(listener) {
    listener.write(`event: callback\ndata: ${JSON.stringify({ ...this.view, now: soon() })}\n\n`);
    if (['completed', 'cancelled', 'expired', 'failed'].includes(this.view.state)) listener.end();
  }
}

const SECRET = randomBytes(16);
const sealed = (/** @type {string} */ challenge) => createHmac('sha256', SECRET).update(challenge).digest('hex');
const hashed = (/** @type {string} */ text) => createHash('sha256').update(text).digest('hex');
export const RIDDLE_MAX = 300_000;

/** As the gateway makes one; near its end, so that there is something to see. */
function riddle() {
  const salt = `${randomBytes(16).toString('hex')}?expires=${Math.round(Date.now() / 1_000) + 300}&`;
  const challenge = hashed(`${salt}${RIDDLE_MAX - 1_000}`);
  return { algorithm: 'SHA-256', challenge, maxnumber: RIDDLE_MAX, salt, signature: sealed(challenge) };
}

/** As the gateway judges it. @param {string} pow */
function proven(pow) {
  const { algorithm, challenge, number, salt, signature } = JSON.parse(Buffer.from(pow, 'base64').toString());
  return algorithm === 'SHA-256' && hashed(`${salt}${number}`) === challenge && sealed(challenge) === signature;
}

/** @param {import('node:http').IncomingMessage} request */
async function bodyOf(request) {
  let text = '';
  for await (const part of request) text += part;
  return text === '' ? undefined : JSON.parse(text);
}
