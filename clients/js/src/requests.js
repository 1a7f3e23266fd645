/**
 * Commands that await their reply, by id.
 */

import { RealtimeError } from "./protocol.js";

/**
 * @typedef {object} Pending
 * @property {(reply: any) => void} resolve
 * @property {(error: RealtimeError) => void} reject
 * @property {number | undefined} timer
 */

export class Requests {
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  #lastId = 0;

  /**
   * @param {(id: number) => void} send Sends the command under this id.
   * @param {number} timeout Milliseconds until a reply is given up.
   * @returns {Promise<any>} The whole reply; rejects with a RealtimeError.
   */
  start(send, timeout) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const giveUp = (/** @type {unknown} */ error) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        reject(error);
      };
      const timer = setTimeout(
        () => giveUp(new RealtimeError("timeout", `No reply within ${timeout / 1000} s.`)),
        timeout,
      );
      this.#pending.set(id, { resolve, reject, timer });
      try {
        send(id);
      } catch (error) {
        giveUp(error);
      }
    });
  }

  /**
   * Settle the request that a reply belongs to. A reply may come after its timeout: ignored.
   * @param {{id: number, error?: {code: string, message: string}}} reply
   */
  settle(reply) {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.error === undefined) pending.resolve(reply);
    else pending.reject(new RealtimeError(reply.error.code, reply.error.message));
  }

  /**
   * Reject all that is still awaited.
   * @param {RealtimeError} error
   */
  fail(error) {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
  }
}
