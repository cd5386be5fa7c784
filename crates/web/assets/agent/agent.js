// The agent's console: log in, see who rings from which page, and take the call in this browser or on the telephone.

import { chooseLanguage } from '../widget/language.js';
import { Trouble } from '../widget/trouble.js';
import { speaker as widgetSpeaker } from '../widget/words.js';
import { Backs } from './backs.js';
import { Board, byId, translate } from './board.js';
import { Link } from './link.js';
import { Bell, Phone } from './phone.js';
import { speaker } from './words.js';

/** @typedef {import('./board.js').Card} Card */
/** @typedef {import('./board.js').Own} Own */

const language = chooseLanguage(...(navigator.languages ?? [navigator.language]));
const say = speaker(language);
const sayWidget = widgetSpeaker(language);

/** The agent's own calls, oldest first. @type {Map<string, Own>} */
const own = new Map();
/** @type {Card[]} */
let live = [];
/** The agent's name, as the live list writes it. */
let name = '';
/** What the agent wants; asked for again after a lost connection. */
let wanted = false;
/** What the gateway says. */
let ready = false;
/** @type {{ call: string, phone: Phone } | undefined} the call whose sound is here */
let current;
/** @type {Link | undefined} */
let link;

const bell = new Bell();
const backs = new Backs(say, language);
const board = new Board(say, language, (what, call) => ({ answer, decline, mute, hangUp })[what](call));

function start() {
  document.documentElement.lang = language;
  translate(document, say);
  showDoor();
  byId('login').addEventListener('submit', (event) => {
    event.preventDefault();
    logIn();
  });
  byId('ready').addEventListener('click', () => {
    bell.prepare();
    wanted = !ready;
    link?.send({ type: 'ready', on: wanted });
  });
  byId('leave').addEventListener('click', () => {
    link?.leave();
    showDoor();
  });
  byId('notice').querySelector('button')?.addEventListener('click', () => notice(''));
  addEventListener('beforeunload', (event) => {
    if (current) event.preventDefault();
  });
  setInterval(() => board.tick(), 500);
}

function logIn() {
  const field = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
  bell.prepare();
  byId('login-error').textContent = '';
  setBusy(true);
  link = new Link({ message: hear, in: welcome, lost, out: (trouble) => showDoor(trouble) });
  link.open({ extension: field('extension').value.trim(), password: field('password').value, lang: language });
}

/** @param {boolean} busy */
function setBusy(busy) {
  const button = /** @type {HTMLButtonElement} */ (byId('login').querySelector('button'));
  button.disabled = busy;
  button.textContent = say(busy ? 'loggingIn' : 'logIn');
}

/** @param {Trouble} [trouble]  why we are back at the door */
function showDoor(trouble) {
  forgetCalls();
  backs.leave();
  ready = wanted = false;
  link = undefined;
  byId('desk').hidden = true;
  byId('door').hidden = false;
  byId('login-error').textContent = trouble ? trouble.sentence || say(trouble.code) || say('unreachable') : '';
  setBusy(false);
  const password = /** @type {HTMLInputElement} */ (byId('password'));
  password.value = '';
  (trouble ? password : byId('extension')).focus();
  show();
}

/** @param {{ name: string, extension: string }} message */
function welcome(message) {
  byId('door').hidden = true;
  byId('desk').hidden = false;
  name = message.name;
  byId('name').textContent = name;
  byId('own-extension').textContent = message.extension;
  showLink(true);
  if (link?.credentials) backs.enter(link.credentials);
  if (wanted) link?.send({ type: 'ready', on: true });
  show();
}

function lost() {
  // The gateway has ended our calls with the socket.
  forgetCalls();
  ready = false;
  showLink(false);
  show();
}

function forgetCalls() {
  drop();
  own.clear();
  live = [];
}

/** @param {boolean} up */
function showLink(up) {
  byId('link').dataset.up = String(up);
  byId('link').textContent = say(up ? 'connected' : 'reconnecting');
}

/** @param {any} message */
function hear(message) {
  switch (message.type) {
    case 'live':
      live = message.calls;
      follow();
      board.showLive(live, message.now_ms);
      break;
    case 'ring':
      ring(message.card);
      break;
    case 'media':
      if (current?.call === message.call) current?.phone.accept(message.sdp).catch((error) => fail(message.call, error));
      break;
    case 'digit':
      change(message.call, (call) => (call.digits += message.digit));
      break;
    case 'ready':
      ready = message.on;
      break;
    case 'away':
      // The button is what brings him back: it has to be off to be pressed.
      if (message.on) ready = wanted = false;
      notice(message.on ? say('away') : '');
      break;
    case 'ended':
      end(message.call);
      if (message.code !== 'normal') notice(message.sentence);
      break;
    case 'error':
      if (message.call) end(message.call);
      notice(message.sentence);
      break;
  }
  show();
}

