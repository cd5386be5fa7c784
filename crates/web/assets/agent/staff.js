// What the console asks of the book: a bearer token made with the agent's own log-in, then JSON.

import { Trouble } from '../widget/trouble.js';

/** @typedef {import('./link.js').Credentials} Credentials */

export class Staff {
  /** @param {Credentials} credentials  kept in memory only, for a token that has ended */
  constructor(credentials) {
    this.credentials = credentials;
    this.token = '';
  }

  /**
   * One request; a token that is good no more is made anew once.
   * @param {string} method @param {string} path @param {object} [body]
   * @returns {Promise<any>}
   */
  async ask(method, path, body) {
    if (!this.token) await this.#enter();
    try {
      return await this.#send(method, path, body);
    } catch (error) {
      if (!(error instanceof Trouble) || error.code !== 'login_needed') throw error;
      await this.#enter();
      return this.#send(method, path, body);
    }
  }

  /** The token is given back; nobody waits for it. */
  leave() {
    if (this.token) void this.#send('DELETE', '/v1/agent/token').catch(() => undefined);
    this.token = '';
  }

  async #enter() {
    this.token = '';
    const { extension, password } = this.credentials;
    this.token = (await this.#send('POST', '/v1/agent/token', { extension, password })).token;
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  async #send(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = { 'accept-language': this.credentials.lang };
    if (body) headers['content-type'] = 'application/json';
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    let response;
    try {
      response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: 'no-store' });
    } catch {
      throw new Trouble('unreachable');
    }
    if (response.status === 204) return undefined;
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Trouble(answer.code ?? 'unreachable', answer.sentence);
    return answer;
  }
}
