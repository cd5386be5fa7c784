// A stand-in for the book as agents reach it: it keeps what it is asked, and says what the test gives it.

/** A call-back as the gateway tells it. @param {Record<string, unknown>} [over] */
export const back = (over = {}) => ({
  id: 'cb1', tenant: 'shop', queue: 'support', state: 'scheduled', number: '+33 6 12 34 56 78', asap: false,
  asked_at: '2026-11-18T09:00:00+01:00', promised_at: '2026-11-18T11:00:00+01:00', due_at: '2026-11-18T11:00:00+01:00',
  zone: 'Europe/Paris', tz: 'Europe/Paris', lang: 'fr', priority: 0, purpose: 'requested', page_url: 'https://www.shop.example/lamps/halo',
  page_title: 'Halo lamp', attempts: [], notes: [], can_cancel: true, can_change: true, can_complete: true, sequence: 1,
  ...over,
});

export class StaffBook {
  constructor() {
    this.reset();
  }

  reset() {
    /** @type {ReturnType<typeof back>[]} */
    this.listed = [];
    /** @type {object[]} */
    this.queues = [];
    /** One by its id, when it is in the list no more. @type {Map<string, object>} */
    this.over = new Map();
    /** @type {null | { status: number, code: string, sentence: string }} */
    this.refusal = null;
    /** Method, path and body of what changes something. @type {[string, string, any][]} */
    this.asked = [];
    this.tokens = 0;
  }

  /** A queue of two agents. */
  opens(over = {}) {
    const agents = [{ extension: '1001', name: 'Claire' }, { extension: '1002', name: 'Hugo' }];
    this.queues = [{ tenant: 'shop', id: 'support', paused: false, agents, open: 0, ...over }, { tenant: 'shop', id: 'advice', paused: false, agents: [], open: 0 }];
  }

  /**
   * @param {import('node:http').IncomingMessage} request @param {URL} url
   * @param {(status: number, body: object) => unknown} json @param {import('node:http').ServerResponse} response
   */
  async serve(request, url, json, response) {
    if (url.pathname === '/v1/agent/token' && request.method === 'POST') {
      this.tokens += 1;
      json(200, { token: `agent${this.tokens}`, expires_in_s: 43_200, name: 'Claire' });
      return true;
    }
    if (request.headers.authorization !== `Bearer agent${this.tokens}`) {
      const staffs = request.headers.authorization?.startsWith('Bearer agent');
      if (staffs) json(401, { code: 'login_needed', sentence: 'Log in again.' });
      return staffs === true;
    }
    if (url.pathname === '/v1/agent/token') {
      response.writeHead(204).end();
    } else if (request.method === 'GET' && url.pathname === '/v1/callbacks') {
      json(200, { callbacks: this.listed, more: false, queues: this.queues, now: '2026-11-18T10:00:00+01:00' });
    } else if (request.method === 'GET') {
      json(200, this.over.get(url.pathname.split('/')[3]) ?? {});
    } else {
      let body = '';
      for await (const part of request) body += part;
      this.asked.push([request.method ?? '', `${url.pathname}${url.search}`, body ? JSON.parse(body) : null]);
      if (this.refusal) json(this.refusal.status, this.refusal);
      else json(200, this.listed[0] ?? back());
    }
    return true;
  }
}
