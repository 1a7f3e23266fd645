/**
 * The rooms as a stream of Server-Sent Events, for networks that let no WebSocket through.
 *
 * To the client it looks like a WebSocket: it answers commands itself, as far as that goes. The rooms of
 * a stream stand in its address. So another room means another stream, which goes on from where the
 * one before was; a room without history has a gap there, and says so. See docs/protocol.md.
 */

import { messageIn } from "./protocol.js";
import { eventsIn } from "./stream.js";

/** @typedef {import("./protocol.js").Position} Position */
/** @typedef {{room: string, token?: string, offset?: number, epoch?: string}} Wanted */

/** The server says something every 15 s. After so long without a word pings have no answer. In ms. */
const SILENT_AFTER = 32_000;

/** The close code of a stream that ends without one. */
const LOST = 1006;

class EventStream {
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: {data: unknown}) => void) | null} */
  onmessage = null;
  /** @type {((event: {code: number, reason: string}) => void) | null} */
  onclose = null;
  /** @type {Map<string, Wanted>} Each where the client is. */
  #rooms = new Map();
  /** @type {{id: number, rooms: string[], isList: boolean}[]} Subscriptions without an answer. */
  #asked = [];
  /** @type {string | undefined} */
  #token;
  #heard = 0;
  #isOver = false;
  #present = new AbortController();
  #url;

  /** @param {string} url */
  constructor(url) {
    this.#url = url;
    queueMicrotask(() => this.onopen?.());
  }

  /** @param {string} frame */
  send(frame) {
    const { id, ...command } = JSON.parse(frame);
    const answer = (/** @type {object} */ reply) => queueMicrotask(() => this.#say({ id, ...reply }));
    if (command.subscribe) this.#subscribe(id, command.subscribe);
    else if (command.unsubscribe) {
      this.#rooms.delete(command.unsubscribe.room); // what still comes of it the client passes over
      answer({ unsubscribed: command.unsubscribe });
    } else if (command.ping) {
      if (this.#rooms.size === 0 || performance.now() - this.#heard < SILENT_AFTER) answer({ pong: {} });
    } else if (command.connect?.token) {
      this.#token = command.connect.token;
      if (this.#rooms.size > 0) void this.#open(); // it is a newer one
      answer({ connected: {} });
    } else if (command.connect?.note) answer({ connected: { resumed: false } });
    else answer({ error: { code: "one_way", message: "No WebSocket gets through, so nothing can be sent." } });
  }

  close() {
    this.#isOver = true;
    this.#present.abort();
  }

  /** @param {number} id @param {Wanted | Wanted[]} wanted */
  #subscribe(id, wanted) {
    const all = [wanted].flat();
    for (const each of all) this.#rooms.set(each.room, each);
    this.#asked.push({ id, rooms: all.map(({ room }) => room), isList: Array.isArray(wanted) });
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
      for await (const { type, data, retry } of eventsIn(/** @type {ReadableStream<BufferSource>} */ (body), () => (this.#heard = performance.now()))) {
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
    for (const { room, error, offset, epoch } of replies) {
      if (error !== undefined) this.#rooms.delete(room);
      else Object.assign(this.#rooms.get(room) ?? {}, { offset, epoch });
    }
    const before = new Map(replies.map((reply) => [reply.room, reply]));
    for (const { id, rooms, isList } of this.#asked.splice(0)) {
      const subscribed = rooms.map((room) => replies.find((reply) => reply.room === room));
      for (const room of rooms) before.delete(room);
      this.#say({ id, subscribed: isList ? subscribed : subscribed[0] });
    }
    for (const reply of before.values()) {
      const { room, error, offset } = reply;
      if (error !== undefined) this.#say({ room, unsubscribed: { code: error.code } });
      else this.#say(offset === undefined ? { room, reset: null } : { overheard: reply });
    }
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

/**
 * The stream's turn comes after three attempts without success. Then each second one is by WebSocket
 * again: where the server is away, both fail.
 * @param {string} path Where the stream is, as seen from the WebSocket.
 * @param {string} url The WebSocket's, absolute.
 * @param {number} attempt The first without success is 1.
 * @returns {import("./connection.js").Socket | null}
 */
export function open(path, url, attempt) {
  if (attempt <= 3 || attempt % 2 === 1) return null;
  return new EventStream(new URL(path, url).href.replace(/^ws/, "http"));
}
