/**
 * The rooms as a stream of Server-Sent Events, for networks that let no WebSocket through.
 *
 * To the client it looks like a WebSocket: it answers commands itself, as far as that goes. The rooms of
 * a stream stand in its address. So another room means another stream, which goes on from where the
 * one before was; a room without history has a gap there, and says so. See docs/protocol.md.
 *
 * It ends, and has the client come back at once, when a WebSocket gets through after all.
 */

import { Probe } from "./probe.js";
import { messageIn } from "./protocol.js";
import { eventsIn } from "./stream.js";

/** @typedef {import("./connection.js").Socket} Socket */
/** @typedef {{room: string, token?: string, offset?: number, epoch?: string}} Wanted */

/**
 * A room that is asked for, with what for.
 * @typedef {{id: number, wanted: Wanted[], isList: boolean}} Ask
 */

/** The server says something every 15 s. After so long without a word pings wait for the next. In ms. */
const SILENT_AFTER = 32_000;

/** The close code of a stream that ends without one. */
const LOST = 1006;

/** The close code of a stream that gives way to a WebSocket. */
const GIVES_WAY = 1012;

class EventStream {
  /** @type {"sse"} */
  transport = "sse";
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: {data: unknown}) => void) | null} */
  onmessage = null;
  /** @type {((event: {code: number, reason: string}) => void) | null} */
  onclose = null;
  /** @type {Map<string, Wanted>} Each where the client is. */
  #rooms = new Map();
  /** @type {Set<string>} Those that a stream before was in. */
  #joined = new Set();
  /** @type {Ask[]} Subscriptions without an answer. */
  #asked = [];
  /** @type {Ask[]} Those of rooms that are in an answer under way, which is to another position. */
  #later = [];
  /** @type {number[]} Pings that wait until the server is heard. */
  #pings = [];
  /** @type {string | undefined} */
  #token;
  #heard = -Infinity;
  #over = new AbortController();
  #present = new AbortController();
  /** @type {number | undefined} */
  #timer;
  #url;
  #probe;
  #isShared;

  /** @param {string} url @param {Probe} probe @param {boolean} isShared Whether other tabs use it, too. */
  constructor(url, probe, isShared) {
    this.#url = url;
    this.#probe = probe;
    this.#isShared = isShared;
    void this.#begin();
  }

  /** @param {string} frame */
  send(frame) {
    const { id, ...command } = JSON.parse(frame);
    const answer = (/** @type {object} */ reply) => queueMicrotask(() => this.#say({ id, ...reply }));
    if (command.subscribe) {
      const wanted = [command.subscribe].flat();
      this.#subscribe({ id, wanted, isList: Array.isArray(command.subscribe) });
    } else if (command.unsubscribe) {
      this.#leave(command.unsubscribe.room); // what still comes of it the client passes over
      answer({ unsubscribed: command.unsubscribe });
    } else if (command.ping) this.#ping(id);
    else if (command.connect?.token) {
      this.#token = command.connect.token;
      if (this.#rooms.size > 0) void this.#open(); // it is a newer one
      answer({ connected: {} });
    } else if (command.connect?.note) answer({ connected: { resumed: false } });
    else answer({ error: { code: "one_way", message: "No WebSocket gets through, so nothing can be sent." } });
  }

  close() {
    this.#over.abort();
    this.#present.abort();
    clearTimeout(this.#timer);
  }

  get #isOver() {
    return this.#over.signal.aborted;
  }

  /** Open, unless a WebSocket gets through. */
  async #begin() {
    await null; // so that who made it can listen
    if (this.#isOver || (this.#probe.isDue && (await this.#givesWay()))) return;
    if (this.#isOver) this.#probe.putOff(); // so the next stream does not wait for one
    else this.onopen?.();
  }

  /** Try a WebSocket; if it gets through, it is the client's next. */
  async #givesWay() {
    const passes = await this.#probe.passes(this.#over.signal).catch(() => false);
    if (passes) this.#endForWebSocket("A WebSocket gets through.");
    return passes;
  }

  /** Try a WebSocket when it is time, and again. */
  #tryLater() {
    this.#timer = setTimeout(async () => {
      if (!(await this.#givesWay()) && !this.#isOver) this.#tryLater();
    }, this.#probe.putOff());
  }

  /** @param {string} reason */
  #endForWebSocket(reason) {
    this.#say({ reconnect: { after_ms: 0 } });
    this.#end(GIVES_WAY, reason);
  }

  /**
   * The server is there if it was heard lately. Without rooms nothing is asked of it, and nothing heard;
   * where tabs share the stream, another one may have some.
   * @param {number} id
   */
  #ping(id) {
    this.#pings.push(id);
    if (performance.now() - this.#heard < SILENT_AFTER) queueMicrotask(() => this.#pong());
    else if (this.#rooms.size === 0 && !this.#isShared) this.#endForWebSocket("No rooms, no stream.");
  }

  #pong() {
    for (const id of this.#pings.splice(0)) this.#say({ id, pong: {} });
  }

  #hear() {
    this.#heard = performance.now();
    this.#pong();
  }

  /** @param {string} room */
  #leave(room) {
    this.#rooms.delete(room);
    this.#joined.delete(room);
    for (const ask of [...this.#asked, ...this.#later]) {
      ask.wanted = ask.wanted.filter((each) => each.room !== room);
    }
  }

  /** @param {Ask} ask */
  #subscribe(ask) {
    const isAsked = (/** @type {Wanted} */ { room }) => this.#asked.some(({ wanted }) => wanted.some((each) => each.room === room));
    if (ask.wanted.some(isAsked)) return void this.#later.push(ask);
    for (const each of ask.wanted) this.#rooms.set(each.room, each);
    this.#asked.push(ask);
    void this.#open();
  }

  /** Begin a stream of all rooms, in place of the present one. */
  async #open() {
    this.#present.abort();
    const { signal } = (this.#present = new AbortController());
    /** @type {Record<string, string>} */
    const headers = this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` };
    try {
      /** @type {RequestInit} */
      const how = { headers, signal, credentials: "include", cache: "no-store" };
      const { body, ok, status } = await fetch(this.#address(), how);
      if (!ok || body === null) return this.#end(LOST, `The server answered ${status}.`);
      for await (const { type, data, retry } of eventsIn(/** @type {ReadableStream<BufferSource>} */ (body), () => this.#hear())) {
        if (signal.aborted) return;
        const message = messageIn(data);
        if (message === null) {
          this.onmessage?.({ data }); // the client tells of it
        } else if (type === "close") {
          if (retry !== undefined) this.#say({ reconnect: { after_ms: retry } });
          return this.#end(message.code, message.reason);
        } else {
          this.#received(message);
        }
      }
    } catch {
      // Told below; what was thrown says no more than that.
    }
    if (!signal.aborted) this.#end(LOST, "");
  }

  #address() {
    const address = new URL(this.#url);
    const rooms = [...this.#rooms.values()];
    for (const { room, token } of rooms) {
      address.searchParams.append("room", token === undefined ? room : `${room}~${token}`);
    }
    const since = rooms.map(({ offset, epoch }) => (offset === undefined ? "-" : `${offset}.${epoch}`));
    address.searchParams.set("since", since.join());
    return address;
  }

  /** @param {any} message */
  #received(message) {
    if (message.id === 0 && message.subscribed) return this.#answer(message.subscribed);
    const at = this.#rooms.get(message.room);
    if (at !== undefined) Object.assign(at, message.reset ?? { offset: message.offset });
    this.#say(message);
  }

  /** @param {any[]} replies Of the rooms, to those that wait for them and to those that were here. */
  #answer(replies) {
    const before = new Map(replies.filter(({ room }) => this.#rooms.has(room)).map((reply) => [reply.room, reply]));
    for (const [room, { error, offset, epoch }] of before) {
      if (error !== undefined) this.#rooms.delete(room);
      else Object.assign(this.#rooms.get(room) ?? {}, { offset, epoch });
    }
    const isBare = (/** @type {any} */ { error, offset }) => error === undefined && offset === undefined;
    for (const ask of this.#asked.splice(0)) {
      for (const { room } of ask.wanted) {
        // Who asks now misses nothing. Others may be in the room since a stream before.
        if (this.#joined.has(room) && before.has(room) && isBare(before.get(room))) this.#say({ room, reset: null });
        before.delete(room);
      }
      this.#settle(ask, replies);
    }
    for (const reply of before.values()) {
      const { room, error } = reply;
      if (error !== undefined) this.#say({ room, unsubscribed: { code: error.code } });
      else this.#say(isBare(reply) ? { room, reset: null } : { overheard: reply });
    }
    this.#joined = new Set(this.#rooms.keys());
    if (this.#isOver) return; // over what it said
    if (this.#timer === undefined) this.#tryLater();
    for (const ask of this.#later.splice(0)) {
      if (ask.wanted.length > 0) this.#subscribe(ask);
      else this.#settle(ask, replies);
    }
  }

  /** Answer an ask, but for the rooms that were left meanwhile. @param {Ask} ask @param {any[]} replies */
  #settle({ id, wanted, isList }, replies) {
    const subscribed = wanted.flatMap(({ room }) => replies.find((reply) => reply.room === room) ?? []);
    if (isList) this.#say({ id, subscribed });
    else if (subscribed.length > 0) this.#say({ id, subscribed: subscribed[0] });
    else this.#say({ id, error: { code: "not_subscribed", message: "The room was left." } });
  }

  /** @param {object} message */
  #say(message) {
    if (!this.#isOver) this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    if (this.#isOver) return;
    this.close();
    this.onclose?.({ code, reason });
  }
}

/** The streams of one client, one after another, and what is known of the WebSockets in their place. */
export class Streams {
  #url;
  #probe;

  /**
   * @param {string} url Where the stream is, as seen from the WebSocket.
   * @param {string} websocket The WebSocket's address, absolute.
   * @param {() => Socket} connect Makes a WebSocket.
   * @param {() => number} [random] The chance in the waits.
   * @param {number} [openTimeout] Milliseconds that a stream may take to open.
   */
  constructor(url, websocket, connect, random, openTimeout) {
    this.#url = new URL(url, websocket).href.replace(/^ws/, "http");
    this.#probe = new Probe(connect, random, openTimeout);
  }

  /**
   * The stream's turn comes after three attempts without success. Then each second one is by WebSocket
   * alone: where the server is away, both fail. After a WebSocket that got through, and was not live, it
   * is the stream's turn.
   * @param {number} attempt The first since a WebSocket was live is 1.
   * @param {boolean} isShared Whether other tabs use it, too.
   * @returns {Socket | null} A stream, or the WebSocket that got through beside one; null: it is not its turn.
   */
  open(attempt, isShared) {
    if (attempt === 1) this.#probe.reset();
    const isStreamsTurn = this.#probe.hasFailed() || (attempt > 3 && attempt % 2 === 0);
    const passed = this.#probe.take();
    if (passed !== null || !isStreamsTurn) return passed;
    return new EventStream(this.#url, this.#probe, isShared);
  }
}
