// What a visitor is told of a call-back: title, advice, what the clock counts to, how far along it is. Pure.

import { waitWords, whenWords } from '../widget/callback_time.js';

/** @typedef {import('../widget/callback_time.js').Reader} Reader */
/** @typedef {import('../widget/language.js').Say} Say */
/** @typedef {'scheduled' | 'queued' | 'offered' | 'dialling' | 'connected' | 'completed' | 'cancelled' | 'expired' | 'failed'} State */
/** @typedef {{ at: string, outcome: string | null }} Attempt */

/**
 * The gateway's view of a call-back, as `GET /v1/callbacks/{id}` and each event carry it.
 * @typedef {object} View
 * @property {string} id
 * @property {string} tenant
 * @property {string} queue
 * @property {State} state
 * @property {string} [detail]
 * @property {string} sentence
 * @property {boolean} asap
 * @property {string} promised_at
 * @property {string} [due_at]
 * @property {string} tz
 * @property {string} number
 * @property {Attempt[]} attempts
 * @property {boolean} can_cancel
 * @property {boolean} can_move
 * @property {string} now
 * @property {import('../widget/callback.js').Wait} [wait]
 */

/** @type {Record<State, 'wait' | 'live' | 'good' | 'bad'>} */
export const TONE = {
  scheduled: 'wait', queued: 'wait', offered: 'live', dialling: 'live', connected: 'live',
  completed: 'good', cancelled: 'bad', expired: 'bad', failed: 'bad',
};

/** Steps of the track, and the state that stands on each. */
const STEPS = /** @type {const} */ (['step.asked', 'step.adviser', 'step.ringing', 'step.talking']);
/** @type {Partial<Record<State, number>>} */
const STEP_OF = { scheduled: 0, queued: 0, offered: 1, dialling: 2, connected: 3, completed: 4 };

/** @param {State} state */
export const isOver = (state) => ['completed', 'cancelled', 'expired', 'failed'].includes(state);

/**
 * The instant being waited for, while it lies ahead.
 * @param {View} view
 * @param {number} now_ms
 * @returns {number | undefined}
 */
export function target(view, now_ms) {
  if (view.state !== 'scheduled' && view.state !== 'queued') return undefined;
  // As soon as possible is a range, not a moment, until a call has failed and the next has its time.
  if (view.asap && view.attempts.length === 0) return undefined;
  const at_ms = Date.parse(view.due_at ?? view.promised_at);
  return at_ms > now_ms ? at_ms : undefined;
}

/**
 * @param {View} view
 * @param {number} now_ms  the gateway's time
 * @param {Reader} reader
 * @param {Say} say
 * @returns {{ title: string, more: string }}
 */
export function told(view, now_ms, reader, say) {
  const { state, detail, wait } = view;
  const plain = (/** @type {string} */ key, /** @type {Record<string, string>} */ values = {}) => ({ title: say(key, values), more: say(`${key}.more`) });
  const at_ms = target(view, now_ms);
  switch (state) {
    case 'scheduled':
    case 'queued':
      if (at_ms !== undefined) return plain(view.attempts.length > 0 ? 'again' : 'scheduled', { when: whenWords(at_ms, now_ms, reader, say) });
      if (!view.asap || view.attempts.length > 0) return plain('due');
      return wait ? { title: say('queued.wait', { wait: waitWords(wait, say) }), more: say('queued.more') } : plain('queued');
    case 'offered':
    case 'dialling':
    case 'connected':
    case 'expired':
      return plain(state);
    case 'completed':
    case 'cancelled':
    case 'failed':
      return plain(say(`${state}.${detail}`) === '' ? state : `${state}.${detail}`);
    default:
      // A gateway newer than this page: its own sentence.
      return { title: view.sentence, more: '' };
  }
}

/**
 * @param {View} view
 * @returns {{ key: string, is: 'done' | 'now' | 'next' }[]} empty once there is nothing ahead but the end
 */
export function track({ state }) {
  const at = STEP_OF[state];
  if (at === undefined) return [];
  return STEPS.map((key, index) => ({ key, is: index < at ? 'done' : index === at ? 'now' : 'next' }));
}

/** @param {Attempt} attempt @param {Say} say */
export const outcomeTold = ({ outcome }, say) => say(`outcome.${outcome ?? 'running'}`) || say('outcome.in-doubt');
