/**
 * The reference client of the Shardlayer protocol (docs/protocol.md; its use: docs/client.md).
 *
 *     const client = new RealtimeClient("/ws/");
 *     client.subscribe("chat.lobby", (message) => show(message));
 *     client.connect();
 *
 * An ES module for browsers: no build step, no dependency. It comes back by itself, after a wait
 * with chance in it; then subscribes to all its rooms in one frame, each from the offset that it has
 * seen; hands on what it missed before what is new, each publication once and in order; and says
 * so (`gap`) where that was not possible.
 */

import { backoffDelay, returnDelay } from "./backoff.js";
import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { Lag } from "./lag.js";
import { loadShared, loadSse } from "./parts.js";
import { RealtimeError, offline, serverError, websocketUrl } from "./protocol.js";
import { newKey, sendUntilTaken } from "./publishing.js";
import { Resuming } from "./resuming.js";
import { Rooms } from "./rooms.js";

/** A connection that lasted so long was a good one: the next wait is short. In milliseconds. */
export const STABLE_AFTER = 5_000;

/** What arrives so late is called behind, in milliseconds. */
export const BEHIND_AFTER = 2_000;

/** After so many attempts without success a stream of events has its turn, see sse.js; and after a stream. */
const FAILURES_OF_WEBSOCKETS = 3;

/** The attempt whose backoff a client waits that was sent away for sending too much: 0 to 16 s. */
const LATER_ATTEMPT = 5;

/** @typedef {"connecting" | "live" | "behind" | "offline"} State */

/**
 * @typedef {object} Status
 * @property {State} state
 * @property {number} lag How late what arrives is, in milliseconds; of interest when behind.
 * @property {number | null} retryAt When the next attempt starts, as `Date.now()` counts; if any.
 * @property {boolean} final Offline, and no attempt will follow until `connect()`.
 * @property {string} reason Why it is offline, for people.
 * @property {"websocket" | "sse"} transport Of the present connection, or of the last attempt.
 */

/**
 * @typedef {object} ClientOptions
 * @property {(data: any, room: string) => number | undefined} [sentAt] When the data was made, in
 *   milliseconds of a clock that agrees with this one. Lets `behind` mean the age of the data too.
 * @property {number} [behindAfter] See BEHIND_AFTER.
 * @property {() => number} [random] The chance in the waits.
 * @property {(url: string) => Socket} [socket] Makes the WebSocket; where there is none of its own, say.
 * @property {string | false} [sse] The address of the stream of events, for networks that let no
 *   WebSocket through; false: none. By default `../sse/` beside the WebSocket's.
 * @property {string} [share] Who the page's user is: all tabs that say the same use one connection.
 */

/** @typedef {import("./connection.js").ConnectionOptions & ClientOptions} Options */
/** @typedef {import("./connection.js").Socket} Socket */

/**
 * Events: `state` (detail: Status; also for each new figure while behind), `subscribed`, `gap` and
 * `presence` (of all subscriptions, see Subscription), `announcement` (detail: {data}; to everybody, in
 * whichever rooms), `error` (detail: a RealtimeError that no promise carries: a room or a token
 * refused, an unreadable frame).
 */
export class RealtimeClient extends Emitter {
  /** @type {Readonly<Status>} */
  #status = { state: "offline", lag: 0, retryAt: null, final: true, reason: "", transport: "websocket" };
  /** @type {Connection | null} */
  #connection = null;
  /** @type {ReturnType<typeof import("./shared.js").share>} */
  #shared = null;
  /** @type {Socket | undefined} The present one, or the last. */
  #socket;
  /** @type {import("./sse.js").Streams | undefined} */
  #streams;
  #wanted = false;
  /** @type {AbortController | undefined} */
  #listening;
  #attempt = 0;
  /** Attempts since the last one that came to be live by WebSocket. */
  #failures = 0;
  /** @type {number | null} Milliseconds: when the server that goes wants this client back. */
  #returnIn = null;
  /** @type {number | undefined} */
  #retryTimer;
  /** @type {number | undefined} */
  #stableTimer;
  #url;
  #options;
  #lag;
  #resuming;
  #rooms;

