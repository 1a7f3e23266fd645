/**
 * One room, as one handler follows it, across connections.
 */

import { backoffDelay, sleep } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { RealtimeError } from "./protocol.js";
import { behind, countBetween, delivery, judge, merge } from "./recovery.js";

/** So many messages wait for a loop that is slower than its room; one more ends it. As for the state. */
export const WAITING_LIMIT = 10_000;

/** @typedef {import("./protocol.js").Position} Position */
/** @typedef {import("./protocol.js").Push} Push */
/** @typedef {import("./protocol.js").Subscribed} Subscribed */
/** @typedef {import("./recovery.js").Delivery} Delivery */

/** The attempt whose backoff follows the first failure to load: up to 2 s, then 4 s, 8 s … 20 s. */
const FIRST_ATTEMPT = 2;

/**
 * What a handler gets beside the data.
 * @typedef {object} Origin
 * @property {string} room
 * @property {number | null} offset `null` in a room that keeps no history.
 * @property {boolean} replayed From the room's history, not pushed as it happened.
 */

/** @typedef {(data: any, origin: Origin) => void} Handler */
/** @typedef {Origin & {data: any}} Message What a loop over the subscription gets. */

/**
 * Fetches the state behind a room, such as rows, and shows it. `since` is where the room was before;
 * `null` in a room that keeps no history. It may return the position that the server took before its
 * query, as a view with `live()` answers it: nothing up to there is handed on, since the state has it. If
 * it lies before `since`, as that of a cached answer, what is between comes from the history; where that
 * has it no more there is a `gap`, and the state is loaded again after a wait.
 * @typedef {(since: Position | null) => any} Load
 */

/**
 * @typedef {object} Options
 * @property {Position | null} [since] Go on from there; `BEGINNING` for all that the room still
 *   holds. Without it, from now on.
 * @property {string | (() => string | Promise<string>)} [token] Opens the room; the server's page
 *   has it. A function is asked for one each time that the room is joined.
 * @property {Load} [state] Loads what the room's publications change. Called when the room is joined,
 *   unless `since` says from where and nothing is missing since; and again whenever something was
 *   missed, in place of a `gap`. What is published meanwhile waits. See Load.
 */

/**
 * What is known of publications that were missed and can't be had any more.
 * @typedef {object} Gap
 * @property {Position | null} since What was handed on last before; `null` without history.
 * @property {Position | null} position Where the room goes on; `null` without history.
 * @property {number | null} missed How many were; `null` where that can't be known, because the
 *   room began a new epoch or keeps no history.
 */

/**
 * Events, each with the room in `detail`: `subscribed` ({room, position, recovered, replayed}; after
 * every connect), `gap` ({room, since, position, missed}, see Gap: publications were missed that
 * nobody can bring back, or may have been in a room that keeps no history), `presence` ({room,
 * people, came, went, more}, see PresenceNews: who came and who went), `loaded` ({room, position}:
 * the state was loaded, see Options), `error` (a RealtimeError: the server said no, and the
 * subscription is over; or, with the code `state`, loading failed and is tried again), `left` (it is
 * over, whoever ended it).
 */
export class Subscription extends Emitter {
  /** @type {"joining" | "joined" | "left"} */
  state = "joining";
  /** @type {Position | null} Where the next subscribe asks from. */
  #position;
  /** @type {Push[]} Pushed while a reply is awaited. */
  #held = [];
  #joinedBefore = false;
  /** @type {string | undefined} */
  #token;
  /** @type {(() => string | Promise<string>) | null} */
  #fetchToken = null;
  /** A fetched token was refused, and none was taken since: the next refusal is final. */
  #tokenRefused = false;
  /** @type {Handler[]} */
  #handlers;
  /** @type {RealtimeError | undefined} Why it is over, if not by the page's will. */
  #failure;
  #rooms;
  #load;
  /** @type {Delivery[] | null} Published while the state is loaded; another list for each load. */
  #waiting = null;
  /** @type {any} What the page's function said of the state: nothing up to there is handed on. */
  #has;
  /** The state that was loaded is older than the room; what it lacks is asked of the history. */
  #goesBack = false;
  /** States in a row that lacked what the history had not any more: the next wait grows with them. */
  #oldStates = 0;
  /** @type {number | undefined} The timer that has the state loaded again. */
  #reload;

  /**
   * Made by `RealtimeClient.subscribe`.
   * @param {string} room
   * @param {Handler | undefined} handler
   * @param {Options} options
   * @param {import("./rooms.js").Rooms} rooms
   */
  constructor(room, handler, { since = null, token, state }, rooms) {
    super();
    this.room = room;
    this.#handlers = handler === undefined ? [] : [handler];
    this.#position = since;
    if (typeof token === "function") this.#fetchToken = token;
    else this.#token = token;
    this.#rooms = rooms;
    this.#load = state;
  }

