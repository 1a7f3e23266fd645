/**
 * One WebSocket, from its opening to its end. A client has one after another.
 */

import { HEARTBEAT, Heartbeat, PONG_TIMEOUT } from "./heartbeat.js";
import {
  LATER_CLOSE_CODES,
  MESSAGE_LIMIT,
  RealtimeError,
  SIGNED_OUT_CLOSE_CODES,
  comesBack,
} from "./protocol.js";
import { Requests } from "./requests.js";

/** How long a connection may take to open, in milliseconds. */
export const OPEN_TIMEOUT = 10_000;

/** How long a reply may take, in milliseconds. */
export const REQUEST_TIMEOUT = 10_000;

/** A ping waits so long for its pong: Heartbeat judges what is late. In milliseconds. */
const A_DAY = 86_400_000;

/**
 * What a connection needs of a WebSocket.
 * @typedef {object} Socket
 * @property {(() => void) | null} onopen
 * @property {((event: {data: unknown}) => void) | null} onmessage
 * @property {((event: {code: number, reason: string}) => void) | null} onclose
 * @property {(frame: string) => void} send
 * @property {() => void} close
 */

/**
 * @typedef {object} ConnectionOptions
 * @property {string | (() => string | Promise<string>)} [token] Signs in where no cookie does. A
 *   function is asked whenever a token is needed, so that it can renew what ran out.
 * @property {number} [openTimeout] See OPEN_TIMEOUT.
 * @property {number} [requestTimeout] See REQUEST_TIMEOUT.
 * @property {number} [heartbeat] Milliseconds between pings, see HEARTBEAT.
 * @property {number} [pongTimeout] Milliseconds of silence that mean death, see PONG_TIMEOUT.
 */

/**
 * @typedef {object} ConnectionEvents
 * @property {() => void} onReady Open, and signed in where there is a token.
 * @property {(message: any) => void} onMessage A frame's content that is no reply to a request.
 * @property {(lag: number) => void} onLag Milliseconds that a pong is late; 0 when it came.
 * @property {(error: RealtimeError) => void} onError
 * @property {(reason: string, comeBack: boolean, later: boolean) => void} onEnd Once, unless
 *   `close()` came first; `later`: come back, but not soon.
 */

export class Connection {
  /** Whether commands can be sent: open, signed in, not over. */
  ready = false;
  #over = false;
  /** @type {number | undefined} */
  #openTimer;
  #requests = new Requests();
  #socket;
  #heartbeat;
  #options;
  #resuming;
  #events;

