/**
 * Owns reading a command's words one after the other, strictly: a word nobody asked for is a defect of the test or of
 * the product, never ignored.
 */

/** A command, or a word in one, that the fake box has not learned. */
export class UnknownCommand extends Error {}

export class Words {
  readonly #words: string[];
  readonly #line: string;

  constructor(line: string | readonly string[]) {
    this.#line = typeof line === 'string' ? line : line.join(' ');
    this.#words =
      typeof line === 'string'
        ? [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '')
        : [...line];
  }

  get more(): boolean {
    return this.#words.length > 0;
  }

  /** What is left, as one line. */
  get rest(): string {
    return this.#words.join(' ');
  }

  end(): void {
    if (this.more) throw this.unknown(`more words: ${this.rest}`);
  }

  next(): string {
    const word = this.#words.shift();
    if (word === undefined) throw this.unknown('it ends early');
    return word;
  }

  number(): number {
    const word = this.next();
    const value = Number(word);
    if (!Number.isInteger(value)) throw this.unknown(`${word} is no number`);
    return value;
  }

  take(word: string): boolean {
    if (this.#words[0] !== word) return false;
    this.#words.shift();
    return true;
  }

  expect(word: string): void {
    if (!this.take(word)) throw this.unknown(`${word} is expected before "${this.#words.join(' ')}"`);
  }

  /** Reads `key value` pairs and flags until the end. */
  options(readers: Readonly<Record<string, () => void>>): void {
    while (this.more) {
      const word = this.next();
      const reader = readers[word];
      if (reader === undefined) throw this.unknown(`the word ${word}`);
      reader();
    }
  }

  unknown(what: string): UnknownCommand {
    return new UnknownCommand(`the fake box does not know: ${this.#line} (${what})`);
  }
}
