// The WebRTC leg as the page sees it: one audio line offered, the gateway's answer taken, digits, restart, figures.

import { Trouble } from './trouble.js';

/** The gateway is ICE-lite and learns our address from our own checks, so candidates are a courtesy: never wait long. */
const GATHER_LIMIT_MS = 1_000;
const DIGIT_MS = 120;
const DIGIT_GAP_MS = 80;

export class Peer {
  /**
   * @param {MediaStream} stream  the microphone
   * @param {{ onSound: (stream: MediaStream) => void, onPath: (state: RTCPeerConnectionState) => void }} on
   */
  constructor(stream, on) {
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' });
    const [track] = stream.getAudioTracks();
    this.sender = this.pc.addTransceiver(track, { direction: 'sendrecv', streams: [stream] }).sender;
    this.pc.addEventListener('track', ({ track, streams }) => on.onSound(streams[0] ?? new MediaStream([track])));
    this.pc.addEventListener('connectionstatechange', () => on.onPath(this.pc.connectionState));
  }

  /**
   * @param {RTCOfferOptions} [options]
   * @returns {Promise<string>} the whole offer, candidates included
   */
  async offer(options) {
    await this.pc.setLocalDescription(await this.pc.createOffer(options));
    await this.#gathered();
    return this.pc.localDescription?.sdp ?? '';
  }

  /** @returns {Promise<string>} an offer for a new way through the network; keys and streams stay */
  restart() {
    return this.offer({ iceRestart: true });
  }

  /** @param {string} sdp */
  async accept(sdp) {
    try {
      await this.pc.setRemoteDescription({ type: 'answer', sdp });
    } catch {
      throw new Trouble('bug');
    }
  }

  /** @param {MediaStreamTrack} track */
  replace(track) {
    return this.sender.replaceTrack(track);
  }

  /**
   * @param {string} digits
   * @returns {boolean} false when the line has no telephone-event: the gateway must be told otherwise
   */
  dial(digits) {
    const dtmf = this.sender.dtmf;
    if (!dtmf?.canInsertDTMF) return false;
    // `toneBuffer` still holds what is being played: a new call would drop it (W3C webrtc, insertDTMF).
    dtmf.insertDTMF(dtmf.toneBuffer + digits, DIGIT_MS, DIGIT_GAP_MS);
    return true;
  }

  /** @returns {Promise<Figures>} */
  async figures() {
    return summary(await this.pc.getStats());
  }

  close() {
    this.pc.close();
  }

  #gathered() {
    if (this.pc.iceGatheringState === 'complete') return undefined;
    return new Promise((resolve) => {
      const done = () => this.pc.iceGatheringState === 'complete' && resolve(undefined);
      this.pc.addEventListener('icegatheringstatechange', done);
      setTimeout(resolve, GATHER_LIMIT_MS, undefined);
    });
  }
}

/**
 * @typedef {object} Figures
 * @property {string} path               state of the connection
 * @property {number} packets_received
 * @property {number} packets_lost
 * @property {number} packets_sent
 * @property {number} jitter_ms
 * @property {number} rtt_ms
 * @property {string} codec
 */

/**
 * @param {RTCStatsReport} report
 * @returns {Figures}
 */
function summary(report) {
  /** @type {any[]} */
  const all = [...report.values()];
  const of = (/** @type {string} */ type) => all.find((entry) => entry.type === type && (entry.kind ?? 'audio') === 'audio');
  const inbound = of('inbound-rtp') ?? {};
  const pair = all.find((entry) => entry.type === 'candidate-pair' && entry.nominated) ?? {};
  return {
    path: of('transport')?.dtlsState ?? '',
    packets_received: inbound.packetsReceived ?? 0,
    packets_lost: inbound.packetsLost ?? 0,
    packets_sent: of('outbound-rtp')?.packetsSent ?? 0,
    jitter_ms: Math.round((inbound.jitter ?? 0) * 1000),
    rtt_ms: Math.round((pair.currentRoundTripTime ?? 0) * 1000),
    codec: report.get(inbound.codecId)?.mimeType ?? '',
  };
}
