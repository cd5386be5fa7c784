// The agent's side of a call in this browser: microphone, WebRTC leg, mute.

import { RAW, SPEECH, openMicrophone } from '../widget/microphone.js';
import { Peer } from '../widget/peer.js';

/** `?audio=raw` takes the sound as it is, for measuring. */
const CONSTRAINTS = new URLSearchParams(location.search).get('audio') === 'raw' ? RAW : SPEECH;

export class Phone {
  /**
   * @param {HTMLAudioElement} speaker
   * @param {(state: RTCPeerConnectionState) => void} onPath
   */
  constructor(speaker, onPath) {
    this.speaker = speaker;
    this.onPath = onPath;
    this.closed = false;
    this.muted = false;
    /** @type {MediaStream | undefined} */
    this.microphone = undefined;
    /** @type {Peer | undefined} */
    this.peer = undefined;
  }

  /** @returns {Promise<string>} the offer; rejects with a `Trouble` that says what is wrong with the microphone */
  async offer() {
    this.microphone = await openMicrophone(CONSTRAINTS);
    if (this.closed) this.#release();
    this.peer = new Peer(this.microphone, {
      onSound: (stream) => {
        this.speaker.srcObject = stream;
      },
      onPath: (state) => this.onPath(state),
    });
    return this.peer.offer();
  }

  /** @param {string} sdp */
  async accept(sdp) {
    await this.peer?.accept(sdp);
  }

  /** @param {boolean} on */
  mute(on) {
    this.muted = on;
    for (const track of this.microphone?.getAudioTracks() ?? []) track.enabled = !on;
  }

  close() {
    this.closed = true;
    this.#release();
    this.peer?.close();
    this.speaker.srcObject = null;
  }

  #release() {
    for (const track of this.microphone?.getTracks() ?? []) track.stop();
  }
}

/** A quiet two-note bell while a call rings here. */
export class Bell {
  constructor() {
    /** @type {AudioContext | undefined} */
    this.context = undefined;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.timer = undefined;
  }

  /** Call from a click: browsers let a page sound only after one. */
  prepare() {
    this.context ??= new AudioContext();
    void this.context.resume();
  }

  /** @param {boolean} on */
  ring(on) {
    if (on === (this.timer !== undefined)) return;
    if (on) {
      this.#strike();
      this.timer = setInterval(() => this.#strike(), 3_000);
    } else {
      clearInterval(this.timer);
      this.timer = undefined;
    }
  }

  #strike() {
    const context = this.context;
    if (context?.state !== 'running') return;
    for (const [frequency_hz, after_s] of [[660, 0], [880, 0.18]]) {
      const start = context.currentTime + after_s;
      const tone = new OscillatorNode(context, { frequency: frequency_hz });
      const level = new GainNode(context, { gain: 0 });
      level.gain.setValueAtTime(0.0001, start);
      level.gain.exponentialRampToValueAtTime(0.12, start + 0.02);
      level.gain.exponentialRampToValueAtTime(0.0001, start + 0.9);
      tone.connect(level).connect(context.destination);
      tone.start(start);
      tone.stop(start + 1);
    }
  }
}
