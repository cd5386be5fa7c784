// Elements whose text is one key of the words table: made here, put into the language of the moment in one go.

import { el, icon } from './dom.js';

/** @typedef {import('./dom.js').IconName} IconName */

export class Labels {
  constructor() {
    /** @type {[HTMLElement, string][]} */
    this.texts = [];
    /** @type {[HTMLElement, string][]} */
    this.names = [];
  }

  /**
   * @template {keyof HTMLElementTagNameMap} T
   * @param {T} tag
   * @param {string} key
   * @param {Record<string, string | boolean | EventListener>} [attributes]
   */
  text(tag, key, attributes) {
    const node = el(tag, attributes);
    this.texts.push([node, key]);
    return node;
  }

  /**
   * @param {string} key
   * @param {string} look
   * @param {() => void} act
   * @param {IconName} [picture]
   */
  button(key, look, act, picture) {
    const pictures = picture ? [icon(picture)] : [];
    return el('button', { type: 'button', class: look, part: `action ${key}`, onclick: act }, ...pictures, this.text('span', key));
  }

  /**
   * A round button with its word below.
   * @param {string} key
   * @param {IconName} picture
   * @param {() => void} act
   */
  round(key, picture, act) {
    const disc = el('span', { class: 'disc' }, icon(picture));
    return el('button', { type: 'button', class: 'round', part: `control ${key}`, onclick: act }, disc, this.text('span', key));
  }

  /**
   * Gives an element a name only assistive technology reads.
   * @template {HTMLElement} T
   * @param {T} node
   * @param {string} key
   */
  name(node, key) {
    this.names.push([node, key]);
    return node;
  }

  /** @param {import('./language.js').Say} say */
  speak(say) {
    for (const [node, key] of this.texts) node.textContent = say(key);
    for (const [node, key] of this.names) node.setAttribute('aria-label', say(key));
  }
}
