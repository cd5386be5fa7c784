// One error type for everything that can go wrong in the page: a code of the words table, and the gateway's sentence if it gave one.

export class Trouble extends Error {
  /**
   * @param {string} code  a key of the words table, or the gateway's own code
   * @param {string} [sentence]  the gateway's sentence, already in the visitor's language
   */
  constructor(code, sentence = '') {
    super(sentence || code);
    this.name = 'Trouble';
    this.code = code;
    this.sentence = sentence;
  }
}
