// Small makers of elements and icons, without markup in strings: nothing here trips a strict CSP or Trusted Types.

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | boolean | EventListener>} [attributes]  `onclick` and the like are listeners; false leaves out
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else if (value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children);
  return node;
}

/** Strokes of the icons on a 24 × 24 field. */
const ICONS = {
  phone: 'M5 4.2C5 13 11 19 19.8 19c.7 0 1.2-.6 1.2-1.2v-2.7c0-.6-.4-1-1-1.2l-3.2-.7c-.5-.1-.9 0-1.2.4l-1.1 1.5c-2.3-1-4.6-3.3-5.6-5.6l1.5-1.1c.4-.3.5-.8.4-1.2L9.1 4c-.1-.6-.6-1-1.2-1H6.2C5.6 3 5 3.5 5 4.2z',
  mic: 'M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3z M5.5 11a6.5 6.5 0 0 0 13 0 M12 17.5V21',
  micOff: 'M9 6a3 3 0 0 1 6 0v4.5 M14.3 13A3 3 0 0 1 9 11V9 M5.5 11a6.5 6.5 0 0 0 10.6 5 M18.5 11a6 6 0 0 1-.7 2.9 M12 17.5V21 M4 4l16 16',
  keypad: 'M6 5h.01 M12 5h.01 M18 5h.01 M6 10.5h.01 M12 10.5h.01 M18 10.5h.01 M6 16h.01 M12 16h.01 M18 16h.01 M12 21h.01',
  hold: 'M9 11.5V5.2a1.7 1.7 0 0 1 3.4 0V10 M12.4 10.5a1.7 1.7 0 0 1 3.4 0v1 M15.8 11.5a1.6 1.6 0 0 1 3.2 0V15a6 6 0 0 1-6 6h-.6c-2 0-3.4-.8-4.5-2.5l-3-4.7a1.6 1.6 0 0 1 2.6-1.8L9 13.8',
  lock: 'M7.5 11V8a4.5 4.5 0 0 1 9 0v3 M6 11h12v9H6z M12 14.5v2',
  down: 'M6 9.5l6 6 6-6',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  alert: 'M12 4L2.8 20h18.4L12 4z M12 10v4.5 M12 17.2v.1',
  sound: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5H4z M15.5 9a4.3 4.3 0 0 1 0 6 M18.3 6.5a8 8 0 0 1 0 11',
  clock: 'M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z M12 7.5V12l3 2',
  wifi: 'M3 9.5a13 13 0 0 1 18 0 M6.2 13a8.5 8.5 0 0 1 11.6 0 M9.3 16.3a4 4 0 0 1 5.4 0 M12 19.5h.01',
  page: 'M7 3.5h7l4 4V20.5H7z M13.5 3.5V8H18 M10 12.5h5 M10 16h5',
  back: 'M14.5 6l-6 6 6 6',
  calendar: 'M5 6.5h14v13H5z M5 10.5h14 M9 3.5v5 M15 3.5v5',
  pause: 'M9 5.5v13 M15 5.5v13',
};

/** @typedef {keyof typeof ICONS} IconName */

const SVG = 'http://www.w3.org/2000/svg';

/** @param {IconName} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [key, value] of Object.entries({ viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true', focusable: 'false' })) {
    svg.setAttribute(key, value);
  }
  setIcon(svg, name);
  return svg;
}

/**
 * @param {SVGElement} svg
 * @param {IconName} name
 */
export function setIcon(svg, name) {
  if (svg.dataset.name === name) return;
  svg.dataset.name = name;
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.replaceChildren(path);
}

/**
 * Adds a style sheet the way a `style-src` without `unsafe-inline` allows.
 * @param {ShadowRoot} root
 * @param {string} css
 */
export function addStyle(root, css) {
  if ('adoptedStyleSheets' in root) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  } else {
    // Safari before 16.4.
    /** @type {ShadowRoot} */ (root).append(el('style', {}, css));
  }
}
