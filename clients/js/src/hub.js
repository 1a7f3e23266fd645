/**
 * The one WebSocket of a browser's tabs, in the tab that holds it.
 *
 * To each tab it looks as if the connection were its own. So each tab keeps its own positions, and
 * hands on what is pushed once and in order; the hub keeps none. It gives commands ids of its own,
 * joins a room for all tabs and leaves it with the last, and signs in once. What the server answers
 * one tab for a room is told the others in that room too: the server does not push what it holds.
 */

import { messageIn } from "./protocol.js";

/** @typedef {import("./connection.js").Socket} Socket */

/** A tab that gives up after so long without a word from the server does so for all. In milliseconds. */
const SILENT_AFTER = 5_000;

/**
 * Refusals of what a tab has shown, as its token, or not shown. The server has put out the connection; the
 * others, who are told no code, ask by what they have.
 */
const OF_ONE_TAB = new Set(["bad_token", "forbidden"]);

/** @typedef {{socket: string, id: number, command: any}} Asked */

/**
 * What tabs are told: one of them, all but one, or all.
 * @typedef {object} News
 * @property {string} [only] The socket that is told.
 * @property {string} [except] The socket that is not.
 * @property {true} [opened]
 * @property {string} [frame]
 * @property {{code: number, reason: string}} [closed]
 */

export class Hub {
  /** @type {Map<string, Set<string>>} The sockets of tabs, each with its rooms. */
  #tabs = new Map();
  /** @type {Map<number, Asked>} What awaits its reply, by the id that the server knows. */
  #asked = new Map();
  #lastId = 0;
  /** @type {Socket | null} */
  #connection = null;
  #isOpen = false;
  /** When the oldest command was sent since which nothing was heard; 0: none. */
  #awaited = 0;
  /** @type {object | null} What the server answered who signed in. */
  #signedIn = null;
  /** @type {[string, any][]} Sign-ins that wait for the one under way. */
  #signingIn = [];
  #connect;
  #tell;

  /**
   * @param {() => Socket} connect Opens a connection to the server.
   * @param {(news: News) => void} tell
   */
  constructor(connect, tell) {
    this.#connect = connect;
    this.#tell = tell;
  }

  /** A tab opens a socket. @param {string} socket */
  enter(socket) {
    if (this.#tabs.has(socket)) return;
    this.#tabs.set(socket, new Set());
    if (this.#isOpen) this.#tell({ only: socket, opened: true });
    if (this.#connection !== null) return;
    const connection = this.#connect();
    this.#connection = connection;
    connection.onopen = () => {
      this.#isOpen = true;
      for (const only of this.#tabs.keys()) this.#tell({ only, opened: true });
    };
    connection.onmessage = ({ data }) => {
      if (connection === this.#connection) this.#received(String(data));
    };
    connection.onclose = ({ code, reason }) => {
      if (connection === this.#connection) this.end(code, reason);
    };
  }

  /** A tab has closed its socket, or is gone. @param {string} socket */
  leave(socket) {
    const rooms = this.#tabs.get(socket);
    if (rooms === undefined) return;
    this.#tabs.delete(socket);
    const isSilent = this.#awaited > 0 && performance.now() - this.#awaited > SILENT_AFTER;
    if (this.#tabs.size === 0 || isSilent) {
      this.end(1006, "The connection went silent.");
    } else {
      for (const room of rooms) this.#unsubscribe(socket, 0, room);
    }
  }

  /** A tab sends a command. @param {string} socket @param {string} frame */
  send(socket, frame) {
    if (!this.#isOpen || !this.#tabs.has(socket)) return; // it will hear that the connection is gone
    const { id, ...command } = JSON.parse(frame);
    if (isSignIn(command)) this.#signIn(socket, id, command);
    else if (command.unsubscribe) this.#unsubscribe(socket, id, command.unsubscribe.room);
    else this.#ask(socket, id, command);
  }

  /** The connection is gone, or another tab is to hold it. @param {number} code @param {string} reason */
  end(code, reason) {
    const connection = this.#connection;
    this.#connection = this.#signedIn = null;
    this.#isOpen = false;
    this.#awaited = 0;
    this.#asked.clear();
    this.#signingIn = [];
    this.#tabs.clear();
    connection?.close();
    this.#tell({ closed: { code, reason } });
  }

  /** @param {string} socket @param {number} id @param {any} command */
  #ask(socket, id, command) {
    this.#asked.set(++this.#lastId, { socket, id, command });
    this.#awaited ||= performance.now();
    this.#connection?.send(JSON.stringify({ id: this.#lastId, ...command }));
  }

  /** @param {string} socket @param {number} id @param {string} room */
  #unsubscribe(socket, id, room) {
    this.#tabs.get(socket)?.delete(room);
    const isLast = [...this.#tabs.values()].every((rooms) => !rooms.has(room));
    if (isLast) this.#ask(socket, id, { unsubscribe: { room } });
    else this.#answer(socket, { id, unsubscribed: { room } });
  }

  /**
   * All tabs are the same person: when one has signed in, they all have.
   * @param {string} socket @param {number} id @param {any} command
   */
  #signIn(socket, id, command) {
    if (this.#signedIn !== null) {
      this.#answer(socket, { ...this.#signedIn, id });
    } else if (this.#signingIn.push([socket, { id, ...command }]) === 1) {
      this.#ask(socket, id, command);
    }
  }

  /** @param {Asked} asked @param {any} reply */
  #settleSignIn({ command }, { connected }) {
    if (command.connect.token !== undefined ? connected : connected?.resumed) {
      this.#signedIn = { connected: { ...connected, resumed: true } };
    }
    const [, ...waiting] = this.#signingIn;
    this.#signingIn = [];
    for (const [socket, { id, ...other }] of waiting) this.#signIn(socket, id, other);
  }

  /** @param {Asked} asked @param {any[]} replies One for each room. */
  #settleRooms({ socket }, replies) {
    for (const reply of replies) {
      const { room, error } = reply;
      const others = [...this.#tabs].filter(([tab, rooms]) => tab !== socket && rooms.has(room));
      if (error === undefined) this.#tabs.get(socket)?.add(room);
      else for (const [, rooms] of others) rooms.delete(room);
      if (others.length > 0) {
        const unsubscribed = OF_ONE_TAB.has(error?.code) ? {} : { code: error?.code };
        const news = error === undefined ? { overheard: reply } : { room, unsubscribed };
        this.#tell({ except: socket, frame: JSON.stringify(news) });
      } else if (error === undefined && !this.#tabs.has(socket)) {
        this.#unsubscribe(socket, 0, room); // who asked is gone
      }
    }
  }

  /** @param {string} frame */
  #received(frame) {
    this.#awaited = 0;
    const message = messageIn(frame);
    const asked = this.#asked.get(message?.id);
    if (asked === undefined) {
      if (message?.renew !== undefined) this.#signedIn = null; // the next token counts again
      this.#tell({ frame });
      return;
    }
    this.#asked.delete(message.id);
    this.#answer(asked.socket, { ...message, id: asked.id });
    if (asked.command.subscribe) this.#settleRooms(asked, [message.subscribed ?? []].flat());
    if (isSignIn(asked.command)) this.#settleSignIn(asked, message);
  }

  /** @param {string} socket @param {object} reply */
  #answer(socket, reply) {
    this.#tell({ only: socket, frame: JSON.stringify(reply) });
  }
}

/** @param {any} command */
function isSignIn({ connect }) {
  return (connect?.token ?? connect?.note) !== undefined;
}