  /** Where this stands: what a later `subscribe(room, handler, {since})` would go on from. */
  get position() {
    return this.#position;
  }

  /** Leave the room. The handler is not called again, not even for what is on its way. */
  unsubscribe() {
    if (this.state === "left") return;
    this.refuse();
    this.#rooms.leave(this);
  }

  /**
   * What is handed on from now on, for `for await`; leaving the loop leaves the room.
   * @returns {AsyncGenerator<Message, void>} Ends when the subscription is over. Throws what the server
   *   refused it with, or `slow` when more than WAITING_LIMIT messages wait.
   */
  async *[Symbol.asyncIterator]() {
    /** @type {Message[]} */
    const waiting = [];
    let wake = () => {};
    this.#handlers.push((data, origin) => {
      if (waiting.push({ data, ...origin }) > WAITING_LIMIT) {
        this.#failure = new RealtimeError("slow", "Too many messages wait.", this.room);
        this.unsubscribe();
      }
      wake();
    });
    this.addEventListener("left", () => wake());
    this.hearsErrors = true; // since the loop throws them
    try {
      while (this.state !== "left") {
        if (waiting.length === 0) await new Promise((resolve) => (wake = () => resolve(null)));
        yield* waiting.splice(0);
      }
      if (this.#failure) throw this.#failure;
    } finally {
      this.unsubscribe();
    }
  }

  /** @internal What opens the room, if anything has to. */
  get token() {
    return this.#token;
  }

  /** @internal Whether `renewToken` has to be awaited before the room is asked for. */
  get fetchesToken() {
    return this.#fetchToken !== null;
  }

  /** @internal Fetch a token; rejects as the page's function does. */
  async renewToken() {
    this.#token = await this.#fetchToken?.();
  }

  /** @internal The token was refused: whether another may help, which is so once. */
  mayRenewToken() {
    const may = this.#fetchToken !== null && !this.#tokenRefused;
    this.#tokenRefused = true;
    return may;
  }

  /** @internal From now on pushes are held until `accept`. */
  hold() {
    if (this.state !== "left") this.state = "joining";
    this.#held = [];
  }

  /** @internal It is over. @param {RealtimeError} [failure] The server said no. */
  refuse(failure) {
    this.#failure ??= failure;
    this.state = "left";
    clearTimeout(this.#reload);
    this.dispatchEvent(new Event("left"));
  }

  /**
   * @internal Take the server's reply: hands on what was missed, then what was held.
   * @param {Subscribed} reply
   * @param {Position | null} asked The position that the server was asked with.
   * @returns {{gap: Gap | null, recovered: boolean, replayed: number} | null} `gap`: tell the user.
   *   Null: it is over, or has to be asked for anew.
   */
  accept(reply, asked) {
    if (this.state === "left") return null;
    const since = this.#position;
    const { deliveries, position, complete } = merge(since, reply, this.#held, asked !== since);
    // Whoever was here before, or named a place, is told of what is missing. "All there is" has
    // no beginning that could be, and where no history is kept nobody can know: so, a gap.
    const expected = this.#joinedBefore || Boolean(since?.epoch);
    const isWhole = since !== null && position !== null && complete;
    const loads = this.#load !== undefined && !isWhole && !this.#goesBack;
    if (loads && since !== null && position !== null) {
      this.#joinAnew(); // from now on: what the history still has is in the state
      return null;
    }
    const isGap = expected && !isWhole && !loads;
    const gap = isGap ? gapBetween(since, position, deliveries.length) : null;
    this.#held = [];
    this.state = "joined";
    this.#joinedBefore = true;
    this.#tokenRefused = false;
    this.#position = position;
    if (this.#goesBack) this.#wentBack(isWhole);
    if (loads) void this.#loadState(position); // which begins now, and so has all that came before
    else for (const each of deliveries) this.#deliver(each);
    const replayed = deliveries.filter((each) => each.replayed).length;
    return { gap, recovered: since === null ? reply.recovered === true : isWhole, replayed };
  }

  /**
   * @internal Another subscription of the connection had the room asked for, and this is the reply.
   * The server pushes nothing that it holds.
   * @param {Subscribed} reply
   * @returns {boolean} Whether the server has to be asked again, for this one.
   */
  overhear({ offset = 0, epoch, publications = [] }) {
    if (this.state !== "joined" || this.#position === null) return false;
    if (epoch === this.#position.epoch) {
      for (const each of publications) {
        if (this.push({ room: this.room, ...each, replayed: true })) return true;
      }
      if (offset <= this.#position.offset) return false;
    }
    this.hold();
    return true;
  }

  /**
   * @internal
   * @param {Push} push
   * @returns {boolean} Whether the server has to be asked again; the push is then held.
   */
  push(push) {
    if (this.state === "left") return false;
    if (this.state === "joining") {
      this.#held.push(push);
      return false;
    }
    const verdict = judge(this.#position, push);
    if (verdict === "drop") return false;
    if (verdict === "resync") {
      this.hold();
      this.#held.push(push);
      return true;
    }
    if (this.#position !== null && push.offset !== undefined) {
      this.#position = { offset: push.offset, epoch: this.#position.epoch };
    }
    if (!("data" in push)) return false; // this client knows it already
    this.#deliver(delivery(push, push.replayed === true));
    return false;
  }

  /**
   * @internal
   * @param {Position | null} position Null: the room keeps no history.
   * @returns {Gap | null} What to tell the user; if a reply is awaited, that will say it.
   */
  reset(position) {
    this.#held = []; // numbered before the reset
    if (this.state !== "joined") return null;
    const since = this.#position;
    this.#position = position;
    if (this.#load === undefined) return gapBetween(since, position, 0);
    this.#joinAnew();
    return null;
  }

  /**
   * Have the server say where the room is now, and load the state from there. Of a room that keeps no
   * history it has nothing to say. Over a stream the question would begin another, which resets such rooms:
   * two of them would ask without end.
   */
  #joinAnew() {
    clearTimeout(this.#reload);
    if (this.state === "joined" && this.#position === null) return void this.#loadState(null);
    this.#position = null;
    this.#waiting = []; // so the load that is under way, if any, is over
    this.hold();
    this.#rooms.ask(this.room);
  }

  /**
   * The room is joined, which captured a position: load the state behind it, hand on what was published
   * since, and then what comes. A load that fails is tried again; one that was overtaken by another, begun
   * after something was missed, has nothing to say any more.
   * @param {Position | null} since
   */
  async #loadState(since) {
    const { room } = this;
    /** @type {Delivery[]} */
    const waiting = (this.#waiting = []);
    const isOver = () => this.#waiting !== waiting || this.state === "left";
    for (let attempt = FIRST_ATTEMPT; !isOver(); attempt++) {
      try {
        const reached = await this.#load?.(since);
        if (isOver()) return;
        this.#waiting = null;
        this.#has = reached;
        const older = behind(reached, since);
        if (older) this.#goBack(older);
        this.#rooms.tell([this], "loaded", { room, position: older ?? since });
        if (older) return;
        this.#oldStates = 0;
        for (const each of waiting) this.#deliver(each);
      } catch (cause) {
        if (isOver()) return;
        this.#rooms.tell([this], "error", new RealtimeError("state", `${cause}`, room));
        await sleep(backoffDelay(attempt));
      }
    }
  }

  /** Have the server say what a state that comes from a cache lacks. @param {Position} older */
  #goBack(older) {
    this.#position = older;
    this.#goesBack = true;
    this.hold();
    this.#rooms.ask(this.room);
  }

  /** @param {boolean} isWhole Whether the history had it. If not, a newer state may, after a wait. */
  #wentBack(isWhole) {
    this.#goesBack = false;
    if (isWhole) this.#oldStates = 0;
    else this.#reload = setTimeout(() => this.#joinAnew(), backoffDelay(FIRST_ATTEMPT + this.#oldStates++));
  }

  /** @param {Delivery} message */
  #deliver(message) {
    if (this.#waiting !== null) {
      if (this.#waiting.push(message) > WAITING_LIMIT) this.#joinAnew(); // and so begin to load anew
      return;
    }
    const { data, ...origin } = message;
    const { epoch, offset } = this.#has ?? {};
    if (origin.offset !== null && origin.offset <= offset && epoch === this.#position?.epoch) return;
    for (const handler of this.#handlers) {
      if (this.state === "left") return;
      try {
        handler(data, { room: this.room, ...origin });
      } catch (error) {
        // One handler's fault must not cost other rooms their messages. This is `reportError`, which
        // Node has not.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/**
 * @param {Position | null} since
 * @param {Position | null} position
 * @param {number} handed Publications between the two that were handed on after all.
 * @returns {Gap}
 */
function gapBetween(since, position, handed) {
  const count = countBetween(since, position);
  const missed = count === null ? null : Math.max(0, count - handed);
  return { since, position, missed };
}
