/**
 * The rooms of one client: who is asked for when, and what comes of it.
 */

import { backoffDelay } from "./backoff.js";
import { RealtimeError, frameLists, serverError } from "./protocol.js";
import { reaches } from "./recovery.js";
import { Subscription } from "./subscription.js";

/** Refusals that may soon be over; those rooms are asked for again. All others are final. */
const PASSING_REFUSALS = new Set(["rate", "full", "unavailable", "internal", "token"]);

/** The attempt whose backoff follows a room's first refusal in passing: up to 4 s, then 8 s, 16 s, 20 s. */
const FIRST_ATTEMPT = 3;

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./protocol.js").Position} Position */
/** @typedef {import("./protocol.js").Subscribed} Subscribed */

/**
 * The subscriptions of one room.
 * @extends {Set<Subscription>}
 */
class Room extends Set {
  /**
   * In passing and in a row, until the room is joined: the next wait grows with them. A new connection
   * asks for all rooms anyway, and ends no row: else clients that lose theirs again and again would
   * storm a full room.
   */
  refusals = 0;
  /** @type {object | undefined} What the server was asked last. */
  asked;
  /** @type {number | undefined} The one timer that has the room asked for again; it ends with the connection. */
  retry;
}

export class Rooms {
  /** @type {Map<string, Room>} None is empty. */
  #rooms = new Map();
  /** @type {Set<string>} To be asked for in one frame, at the end of this turn. */
  #asking = new Set();
  #client;
  #connection;

  /**
   * @param {import("./emitter.js").Emitter} client Its listeners are told what happens in all rooms.
   * @param {() => Connection | null} connection The present one.
   */
  constructor(client, connection) {
    this.#client = client;
    this.#connection = connection;
  }

  /**
   * @param {string} room
   * @param {import("./subscription.js").Handler} [handler]
   * @param {import("./subscription.js").Options} [options]
   */
  subscribe(room, handler, options = {}) {
    const subscription = new Subscription(room, handler, options, this);
    this.#rooms.set(room, this.#in(room).add(subscription));
    this.ask(room);
    return subscription;
  }

  /** Ask for all rooms, on a new connection. Resolves when all have an answer, or it is gone. */
  async joinAll() {
    this.#asking.clear();
    await this.#join([...this.#rooms.keys()]);
  }

  /** The connection is gone: from here on, what comes has to be merged. */
  hold() {
    for (const subscriptions of this.#rooms.values()) {
      clearTimeout(subscriptions.retry);
      for (const subscription of subscriptions) subscription.hold();
    }
  }

  /**
   * @param {Subscribed} reply
   * @param {Position | null} [asked] The position that the server was asked with.
   * @returns {boolean} Whether there are others, who have to ask for something else.
   */
  accept(reply, asked = null) {
    const { room } = reply;
    if (reply.error !== undefined) {
      this.#refused(room, serverError(reply.error, room));
      return false;
    }
    const here = this.#in(room);
    here.refusals = 0;
    const joining = [...here].filter(({ state }) => state === "joining");
    this.overhear(reply);
    let others = false;
    for (const subscription of joining) {
      if (!reaches(asked, subscription.position)) {
        others = true;
        continue;
      }
      const accepted = subscription.accept(reply, asked);
      if (accepted === null) continue;
      const { gap, ...more } = accepted;
      this.tell([subscription], "subscribed", { room, position: subscription.position, ...more });
      this.#tellGap(subscription, gap);
    }
    return others;
  }

  /**
   * Another one asked for the room, on the same connection. Who waits after a refusal asks, too: the
   * connection is in the room, and what is pushed would be held until then.
   * @param {Subscribed} reply
   */
  overhear(reply) {
    const here = this.#in(reply.room);
    for (const subscription of here) {
      if (subscription.overhear(reply) || here.refusals > 0) this.ask(reply.room);
    }
  }

  /** @param {import("./protocol.js").Push} push */
  push(push) {
    for (const subscription of this.#in(push.room)) {
      if (subscription.push(push)) this.ask(push.room);
    }
  }

  /**
   * The server has put this client out of a room.
   * @param {string} room
   * @param {string} [code] Why. None: another tab was refused, and this one may ask.
   */
  putOut(room, code) {
    if (code) return this.#refused(room, new RealtimeError(code, "Ended by the server.", room));
    for (const subscription of this.#in(room)) subscription.hold();
    this.ask(room);
  }

  /** @param {import("./protocol.js").Reset} push */
  reset({ room, reset: position }) {
    for (const subscription of this.#in(room)) this.#tellGap(subscription, subscription.reset(position));
  }

  /** @param {Subscription} subscription @param {import("./subscription.js").Gap | null} gap */
  #tellGap(subscription, gap) {
    if (gap !== null) this.tell([subscription], "gap", { room: subscription.room, ...gap });
  }

  /** @param {{room: string, presence: import("./protocol.js").PresenceNews}} push */
  presence({ room, presence }) {
    const here = this.#in(room);
    if (here.size > 0) this.tell(here, "presence", { room, ...presence });
  }

  /** @param {string} room */
  #in(room) {
    return this.#rooms.get(room) ?? new Room();
  }

