// How loud each side is, from 0 to 1, for the rings around the faces. Without Web Audio the rings just rest.

const EVERY_MS = 60;
/** Speech at a usual distance from the microphone fills the ring. */
const FULL_RMS = 0.18;

export class Levels {
  constructor() {
    /** @type {Map<string, { analyser: AnalyserNode, source: AudioNode, samples: Float32Array<ArrayBuffer>, show: (level: number) => void }>} */
    this.meters = new Map();
    /** @type {AudioContext | undefined} */
    this.context = undefined;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.timer = undefined;
  }

  /**
   * @param {string} name  a second stream of the same name replaces the first
   * @param {MediaStream} stream
   * @param {(level: number) => void} show
   */
  watch(name, stream, show) {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches || !('AudioContext' in window)) return;
    try {
      this.context ??= new AudioContext();
      void this.context.resume();
      this.meters.get(name)?.source.disconnect();
      const source = this.context.createMediaStreamSource(stream);
      const analyser = new AnalyserNode(this.context, { fftSize: 512 });
      source.connect(analyser);
      this.meters.set(name, { analyser, source, samples: new Float32Array(512), show });
      this.timer ??= setInterval(() => this.#measure(), EVERY_MS);
    } catch {
      // A ring that does not move is no reason to disturb a call.
    }
  }

  stop() {
    clearInterval(this.timer);
    this.timer = undefined;
    for (const { source, show } of this.meters.values()) {
      source.disconnect();
      show(0);
    }
    this.meters.clear();
    void this.context?.close().catch(() => {});
    this.context = undefined;
  }

  #measure() {
    if (document.visibilityState !== 'visible') return;
    for (const { analyser, samples, show } of this.meters.values()) {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      show(Math.min(1, Math.sqrt(power) / FULL_RMS));
    }
  }
}
