// The visitor's call as one pure table: what state follows, and whether the microphone may be heard. No DOM, no clock.

/** @typedef {'closed' | 'idle' | 'asking' | 'connecting' | 'ringing' | 'talking' | 'held' | 'reattaching' | 'ended' | 'failed'} State */
/** @typedef {'open' | 'hold'} Mode */

/**
 * @typedef {object} Model
 * @property {State} state
 * @property {number} since_ms       when this state was entered
 * @property {number} talking_ms     when the first word could be heard, 0 before
 * @property {number} talk_s         length of the talk, known at the end
 * @property {State} resume          the state to go back to once re-attached
 * @property {string} code           why it ended, failed or is closed
 * @property {string} sentence       the gateway's own sentence for it, in the visitor's language
 * @property {string} agent          first name, once known
 * @property {string} call           the gateway's id of the call
 * @property {Mode} mode
 * @property {boolean} muted
 * @property {boolean} pressed       hold to talk: the button or the space bar is down
 * @property {boolean} latched       hold to talk: kept on by a double press
 * @property {number} pressed_ms     when it was last pressed, to tell a double press
 * @property {string} microphone     '' when well, else the code of its trouble while the call goes on
 */

/**
 * @typedef {{ type: 'talk' }
 *   | { type: 'microphone' }
 *   | { type: 'accepted', call: string }
 *   | { type: 'gateway', state: 'connecting' | 'ringing' | 'talking' | 'held', agent?: string }
 *   | { type: 'lost' }
 *   | { type: 'back' }
 *   | { type: 'ended', code: string, sentence?: string, talk_s?: number }
 *   | { type: 'fault', code: string, sentence?: string }
 *   | { type: 'refused', code: string }
 *   | { type: 'hangUp' }
 *   | { type: 'dismiss' }
 *   | { type: 'availability', open: boolean, code?: string, sentence?: string }
 *   | { type: 'mute', on: boolean }
 *   | { type: 'mode', mode: Mode }
 *   | { type: 'press' }
 *   | { type: 'release' }
 *   | { type: 'latch', on: boolean }
 *   | { type: 'microphoneLost', code: string }
 *   | { type: 'microphoneBack' }} Event
 */

/** Two presses closer than this keep the microphone on. */
const DOUBLE_PRESS_MS = 350;

/** Ends that are a call's ordinary end; every other code is a failure to be explained. */
const ORDINARY = new Set(['normal', 'cancelled', 'too-long']);

/**
 * The whole machine: state, then what happened, then the next state. What is not listed changes nothing.
 * `resume` stands for the state left when the media path was lost.
 * @type {Record<State, Record<string, State | 'resume'>>}
 */
export const TABLE = {
  closed: { talk: 'asking', open: 'idle', shut: 'closed', refused: 'failed' },
  idle: { talk: 'asking', shut: 'closed', refused: 'failed' },
  asking: { microphone: 'connecting', hangUp: 'idle', fault: 'failed' },
  connecting: { ringing: 'ringing', talking: 'talking', held: 'held', hangUp: 'ended', ended: 'ended', fault: 'failed' },
  ringing: { talking: 'talking', held: 'held', hangUp: 'ended', ended: 'ended', fault: 'failed', lost: 'reattaching' },
  talking: { ringing: 'ringing', held: 'held', hangUp: 'ended', ended: 'ended', fault: 'failed', lost: 'reattaching' },
  held: { ringing: 'ringing', talking: 'talking', hangUp: 'ended', ended: 'ended', fault: 'failed', lost: 'reattaching' },
  reattaching: { back: 'resume', hangUp: 'ended', ended: 'ended', fault: 'failed' },
  ended: { talk: 'asking', dismiss: 'idle', refused: 'failed' },
  failed: { talk: 'asking', dismiss: 'idle', refused: 'failed' },
};

/** States in which a call is under way. */
const LIVE = new Set(['asking', 'connecting', 'ringing', 'talking', 'held', 'reattaching']);

/** @param {State} state */
export const isLive = (state) => LIVE.has(state);

/**
 * @param {Partial<Model>} [over]
 * @returns {Model}
 */
export function begin(over = {}) {
  return {
    state: 'idle', since_ms: 0, talking_ms: 0, talk_s: 0, resume: 'talking',
    code: '', sentence: '', agent: '', call: '',
    mode: 'open', muted: false, pressed: false, latched: false, pressed_ms: -Infinity, microphone: '',
    ...over,
  };
}

/**
 * One thing happened. The same object comes back when nothing changed.
 * @param {Model} model
 * @param {Event} event
 * @param {number} now_ms
 * @returns {Model}
 */