  /** @internal Ask the server for a room, at the end of this turn. @param {string} room */
  ask(room) {
    if (!this.#connection()?.ready) return; // `joinAll` will, when there is a connection
    if (this.#asking.size === 0) {
      queueMicrotask(() => {
        const rooms = [...this.#asking];
        this.#asking.clear();
        void this.#join(rooms);
      });
    }
    this.#asking.add(room);
  }

  /** @param {string[]} rooms */
  async #join(rooms) {
    const renews = (/** @type {string} */ room) => this.#opener(room)?.fetchesToken;
    await Promise.all([
      this.#send(rooms.filter((room) => !renews(room))),
      this.#joinWithNewTokens(rooms.filter(renews)),
    ]);
  }

  /** @param {string[]} rooms Whose tokens are functions: ask them first. */
  async #joinWithNewTokens(rooms) {
    const connection = this.#connection();
    const ready = await Promise.all(rooms.map((room) => this.#renew(room)));
    if (connection !== this.#connection()) return; // the next one asks anew
    await this.#send(rooms.filter((_, index) => ready[index]));
  }

  /** @param {string[]} rooms */
  async #send(rooms) {
    const connection = this.#connection();
    if (connection === null) return;
    const wanted = rooms.filter((room) => this.#rooms.has(room)).map((room) => this.#wanted(room));
    const joining = frameLists(wanted.map(({ request }) => request)).map(async (list) => {
      const { subscribed } = await connection.request({ subscribe: list });
      /** @type {string[]} Where some miss what the question did not reach, and no other is on its way. */
      const again = [];
      for (const reply of subscribed) {
        const { room } = reply;
        const asked = wanted.find(({ request }) => request.room === room);
        if (this.accept(reply, asked?.since) && this.#in(room).asked === asked) again.push(room);
      }
      if (again.length > 0) await this.#send(again);
    });
    try {
      await Promise.all(joining);
    } catch (error) {
      // Gone with its connection, it is asked for again on the next. Else the server is stuck or
      // has not understood: a new connection is the way out of both.
      if (connection !== this.#connection()) return;
      this.#client.emit("error", error);
      connection.abandon("No room could be joined.");
    }
  }

  /**
   * What to ask the server for: what is newest, where one begins without a position; else all that one
   * who waits misses, and the others of the same epoch. Who it does not reach asks next.
   * @param {string} room
   */
  #wanted(room) {
    const here = this.#in(room);
    const joining = [...here].filter(({ state }) => state === "joining");
    const begins = joining.some(({ position }) => position === null);
    /** @type {Position | null} */
    let since = null;
    for (const { position } of begins ? [] : [...joining, ...here]) {
      if (since === null || reaches(position, since)) since = position;
    }
    const asked = { since, request: { room, ...since, token: this.#opener(room)?.token } };
    here.asked = asked;
    return asked;
  }

  /** @param {string} room Its subscription that has a token, if any. */
  #opener(room) {
    return [...this.#in(room)].find((each) => each.fetchesToken || each.token !== undefined);
  }

  /**
   * @param {string} room
   * @returns {Promise<boolean>} Whether there is a token; if not, the room is tried again later.
   */
  async #renew(room) {
    const opener = this.#opener(room);
    try {
      await opener?.renewToken();
      return true;
    } catch (error) {
      if (opener?.state !== "left") this.#refused(room, new RealtimeError("token", `${error}`, room));
      return false;
    }
  }

  /** @param {string} room @param {RealtimeError} error */
  #refused(room, error) {
    const here = this.#in(room);
    const subscriptions = [...here];
    if (subscriptions.length === 0) return;
    const isPassing =
      PASSING_REFUSALS.has(error.code) ||
      (error.code === "bad_token" && this.#opener(room)?.mayRenewToken());
    for (const subscription of subscriptions) {
      if (!isPassing) subscription.refuse(error);
      else if (subscription.state === "joined") subscription.hold(); // the server has left it
    }
    clearTimeout(here.retry);
    if (!isPassing) this.#rooms.delete(room);
    else {
      here.retry = setTimeout(() => {
        for (const { state } of here) if (state === "joining") this.ask(room);
      }, backoffDelay(FIRST_ATTEMPT + here.refusals++));
    }
    this.tell(subscriptions, "error", error);
  }

  /** @internal @param {Subscription} subscription */
  leave(subscription) {
    const { room } = subscription;
    const others = this.#in(room);
    if (!others.delete(subscription) || others.size > 0) return;
    clearTimeout(others.retry);
    this.#rooms.delete(room);
    this.#asking.delete(room);
    // Without a connection there is no membership either.
    this.#connection()?.request({ unsubscribe: { room } }).catch(() => {});
  }

  /**
   * @internal Tell the listeners of these subscriptions of one room, and of the client. An error that none
   * of them hears is written to the console, once for each subscription.
   * @param {Iterable<Subscription>} subscriptions
   * @param {string} type
   * @param {any} detail
   */
  tell(subscriptions, type, detail) {
    const targets = [...subscriptions, this.#client];
    for (const each of targets) each.emit(type, detail);
    if (type !== "error" || targets.some(({ hearsErrors }) => hearsErrors)) return;
    for (const each of subscriptions) each.hearsErrors = true;
    console.warn(`Room ${detail.room}: ${detail.message} (${detail.code})`);
  }
}