  /**
   * @param {string} url Absolute, or relative to the page: `/ws/`.
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    super();
    this.#url = websocketUrl(url, globalThis.document?.baseURI);
    this.#options = options;
    this.#lag = new Lag(options.behindAfter ?? BEHIND_AFTER, (lag, behind) => {
      if (this.#status.state !== "live" && this.#status.state !== "behind") return;
      this.#become({ state: behind ? "behind" : "live", lag });
    });
    this.#resuming = new Resuming(options.random);
    this.#rooms = new Rooms(this, () => this.#connection);
  }

  /** @returns {Readonly<Status>} */
  get status() {
    return this.#status;
  }

  /** Connect, and stay so until `close()`. Subscribe before or after, as you like. */
  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    globalThis.addEventListener?.("online", this.#wake, { signal });
    globalThis.document?.addEventListener("visibilitychange", this.#wake, { signal });
    if (this.#options.share === undefined) this.#open();
    else void this.#openShared(this.#options.share);
  }

  /**
   * Disconnect and stay away. Subscriptions are kept, for another `connect()`, which signs in anew: by
   * the token, or by the cookie, of whoever is logged in then.
   */
  close() {
    if (this.#wanted) this.#stop("Closed by this page.");
  }

  /**
   * Follow a room. All subscriptions of one turn of the event loop share a frame; those of one room
   * share its membership.
   * @param {string} room 1 to 99 letters, digits, `-`, `_` and `.`.
   * @param {import("./subscription.js").Handler} [handler] Called in the order of offsets.
   * @param {import("./subscription.js").Options} [options]
   * @returns {import("./subscription.js").Subscription}
   */
  subscribe(room, handler, options) {
    return this.#rooms.subscribe(room, handler, options);
  }

  /**
   * Follow the signed-in user's own room, whatever it is called.
   * @param {import("./subscription.js").Handler} handler
   * @param {import("./subscription.js").Options} [options]
   * @returns {Promise<import("./subscription.js").Subscription>} Once the server has said
   *   who that is; rejects as `identity` does, and with `anonymous` if it is nobody.
   */
  async subscribeToUser(handler, options) {
    const { room } = await this.identity();
    if (room === null) throw new RealtimeError("anonymous", "Nobody is signed in.");
    return this.subscribe(room, handler, options);
  }

  /**
   * Ask who the server takes this client for; waits for the connection.
   * @returns {Promise<{node: string, client: string, user: string | null, room: string | null}>}
   *   The worker, the connection's id, the user's name and own room. Rejects with `offline` unless `connect()` was called.
   */
  async identity() {
    return (await this.#ask({ connect: {} })).connected;
  }

  /**
   * The id of the present connection, for the header `X-Realtime-Client` of a request: what its view
   * then publishes can leave this client out. Waits for the connection. Each connection has another.
   * @returns {Promise<string>} Rejects with `offline` unless `connect()` was called. Empty where tabs
   *   share the connection, since the others would miss what leaves it out, and in a stream of events.
   */
  async connectionId() {
    const isOwn = () => this.#shared === null && this.#transport !== "sse";
    try {
      const id = isOwn() && (await this.identity()).client;
      return (isOwn() && id) || ""; // what is so may have changed while it waited
    } catch (error) {
      if (isOwn()) throw error;
      return "";
    }
  }

  /**
   * Publish to a room. Never queued: without a connection it rejects at once (`offline`), and what
   * was on its way when the connection went rejects as `lost`, since it may have arrived.
   * @param {string} room
   * @param {unknown} data Anything that JSON can say.
   * @param {{key?: string, retryFor?: number}} [options] `key`: names this publication, 1 to 64
   *   characters; what is published again under the same key within five minutes is published
   *   once. `retryFor`: try again for so many milliseconds where that may help, under one key.
   * @returns {Promise<{room: string, offset?: number, epoch?: string}>}
   */
  async publish(room, data, { key, retryFor = 0 } = {}) {
    const publish = { room, data, key: key ?? (retryFor > 0 ? newKey() : undefined) };
    const send = () => this.#request({ publish });
    return (await sendUntilTaken(send, retryFor, this.#options.random)).published;
  }

  /**
   * Send a command of the site's own (a `RoomConsumer` with `command_NAME`); never queued.
   * @param {string} name
   * @param {unknown} value Anything that JSON can say.
   * @returns {Promise<any>} What it answers; rejects with `refused` where the site says no.
   */
  async command(name, value) {
    return (await this.#request({ [name]: value }))[name];
  }

  /**
   * Read a room's newest publications without following it; waits for the connection. What is too
   * much for one answer is asked for in several.
   * @param {string} room
   * @param {{limit?: number, before?: number, token?: string}} [options] `limit`: at most so many;
   *   the server has a limit of its own. `before`: those before that offset. `token`: opens the
   *   room.
   * @returns {Promise<import("./protocol.js").History>}
   */
  async history(room, options) {
    const { history } = await this.#ask({ history: { ...options, room } });
    const { publications, epoch, more } = history;
    delete history.more;
    if (more > 0 && publications.length > 0) {
      const before = publications[0].offset;
      const rest = await this.history(room, { ...options, limit: more, before });
      // Of another epoch: the room was begun anew, and this is of another count.
      if (rest.epoch === epoch) publications.unshift(...rest.publications);
    }
    return history;
  }

  /**
   * Ask how many people are in a room, and who; waits for the connection.
   * @param {string} room
   * @param {{limit?: number, after?: string}} [options] `limit`: name at most so many; the server
   *   has a limit of its own. `after`: those behind that person.
   * @returns {Promise<import("./protocol.js").PresencePage>}
   */
  async presence(room, options) {
    return (await this.#ask({ presence: { ...options, room } })).presence;
  }

  /** @returns {Promise<number>} Milliseconds there and back, behind all that is queued before. */
  async ping() {
    const sent = performance.now();
    await this.#request({ ping: {} });
    return performance.now() - sent;
  }

  /** @param {object} command */
  async #request(command) {
    if (this.#connection === null) throw offline();
    return this.#connection.request(command);
  }

  /**
   * Send a command that changes nothing, on the next connection too if one was lost over it.
   * @param {object} command
   */
  async #ask(command) {
    await null; // so that `connect()` may follow in the same turn
    for (;;) {
      while (!this.#connection?.ready) {
        if (!this.#wanted) throw offline();
        await new Promise((resolve) => this.addEventListener("state", resolve, { once: true }));
      }
      try {
        return await this.#request(command);
      } catch (/** @type {any} */ error) {
        if (error.code !== "lost") throw error;
      }
    }
  }

  get #transport() {
    return this.#socket?.transport ?? "websocket";
  }

  /** @returns {Socket} A WebSocket; or, where none gets through, what looks like one. */
  #newSocket() {
    const { socket, sse = "../sse/", random, openTimeout } = this.#options;
    const connect = () => socket?.(this.#url) ?? /** @type {Socket} */ (new WebSocket(this.#url));
    if (++this.#failures > 1 && sse) {
      void loadSse().then(({ Streams }) => (this.#streams ??= new Streams(sse, this.#url, connect, random, openTimeout)), () => {});
    }
    return this.#streams?.open(this.#failures, this.#shared !== null) ?? connect();
  }

  /** @param {string} name */
  async #openShared(name) {
    const shared = await loadShared().catch(() => null);
    if (!this.#wanted || this.#connection !== null) return; // closed meanwhile
    this.#shared ??= shared?.share(`${this.#url} ${name}`, () => this.#newSocket()) ?? null;
    this.#open();
  }

  #open() {
    clearTimeout(this.#retryTimer);
    this.#returnIn = null;
    this.#socket = this.#shared?.open() ?? this.#newSocket();
    this.#become({ state: "connecting", retryAt: null, final: false });
    this.#connection = new Connection(this.#socket, this.#options, this.#resuming, {
      onReady: () => this.#joinAll(),
      onMessage: (message) => this.#receive(message),
      onLag: (lag) => this.#lag.pongLate(lag),
      onError: (error) => this.emit("error", error),
      onEnd: (reason, comeBack, later) => {
        if (!comeBack) return this.#stop(reason);
        this.#release();
        if (later) this.#attempt = Math.max(this.#attempt, LATER_ATTEMPT);
        const wait = this.#returnIn ?? backoffDelay(this.#attempt++, this.#options.random);
        this.#retryTimer = setTimeout(() => this.#open(), wait);
        this.#become({ state: "offline", retryAt: Date.now() + wait, reason });
      },
    });
  }

  #release() {
    this.#connection = null;
    this.#lag.reset();
    clearTimeout(this.#stableTimer);
    this.#resuming.stop();
    this.#rooms.hold();
  }

  /** @param {string} reason */
  #stop(reason) {
    this.#wanted = false;
    this.#listening?.abort();
    clearTimeout(this.#retryTimer);
    this.#connection?.close();
    this.#shared?.end();
    this.#shared = null;
    this.#release();
    this.#resuming.forget(); // whoever connects next may be somebody else
    this.#become({ state: "offline", retryAt: null, final: true, reason });
  }

  /** The network is back, or someone looks at the page again: find out now, don't wait. */
  #wake = (/** @type {Event} */ { type }) => {
    if (type === "online") this.#failures = 0; // another network, maybe
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.#connection === null) this.#open();
    else this.#connection.check();
  };

  async #joinAll() {
    const connection = this.#connection;
    await this.#rooms.joinAll();
    // Without rooms a stream may have asked nobody anything.
    if (this.#transport === "sse") await this.ping().catch(() => connection?.abandon("No answer."));
    if (!connection || connection !== this.#connection) return;
    this.#stableTimer = setTimeout(() => (this.#attempt = 0), STABLE_AFTER);
    this.#resuming.start(async () => (await connection.request({ note: {} })).note);
    this.#failures = this.#transport === "sse" ? FAILURES_OF_WEBSOCKETS : 0;
    this.#become({ state: "live", lag: 0, reason: "" });
  }

  /** @param {any} message A push, or what answers no command: an error, rooms of the URL (id 0). */
  #receive(message) {
    const { room, subscribed, overheard, error, reconnect, renew, unsubscribed, announcement } = message;
    if (subscribed) {
      for (const reply of [subscribed].flat()) this.#rooms.accept(reply);
    } else if (overheard) {
      this.#rooms.overhear(overheard); // the answer to another tab
    } else if (error) {
      this.emit("error", serverError(error));
    } else if (reconnect) {
      this.#returnIn = returnDelay(reconnect.after_ms);
    } else if (renew) {
      void this.#connection?.renewSignIn();
    } else if (unsubscribed) {
      this.#rooms.putOut(room, unsubscribed.code);
    } else if (announcement !== undefined) {
      this.emit("announcement", { data: announcement });
    } else if (message.reset !== undefined) {
      this.#rooms.reset(message);
    } else if (message.presence) {
      this.#rooms.presence(message);
    } else if (!("data" in message)) {
      if (message.offset !== undefined) this.#rooms.push(message);
    } else {
      const sent = this.#options.sentAt?.(message.data, room);
      if (sent !== undefined) this.#lag.dataAge(Date.now() - sent);
      this.#rooms.push(message);
    }
  }

  /** @param {Partial<Status>} change */
  #become(change) {
    this.#status = Object.freeze({ ...this.#status, ...change, transport: this.#transport });
    this.emit("state", this.#status);
  }
}
