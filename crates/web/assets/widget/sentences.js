// What the visitor is told in each state: a title, a line of what it means or what to do, and the button's own label. Pure.

import { clock, spokenTime } from './words.js';

/** @typedef {import('./machine.js').Model} Model */
/** @typedef {import('./language.js').Say} Say */
/** @typedef {{ title: string, more: string }} Told */

/**
 * @param {Model} model
 * @param {Say} say
 * @param {import('./language.js').Language} language
 * @param {boolean} [safari]  its microphone switch is in a menu of its own
 * @returns {Told}
 */
export function told(model, say, language, safari = false) {
  const plain = { title: say(`state.${model.state}`), more: say(`state.${model.state}.more`) };
  switch (model.state) {
    case 'talking':
      return { ...plain, title: model.agent ? say('state.talking.with', { agent: model.agent }) : plain.title };
    case 'ended':
      return { ...plain, more: [whyEnded(model), howLong(model, say, language)].join(' ').trim() || plain.more };
    case 'closed':
      return { ...plain, more: model.sentence || plain.more };
    case 'failed':
      return {
        title: say(model.code) || (model.talking_ms > 0 ? say('state.failed.cut') : plain.title),
        more: model.sentence || toDo(model.code, say, safari) || plain.more,
      };
    case 'idle':
    case 'asking':
    case 'connecting':
    case 'ringing':
    case 'held':
    case 'reattaching':
      return plain;
  }
}

/** An ordinary hang-up needs no reason. @param {Model} model */
const whyEnded = (model) => (model.code === 'normal' ? '' : model.sentence);

/**
 * @param {Model} model
 * @param {Say} say
 * @param {import('./language.js').Language} language
 */
const howLong = ({ talk_s }, say, language) => (talk_s > 0 ? say('state.ended.time', { time: spokenTime(talk_s, language) }) : '');

/**
 * The line above a running call when its microphone is in trouble.
 * @param {Model} model
 * @param {Say} say
 * @param {boolean} [safari]
 * @returns {Told | null}
 */
export function microphoneTold(model, say, safari = false) {
  if (model.microphone === '') return null;
  return { title: say(model.microphone), more: toDo(model.microphone, say, safari) };
}

/**
 * @param {string} code
 * @param {Say} say
 * @param {boolean} safari
 */
const toDo = (code, say, safari) => (safari && say(`${code}.do.safari`)) || say(`${code}.do`);

/**
 * The seconds on the clock: the talk once it runs, the wait before it.
 * @param {Model} model
 * @param {number} now_ms
 * @returns {string} '' when no clock runs
 */
export function clockText(model, now_ms) {
  if (['talking', 'held', 'reattaching'].includes(model.state) && model.talking_ms > 0) {
    return clock((now_ms - model.talking_ms) / 1000);
  }
  return model.state === 'ringing' ? clock((now_ms - model.since_ms) / 1000) : '';
}
