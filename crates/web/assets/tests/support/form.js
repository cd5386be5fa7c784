// A visitor before the call-back's form, and what the gateway offers him.

import { soon } from './callbacks.js';

export const OFFERED = { talk_now: true, callback: true, callback_now: true, wait: { p50_s: 170, p90_s: 350 } };
export const CLOSED = { talk_now: false, reason: 'closed', sentence: 'We are closed just now.', callback: true, callback_now: false, opens_at: soon(3 * 86_400) };
export const PARIS = { timezoneId: 'Europe/Paris', locale: 'en-GB' };

/** @param {import('./browser.js').Visitor} visitor */
export const field = ({ page }) => page.getByLabel('Your telephone number');

/** Name, id, value or words of what has the focus. @param {import('./browser.js').Visitor} visitor */
export const focused = ({ page }) => page.evaluate(() => {
  const node = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
  return node?.getAttribute('aria-label') ?? (node?.id || /** @type {HTMLInputElement} */ (node).value || node?.textContent);
});

/**
 * @param {import('./browser.js').House} house
 * @param {Parameters<import('./browser.js').House['visitor']>[0]} [options]
 */
export async function atForm(house, options = {}) {
  const visitor = await house.visitor({ context: PARIS, ...options });
  await visitor.button('Talk to us').click();
  await visitor.button('Be called back').click();
  await field(visitor).waitFor();
  return visitor;
}
