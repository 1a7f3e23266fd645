/**
 * The note with which a client comes back: it spares the server all questions of who this is.
 *
 * A note says who the client is and which rooms it is in, lives for minutes, and is kept in this
 * page's memory alone. So it is asked for again and again, long before it ends.
 */

/** The first note is asked for so long after the rooms were joined, in milliseconds: at least, */
const FIRST_AFTER = 2_000;

/** and less than so much later: thousands who came back together must not ask together. */
const FIRST_SPREAD = 8_000;

/** @typedef {{note: string | null, renew: number}} NoteReply `renew`: seconds; 0: never again. */

export class Resuming {
  /** @type {string | null} The latest note. */
  note = null;
  /** @type {number | undefined} */
  #timer;
  #random;

  /** @param {() => number} [random] */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /**
   * Ask for notes from now on, until `stop`.
   * @param {() => Promise<NoteReply>} ask
   */
  start(ask) {
    this.#askIn(FIRST_AFTER + this.#random() * FIRST_SPREAD, ask);
  }

  /** Ask no more, take no reply any more, and keep the latest note: the connection is gone. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The note counts no more, or must not: who it names was signed out. */
  forget() {
    this.note = null;
  }

  /** @param {number} wait Milliseconds. @param {() => Promise<NoteReply>} ask */
  #askIn(wait, ask) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      const timer = this.#timer;
      try {
        const { note, renew } = await ask();
        if (timer !== this.#timer) return; // of a connection before
        this.note = note;
        if (renew > 0) this.#askIn(renew * 1_000, ask);
      } catch {
        // A server that gives no notes, or a connection that is gone: the next one asks.
      }
    }, wait);
  }
}
