// The demo shop's pages: goods, basket, order. Each page names itself in `<body data-page>`.

import { cart, count, empty, put } from './cart.js';
import { PRODUCTS, product } from './catalogue.js';
import * as choice from './choice.js';
import { choose, language, price, start, translate } from './language.js';

const SHIPPING_EUR = 6.9;
const FREE_FROM_EUR = 120;

/** @param {string} selector */
const find = (selector) => /** @type {HTMLElement} */ (document.querySelector(selector));

/**
 * A copy of a page's `<template>`, in the language of the moment.
 * @param {string} name
 */
function copy(name) {
  const template = /** @type {HTMLTemplateElement} */ (find(`template#${name}`));
  const node = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
  translate(node);
  return node;
}

/**
 * @param {HTMLElement} root
 * @param {Record<string, string>} texts  by `data-is`
 */
function fill(root, texts) {
  for (const [name, words] of Object.entries(texts)) {
    const node = root.querySelector(`[data-is=${name}]`);
    if (node) node.textContent = words;
  }
}

/**
 * @param {HTMLElement} root
 * @param {import('./catalogue.js').Product} one
 */
function picture(root, one) {
  const image = /** @type {HTMLImageElement} */ (root.querySelector('img'));
  image.src = `art/${one.id}.svg`;
  image.alt = `${one.name}, ${one.kind[language()]}`;
}

function home() {
  const lang = language();
  const cards = PRODUCTS.map((one) => {
    const card = copy('card');
    picture(card, one);
    /** @type {HTMLAnchorElement} */ (card.querySelector('a')).href = `product.html?p=${one.id}`;
    fill(card, { name: one.name, kind: one.kind[lang], price: price(one.price_eur) });
    return card;
  });
  find('#goods').replaceChildren(...cards);
}

function productPage() {
  const lang = language();
  const one = product(new URLSearchParams(location.search).get('p'));
  const root = find('main');
  document.title = `${one.name}, ${one.kind[lang].toLowerCase()} · Atelier Brume`;
  picture(root, one);
  fill(root, { name: one.name, kind: one.kind[lang], text: one.text[lang], price: price(one.price_eur) });
  find('#facts').replaceChildren(...one.facts[lang].map((fact) => Object.assign(document.createElement('li'), { textContent: fact })));
  find('#add').onclick = () => {
    put(one.id, (cart()[one.id] ?? 0) + 1);
    find('#added').hidden = false;
  };
}

function total() {
  const goods_eur = Object.entries(cart()).reduce((sum, [id, quantity]) => sum + product(id).price_eur * quantity, 0);
  const shipping_eur = goods_eur === 0 || goods_eur >= FREE_FROM_EUR ? 0 : SHIPPING_EUR;
  return { goods_eur, shipping_eur, all_eur: goods_eur + shipping_eur };
}

function cartPage() {
  const lang = language();
  const lines = Object.entries(cart()).map(([id, quantity]) => {
    const one = product(id);
    const line = copy('line');
    picture(line, one);
    fill(line, { name: one.name, kind: one.kind[lang], price: price(one.price_eur * quantity) });
    const input = /** @type {HTMLInputElement} */ (line.querySelector('input'));
    input.value = String(quantity);
    input.setAttribute('aria-label', `${lang === 'fr' ? 'Quantité' : 'Quantity'}, ${one.name}`);
    input.onchange = () => put(id, Number(input.value));
    /** @type {HTMLElement} */ (line.querySelector('button')).onclick = () => put(id, 0);
    return line;
  });
  find('#lines').replaceChildren(...lines);
  find('#none').hidden = lines.length > 0;
  find('#order').hidden = lines.length === 0;
  const { goods_eur, shipping_eur, all_eur } = total();
  const free = lang === 'fr' ? 'offerte' : 'free';
  fill(find('#order'), { goods: price(goods_eur), shipping: shipping_eur === 0 ? free : price(shipping_eur), all: price(all_eur) });
}

function orderPage() {
  const name = new URLSearchParams(location.search).get('name')?.slice(0, 60) ?? '';
  const { number, all_eur } = placed();
  const thanks = language() === 'fr' ? 'Merci' : 'Thank you';
  fill(find('main'), { thanks: name ? `${thanks}, ${name}` : thanks, number, all: price(all_eur) });
}

/**
 * The basket becomes an order once; the page loaded again shows the same.
 * @returns {{ number: string, all_eur: number }}
 */
function placed() {
  const { all_eur } = total();
  try {
    if (all_eur === 0) return JSON.parse(sessionStorage.getItem('shop.order') ?? '{"number":"AB-10042","all_eur":189}');
    const order = { number: `AB-${10_000 + Math.floor(Math.random() * 90_000)}`, all_eur };
    sessionStorage.setItem('shop.order', JSON.stringify(order));
    empty();
    return order;
  } catch {
    return { number: 'AB-10042', all_eur };
  }
}

/** @type {Record<string, () => void>} */
const PAGES = { home, product: productPage, cart: cartPage, order: orderPage };

function draw() {
  const page = document.body.dataset.page ?? '';
  const { titleFr, titleEn } = document.body.dataset;
  document.title = (language() === 'fr' ? titleFr : titleEn) ?? document.title;
  PAGES[page]?.();
  badge();
}

function badge() {
  const items = count();
  find('#count').textContent = String(items);
  find('#count').hidden = items === 0;
}

document.addEventListener('shop:language', draw);
document.addEventListener('shop:cart', () => (document.body.dataset.page === 'cart' ? draw() : badge()));
find('#language').onclick = () => choose(language() === 'fr' ? 'en' : 'fr');
start();
choice.start();
