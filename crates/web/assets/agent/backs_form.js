// The form of a call-back: a new one, another moment or owner, how it went, why it is called off.

import { byId } from './board.js';

/** @typedef {import('./backs.js').Back} Back */
/** @typedef {import('./backs.js').Queue} Queue */
/** @typedef {'new' | 'edit' | 'close' | 'callOff'} Mode */
/** @typedef {{ back?: Back, body: Record<string, unknown> }} Values */

/** How a talk went, in the words of the records. */
const DISPOSITIONS = ['resolved', 'sold', 'follow-up', 'not-interested', 'wrong-person'];
const RANKS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/** @param {string} id */
const field = (id) => /** @type {HTMLInputElement} */ (byId(id));
/** @param {string} id */
const choice = (id) => /** @type {HTMLSelectElement} */ (byId(id));

export class BackForm {
  /**
   * @param {import('../widget/language.js').Say} say
   * @param {(mode: Mode, values: Values) => Promise<string>} save  gives why not, or nothing
   */
  constructor(say, save) {
    this.say = say;
    this.save = save;
    /** @type {Mode} */
    this.mode = 'new';
    /** @type {Back | undefined} */
    this.back = undefined;
    /** @type {Queue[]} */
    this.queues = [];
    this.dialog = /** @type {HTMLDialogElement} */ (byId('back-dialog'));
    byId('back-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit();
    });
    byId('back-stop').addEventListener('click', () => this.close());
    byId('back-queue').addEventListener('change', () => this.#fillAgents());
    byId('back-moment').addEventListener('change', () => this.#showTime());
  }

  /** @param {Mode} mode @param {Queue[]} queues @param {Back} [back] */
  open(mode, queues, back) {
    [this.mode, this.queues, this.back] = [mode, queues.filter((queue) => !back || queue.tenant === back.tenant), back];
    byId('back-title').textContent = this.say(`form-${mode}`);
    byId('back-of').textContent = back?.number ?? '';
    byId('back-of').hidden = !back;
    byId('back-trouble').textContent = '';
    for (const part of this.dialog.querySelectorAll('[data-modes]')) {
      const wanted = /** @type {HTMLElement} */ (part);
      wanted.hidden = !wanted.dataset.modes?.split(' ').includes(mode);
      for (const input of wanted.querySelectorAll('input, select, textarea')) /** @type {HTMLInputElement} */ (input).disabled = wanted.hidden;
    }
    this.#fill();
    byId('back-save').textContent = this.say(`save-${mode}`);
    byId('back-save').className = mode === 'callOff' ? 'stop' : 'primary';
    this.#busy(false);
    this.dialog.showModal();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  #fill() {
    const { back, say } = this;
    for (const id of ['back-number', 'back-time', 'back-consent', 'back-note']) field(id).value = '';
    options('back-queue', this.queues.map((queue) => [`${queue.tenant}/${queue.id}`, queue.id]), back && `${back.tenant}/${back.queue}`);
    const same = /** @type {[string, string][]} */ (back ? [['same', say('sameMoment')]] : []);
    options('back-moment', [...same, ['asap', say('asap')], ['at', say('atTime')]], same.length ? 'same' : 'asap');
    options('back-purpose', [['requested', say('requested')], ['follow-up', say('followUp')]], 'requested');
    options('back-rank', RANKS.map((rank) => [String(rank), rank === 0 ? say('rankNone') : String(rank)]), String(back?.priority ?? 0));
    options('back-disposition', [['', say('choose')], ...DISPOSITIONS.map((word) => /** @type {[string, string]} */ ([word, say(`went-${word}`)]))], '');
    this.#fillAgents();
    this.#showTime();
  }

  #queue() {
    return this.queues.find((queue) => `${queue.tenant}/${queue.id}` === choice('back-queue').value);
  }

  #fillAgents() {
    const agents = (this.#queue()?.agents ?? []).map((agent) => /** @type {[string, string]} */ ([agent.extension, agent.name || agent.extension]));
    options('back-agent', [['', this.say('anybody')], ...agents], this.back?.owner ?? '');
  }

  #showTime() {
    const at = choice('back-moment').value === 'at';
    byId('back-time-row').hidden = !at;
    field('back-time').disabled = !at;
  }

  /** @param {boolean} busy */
  #busy(busy) {
    /** @type {HTMLButtonElement} */ (byId('back-save')).disabled = busy;
  }

  async #submit() {
    this.#busy(true);
    const why = await this.save(this.mode, { back: this.back, body: this.#body() });
    this.#busy(false);
    byId('back-trouble').textContent = why;
    if (!why) this.close();
  }

  /** @returns {Record<string, unknown>} */
  #body() {
    const { back, mode } = this;
    const note = field('back-note').value;
    if (mode === 'callOff') return { note };
    if (mode === 'close') return { note, disposition: choice('back-disposition').value };
    const [tenant, queue] = choice('back-queue').value.split('/');
    const moment = choice('back-moment').value;
    const when = moment === 'at' ? field('back-time').value : moment;
    const tz = back?.zone ?? '';
    const [agent, priority] = [choice('back-agent').value, Number(choice('back-rank').value)];
    if (mode === 'new') {
      const consent_note = field('back-consent').value;
      return { tenant, queue, number: field('back-number').value, when, purpose: choice('back-purpose').value, consent_note, note, priority, agent: agent || null, lang: document.documentElement.lang };
    }
    /** @type {Record<string, unknown>} */
    const changed = { note, tz };
    if (when !== 'same') changed.when = when;
    if (queue !== back?.queue) changed.queue = queue;
    if (agent !== (back?.owner ?? '')) changed.agent = agent;
    if (priority !== back?.priority) changed.priority = priority;
    return changed;
  }
}

/** @param {string} id @param {[string, string][]} all @param {string} [chosen] */
function options(id, all, chosen) {
  const made = all.map(([value, text]) => new Option(text, value, false, value === chosen));
  choice(id).replaceChildren(...made);
}
