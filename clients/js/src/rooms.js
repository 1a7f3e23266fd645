/**
 * The rooms of one client: who is asked for when, and what comes of it.
 */

import { backoffDelay } from "./backoff.js";
import { RealtimeError, frameLists } from "./protocol.js";
import { Subscription } from "./subscription.js";

/** Refusals that may soon be over; those rooms are asked for again. All others are final. */
const PASSING_REFUSALS = new Set(["rate", "full", "unavailable", "internal", "token"]);

/** The attempt whose backoff a room that was refused in passing waits: some seconds. */
const PASSING_ATTEMPT = 3;

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./protocol.js").Subscribed} Subscribed */

export class Rooms {
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** @type {Set<Subscription>} To be asked for in one frame, at the end of this turn. */
  #asking = new Set();
  #connection;
  #emit;

  /**
   * @param {object} client
   * @param {() => Connection | null} client.connection The present one.
   * @param {(type: string, detail: unknown) => void} client.emit Tells the client's listeners.
   */
  constructor({ connection, emit }) {
    this.#connection = connection;
    this.#emit = emit;
  }

  /**
   * @param {string} room
   * @param {import("./subscription.js").Handler} handler
   * @param {import("./subscription.js").Options} [options]
   */
  subscribe(room, handler, options = {}) {
    if (this.#subscriptions.has(room)) {
      throw new RealtimeError("already_subscribed", `${room} has a subscription already.`, room);
    }
    const subscription = new Subscription(room, handler, options, (left) => this.#leave(left));
    this.#subscriptions.set(room, subscription);
    this.#ask(subscription);
    return subscription;
  }

  /** Ask for all rooms, on a new connection. Resolves when all have an answer, or it is gone. */
  async joinAll() {
    this.#asking.clear();
    await this.#join([...this.#subscriptions.values()]);
  }

  /** The connection is gone: from here on, what comes has to be merged. */
  hold() {
    for (const subscription of this.#subscriptions.values()) subscription.hold();
  }

  /** @param {Subscribed} reply */
  accept(reply) {
    const { room } = reply;
    const subscription = this.#subscriptions.get(room);
    if (subscription === undefined) return;
    if (reply.error !== undefined) {
      this.#refused(subscription, new RealtimeError(reply.error.code, reply.error.message, room));
      return;
    }
    const { gap, recovered, replayed } = subscription.accept(reply);
    const { position } = subscription;
    this.#tell(subscription, "subscribed", { room, position, recovered, replayed });
    if (gap !== null) this.#tell(subscription, "gap", { room, ...gap });
  }

  /** @param {import("./protocol.js").Push} push */
  push(push) {
    const subscription = this.#subscriptions.get(push.room);
    if (subscription?.push(push)) this.#ask(subscription);
  }

  /**
   * The server has put this client out of a room.
   * @param {string} room
   * @param {string} code
   */
  putOut(room, code) {
    const subscription = this.#subscriptions.get(room);
    if (subscription === undefined) return;
    const words = "The server has ended the subscription.";
    this.#refused(subscription, new RealtimeError(code, words, room));
  }

  /** @param {import("./protocol.js").Reset} push */
  reset({ room, reset: position }) {
    const subscription = this.#subscriptions.get(room);
    const gap = subscription?.reset(position);
    if (subscription && gap) this.#tell(subscription, "gap", { room, ...gap });
  }

  /** @param {{room: string, presence: import("./protocol.js").PresenceNews}} push */
  presence({ room, presence }) {
    const subscription = this.#subscriptions.get(room);
    if (subscription) this.#tell(subscription, "presence", { room, ...presence });
  }

  /** @param {Subscription} subscription */
  #ask(subscription) {
    if (!this.#connection()?.ready) return; // `joinAll` will, when there is a connection
    if (this.#asking.size === 0) {
      queueMicrotask(() => {
        const subscriptions = [...this.#asking];
        this.#asking.clear();
        void this.#join(subscriptions);
      });
    }
    this.#asking.add(subscription);
  }

  /** @param {Subscription[]} subscriptions */
  async #join(subscriptions) {
    const renewing = subscriptions.filter((each) => each.fetchesToken);
    const joining = [this.#send(subscriptions.filter((each) => !each.fetchesToken))];
    if (renewing.length > 0) joining.push(this.#joinWithNewTokens(renewing));
    await Promise.all(joining);
  }

  /** @param {Subscription[]} subscriptions Whose tokens are functions: ask them first. */
  async #joinWithNewTokens(subscriptions) {
    const connection = this.#connection();
    const ready = await Promise.all(subscriptions.map((each) => this.#renew(each)));
    if (connection !== this.#connection()) return; // the next one asks anew
    await this.#send(subscriptions.filter((_, index) => ready[index]));
  }

  /** @param {Subscription[]} subscriptions */
  async #send(subscriptions) {
    const connection = this.#connection();
    if (connection === null) return;
    const wanted = subscriptions.filter((each) => each.state !== "left");
    const joining = frameLists(wanted.map((each) => each.request)).map(async (list) => {
      const { subscribed } = await connection.request({ subscribe: list });
      for (const reply of subscribed) this.accept(reply);
    });
    try {
      await Promise.all(joining);
    } catch (error) {
      // Gone with its connection, it is asked for again on the next. Else the server is stuck or
      // has not understood: a new connection is the way out of both.
      if (connection !== this.#connection()) return;
      this.#emit("error", error);
      connection.abandon("The rooms could not be joined.");
    }
  }

  /**
   * @param {Subscription} subscription
   * @returns {Promise<boolean>} Whether there is a token; if not, the room is tried again later.
   */
  async #renew(subscription) {
    try {
      await subscription.renewToken();
      return true;
    } catch (error) {
      if (subscription.state === "left") return false;
      this.#refused(subscription, new RealtimeError("token", `${error}`, subscription.room));
      return false;
    }
  }

  /** @param {Subscription} subscription @param {RealtimeError} error */
  #refused(subscription, error) {
    const isPassing =
      PASSING_REFUSALS.has(error.code) ||
      (error.code === "bad_token" && subscription.mayRenewToken());
    if (isPassing) {
      setTimeout(() => {
        if (subscription.state === "joining") this.#ask(subscription);
      }, backoffDelay(PASSING_ATTEMPT));
    } else {
      subscription.refuse();
      this.#subscriptions.delete(subscription.room);
    }
    this.#tell(subscription, "error", error);
  }

  /** @param {Subscription} subscription */
  #leave(subscription) {
    this.#subscriptions.delete(subscription.room);
    this.#asking.delete(subscription);
    // Without a connection there is no membership either.
    const leaving = this.#connection()?.request({ unsubscribe: { room: subscription.room } });
    leaving?.catch(() => {});
  }

  /** @param {Subscription} subscription @param {string} type @param {unknown} detail */
  #tell(subscription, type, detail) {
    subscription.dispatchEvent(new CustomEvent(type, { detail }));
    this.#emit(type, detail);
  }
}
