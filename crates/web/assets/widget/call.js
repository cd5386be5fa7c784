// One visitor's call: joins the machine, the microphone, the signalling and the WebRTC leg. No DOM of the widget here.

import { begin, isLive, step, transmitting } from './machine.js';
import { openMicrophone, RAW, SPEECH } from './microphone.js';
import { Peer } from './peer.js';
import { pageNow, session } from './session.js';
import { fetchToken, Signal } from './signal.js';
import { Trouble } from './trouble.js';

/** @typedef {import('./machine.js').Model} Model */
/** @typedef {import('./machine.js').Event} Event */
/** @typedef {{ base: URL, tenant: string, queue: string, lang: string, raw: boolean, said: { url?: string, title?: string } }} Wanted */
/** @typedef {{ onChange: (model: Model, before: Model) => void, onSound: (stream: MediaStream) => void, onDigit: (digit: string) => void, onMicrophone: (stream: MediaStream) => void }} Listener */

/** The token lives three minutes; a visitor may think longer over the browser's question. */
const TOKEN_FRESH_MS = 150_000;
const ANSWER_LIMIT_MS = 10_000;
/** A lost path often comes back by itself within this time; then we look for another. */
const PATH_PATIENCE_MS = 2_000;
const RESTART_LIMIT_MS = 12_000;
/** Presses of hold-to-talk are told to the agent's side only once they settle. */
const MUTE_SETTLE_MS = 200;

/** What one attempt holds and must give back. @typedef {{ over: boolean, signal?: Signal, peer?: Peer, stream?: MediaStream, timers: Set<number> }} Attempt */

/** One call at a time on a page, however many widgets it carries. @type {Call | undefined} */
let busy;

