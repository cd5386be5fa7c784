// What the demo shop sells.

/** @typedef {{ id: string, price_eur: number, name: string, kind: { en: string, fr: string }, text: { en: string, fr: string }, facts: { en: string[], fr: string[] } }} Product */

/** @type {Product[]} */
export const PRODUCTS = [
  {
    id: 'halo', price_eur: 189, name: 'Halo',
    kind: { en: 'Table lamp', fr: 'Lampe de table' },
    text: {
      en: 'A turned clay shade on a blackened oak stem. The light falls in a wide, calm circle: enough to read by, never enough to dazzle.',
      fr: 'Un abat-jour de terre tournée sur un pied de chêne noirci. La lumière tombe en un cercle large et calme\u00a0: assez pour lire, jamais pour éblouir.',
    },
    facts: { en: ['42 cm high, 30 cm wide', 'E27 bulb, 2700 K, included', 'Dimmer on the cord'], fr: ['42 cm de haut, 30 cm de large', 'Ampoule E27, 2700 K, fournie', 'Variateur sur le câble'] },
  },
  {
    id: 'brume', price_eur: 240, name: 'Brume',
    kind: { en: 'Pendant lamp', fr: 'Suspension' },
    text: {
      en: 'Ribbed porcelain, thin enough to let the light through. By day a white bell, in the evening the morning fog it is named after.',
      fr: 'Une porcelaine côtelée, assez fine pour laisser passer la lumière. Cloche blanche le jour, brume du matin le soir.',
    },
    facts: { en: ['38 cm wide, cable 2 m', 'E27 bulb, 2700 K, included', 'Hook and canopy in the box'], fr: ['38 cm de large, câble 2 m', 'Ampoule E27, 2700 K, fournie', 'Crochet et pavillon dans la boîte'] },
  },
  {
    id: 'galet', price_eur: 74, name: 'Galet',
    kind: { en: 'Vase', fr: 'Vase' },
    text: {
      en: 'Shaped like the pebbles of the Crozon shore. The narrow neck holds three stems upright and asks for no more.',
      fr: 'La forme des galets de Crozon. Le col étroit tient trois tiges bien droites et n’en demande pas plus.',
    },
    facts: { en: ['24 cm high', 'Stoneware, matt cream glaze', 'Watertight'], fr: ['24 cm de haut', 'Grès, émail crème mat', 'Étanche'] },
  },
  {
    id: 'dune', price_eur: 58, name: 'Dune',
    kind: { en: 'Fruit bowl', fr: 'Coupe à fruits' },
    text: {
      en: 'Thrown in one piece, dipped once in sea blue. The waterline is never twice the same.',
      fr: 'Tournée d’une pièce, trempée une fois dans le bleu. La ligne d’eau n’est jamais deux fois la même.',
    },
    facts: { en: ['29 cm wide', 'Stoneware, food safe', 'Dishwasher safe'], fr: ['29 cm de large', 'Grès alimentaire', 'Passe au lave-vaisselle'] },
  },
  {
    id: 'phare', price_eur: 95, name: 'Phare',
    kind: { en: 'Lantern', fr: 'Lanterne' },
    text: {
      en: 'For the terrace, the tent, or a power cut. Twenty hours of light, and a handle made for cold fingers.',
      fr: 'Pour la terrasse, la tente ou la panne de courant. Vingt heures de lumière, et une anse pour les doigts froids.',
    },
    facts: { en: ['31 cm high', 'Rechargeable, USB-C', 'Rain-proof, IP54'], fr: ['31 cm de haut', 'Rechargeable, USB-C', 'Résiste à la pluie, IP54'] },
  },
  {
    id: 'maree', price_eur: 46, name: 'Marée',
    kind: { en: 'Two mugs', fr: 'Deux tasses' },
    text: {
      en: 'High tide and low tide: a pair whose glaze meets at a different height on each.',
      fr: 'Marée haute et marée basse\u00a0: une paire dont l’émail s’arrête à deux hauteurs.',
    },
    facts: { en: ['30 cl each', 'Stoneware, food safe', 'Dishwasher safe'], fr: ['30 cl chacune', 'Grès alimentaire', 'Passe au lave-vaisselle'] },
  },
];

/**
 * @param {string | null} id
 * @returns {Product} the first when there is no such product
 */
export const product = (id) => PRODUCTS.find((one) => one.id === id) ?? PRODUCTS[0];
