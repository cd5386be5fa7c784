// The demo shop's basket, kept in the browser.

const KEY = 'shop.cart';
const MOST_OF_ONE = 9;

/** @typedef {Record<string, number>} Cart product id to quantity */

/** @returns {Cart} */
export function cart() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}');
  } catch {
    return {};
  }
}

/**
 * @param {string} id
 * @param {number} quantity  0 takes it out
 */
export function put(id, quantity) {
  const now = cart();
  if (quantity <= 0) delete now[id];
  else now[id] = Math.min(MOST_OF_ONE, quantity);
  save(now);
}

export function empty() {
  save({});
}

export const count = () => Object.values(cart()).reduce((sum, quantity) => sum + quantity, 0);

/** @param {Cart} now */
function save(now) {
  try {
    localStorage.setItem(KEY, JSON.stringify(now));
  } catch {
    // Storage is blocked: the basket is forgotten at the next page.
  }
  document.dispatchEvent(new Event('shop:cart'));
}
