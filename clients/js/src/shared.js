/**
 * One connection for all tabs of a browser.
 *
 * The tabs talk over a BroadcastChannel. A Web Lock says which of them holds the connection: the
 * browser gives it to the next when that tab is closed or crashes. A tab that holds it and is frozen
 * does not answer; then another takes the lock from it. Not a SharedWorker: its script has to be of
 * the page's own origin, which static files often are not, and Chrome on Android has none.
 */

import { Hub } from "./hub.js";
import { newKey } from "./publishing.js";

/** @typedef {import("./connection.js").Socket} Socket */

/** The tab that holds the connection says that it is there within so long, in milliseconds. */
export const ANSWER_WITHIN = 3_000;

/**
 * What the tabs send each other. To the hub: `enter`, `send`. From it: `hello` when it begins, `seen` as
 * the answer to `enter`, and what it tells (see Hub).
 * @typedef {object} Note
 * @property {string} [enter] The socket that is opened.
 * @property {{socket: string, frame: string}} [send]
 * @property {string} [hub] Who says what follows.
 * @property {true} [hello]
 * @property {string} [seen] The socket whose `enter` has come.
 * @property {import("./hub.js").News} [news]
 */

/** What a tab's client takes for its WebSocket. */
class TabSocket {
  id = newKey();
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: {data: unknown}) => void) | null} */
  onmessage = null;
  /** @type {((event: {code: number, reason: string}) => void) | null} */
  onclose = null;
  /** @type {"websocket" | "sse" | undefined} */
  transport;
  /** @type {string | undefined} The hub that knows of it. */
  hub;
  /** @type {(() => void) | null} Gives back the lock by which the hub sees that the tab lives. */
  release = null;

  /** @param {(frame: string) => void} send @param {() => void} close */
  constructor(send, close) {
    this.send = send;
    this.close = close;
  }
}

class SharedConnection {
  /** @type {Map<string, TabSocket>} */
  #sockets = new Map();
  /** @type {Hub | null} While this tab holds the connection. */
  #hub = null;
  #hubId = "";
  #ended = false;
  #waiting = new AbortController();
  #giveBack = () => {};
  #channel;
  #key;
  #connect;

  /**
   * @param {string} key Tabs of the same one share: the address, and who the page's user is.
   * @param {() => Socket} connect Opens a connection to the server.
   */
  constructor(key, connect) {
    this.#key = `shardlayer ${key}`;
    this.#connect = connect;
    this.#channel = new BroadcastChannel(this.#key);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    void this.#lead(false);
  }

  /** @returns {Socket} */
  open() {
    const socket = new TabSocket(
      (frame) => this.#post({ send: { socket: socket.id, frame } }),
      () => this.#forget(socket),
    );
    this.#sockets.set(socket.id, socket);
    void this.#alive(socket);
    setTimeout(() => {
      // Whoever holds the connection is frozen.
      if (this.#sockets.has(socket.id) && socket.hub === undefined) void this.#lead(true);
    }, ANSWER_WITHIN);
    return socket;
  }

  /** Let other tabs hold the connection; for good. */
  end() {
    this.#ended = true;
    this.#waiting.abort();
    this.#hub?.end(1001, "The page that held the connection has closed it.");
    this.#giveBack();
    this.#channel.close();
  }

  /**
   * Wait for the connection, or take it; hold it until another tab takes it or this one ends.
   * @param {boolean} steal
   */
  async #lead(steal) {
    this.#waiting.abort();
    this.#waiting = new AbortController();
    /** @type {Hub | null} */
    let hub = null;
    const hold = () => {
      if (this.#ended) return undefined;
      const id = newKey();
      hub = this.#hub = new Hub(this.#connect, (news) => this.#post({ hub: id, news }));
      this.#hubId = id;
      this.#post({ hub: id, hello: true });
      return new Promise((resolve) => (this.#giveBack = () => resolve(undefined)));
    };
    try {
      const how = steal ? { steal } : { signal: this.#waiting.signal };
      await navigator.locks.request(this.#key, how, hold);
    } catch {
      // Another tab has taken it, or this one waits no more.
    }
    if (hub === null || this.#ended) return;
    /** @type {Hub} */ (hub).end(1006, "Another tab holds the connection now.");
    this.#hub = null;
    void this.#lead(false);
  }

  /** @param {TabSocket} socket */
  async #alive(socket) {
    await navigator.locks.request(`${this.#key} ${socket.id}`, () => {
      if (!this.#sockets.has(socket.id)) return undefined; // closed meanwhile
      const closed = new Promise((resolve) => (socket.release = () => resolve(undefined)));
      this.#post({ enter: socket.id });
      return closed;
    });
  }

  /** @param {Note} note */
  #post(note) {
    const only = note.seen ?? note.news?.only;
    const isForUs = only === undefined ? this.#hub !== null && !note.hub : this.#sockets.has(only);
    if (!isForUs && !this.#ended) this.#channel.postMessage(note);
    this.#receive(note);
  }

  /** @param {Note} note */
  #receive({ enter, send, hub, hello, seen, news }) {
    if (enter !== undefined) this.#enter(enter);
    if (send !== undefined) this.#hub?.send(send.socket, send.frame);
    if (seen !== undefined) {
      const socket = this.#sockets.get(seen);
      if (socket !== undefined) socket.hub = hub;
    }
    for (const socket of this.#sockets.values()) {
      if (hello) this.#greet(socket);
      if (news !== undefined && socket.hub === hub) this.#hear(socket, news);
    }
  }

  /** A tab opens a socket, and this one holds the connection. @param {string} id */
  #enter(id) {
    const hub = this.#hub;
    if (hub === null) return;
    this.#post({ hub: this.#hubId, seen: id });
    hub.enter(id);
    void navigator.locks.request(`${this.#key} ${id}`, () => hub.leave(id));
  }

  /** Another tab holds the connection from now on. @param {TabSocket} socket */
  #greet(socket) {
    if (socket.hub !== undefined) this.#close(socket, 1006, "Another tab holds the connection now.");
    else if (socket.release !== null) this.#post({ enter: socket.id });
  }

  /** @param {TabSocket} socket @param {import("./hub.js").News} news */
  #hear(socket, { only, except, opened, frame, closed }) {
    if (only !== undefined ? only !== socket.id : except === socket.id) return;
    if (opened) {
      socket.transport = opened;
      socket.onopen?.();
    }
    if (frame !== undefined) socket.onmessage?.({ data: frame });
    if (closed !== undefined) this.#close(socket, closed.code, closed.reason);
  }

  /** @param {TabSocket} socket @param {number} code @param {string} reason */
  #close(socket, code, reason) {
    this.#forget(socket);
    socket.onclose?.({ code, reason });
  }

  /** @param {TabSocket} socket */
  #forget(socket) {
    this.#sockets.delete(socket.id);
    socket.release?.();
  }
}

/**
 * @param {string} key
 * @param {() => Socket} connect
 * @returns {SharedConnection | null} Null where tabs can't share: pages without TLS, but for those of
 *   this machine.
 */
export function share(key, connect) {
  const isPossible = "BroadcastChannel" in globalThis && globalThis.navigator?.locks !== undefined;
  return isPossible ? new SharedConnection(key, connect) : null;
}
