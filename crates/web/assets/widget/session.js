// What the gateway is told about the visit: a random session id, the page without its query, the referrer, the language.

/** @typedef {{ id: string, page: { url: string, title: string }, referrer: string, lang: string }} Session */

const KEY = 'passerelle.session';
const TITLE_CHARS = 200;

/** Kept here when the browser blocks storage: the session then lasts as long as the page. */
let remembered = '';

/** @returns {string} 128 random bits in hex, the same for the whole visit */
export function sessionId() {
  if (remembered === '') remembered = stored() ?? fresh();
  return remembered;
}

/** @returns {string | null} */
function stored() {
  try {
    const id = sessionStorage.getItem(KEY);
    return id !== null && /^[0-9a-f]{32}$/.test(id) ? id : null;
  } catch {
    return null;
  }
}

function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  try {
    sessionStorage.setItem(KEY, id);
  } catch {
    // Storage is blocked: memory must do.
  }
  return id;
}

/**
 * A page address without query, fragment, user or password: those may carry secrets.
 * @param {string} address
 */
export function withoutQuery(address) {
  try {
    const url = new URL(address);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.origin + url.pathname : '';
  } catch {
    return '';
  }
}

/**
 * @param {{ url?: string, title?: string }} said  what the host page told us with `setContext`
 * @returns {{ url: string, title: string }}
 */
export function pageNow(said) {
  return {
    url: withoutQuery(said.url ?? location.href),
    title: (said.title ?? document.title).slice(0, TITLE_CHARS),
  };
}

/**
 * @param {{ url?: string, title?: string }} said
 * @param {string} lang
 * @returns {Session}
 */
export function session(said, lang) {
  return { id: sessionId(), page: pageNow(said), referrer: withoutQuery(document.referrer), lang };
}
