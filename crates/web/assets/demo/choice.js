// Who answers in this demonstration: the strip on every page that sets `data-queue` on the widget.

import { language } from './language.js';

const KEY = 'shop.answerer';

/** @typedef {{ queue: string, name: { en: string, fr: string }, text: { en: string, fr: string }, link?: { href: string, text: { en: string, fr: string } } }} Choice */

/** @type {Choice[]} */
const CHOICES = [
  {
    queue: 'echo',
    name: { en: 'Echo', fr: 'Écho' },
    text: {
      en: 'Nothing to prepare: press “Talk to us”. The demo agent answers, says a sentence, then repeats what you say.',
      fr: 'Rien à préparer\u00a0: cliquez sur «\u00a0Parlez-nous\u00a0». L’agent de démonstration répond, dit une phrase, puis répète ce que vous dites.',
    },
  },
  {
    queue: 'support',
    name: { en: 'Ring my softphone', fr: 'Faire sonner mon téléphone' },
    text: {
      en: 'Register any SIP softphone as 1001 or 1002 (the terminal shows server and password), then press “Talk to us”: it rings. Or leave any French number there: your softphone rings, then a telephone inside the demo, which echoes you.',
      fr: 'Enregistrez un téléphone SIP comme 1001 ou 1002 (le terminal donne le serveur et le mot de passe), puis cliquez sur «\u00a0Parlez-nous\u00a0»\u00a0: il sonne. Ou laissez-y un numéro français\u00a0: votre téléphone sonne, puis un téléphone interne à la démonstration, qui vous renvoie votre voix.',
    },
  },
  {
    queue: 'browser',
    name: { en: 'Answer here in the browser', fr: 'Répondre ici, dans le navigateur' },
    text: {
      en: 'Open the agent page in another tab, sign in and set yourself ready, then press “Talk to us” here and answer there. Or leave any French number here: you are rung there first, then a telephone inside the demo, which echoes you.',
      fr: 'Ouvrez la page de l’agent dans un autre onglet, connectez-vous et passez disponible, puis cliquez ici sur «\u00a0Parlez-nous\u00a0» et répondez là-bas. Ou laissez ici un numéro français\u00a0: cela sonne d’abord là-bas, puis à un téléphone interne à la démonstration, qui vous renvoie votre voix.',
    },
    link: { href: '/agent/', text: { en: 'Open the agent page', fr: 'Ouvrir la page de l’agent' } },
  },
];

/** @returns {string} the queue chosen in this tab */
function chosen() {
  try {
    return sessionStorage.getItem(KEY) ?? CHOICES[0].queue;
  } catch {
    return CHOICES[0].queue;
  }
}

/** @param {string} queue */
function choose(queue) {
  try {
    sessionStorage.setItem(KEY, queue);
  } catch {
    // Then for this page only.
  }
  apply(queue);
}

/** The widget reads the script's attribute when it starts, its own ever after. @param {string} queue */
function apply(queue) {
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('script[data-tenant], passerelle-talk'))) {
    node.dataset.queue = queue;
  }
}

/** Draws the strip into `#choice` and keeps it in the page's language. */
export function start() {
  apply(chosen());
  draw();
  document.addEventListener('shop:language', draw);
}

function draw() {
  const place = document.querySelector('#choice');
  if (place === null) return;
  const lang = language();
  const [legend, ...labels] = [text('legend', { en: 'Demonstration: who answers?', fr: 'Démonstration\u00a0: qui répond\u202f?' }[lang]), ...CHOICES.map((choice) => radio(choice, lang))];
  const set = document.createElement('fieldset');
  set.append(legend, ...labels);
  place.replaceChildren(set, help(chosen(), lang));
}

/**
 * @param {Choice} choice
 * @param {'en' | 'fr'} lang
 */
function radio(choice, lang) {
  const input = document.createElement('input');
  Object.assign(input, { type: 'radio', name: 'answerer', value: choice.queue, checked: choice.queue === chosen() });
  input.addEventListener('change', () => {
    choose(choice.queue);
    document.querySelector('#choice p')?.replaceWith(help(choice.queue, lang));
  });
  const label = document.createElement('label');
  label.append(input, text('span', choice.name[lang]));
  return label;
}

/**
 * @param {string} queue
 * @param {'en' | 'fr'} lang
 */
function help(queue, lang) {
  const choice = CHOICES.find((one) => one.queue === queue) ?? CHOICES[0];
  const line = text('p', choice.text[lang]);
  line.setAttribute('aria-live', 'polite');
  if (choice.link) {
    const link = text('a', choice.link.text[lang]);
    link.setAttribute('href', choice.link.href);
    link.setAttribute('target', '_blank');
    line.append(' ', link);
  }
  return line;
}

/**
 * @param {string} tag
 * @param {string} words
 */
function text(tag, words) {
  const node = document.createElement(tag);
  node.textContent = words;
  return node;
}