  /**
   * @param {Socket} socket
   * @param {ConnectionOptions} options
   * @param {import("./resuming.js").Resuming} resuming
   * @param {ConnectionEvents} events
   */
  constructor(socket, options, resuming, events) {
    this.#options = options;
    this.#resuming = resuming;
    this.#events = events;
    this.#heartbeat = new Heartbeat({
      interval: options.heartbeat ?? HEARTBEAT,
      timeout: options.pongTimeout ?? PONG_TIMEOUT,
      ping: () => this.#send({ ping: {} }, A_DAY),
      onLag: events.onLag,
      onDead: () => this.#end("The server is silent.", true),
    });
    const openTimeout = options.openTimeout ?? OPEN_TIMEOUT;
    this.#openTimer = setTimeout(() => this.#end("No answer.", true), openTimeout);
    this.#socket = socket;
    this.#socket.onopen = () => this.#opened();
    this.#socket.onmessage = ({ data }) => this.#received(data);
    this.#socket.onclose = ({ code, reason }) => {
      if (SIGNED_OUT_CLOSE_CODES.has(code)) resuming.forget();
      this.#end(
        reason || `The connection was lost (${code}).`,
        comesBack(code),
        LATER_CLOSE_CODES.has(code),
      );
    };
  }

  /**
   * Send a command and await its reply.
   * @param {object} command `{publish: {…}}`; the id is put in here.
   * @returns {Promise<any>} The whole reply; rejects with a RealtimeError.
   */
  async request(command) {
    if (!this.ready) throw new RealtimeError("offline", "Not connected.");
    return this.#send(command, this.#options.requestTimeout ?? REQUEST_TIMEOUT);
  }

  /** Ping at once, to find out soon whether the connection is still there. */
  check() {
    this.#heartbeat.beat();
  }

  /** End it from this side as if it had been lost: `onEnd` is called. @param {string} reason */
  abandon(reason) {
    this.#end(reason, true);
  }

  /** End it from this side; `onEnd` is not called. */
  close() {
    this.#release(new RealtimeError("closed", "Closed by this page."));
  }

  /** @param {string} reason @param {boolean} comeBack @param {boolean} [later] */
  #end(reason, comeBack, later = false) {
    if (this.#over) return;
    this.#release(new RealtimeError("lost", `${reason} It may have arrived.`));
    this.#events.onEnd(reason, comeBack, later);
  }

  /** @param {RealtimeError} error What is still awaited rejects with. */
  #release(error) {
    this.#over = true;
    this.ready = false;
    clearTimeout(this.#openTimer);
    this.#heartbeat.stop();
    this.#requests.fail(error);
    this.#socket.close(); // a second time does nothing
  }

  async #opened() {
    if (this.#over) return;
    clearTimeout(this.#openTimer);
    if (!(await this.#signedIn())) return;
    this.ready = true;
    this.#heartbeat.start();
    this.#events.onReady();
  }

  /** @returns {Promise<boolean>} Whether to go on; if not, the connection has ended. */
  async #signedIn() {
    if ((await this.#resumed()) || this.#options.token === undefined) return !this.#over;
    try {
      await this.#bringToken();
    } catch (cause) {
      if (this.#over) return false;
      const error = tokenError(cause);
      this.#events.onError(error);
      // The same token would be refused again; a function may have a better one next time.
      const { token } = this.#options;
      this.#end(error.message, error.code !== "bad_token" || typeof token === "function");
    }
    return !this.#over;
  }

  /** Sign in again, since the server asks for it: what signed this client in has expired. */
  async renew() {
    try {
      if (this.#options.token === undefined) {
        throw new RealtimeError("expired", "The sign-in has expired.");
      }
      await this.#bringToken();
    } catch (cause) {
      if (!this.#over) this.#events.onError(tokenError(cause));
    }
  }

  /** @returns {Promise<boolean>} Whether a note said who this is. */
  async #resumed() {
    const { note } = this.#resuming;
    if (note === null) return false;
    try {
      const { requestTimeout = REQUEST_TIMEOUT } = this.#options;
      const { connected } = await this.#send({ connect: { note } }, requestTimeout);
      if (connected.resumed === true) return true;
    } catch (cause) {
      if (this.#over) return false;
    }
    this.#resuming.forget();
    return false;
  }

  async #bringToken() {
    const { token, requestTimeout = REQUEST_TIMEOUT } = this.#options;
    const value = typeof token === "function" ? await token() : token;
    if (!this.#over) await this.#send({ connect: { token: value } }, requestTimeout);
  }

  /** @param {object} command @param {number} timeout Milliseconds. */
  #send(command, timeout) {
    return this.#requests.start((id) => {
      const frame = JSON.stringify({ id, ...command });
      if (frame.length > MESSAGE_LIMIT / 4 && new Blob([frame]).size > MESSAGE_LIMIT) {
        throw new RealtimeError("too_large", `More than ${MESSAGE_LIMIT / 1024} KiB.`);
      }
      this.#socket.send(frame);
    }, timeout);
  }

  /** @param {unknown} frame */
  #received(frame) {
    if (this.#over) return;
    this.#heartbeat.heard();
    let message;
    try {
      message = JSON.parse(String(frame));
    } catch {
      this.#events.onError(new RealtimeError("bad_frame", "The server sent no JSON."));
      return;
    }
    if (message.id > 0) this.#requests.settle(message);
    else this.#events.onMessage(message);
  }
}

/** @param {unknown} cause */
function tokenError(cause) {
  return cause instanceof RealtimeError ? cause : new RealtimeError("token", `${cause}`);
}