export function step(model, event, now_ms) {
  switch (event.type) {
    case 'talk':
      return enter(model, 'talk', now_ms, {
        code: '', sentence: '', agent: '', call: '', talking_ms: 0, talk_s: 0, microphone: '',
        muted: false, pressed: false, latched: false,
      });
    case 'accepted':
      return { ...model, call: event.call };
    case 'gateway':
      return fromGateway(model, event, now_ms);
    case 'ended':
      return enter(model, ORDINARY.has(event.code) ? 'ended' : 'fault', now_ms, {
        code: event.code, sentence: event.sentence ?? '', talk_s: event.talk_s ?? talked_s(model, now_ms),
      });
    case 'fault':
      return enter(model, 'fault', now_ms, {
        code: event.code, sentence: event.sentence ?? '', talk_s: talked_s(model, now_ms),
      });
    case 'refused':
      return enter(model, 'refused', now_ms, { code: event.code, sentence: '', talk_s: 0 });
    case 'hangUp':
      return enter(model, 'hangUp', now_ms, { code: 'normal', sentence: '', talk_s: talked_s(model, now_ms) });
    case 'availability':
      return event.open
        ? enter(model, 'open', now_ms, { code: '', sentence: '' })
        : enter(model, 'shut', now_ms, { code: event.code ?? '', sentence: event.sentence ?? '' });
    case 'dismiss':
      return enter(model, 'dismiss', now_ms, { code: '', sentence: '' });
    case 'microphone':
    case 'back':
      return enter(model, event.type, now_ms, {});
    case 'lost':
      return enter(model, 'lost', now_ms, { resume: model.state });
    case 'mute':
      return model.muted === event.on ? model : { ...model, muted: event.on };
    case 'mode':
      return model.mode === event.mode
        ? model
        : { ...model, mode: event.mode, pressed: false, latched: false, muted: false };
    case 'press':
      return press(model, now_ms);
    case 'release':
      return model.pressed ? { ...model, pressed: false } : model;
    case 'latch':
      return model.latched === event.on || !holdable(model) ? model : { ...model, latched: event.on, pressed: false };
    case 'microphoneLost':
      return isLive(model.state) ? { ...model, microphone: event.code } : model;
    case 'microphoneBack':
      return model.microphone === '' ? model : { ...model, microphone: '' };
  }
}

/**
 * Whether the visitor's microphone is let through just now. It is open from the moment the line is being built, so
 * that no first syllable is lost between the agent's pick-up and the word of it; never on hold, never after the end.
 * @param {Model} model
 */
export function transmitting(model) {
  const open = ['connecting', 'ringing', 'talking', 'reattaching'].includes(model.state);
  return open && !model.muted && (model.mode === 'open' || model.pressed || model.latched);
}

/**
 * @param {Model} model
 * @param {string} trigger
 * @param {number} now_ms
 * @param {Partial<Model>} change
 * @returns {Model}
 */
function enter(model, trigger, now_ms, change) {
  const listed = TABLE[model.state][trigger];
  if (listed === undefined) return model;
  const state = listed === 'resume' ? model.resume : listed;
  const first = state === 'talking' && model.talking_ms === 0 ? { talking_ms: now_ms } : {};
  const over = isLive(state) ? {} : { pressed: false, latched: false, microphone: '' };
  return { ...model, ...change, ...first, ...over, state, since_ms: now_ms };
}

/**
 * While re-attaching, the gateway's word decides where the call comes back to.
 * @param {Model} model
 * @param {Extract<Event, { type: 'gateway' }>} event
 * @param {number} now_ms
 */
function fromGateway(model, event, now_ms) {
  const named = event.agent ? { ...model, agent: event.agent } : model;
  if (named.state === 'reattaching' && event.state !== 'connecting') return { ...named, resume: event.state };
  return enter(named, event.state, now_ms, {});
}

/** @param {Model} model */
const holdable = (model) => model.mode === 'hold' && isLive(model.state);

/**
 * @param {Model} model
 * @param {number} now_ms
 * @returns {Model}
 */
function press(model, now_ms) {
  if (!holdable(model) || model.pressed) return model;
  if (model.latched) return { ...model, latched: false, pressed_ms: -Infinity };
  const twice = now_ms - model.pressed_ms < DOUBLE_PRESS_MS;
  return { ...model, pressed: true, latched: twice, pressed_ms: now_ms };
}

/**
 * @param {Model} model
 * @param {number} now_ms
 */
const talked_s = (model, now_ms) => (model.talking_ms === 0 ? 0 : Math.round((now_ms - model.talking_ms) / 1000));
