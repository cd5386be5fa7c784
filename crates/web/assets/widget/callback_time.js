// Instants in words: in the visitor's zone, in the site's, how far away, and slots sorted into days. Pure, but for the zone here.

/** @typedef {import('./language.js').Say} Say */
/** @typedef {import('./language.js').Language} Language */
/** @typedef {import('./callback.js').Slot} Slot */
/** @typedef {import('./callback.js').Wait} Wait */
/** How a place and a person write times. @typedef {{ zone: string, locale: string }} Reader */

const MINUTE_S = 60;
const DAY_S = 86_400;
/** Above this a wait is told in hours and minutes. */
const LONG_WAIT_MIN = 90;

/** @returns {string} the IANA name of the visitor's zone; UTC where the browser keeps it to itself */
export function zoneHere() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}

/**
 * The visitor's own way to write the language we speak: 14:30 for en-GB, 2:30 PM for en-US.
 * @param {Language} language
 * @param {readonly string[]} wishes  `navigator.languages`
 */
export function localeOf(language, wishes) {
  return wishes.find((wish) => wish.toLowerCase().split('-')[0] === language) ?? (language === 'en' ? 'en-GB' : language);
}

/**
 * @param {string | number} at  RFC 3339 or epoch milliseconds
 * @param {Reader} reader
 * @param {Intl.DateTimeFormatOptions} options
 */
const format = (at, { zone, locale }, options) => new Intl.DateTimeFormat(locale, { timeZone: zone, ...options }).format(new Date(at));

/** `14:30` @param {string | number} at @param {Reader} reader */
export const timeOfDay = (at, reader) => format(at, reader, { timeStyle: 'short' });

/** `Tuesday 25 November` @param {string | number} at @param {Reader} reader */
export const longDay = (at, reader) => format(at, reader, { weekday: 'long', day: 'numeric', month: 'long' });

/** `Tue` and `25` @param {string | number} at @param {Reader} reader */
export const shortDay = (at, reader) => ({ name: format(at, reader, { weekday: 'short' }), number: format(at, reader, { day: 'numeric' }) });

/** `GMT+2`, to tell the two hours apart that carry the same name when clocks go back. @param {string | number} at @param {Reader} reader */
const offset = (at, reader) =>
  new Intl.DateTimeFormat('en', { timeZone: reader.zone, timeZoneName: 'shortOffset' }).formatToParts(new Date(at)).find(({ type }) => type === 'timeZoneName')?.value ?? '';

/** The day as a key that sorts: `2026-11-25`. @param {string | number} at @param {string} zone */
export function dayKey(at, zone) {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }).formatToParts(new Date(at));
  return ['year', 'month', 'day'].map((name) => parts.find(({ type }) => type === name)?.value).join('-');
}

/** The day after, whatever the clocks do in the night. @param {string} key */
const nextDay = (key) => new Date(Date.parse(key) + DAY_S * 1_000).toISOString().slice(0, 10);

/** Whether clocks in two zones show the same at an instant. @param {string | number} at @param {string} one @param {string} other */
export const sameClock = (at, one, other) => one === other || offset(at, { zone: one, locale: 'en' }) === offset(at, { zone: other, locale: 'en' });

/** `Buenos Aires` of `America/Argentina/Buenos_Aires`. @param {string} zone */
export const cityOf = (zone) => (zone.split('/').at(-1) ?? zone).replaceAll('_', ' ');

/**
 * An instant as a person says it: `today at 14:30`, `tomorrow at 09:00`, `on Tuesday 25 November at 14:30`.
 * @param {string | number} at
 * @param {number} now_ms
 * @param {Reader} reader
 * @param {Say} say
 */
export function whenWords(at, now_ms, reader, say) {
  const key = dayKey(at, reader.zone);
  const today = dayKey(now_ms, reader.zone);
  const time = timeOfDay(at, reader);
  if (key === today) return say('today', { time });
  if (key === nextDay(today)) return say('tomorrow', { time });
  return say('onDay', { day: longDay(at, reader), time });
}

