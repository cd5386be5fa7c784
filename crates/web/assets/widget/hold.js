// Hold to talk: the big button and the space bar, by pointer, by keyboard and by assistive technology.

import { el, icon } from './dom.js';

/** @typedef {{ press: () => void, release: () => void, latch: () => void }} Hold */

/** Where a space bar already means something else. */
const OWN_SPACE = 'input, textarea, select, button, a[href], summary, audio, video, [contenteditable], [role=button], [role=checkbox], [role=switch], [role=textbox], [tabindex]';

/** Nobody with only a finger is told of a space bar. @param {string} key */
export const byHand = (key) => (matchMedia('(hover: none) and (pointer: coarse)').matches ? `${key}Touch` : key);

/**
 * The button. A press that no pointer and no space bar made (Enter, a screen reader's click) keeps the microphone on or
 * lets it go, so that nobody has to hold anything.
 * @param {Hold} hold
 */
export function holdButton(hold) {
  const label = el('span');
  const button = el('button', { type: 'button', class: 'hold', part: 'hold', 'aria-pressed': 'false' }, icon('mic'), label);
  let pointed = false;
  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    pointed = true;
    hold.press();
  });
  for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) button.addEventListener(end, () => hold.release());
  button.addEventListener('click', () => {
    if (!pointed) hold.latch();
    pointed = false;
  });
  button.addEventListener('contextmenu', (event) => event.preventDefault());
  return { button, label };
}

/**
 * The space bar, wherever the visitor is on the page, as long as it has no other meaning there.
 * @param {EventTarget} button  the hold button: there the space bar is ours though it is a button
 * @param {() => boolean} wanted  hold to talk is on and a call is running
 * @param {Hold} hold
 */
export function holdSpace(button, wanted, hold) {
  let down = false;
  document.addEventListener('keydown', (event) => {
    if (event.code !== 'Space' || event.ctrlKey || event.altKey || event.metaKey || !wanted() || !ours(event, button)) return;
    event.preventDefault();
    if (event.repeat || down) return;
    down = true;
    hold.press();
  });
  document.addEventListener('keyup', (event) => {
    if (event.code !== 'Space' || !down) return;
    event.preventDefault();
    letGo();
  });
  const letGo = () => {
    if (down) hold.release();
    down = false;
  };
  // A key let go in another window is never told to us: better silent than overheard.
  addEventListener('blur', letGo);
  document.addEventListener('visibilitychange', letGo);
}

/**
 * @param {KeyboardEvent} event
 * @param {EventTarget} button
 */
function ours(event, button) {
  const [target] = event.composedPath();
  if (target === button) return true;
  return !(target instanceof Element) || target === document.body || target.closest(OWN_SPACE) === null;
}
