/**
 * How late is what arrives: by the pong that is outstanding, and by the age of the data itself.
 */

/** The age of data says nothing any more after so long without data, in milliseconds. */
const FORGET_AFTER = 3_000;

export class Lag {
  #pong = 0;
  #age = 0;
  /** @type {number | undefined} */
  #forget;
  #behindAfter;
  #onChange;

  /**
   * @param {number} behindAfter Milliseconds.
   * @param {(lag: number, behind: boolean) => void} onChange For each new figure while behind,
   *   and once when that is over.
   */
  constructor(behindAfter, onChange) {
    this.#behindAfter = behindAfter;
    this.#onChange = onChange;
  }

  #lag() {
    return Math.max(this.#pong, this.#age);
  }

  /** @param {number} lag Milliseconds that a pong is awaited; 0 when it came. */
  pongLate(lag) {
    this.#set(() => (this.#pong = lag));
  }

  /** @param {number} age Milliseconds since the data was made. */
  dataAge(age) {
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => this.#set(() => (this.#age = 0)), FORGET_AFTER);
    this.#set(() => (this.#age = age));
  }

  reset() {
    clearTimeout(this.#forget);
    this.#pong = this.#age = 0;
  }

  /** @param {() => void} change */
  #set(change) {
    const before = this.#lag() >= this.#behindAfter;
    change();
    const lag = this.#lag();
    const behind = lag >= this.#behindAfter;
    if (before || behind) this.#onChange(lag, behind);
  }
}
