// English or French: the pages carry English, and French beside it in `data-fr`.

/** @typedef {'en' | 'fr'} Language */

const KEY = 'shop.language';

/** @returns {Language} */
export function language() {
  return document.documentElement.lang === 'fr' ? 'fr' : 'en';
}

/** Puts the page into the language chosen before, or the browser's. */
export function start() {
  let chosen = null;
  try {
    chosen = localStorage.getItem(KEY);
  } catch {
    // Storage is blocked: the browser's language will do.
  }
  show((chosen ?? navigator.language).startsWith('fr') ? 'fr' : 'en');
}

/** @param {Language} to */
export function choose(to) {
  try {
    localStorage.setItem(KEY, to);
  } catch {
    // Then for this page only.
  }
  show(to);
}

/** @param {Language} to */
function show(to) {
  document.documentElement.lang = to;
  translate(document);
  document.dispatchEvent(new Event('shop:language'));
}

/** @param {ParentNode} root  every element in it that has `data-fr` */
export function translate(root) {
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll('[data-fr]'))) {
    node.dataset.en ??= node.textContent ?? '';
    node.textContent = (language() === 'fr' ? node.dataset.fr : node.dataset.en) ?? '';
  }
}

/** @param {number} eur */
export const price = (eur) => new Intl.NumberFormat(language() === 'fr' ? 'fr-FR' : 'en-IE', { style: 'currency', currency: 'EUR' }).format(eur);
