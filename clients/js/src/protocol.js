/**
 * The words of the client protocol, as values: what docs/protocol.md says in prose.
 */

/**
 * A place in a room's history.
 * @typedef {object} Position
 * @property {number} offset The number of the last publication seen; 0 is before the first.
 * @property {string} epoch One life of the room's numbering; offsets of two can't be compared.
 */

/**
 * @typedef {object} Push
 * @property {string} room
 * @property {number} [offset] Left out in a room that keeps no history.
 * @property {boolean} [replayed] From the room's history: what the reply had no place for.
 * @property {number} [after] Nothing that this client needs lies between this offset and the push's.
 * @property {unknown} [data] Left out of a publication that this client does not get.
 */

/**
 * The server itself lost track, and goes on from here; what lies between is unknown or gone.
 * @typedef {object} Reset
 * @property {string} room
 * @property {Position | null} reset Null where the room keeps no history: a stream was replaced, see sse.js.
 */

/**
 * The reply to one room's subscription.
 * @typedef {object} Subscribed
 * @property {string} room
 * @property {number} [offset] Left out in a room that keeps no history, and so is `epoch`.
 * @property {string} [epoch]
 * @property {boolean} [recovered] Nothing is missing since the position that was asked for.
 * @property {{offset: number, data: unknown}[]} [publications] Those since then, oldest first.
 * @property {{code: string, message: string}} [error] In place of all but `room`.
 */

/**
 * The reply to `history`: the newest publications, oldest first, and the position after them.
 * @typedef {object} History
 * @property {string} room
 * @property {number} [offset] Left out in a room that keeps no history, and so is `epoch`.
 * @property {string} [epoch]
 * @property {number} [more] How many of those asked for did not fit and may be had.
 * @property {{offset: number, data: any}[]} publications
 */

/**
 * A person in a room: several tabs and devices of a user are one.
 * @typedef {object} PersonHere
 * @property {string} person The user's primary key, or begins with `~` if nobody is signed in.
 * @property {number} connections
 * @property {unknown[]} [infos] What the connections carry.
 * @property {unknown} [fields] What the server knows of the user, such as a name.
 */

/**
 * The reply to `presence`.
 * @typedef {object} PresencePage
 * @property {string} room
 * @property {number} people How many are in the room.
 * @property {number} connections How many connections they have there.
 * @property {PersonHere[]} persons Some of them, in the order of their names.
 * @property {boolean} [more] Others follow the last of these.
 */

/**
 * Who came to a room and who went.
 * @typedef {object} PresenceNews
 * @property {number} people How many are in the room now.
 * @property {{person: string, info?: unknown}[]} came
 * @property {string[]} went
 * @property {number} [more] How many others came or went, who are not named.
 */

/** Everything that a room still holds, for `subscribe(room, handler, {since: BEGINNING})`. */
export const BEGINNING = Object.freeze({ offset: 0, epoch: "" });

/** The longest frame that a client may send, in bytes of UTF-8. */
export const MESSAGE_LIMIT = 64 * 1024;

/** Close codes after which the same client would only be closed again. */
const FINAL_CLOSE_CODES = new Set([
  1002, // the server could not read the connection
  1003, // it takes no binary messages
  1007, // it could not read a message
  1009, // a message was too large for it
  4003, // it does not let this client in
  4009, // misuse
]);

/** Close codes after which a client may come back, but not soon: it asked for too much. */
export const LATER_CLOSE_CODES = new Set([
  4010, // too many commands
  4011, // subscribed to nothing in time
  4012, // too many connections of its user
]);

/** Close codes of a client whose sign-in has ended: it comes back, and signs in again. */
export const SIGNED_OUT_CLOSE_CODES = new Set([
  4001, // what signed it in has expired
  4002, // its user, or its session, was signed out
]);

/** The most rooms that one message names. */
export const ROOMS_LIMIT = 100;

/**
 * Whether a client should connect again after a close code. An unknown code means yes: a client
 * that stays away by mistake is worse off than one that knocks once too often.
 * @param {number} code
 */
export function comesBack(code) {
  return !FINAL_CLOSE_CODES.has(code);
}

/**
 * What went wrong, for people (`message`) and for programs (`code`).
 *
 * Codes of the server: see docs/protocol.md. Codes of the client itself: `offline` (not sent, there
 * is no connection), `lost` (sent, and the connection went before the reply: it may or may not
 * have taken effect), `timeout` (sent, and no reply came in time: likewise), `closed` (the client
 * was told to stop), `anonymous` (nobody is signed in).
 */
export class RealtimeError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {string | null} [room] The room concerned, if it is about one.
   */
  constructor(code, message, room = null) {
    super(message);
    this.name = "RealtimeError";
    this.code = code;
    this.room = room;
  }
}

/**
 * The message that a frame is: a JSON object; null if it is anything else.
 * @param {unknown} frame
 * @returns {any}
 */
export function messageIn(frame) {
  try {
    const value = JSON.parse(String(frame));
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Why a command was not sent. */
export const offline = () => new RealtimeError("offline", "Not connected.");

/**
 * What the server said instead of a reply.
 * @param {{code: string, message: string}} error
 * @param {string} [room]
 */
export const serverError = ({ code, message }, room) => new RealtimeError(code, message, room);

/**
 * Split what is to be subscribed into lists that each fit a message. Nearly always that is one.
 * @template {object} T
 * @param {T[]} items
 * @param {number} [limit] Bytes of a frame.
 * @returns {T[][]}
 */
export function frameLists(items, limit = MESSAGE_LIMIT) {
  const envelope = 64; // bytes: {"id":…,"subscribe":[…]} with room to spare
  /** @type {T[][]} */
  const lists = [];
  /** @type {T[]} */
  let list = [];
  let size = limit;
  for (const item of items) {
    // Room names and epochs are ASCII, so characters are bytes; one more for the comma.
    const length = JSON.stringify(item).length + 1;
    size += length;
    if (size > limit || list.length === ROOMS_LIMIT) {
      lists.push((list = []));
      size = envelope + length;
    }
    list.push(item);
  }
  return lists;
}

/**
 * The address of a WebSocket for a path or URL as a page names it.
 * @param {string} url `/ws/`, `https://host/ws/` or `wss://host/ws/`.
 * @param {string} [base] The page's own address.
 */
export function websocketUrl(url, base) {
  return new URL(url, base).href.replace(/^http/, "ws");
}
