/**
 * Owns the type for values that must never be printed. Does not own where secrets are stored.
 */
const REDACTED = '[redacted]';

/** A value that prints, logs, inspects and serialises as `[redacted]`; only `reveal()` shows it. */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  /** The hook of Node's util.inspect, by its registered symbol so that this layer needs no Node types. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }
}