/**
 * The site's own time of an instant, when its clocks show another than the visitor's.
 * @param {string | number} at
 * @param {string} zone  the site's
 * @param {Reader} reader
 * @param {Say} say
 * @returns {string} `20:30 in Paris`, with the day where that differs too; '' when the clocks agree
 */
export function siteTime(at, zone, reader, say) {
  if (sameClock(at, zone, reader.zone)) return '';
  const there = { zone, locale: reader.locale };
  const time = timeOfDay(at, there);
  const city = cityOf(zone);
  return dayKey(at, zone) === dayKey(at, reader.zone) ? say('siteTime', { time, city }) : say('siteDayTime', { day: longDay(at, there), time, city });
}

/**
 * The range of a wait: `in about 3–6 min`.
 * @param {Wait} wait
 * @param {Say} say
 */
export function waitWords({ p50_s, p90_s }, say) {
  const from = Math.max(1, Math.round(p50_s / MINUTE_S));
  const to = Math.max(from, Math.ceil(p90_s / MINUTE_S));
  if (p90_s <= MINUTE_S) return say('waitMinute');
  if (to > LONG_WAIT_MIN) return say('waitLong', { from: hours(from), to: hours(to) });
  return from === to ? say('waitAbout', { min: String(to) }) : say('waitRange', { from: String(from), to: String(to) });
}

/** `1 h 30`, `2 h` @param {number} minutes */
function hours(minutes) {
  const rest = minutes % 60;
  const whole = Math.floor(minutes / 60);
  return whole === 0 ? `${rest} min` : rest === 0 ? `${whole} h` : `${whole} h ${String(rest).padStart(2, '0')}`;
}

/**
 * A countdown, from the largest unit that counts: days without seconds, minutes without days.
 * @param {number} left_ms
 * @returns {{ amount: string, unit: 'd' | 'h' | 'min' | 's' }[]}
 */
export function countdown(left_ms) {
  const left_s = Math.max(0, Math.ceil(left_ms / 1_000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const parts = [
    { amount: String(Math.floor(left_s / DAY_S)), unit: /** @type {const} */ ('d') },
    { amount: two(Math.floor(left_s / 3_600) % 24), unit: /** @type {const} */ ('h') },
    { amount: two(Math.floor(left_s / MINUTE_S) % 60), unit: /** @type {const} */ ('min') },
    { amount: two(left_s % MINUTE_S), unit: /** @type {const} */ ('s') },
  ];
  const first = left_s >= DAY_S ? 0 : left_s >= 3_600 ? 1 : 2;
  return parts.slice(first, first === 0 ? 3 : 4);
}

/**
 * Free and taken slots by day of the visitor's zone, days without a free one left out.
 * @param {Slot[]} slots
 * @param {Reader} reader
 * @returns {{ key: string, times: { slot: Slot, time: string }[] }[]}
 */
export function byDay(slots, reader) {
  /** @type {Map<string, { slot: Slot, time: string }[]>} */
  const days = new Map();
  for (const slot of [...slots].sort((a, b) => Date.parse(a.start) - Date.parse(b.start))) {
    const key = dayKey(slot.start, reader.zone);
    days.set(key, [...(days.get(key) ?? []), { slot, time: timeOfDay(slot.start, reader) }]);
  }
  return [...days]
    .map(([key, times]) => ({ key, times: toldApart(times, reader) }))
    .filter(({ times }) => times.some(({ slot }) => slot.seats_left > 0));
}

/**
 * The hour that comes twice when clocks go back gets its offset beside it.
 * @param {{ slot: Slot, time: string }[]} times
 * @param {Reader} reader
 */
function toldApart(times, reader) {
  const twice = (/** @type {string} */ time) => times.filter((one) => one.time === time).length > 1;
  return times.map((one) => (twice(one.time) ? { ...one, time: `${one.time} ${offset(one.slot.start, reader)}` } : one));
}
