/**
 * The one WebSocket of a browser's tabs, in the tab that holds it.
 *
 * To each tab it looks as if the connection were its own. So each tab keeps its own positions, and
 * hands on what is pushed once and in order; the hub keeps none. It gives commands ids of its own,
 * joins a room for all tabs and leaves it with the last, and signs in once. What the server answers
 * one tab for a room is told the others in that room too: the server does not push what it holds.
 *
 * A tab wants a room from when it asks for it. The server does commands one after another: what one
 * refuses, or puts out, says nothing of a tab whose own answer is still to come.
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

/** Asks what no tab has asked, and hears no answer: the socket of none. */
const NOBODY = "";

/** @typedef {{socket: string, id: number, command: any}} Asked */

/**
 * What tabs are told: one of them, all but one, or all.
 * @typedef {object} News
 * @property {string} [only] The socket that is told.
 * @property {string} [except] The socket that is not.
 * @property {"websocket" | "sse"} [opened] By what.
 * @property {string} [frame]
 * @property {{code: number, reason: string}} [closed]
 */

export class Hub {
  /** @type {Map<string, Map<string, number>>} The sockets of tabs: the rooms that each wants, with its latest command. */
  #tabs = new Map();
  /** @type {Set<string>} The rooms that the connection is in, as far as the server has said. */
  #joined = new Set();
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
    this.#tabs.set(socket, new Map());
    if (this.#isOpen) this.#tellOpened(socket);
    if (this.#connection !== null) return;
    const connection = this.#connect();
    this.#connection = connection;
    connection.onopen = () => {
      this.#isOpen = true;
      for (const each of this.#tabs.keys()) this.#tellOpened(each);
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
      for (const room of rooms.keys()) this.#unsubscribe(socket, 0, room);
    }
  }

  /** A tab sends a command. @param {string} socket @param {string} frame */
  send(socket, frame) {
    const rooms = this.#tabs.get(socket);
    if (!this.#isOpen || rooms === undefined) return; // it will hear that the connection is gone
    const { id, ...command } = JSON.parse(frame);
    if (isSignIn(command)) this.#signIn(socket, id, command);
    else if (command.unsubscribe) this.#unsubscribe(socket, id, command.unsubscribe.room);
    else {
      this.#ask(socket, id, command);
      for (const { room } of [command.subscribe ?? []].flat()) rooms.set(room, this.#lastId);
    }
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
    this.#joined.clear();
    connection?.close();
    this.#tell({ closed: { code, reason } });
  }

  /** @param {string} only The socket that is told. */
  #tellOpened(only) {
    this.#tell({ only, opened: this.#connection?.transport ?? "websocket" });
  }

  /** @param {string} room */
  #isWanted(room) {
    return [...this.#tabs.values()].some((rooms) => rooms.has(room));
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
    if (this.#isWanted(room)) return this.#answer(socket, { id, unsubscribed: { room } });
    this.#joined.delete(room);
    this.#ask(socket, id, { unsubscribe: { room } });
  }

  /**
   * The connection is out of a room, or the tabs have to take it so: but for those that have asked since.
   * @param {string} room
   * @param {object} unsubscribed What they are told.
   * @param {string} [except] The socket that is not.
   */
  #putOut(room, unsubscribed, except) {
    for (const [only, rooms] of this.#tabs) {
      const ask = rooms.get(room);
      if (ask === undefined || this.#asked.has(ask)) continue;
      rooms.delete(room);
      if (only !== except) this.#tell({ only, frame: JSON.stringify({ room, unsubscribed }) });
    }
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
      if (error !== undefined) {
        this.#refuse(socket, room, error.code);
        continue;
      }
      this.#joined.add(room);
      const isTold = [...this.#tabs].some(([tab, rooms]) => tab !== socket && rooms.has(room));
      if (isTold) this.#tell({ except: socket, frame: JSON.stringify({ overheard: reply }) });
    }
  }

  /** @param {string} socket Who asked. @param {string} room @param {string} code */
  #refuse(socket, room, code) {
    const isOfOneTab = OF_ONE_TAB.has(code);
    this.#putOut(room, isOfOneTab ? {} : { code }, socket);
    if (isOfOneTab) this.#joined.delete(room);
    else if (this.#joined.has(room) && !this.#isWanted(room)) this.#unsubscribe(NOBODY, 0, room); // it was in before
  }

  /** @param {string} frame */
  #received(frame) {
    this.#awaited = 0;
    const message = messageIn(frame);
    const asked = this.#asked.get(message?.id);
    if (asked === undefined) {
      if (message?.renew !== undefined) this.#signedIn = null; // the next token counts again
      if (message?.unsubscribed === undefined) return this.#tell({ frame });
      this.#joined.delete(message.room);
      return this.#putOut(message.room, message.unsubscribed);
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