export class Call {
  /**
   * @param {() => Wanted} wanted  read at each call: the page may have changed its mind
   * @param {Listener} listener
   * @param {Partial<Model>} [start]
   */
  constructor(wanted, listener, start) {
    this.wanted = wanted;
    this.listener = listener;
    this.model = begin(start);
    /** @type {Attempt | undefined} */
    this.attempt = undefined;
    this.toldMuted = false;
    // The page goes away: the gateway learns it now and not by silence.
    addEventListener('pagehide', () => this.hangUp());
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.recoverMicrophone());
  }

  /** @param {Event} event */
  tell(event) {
    const before = this.model;
    const after = step(before, event, performance.now());
    if (after === before) return;
    this.model = after;
    this.#gate();
    if (isLive(before.state) && !isLive(after.state)) this.#release();
    this.listener.onChange(after, before);
  }

  /** Starts a call. What goes wrong becomes a state with a sentence, never an exception. */
  async talk() {
    if (isLive(this.model.state)) return;
    if (busy !== undefined && busy !== this && isLive(busy.model.state)) {
      this.tell({ type: 'refused', code: 'other-call' });
      return;
    }
    busy = this;
    /** @type {Attempt} */
    const attempt = (this.attempt = { over: false, timers: new Set() });
    this.tell({ type: 'talk' });
    try {
      await this.#open(attempt);
    } catch (error) {
      if (attempt.over) return;
      if (!(error instanceof Trouble)) console.error('passerelle:', error);
      this.#fault(attempt, error instanceof Trouble ? error : new Trouble('bug'));
    }
  }

  hangUp() {
    this.tell({ type: 'hangUp' });
  }

  /**
   * @param {string} digits
   * @returns {boolean} false when there is nothing to send them to
   */
  digits(digits) {
    const { attempt } = this;
    if (!/^[0-9*#A-D]{1,32}$/.test(digits) || attempt?.peer === undefined || attempt.over) return false;
    if (!attempt.peer.dial(digits)) attempt.signal?.send({ type: 'digits', digits });
    return true;
  }

  /** The visitor moved within a page that never reloads. */
  pageChanged() {
    if (isLive(this.model.state)) this.attempt?.signal?.send({ type: 'page', ...pageNow(this.wanted().said) });
  }

  /** A device came or went, or the visitor asks again: look for a microphone and put it into the running call. */
  async recoverMicrophone() {
    const { attempt } = this;
    if (attempt?.peer === undefined || this.model.microphone === '' || this.recovering) return;
    this.recovering = true;
    try {
      const stream = await openMicrophone(this.#constraints());
      if (attempt.over) return stop(stream);
      stop(attempt.stream);
      this.#use(attempt, stream);
      await attempt.peer.replace(stream.getAudioTracks()[0]);
      this.tell({ type: 'microphoneBack' });
    } catch (error) {
      const code = error instanceof Trouble ? error.code : 'mic-busy';
      this.tell({ type: 'microphoneLost', code: code === 'mic-missing' ? 'mic-unplugged' : code });
    } finally {
      this.recovering = false;
    }
  }

  /** @returns {Promise<import('./peer.js').Figures | null>} */
  async figures() {
    return (await this.attempt?.peer?.figures()) ?? null;
  }

  #constraints() {
    return this.wanted().raw ? RAW : SPEECH;
  }

  /** @param {Attempt} attempt */
  async #open(attempt) {
    const wanted = this.wanted();
    if (!window.isSecureContext) throw new Trouble('mic-insecure');
    if (navigator.mediaDevices === undefined || !('RTCPeerConnection' in window)) throw new Trouble('unsupported');
    const asked_ms = performance.now();
    let token = fetchToken(wanted.base, wanted);
    // A queue that will not have us is said at once, not after the visitor has given us the microphone.
    token.catch((trouble) => this.#fault(attempt, trouble));
    const stream = await openMicrophone(this.#constraints());
    if (attempt.over) return stop(stream);
    this.#use(attempt, stream);
    this.tell({ type: 'microphone' });
    if (performance.now() - asked_ms > TOKEN_FRESH_MS) token = fetchToken(wanted.base, wanted);

    const peer = (attempt.peer = new Peer(stream, {
      onSound: (sound) => this.listener.onSound(sound),
      onPath: (state) => this.#path(attempt, state),
    }));
    const signal = (attempt.signal = new Signal(wanted.base, {
      onMessage: (message) => this.#hear(attempt, message),
      onLost: () => this.#fault(attempt, new Trouble('socket-lost')),
    }));
    const [ticket, offer] = await Promise.all([token, peer.offer(), signal.opened]);
    if (attempt.over) return;
    signal.send({ type: 'hello', v: 1, token: ticket, session: session(wanted.said, wanted.lang), offer });
    this.#later(attempt, ANSWER_LIMIT_MS, () => this.model.call === '' && this.#fault(attempt, new Trouble('unreachable')));
  }

  /**
   * @param {Attempt} attempt
   * @param {any} message
   */
  #hear(attempt, message) {
    if (attempt.over) return;
    switch (message.type) {
      case 'answer':
        this.tell({ type: 'accepted', call: String(message.call) });
        this.#accept(attempt, message.sdp);
        break;
      case 'reanswer':
        this.#accept(attempt, message.sdp);
        break;
      case 'state':
        this.tell({ type: 'gateway', state: message.state, agent: message.agent });
        break;
      case 'digit':
        this.listener.onDigit(String(message.digit));
        break;
      case 'ended':
        this.tell({ type: 'ended', code: String(message.code), sentence: message.sentence, talk_s: message.talk_s });
        break;
      case 'error':
        this.#fault(attempt, new Trouble(String(message.code), String(message.sentence ?? '')));
        break;
    }
  }

  /**
   * @param {Attempt} attempt
   * @param {string} sdp
   */
  #accept(attempt, sdp) {
    attempt.peer?.accept(String(sdp)).catch((trouble) => this.#fault(attempt, trouble));
  }

  /**
   * The way through the network changed. A short loss heals by itself; a longer one is mended by an ICE restart.
   * @param {Attempt} attempt
   * @param {RTCPeerConnectionState} path
   */
  #path(attempt, path) {
    if (attempt.over) return;
    if (path === 'connected') this.tell({ type: 'back' });
    else if (path === 'disconnected') {
      this.#later(attempt, PATH_PATIENCE_MS, () => attempt.peer?.pc.connectionState === 'disconnected' && this.#restart(attempt));
    } else if (path === 'failed') {
      if (this.model.state === 'connecting') this.#fault(attempt, new Trouble('media-failed'));
      else this.#restart(attempt);
    }
  }

  /** @param {Attempt} attempt */
  #restart(attempt) {
    if (this.model.state === 'reattaching') return;
    this.tell({ type: 'lost' });
    const lost_ms = this.model.since_ms;
    attempt.peer
      ?.restart()
      .then((sdp) => attempt.signal?.send({ type: 'reoffer', sdp }))
      .catch(() => this.#fault(attempt, new Trouble('media-lost')));
    this.#later(attempt, RESTART_LIMIT_MS, () => {
      const still = this.model.state === 'reattaching' && this.model.since_ms === lost_ms;
      if (still) this.#fault(attempt, new Trouble('media-lost'));
    });
  }

  /**
   * @param {Attempt} attempt
   * @param {Trouble} trouble
   */
  #fault(attempt, trouble) {
    if (!attempt.over) this.tell({ type: 'fault', code: trouble.code, sentence: trouble.sentence });
  }

  /**
   * @param {Attempt} attempt
   * @param {MediaStream} stream
   */
  #use(attempt, stream) {
    attempt.stream = stream;
    const [track] = stream.getAudioTracks();
    const mine = () => attempt.stream === stream && !attempt.over;
    track.addEventListener('ended', () => mine() && this.#microphoneGone());
    track.addEventListener('mute', () => mine() && this.tell({ type: 'microphoneLost', code: 'mic-paused' }));
    track.addEventListener('unmute', () => mine() && this.tell({ type: 'microphoneBack' }));
    this.#gate();
    this.listener.onMicrophone(stream);
  }

  #microphoneGone() {
    this.tell({ type: 'microphoneLost', code: 'mic-unplugged' });
    // Another device may stand in at once; a revoked permission is told apart here too.
    this.recoverMicrophone();
  }

  /** Opens or shuts the microphone as the machine says, and lets the other side know once it has settled. */
  #gate() {
    const on = transmitting(this.model);
    for (const track of this.attempt?.stream?.getAudioTracks() ?? []) track.enabled = on;
    clearTimeout(this.muteTimer);
    this.muteTimer = setTimeout(() => this.#tellMuted(), MUTE_SETTLE_MS);
  }

  #tellMuted() {
    if (this.model.state !== 'talking') return;
    const muted = !transmitting(this.model);
    if (muted === this.toldMuted) return;
    this.toldMuted = muted;
    this.attempt?.signal?.send({ type: 'mute', on: muted });
  }

  /**
   * @param {Attempt} attempt
   * @param {number} delay_ms
   * @param {() => void} then
   */
  #later(attempt, delay_ms, then) {
    const timer = window.setTimeout(() => {
      attempt.timers.delete(timer);
      if (!attempt.over) then();
    }, delay_ms);
    attempt.timers.add(timer);
  }

  /** Gives everything back: microphone light off, connection closed, timers gone, goodbye said. */
  #release() {
    const { attempt } = this;
    if (attempt === undefined || attempt.over) return;
    attempt.over = true;
    this.toldMuted = false;
    for (const timer of attempt.timers) clearTimeout(timer);
    stop(attempt.stream);
    attempt.peer?.close();
    attempt.signal?.leave();
  }
}

/** @param {MediaStream | undefined} stream */
function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
