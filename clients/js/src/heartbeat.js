/**
 * Tells a dead connection from a slow one.
 *
 * A connection can be gone without either end being told (a sleeping laptop, a pulled cable), so
 * the client pings and expects to hear something. The server writes replies and pushes to a
 * client in one order, so a pong that is late by three seconds means that the pushes are too:
 * that is the lag of a client that is not dead but behind.
 */

/** Time between two pings, in milliseconds. */
export const HEARTBEAT = 10_000;

/** Nothing at all heard for so long after a ping: the connection is dead. In milliseconds. */
export const PONG_TIMEOUT = 10_000;

/** How often the lag is looked at while a pong is outstanding, in milliseconds. */
const LOOK = 500;

export class Heartbeat {
  /** @type {number | undefined} */
  #timer;
  #lastHeard = 0;
  #stopped = true;
  #beating = false;
  #options;

  /**
   * @param {object} options
   * @param {number} options.interval Milliseconds between pings.
   * @param {number} options.patience Milliseconds of silence that mean death.
   * @param {() => Promise<unknown>} options.ping Settles with the reply, however late.
   * @param {(lag: number) => void} options.onLag Milliseconds that a pong is late so far; 0 after it.
   * @param {() => void} options.onDead Called once; the heartbeat has then stopped.
   */
  constructor(options) {
    this.#options = options;
  }

  start() {
    this.#stopped = false;
    this.#next();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** To be called for whatever arrives: a connection that carries anything is not dead. */
  heard() {
    this.#lastHeard = performance.now();
  }

  /** Ping at once, unless a pong is awaited anyway; say after the page was hidden. */
  beat() {
    if (this.#stopped || this.#beating) return;
    this.#beating = true;
    clearTimeout(this.#timer);
    const { ping, onLag, onDead, patience } = this.#options;
    const sent = performance.now();
    const done = () => {
      if (this.#stopped) return;
      onLag(0);
      this.#next();
    };
    // An error reply is an answer as well. None is not: `look` judges that.
    ping().then(done, done);
    const look = () => {
      if (this.#stopped) return;
      const now = performance.now();
      if (now - Math.max(sent, this.#lastHeard) >= patience) {
        this.stop();
        return onDead();
      }
      onLag(now - sent);
      this.#timer = setTimeout(look, LOOK);
    };
    look();
  }

  #next() {
    this.#beating = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.beat(), this.#options.interval);
  }
}
