// Drives one Chromium, a visitor's or an agent's: opens a page, does what its standard input says, one answer a line of JSON.
//   node visitor.mjs URL MICROPHONE.wav LANGUAGE
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const assets = fileURLToPath(new URL('../../crates/web/assets/', import.meta.url));
const { chromium } = createRequire(assets)('playwright-core');
const [url, microphone, language = 'en-GB'] = process.argv.slice(2);
const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream', `--use-file-for-fake-audio-capture=${microphone}`,
    '--allow-loopback-in-peer-connection', '--autoplay-policy=no-user-gesture-required',
  ],
});
const context = await browser.newContext({ locale: language, permissions: ['microphone'] });
// The microphone is a pure tone: what cleans speech would take it for noise. Peer connections are kept to be heard.
await context.addInitScript(() => {
  const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (ask) {
    navigator.mediaDevices.getUserMedia = (wanted) => {
      const audio = { ...(wanted.audio === true ? {} : wanted.audio), echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      return ask({ ...wanted, audio });
    };
  }
  const Native = window.RTCPeerConnection;
  window.testPeers = [];
  window.RTCPeerConnection = class extends Native {
    constructor(...parts) {
      super(...parts);
      window.testPeers.push(this);
    }
  };
  for (const told of ['passerelle:state', 'passerelle:digit']) {
    document.addEventListener(told, (event) => console.log(`STATE ${JSON.stringify(event.detail)}`));
  }
});
const page = await context.newPage();
page.on('console', (message) => {
  const text = message.text();
  if (text.startsWith('STATE ')) say(JSON.parse(text.slice(6)));
  else say({ console: text.slice(0, 500) });
});
page.on('pageerror', (error) => say({ pageerror: String(error).slice(0, 500) }));

/** What the remote track sounds like for 0.7 s: the strongest frequency and the level. */
const hear = () => page.evaluate(async () => {
  const peer = window.testPeers.at(-1);
  const track = peer?.getReceivers().map((receiver) => receiver.track).find((found) => found.kind === 'audio');
  if (!track) return { peak_hz: 0, level: 0 };
  if (window.testHeard?.track !== track) {
    const audio = new AudioContext({ sampleRate: 48000 });
    await audio.resume();
    const analyser = audio.createAnalyser();
    analyser.fftSize = 16384;
    analyser.smoothingTimeConstant = 0;
    audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    window.testHeard = { track, audio, analyser };
  }
  const { audio, analyser } = window.testHeard;
  await new Promise((done) => setTimeout(done, 700));
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const wave = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(wave);
  let peak = 1;
  for (let at = 1; at < bins.length; at += 1) if (bins[at] > bins[peak]) peak = at;
  const level = Math.sqrt(wave.reduce((sum, one) => sum + one * one, 0) / wave.length);
  return { peak_hz: (peak * audio.sampleRate) / analyser.fftSize, level };
});

const actions = {
  hear,
  talk: (options) => page.evaluate((given) => { void window.passerelle.talk(given ? JSON.parse(given) : undefined); return {}; }, options),
  click: async (selector) => { await page.locator(selector).first().click(); return {}; },
  check: async (selector) => { await page.locator(selector).first().check(); return {}; },
  fill: async (given) => { const [selector, ...value] = given.split(' '); await page.locator(selector).fill(value.join(' ')); return {}; },
  see: async (selector) => { await page.locator(selector).first().waitFor({ timeout: 15000 }); return { text: await page.locator(selector).first().innerText() }; },
  hangUp: () => page.evaluate(() => { window.passerelle.hangUp(); return {}; }),
  digits: (keys) => page.evaluate((given) => { window.passerelle.digits(given); return {}; }, keys),
  mute: (on) => page.evaluate((given) => { window.passerelle.mute(given === 'on'); return {}; }, on),
  eval: async (code) => ({ value: await page.evaluate(code) }),
  goto: async (where) => { await page.goto(where); return {}; },
  screenshot: async (path) => { await page.screenshot({ path }); return {}; },
  stats: () => page.evaluate(async () => {
    const report = await window.testPeers.at(-1).getStats();
    return { stats: [...report.values()].filter((one) => ['inbound-rtp', 'outbound-rtp', 'codec', 'transport', 'remote-inbound-rtp'].includes(one.type)) };
  }),
};

await page.goto(url);
// A page of the shop carries the widget; the agent's console its door.
await page.waitForFunction(() => window.passerelle !== undefined || document.querySelector('#login') !== null, undefined, { timeout: 15000 }).catch(() => {});
say({ opened: url });
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...rest] = line.trim().split(' ');
  if (name === 'close') break;
  try {
    if (!(name in actions)) throw new Error(`unknown action ${name}`);
    say({ done: name, ...(await actions[name](rest.join(' ') || undefined)) });
  } catch (error) {
    say({ done: name, error: String(error) });
  }
}
await browser.close();