/** @param {Card} card */
function ring(card) {
  if (!own.has(card.call)) own.set(card.call, { card, phase: 'ringing', muted: false, digits: '', since_ms: Date.now(), listed: false });
  byId('announce').textContent = say('ringsSpoken', { page: card.page.title || card.page.url });
}

/**
 * Takes over what the live list says about our own calls: the page the visitor is on now, hold, and that a call we did
 * not answer here was taken on our telephone, by somebody else, or is over.
 */
function follow() {
  for (const [id, call] of own) {
    const card = live.find((one) => one.call === id);
    if (card) {
      call.card = card;
      call.listed = true;
    }
    if (current?.call === id) continue;
    const taken = card?.state === 'talking' || card?.state === 'held';
    if (taken && card?.agent === name && call.phase === 'ringing') {
      call.phase = 'phone';
      call.since_ms = Date.now();
    } else if (taken ? card?.agent !== name : call.listed && !card) {
      own.delete(id);
    }
  }
}

/** @param {string} id @param {(call: Own) => void} how */
function change(id, how) {
  const call = own.get(id);
  if (call) how(call);
}

/** @param {string} id */
async function answer(id) {
  const call = own.get(id);
  if (!call || current) return;
  notice('');
  const phone = new Phone(/** @type {HTMLAudioElement} */ (byId('sound')), (state) => onPath(id, state));
  current = { call: id, phone };
  call.phase = 'answering';
  call.since_ms = Date.now();
  show();
  try {
    const offer = await phone.offer();
    // The caller may have hung up while the browser asked for the microphone.
    if (current?.phone === phone) link?.send({ type: 'answer', call: id, offer });
  } catch (error) {
    fail(id, /** @type {Error} */ (error));
  }
}

/** The microphone or the sound failed: the call rings on, and the agent is told what to do. @param {string} id @param {Error} error */
function fail(id, error) {
  const code = error instanceof Trouble ? error.code : 'bug';
  if (current?.call === id) drop();
  change(id, (call) => {
    call.phase = 'ringing';
    call.muted = false;
  });
  const words = [sayWidget(code) && `${sayWidget(code)}.`, sayWidget(`${code}.do`), code.startsWith('mic-') ? say('mic-retry') : ''];
  notice(words.filter(Boolean).join(' ') || String(error.message));
  show();
}

/** @param {string} id @param {RTCPeerConnectionState} state */
function onPath(id, state) {
  const call = own.get(id);
  if (!call || current?.call !== id) return;
  if (state === 'connected' && call.phase === 'answering') {
    call.phase = 'talking';
    call.since_ms = Date.now();
    byId('announce').textContent = say('talkingSpoken');
  } else if (state === 'failed') {
    notice(sayWidget('media-failed') || say('unreachable'));
    hangUp(id);
  }
  show();
}

/** @param {string} id */
function decline(id) {
  link?.send({ type: 'decline', call: id });
  end(id);
  show();
}

/** @param {string} id */
function mute(id) {
  change(id, (call) => {
    call.muted = !call.muted;
    if (current?.call === id) current.phone.mute(call.muted);
  });
  show();
}

/** @param {string} id */
function hangUp(id) {
  link?.send({ type: 'bye', call: id });
  end(id);
  show();
}

/** @param {string} id */
function end(id) {
  own.delete(id);
  if (current?.call === id) drop();
}

function drop() {
  current?.phone.close();
  current = undefined;
}

/** @param {string} sentence */
function notice(sentence) {
  const box = byId('notice');
  box.hidden = sentence === '';
  /** @type {HTMLElement} */ (box.firstElementChild).textContent = sentence;
}

function show() {
  const calls = [...own.values()];
  const ringing = calls.find((call) => call.phase === 'ringing');
  board.showOwn(calls, ready);
  if (live.length === 0) board.showLive([], Date.now() + board.ahead_ms);
  board.tick();
  byId('ready').setAttribute('aria-checked', String(ready));
  bell.ring(ringing !== undefined && ready && !calls.some((call) => call.phase !== 'ringing'));
  document.title = ringing ? `● ${ringing.card.page.title || say('ringing')}` : 'Passerelle';
}

start();
