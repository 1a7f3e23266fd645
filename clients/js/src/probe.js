/**
 * Whether WebSockets get through, where a stream of events is in use.
 *
 * An outage stops both. So a WebSocket is tried before a stream begins, and beside it now and then. One
 * passes that has answered a ping: some proxies let it open, and nothing through. Others let the ping
 * through, and not the rooms. So one that passed and never came to be live counts as none. The waits grow,
 * and there is chance in them: what a network costs that lets none through is a handshake every few minutes.
 */

import { messageIn } from "./protocol.js";

/** @typedef {import("./connection.js").Socket} Socket */

/** How long a WebSocket may take to open and to answer, in milliseconds; half of `openTimeout` at most. */
const ANSWER_WITHIN = 3_000;

/** The ceiling of the first wait beside a stream, in milliseconds; half of it is the floor. */
export const FIRST_WAIT = 30_000;

/** The ceiling of every wait, in milliseconds. */
export const LONGEST_WAIT = 300_000;

/** A WebSocket that got through is closed when nobody has taken it for so long, in milliseconds. */
const KEPT_FOR = 5_000;

const PING = JSON.stringify({ id: 1, ping: {} });

export class Probe {
  /** When one is to be tried, as `performance.now()` counts; 0: before the next stream. */
  #dueAt = 0;
  /** Streams and tries since which no WebSocket got through. */
  #waits = 0;
  /** @type {Socket | null} The one that got through. */
  #passed = null;
  /** One got through, and none was live since. */
  #isUnproven = false;
  /** @type {{data: unknown}[]} What came over it since. */
  #early = [];
  /** @type {number | undefined} */
  #keeping;
  #connect;
  #random;
  #patience;

  /**
   * @param {() => Socket} connect Makes a WebSocket.
   * @param {() => number} [random]
   * @param {number} [openTimeout] Milliseconds that a stream may take to open, with the try before it.
   */
  constructor(connect, random = Math.random, openTimeout = Infinity) {
    this.#connect = connect;
    this.#random = random;
    this.#patience = Math.min(ANSWER_WITHIN, openTimeout / 2);
  }

  get isDue() {
    return performance.now() >= this.#dueAt;
  }

  /** A WebSocket was live, or the network is another one: what failed before says nothing now. */
  reset() {
    this.#dueAt = this.#waits = 0;
    this.#isUnproven = false;
  }

  /**
   * No WebSocket gets through, as far as is known: a stream is there, so the network is, too; or one has
   * passed, and was lost before it was live; or the client waits no longer for one.
   * @returns {number} Milliseconds until the next is to be tried.
   */
  putOff() {
    const now = performance.now();
    if (this.#dueAt === 0) {
      const ceiling = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#waits++);
      this.#dueAt = now + (ceiling * (1 + this.#random())) / 2;
    }
    return Math.max(0, this.#dueAt - now);
  }

  /**
   * Try one. If it gets through, `take` has it for some seconds.
   * @param {AbortSignal} signal Gives up.
   * @returns {Promise<boolean>}
   */
  passes(signal) {
    this.#dueAt = 0;
    return new Promise((resolve) => {
      const socket = this.#connect();
      let isOver = false;
      const end = (/** @type {boolean} */ passes) => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        this.#isUnproven ||= passes;
        if (passes) this.#keep(socket);
        else socket.close();
        resolve(passes);
      };
      const timer = setTimeout(() => end(false), this.#patience);
      signal.onabort = () => end(false);
      socket.onopen = () => socket.send(PING);
      socket.onmessage = ({ data }) => messageIn(data)?.id === 1 && end(true);
      socket.onclose = () => end(false);
    });
  }

  /** @returns {boolean} Whether the last one that passed is gone and was never live; said once, and put off. */
  hasFailed() {
    if (!this.#isUnproven || this.#passed !== null) return false;
    this.#isUnproven = false;
    this.putOff();
    return true;
  }

  /** @returns {Socket | null} The WebSocket that got through, once; it opens for whoever takes it. */
  take() {
    const socket = this.#passed;
    const early = this.#early;
    if (socket === null) return null;
    this.#forget();
    queueMicrotask(() => {
      socket.onopen?.();
      for (const event of early) socket.onmessage?.(event);
    });
    return socket;
  }

  /** @param {Socket} socket */
  #keep(socket) {
    this.#passed = socket;
    const early = (this.#early = /** @type {{data: unknown}[]} */ ([]));
    socket.onmessage = (event) => early.push(event);
    socket.onclose = () => this.#forget();
    this.#keeping = setTimeout(() => {
      this.#forget();
      socket.close();
    }, KEPT_FOR);
  }

  #forget() {
    clearTimeout(this.#keeping);
    this.#passed = null;
  }
}
