// Which language to speak, how a text is filled in, and the few words of the button itself.

/** @typedef {'en' | 'fr'} Language */
/** @typedef {Record<Language, Record<string, string>>} Table */

/** @type {Table} */
export const BUTTON = {
  en: { talk: 'Talk to us', shut: 'Closed just now', callBack: 'Be called back', unreachable: 'We could not be reached' },
  fr: { talk: 'Parlez-nous', shut: 'Fermé pour l’instant', callBack: 'Être rappelé', unreachable: 'Nous n’avons pas pu être joints' },
};

/**
 * The first of the wishes that we speak: `data-lang`, then the page's `lang`, then the browser's; else English.
 * @param {...(string | null | undefined)} wishes language tags such as `fr-CA`
 * @returns {Language}
 */
export function chooseLanguage(...wishes) {
  for (const wish of wishes) {
    const primary = (wish ?? '').trim().toLowerCase().split(/[-_]/)[0];
    if (primary === 'fr' || primary === 'en') return primary;
  }
  return 'en';
}

/** @typedef {(key: string, values?: Record<string, string>) => string} Say */

/**
 * @param {Table} table
 * @returns {(language: Language) => Say} the text of a key, `{name}` filled in; an unknown key gives the empty string
 */
export function speakerOf(table) {
  return (language) =>
    (key, values = {}) =>
      (table[language][key] ?? '').replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}
