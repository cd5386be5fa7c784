// Asking to be called back, without any DOM: the country guess, the slots, and one request that is made once however often it is sent.

import { zoneHere } from './callback_time.js';
import { BUTTON, speakerOf } from './language.js';
import { session } from './session.js';
import { askJson, fetchToken } from './signal.js';
import { Trouble } from './trouble.js';

/** @typedef {{ p50_s: number, p90_s: number }} Wait */
/** What the gateway says of call-backs, of its availability. @typedef {{ callback: boolean, callback_now: boolean, opens_at?: string, callback_sentence?: string, wait?: Wait, email?: boolean }} Offer */
/** @typedef {{ start: string, end: string, seats_left: number }} Slot */
/** @typedef {{ zone: string, tz: string, now: string, slots: Slot[], more_from?: string }} Slots */
/** @typedef {{ id: string, manage_token: string, page_url: string, ics_url: string, events_url: string, state: string, asap: boolean, promised_at: string, tz: string, number: string, wait?: Wait }} Answer */
/** @typedef {{ base: URL, tenant: string, queue: string, lang: string, country?: string, customer?: import('../widget.js').Customer, said: { url?: string, title?: string, lang?: string } }} Wanted */
/** @typedef {{ number: string, when?: 'asap' | string | Date, country?: string, tz?: string, email?: string, hold?: string }} Asked */
/** @typedef {{ key: string, wanted: Wanted, body: Record<string, unknown> }} Request */

/** The sentence the visitor reads beside the button (`consent` in the words). A change of its meaning is a new version. */
export const CONSENT = Object.freeze({ text_id: 'callback-v1', version: '1' });

const AGAIN_AFTER_MS = 1_000;
const TRIES = 2;
/** A riddle may be too old when it is solved, on a slow telephone; so often another is taken. */
const PROOFS = 3;

/**
 * The country a number without one belongs to: what the site says, else what a language tag says; nothing leaves it to the gateway.
 * @param {string | undefined} said  `data-country` or the page's own word
 * @param {...(string | null | undefined)} tags  such as `fr-CA`
 * @returns {string | undefined} ISO 3166-1, two letters
 */
export function guessCountry(said, ...tags) {
  const own = (said ?? '').trim().toUpperCase();
  if (/^[A-Z]{2}$/.test(own)) return own;
  for (const tag of tags) {
    const region = (tag ?? '').trim().split(/[-_]/).slice(1).find((part) => /^[a-z]{2}$/i.test(part));
    if (region !== undefined) return region.toUpperCase();
  }
  return undefined;
}

/** What the answer about availability says of call-backs. @param {any} answer @returns {Offer} */
export function offerOf(answer) {
  return { callback: answer?.callback === true, callback_now: answer?.callback_now === true, opens_at: answer?.opens_at, callback_sentence: answer?.callback_sentence, wait: answer?.wait, email: answer?.email === true };
}

/**
 * @param {Pick<Wanted, 'base' | 'tenant' | 'queue' | 'lang'>} wanted
 * @param {string} tz
 * @param {string} [from]
 * @param {string} [hold]  the visitor's own, which takes no seat from him
 * @returns {Promise<Slots>} rejects with a `Trouble`
 */
export function fetchSlots({ base, tenant, queue, lang }, tz, from, hold) {
  const query = new URLSearchParams({ tenant, queue, tz, ...(from === undefined ? {} : { from }), ...(hold === undefined ? {} : { hold }) });
  return askJson(new URL(`v1/slots?${query}`, base), { headers: { 'accept-language': lang } });
}

/**
 * One request, frozen: sent again after a network error it is the same request, and the gateway makes one call-back of it.
 * @param {Wanted} wanted
 * @param {Asked} asked
 * @returns {Request}
 */
export function prepare(wanted, { number, when = 'asap', country, tz = zoneHere(), email = '', hold }) {
  const { id, page, referrer } = session(wanted.said, wanted.lang);
  const body = {
    number: String(number ?? '').trim(),
    country: country ?? guessCountry(wanted.country, wanted.said.lang, document.documentElement.lang),
    when: when instanceof Date ? when.toISOString() : when,
    tz,
    lang: wanted.lang,
    session: { id, page, referrer },
    consent: CONSENT,
    ...(email.trim() === '' ? {} : { email: email.trim() }),
    hold,
  };
  return { key: uuid(), wanted, body };
}

/** The same wish as one not yet answered? Then the visitor is trying again. @param {Request | undefined} one @param {Request} other */
export const sameWish = (one, other) => one !== undefined && one.body.number === other.body.number && one.body.when === other.body.when && one.body.email === other.body.email;

/**
 * Sends a request; a network error is tried once more by itself, and a riddle of the gateway is solved.
 * @param {Request} request
 * @param {(share: number) => void} [progress]  how far a riddle is, 0 to 1; not called without one
 * @returns {Promise<Answer>} rejects with a `Trouble`; its code `unreachable` means: nobody knows, send the same again
 */
export async function send(request, progress) {
  /** @type {string | undefined} */
  let pow;
  let known = true;
  for (let tries = 1, proofs = 0; ; ) {
    try {
      return await sendOnce(request, pow, known);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      if (error.code === 'verification_needed' && error.body?.challenge && proofs < PROOFS) {
        proofs += 1;
        const { solve } = await import('./proof.js');
        pow = await solve(error.body.challenge, progress);
      } else if (error.code.startsWith('customer_') && known) {
        // A page that was left open, or a mistake of the shop: he is called all the same, as a visitor like any other.
        console.error(`passerelle: ${error.code}; asking without data-customer. The gateway's log says why.`);
        known = false;
        pow = undefined;
      } else if (error.code === 'unreachable' && tries < TRIES) {
        tries += 1;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS));
      } else {
        throw error;
      }
    }
  }
}

/** The token of the shop's server; one that cannot be had stops nobody. @param {Wanted['customer']} customer */
async function customerOf(customer) {
  try {
    return (typeof customer === 'function' ? await customer() : customer) || undefined;
  } catch (error) {
    console.error('passerelle: the function given to identify() failed', error);
    return undefined;
  }
}

/** @param {Request} request @param {string | undefined} pow @param {boolean} known */
async function sendOnce({ key, wanted, body }, pow, known) {
  const customer = known ? await customerOf(wanted.customer) : undefined;
  // A token is good once: each try has its own, and the gateway knows the request by its key.
  const token = await fetchToken(wanted.base, wanted);
  return askJson(new URL('v1/callbacks', wanted.base), {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'accept-language': wanted.lang, 'idempotency-key': key },
    body: JSON.stringify({ token, ...body, pow, customer }),
  });
}

/**
 * `window.passerelle.callBack`: one call, no form. The message of its error is always a sentence.
 * @param {Wanted & { lang: import('./language.js').Language }} wanted
 * @param {Asked} asked
 * @returns {Promise<Answer>}
 */
export async function callBack(wanted, asked) {
  try {
    return await send(prepare(wanted, asked));
  } catch (error) {
    if (!(error instanceof Trouble) || error.sentence) throw error;
    throw new Trouble(error.code, `${speakerOf(BUTTON)(wanted.lang)('unreachable')}.`);
  }
}

/** A version 4 UUID; `crypto.randomUUID` is missing on pages without https. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
