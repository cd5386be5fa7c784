// The call's table: every road a visitor can take, and when the microphone is let through.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { begin, isLive, step, TABLE, transmitting } from '../../widget/machine.js';

/**
 * Plays events one second apart and writes down the states passed.
 * @param {object[]} events
 * @param {object} [over]
 */
function play(events, over) {
  let model = begin(over);
  const states = [model.state];
  events.forEach((event, index) => {
    model = step(model, /** @type {any} */ (event), 1_000 * (index + 1));
    if (model.state !== states.at(-1)) states.push(model.state);
  });
  return { model, states: states.join(' ') };
}

const TALK = { type: 'talk' };
const MICROPHONE = { type: 'microphone' };
const gateway = (/** @type {string} */ state, /** @type {string} */ agent) => ({ type: 'gateway', state, agent });
const TALKING = [TALK, MICROPHONE, gateway('ringing'), gateway('talking', 'Claire')];

test('an ordinary call goes through its states and counts the talk', () => {
  const { model, states } = play([...TALKING, gateway('held'), gateway('talking'), { type: 'hangUp' }]);
  assert.equal(states, 'idle asking connecting ringing talking held talking ended');
  assert.equal(model.agent, 'Claire');
  assert.equal(model.talk_s, 3, 'from the first talking at 4 s to the end at 7 s, hold included');
});

test('the gateway knows the length of the talk better', () => {
  assert.equal(play([...TALKING, { type: 'ended', code: 'normal', talk_s: 12 }]).model.talk_s, 12);
});

test('an ordinary end is ended, any other is failed with its sentence', () => {
  assert.equal(play([...TALKING, { type: 'ended', code: 'normal' }]).model.state, 'ended');
  const busy = play([TALK, MICROPHONE, gateway('ringing'), { type: 'ended', code: 'busy', sentence: 'Everybody is busy.' }]).model;
  assert.deepEqual([busy.state, busy.code, busy.sentence], ['failed', 'busy', 'Everybody is busy.']);
});

test('cancelling over the browser’s question leaves no trace', () => {
  const { model, states } = play([TALK, { type: 'hangUp' }]);
  assert.equal(states, 'idle asking idle');
  assert.equal(model.talk_s, 0);
});

test('nothing brings an ended call back but a new one', () => {
  const late = [gateway('talking'), { type: 'back' }, MICROPHONE, { type: 'lost' }, { type: 'hangUp' }, { type: 'ended', code: 'busy' }];
  assert.equal(play([...TALKING, { type: 'hangUp' }, ...late]).states, 'idle asking connecting ringing talking ended');
  assert.equal(play([...TALKING, { type: 'hangUp' }, TALK]).model.talk_s, 0);
});

test('a lost path comes back to where the call was, or where the gateway has moved it', () => {
  assert.equal(play([...TALKING, { type: 'lost' }, { type: 'back' }]).states, 'idle asking connecting ringing talking reattaching talking');
  assert.equal(play([...TALKING, { type: 'lost' }, gateway('held'), { type: 'back' }]).model.state, 'held');
  assert.equal(play([...TALKING, { type: 'lost' }, { type: 'fault', code: 'media-lost' }]).model.state, 'failed');
});

test('closed and open again, but never under a running call', () => {
  assert.equal(play([{ type: 'availability', open: false, code: 'hours' }, { type: 'availability', open: true }]).states, 'idle closed idle');
  assert.equal(play([...TALKING, { type: 'availability', open: false }]).model.state, 'talking');
});

test('the microphone is let through while a call may be heard, and never on hold or after', () => {
  /** @type {[object[], boolean][]} */
  const cases = [
    [[], false],
    [[TALK], false],
    [[TALK, MICROPHONE], true],
    [TALKING, true],
    [[...TALKING, { type: 'mute', on: true }], false],
    [[...TALKING, { type: 'mute', on: true }, { type: 'mute', on: false }], true],
    [[...TALKING, gateway('held')], false],
    [[...TALKING, { type: 'lost' }], true],
    [[...TALKING, { type: 'hangUp' }], false],
    [[...TALKING, { type: 'mode', mode: 'hold' }], false],
    [[...TALKING, { type: 'mode', mode: 'hold' }, { type: 'press' }], true],
    [[...TALKING, { type: 'mode', mode: 'hold' }, { type: 'press' }, { type: 'release' }], false],
    [[...TALKING, { type: 'mode', mode: 'hold' }, { type: 'latch', on: true }], true],
    [[...TALKING, { type: 'mode', mode: 'hold' }, { type: 'latch', on: true }, { type: 'press' }, { type: 'release' }], false],
    [[...TALKING, { type: 'press' }, { type: 'mute', on: true }], false],
  ];
  for (const [events, heard] of cases) assert.equal(transmitting(play(events).model), heard, JSON.stringify(events));
});

test('two quick presses keep the microphone on, two slow ones do not', () => {
  const hold = begin({ state: 'talking', mode: 'hold' });
  const presses = (/** @type {number[]} */ ...at_ms) =>
    at_ms.reduce((model, at) => step(step(model, { type: 'press' }, at), { type: 'release' }, at + 50), hold);
  assert.equal(transmitting(presses(0, 200)), true);
  assert.equal(transmitting(presses(0, 900)), false);
  assert.equal(transmitting(presses(0, 200, 5_000)), false, 'the next press lets it go');
  assert.equal(transmitting(presses(0, 200, 5_000, 5_100)), false, 'letting go is not half of a double press');
});

test('a microphone in trouble leaves the call where it is', () => {
  const { model, states } = play([...TALKING, { type: 'microphoneLost', code: 'mic-unplugged' }]);
  assert.equal(states.endsWith('talking'), true);
  assert.equal(model.microphone, 'mic-unplugged');
  assert.equal(step(model, { type: 'microphoneBack' }, 9_000).microphone, '');
  assert.equal(step(model, { type: 'hangUp' }, 9_000).microphone, '');
});

test('random events never leave the table, and a hang-up always ends a call', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  let state = seed;
  const random = (/** @type {number} */ below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const events = [
    TALK, MICROPHONE, gateway('connecting'), gateway('ringing'), gateway('talking'), gateway('held'), { type: 'lost' }, { type: 'back' },
    { type: 'ended', code: 'normal' }, { type: 'ended', code: 'busy' }, { type: 'fault', code: 'bug' }, { type: 'hangUp' }, { type: 'dismiss' },
    { type: 'availability', open: true }, { type: 'availability', open: false }, { type: 'press' }, { type: 'release' }, { type: 'latch', on: true },
    { type: 'mode', mode: 'hold' }, { type: 'mode', mode: 'open' }, { type: 'mute', on: true }, { type: 'microphoneLost', code: 'mic-paused' }, { type: 'microphoneBack' },
  ];
  let model = begin();
  for (let now_ms = 0; now_ms < 20_000; now_ms += 1) {
    model = step(model, /** @type {any} */ (events[random(events.length)]), now_ms);
    assert.ok(model.state in TABLE, model.state);
    assert.ok(isLive(model.state) || (!transmitting(model) && model.microphone === '' && !model.latched), JSON.stringify(model));
    assert.ok(model.talk_s >= 0);
    assert.equal(isLive(step(model, { type: 'hangUp' }, now_ms).state), false);
  }
});
