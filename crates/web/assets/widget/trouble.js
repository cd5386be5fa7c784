// One error type for everything that can go wrong in the page: a code of the words table, and the gateway's sentence if it gave one.

export class Trouble extends Error {
  /**
   * @param {string} code  a key of the words table, or the gateway's own code
   * @param {string} [sentence]  the gateway's sentence, already in the visitor's language
   * @param {number} [status]  the HTTP status it came with, 0 without one
   * @param {any} [body]  all that came with it
   */
  constructor(code, sentence = '', status = 0, body = undefined) {
    super(sentence || code);
    this.name = 'Trouble';
    this.code = code;
    this.sentence = sentence;
    this.status = status;
    this.body = body;
  }
}
