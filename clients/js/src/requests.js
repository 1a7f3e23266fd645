/**
 * Commands that await their reply, by id.
 */

import { RealtimeError, serverError } from "./protocol.js";

/** @typedef {(reply: any, error?: unknown) => void} Done It rejects with the error, if there is one. */

export class Requests {
  /** @type {Map<number, Done>} */
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
      /** @type {Done} */
      const done = (reply, error) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        if (error) reject(error);
        else resolve(reply);
      };
      const timer = setTimeout(() => done(null, new RealtimeError("timeout", "No reply in time.")), timeout);
      this.#pending.set(id, done);
      try {
        send(id);
      } catch (error) {
        done(null, error);
      }
    });
  }

  /**
   * Settle the request that a reply belongs to. A reply may come after its timeout: ignored.
   * @param {{id: number, error?: {code: string, message: string}}} reply
   */
  settle(reply) {
    this.#pending.get(reply.id)?.(reply, reply.error && serverError(reply.error));
  }

  /**
   * Reject all that is still awaited.
   * @param {RealtimeError} error
   */
  fail(error) {
    for (const done of this.#pending.values()) done(null, error);
  }
}
