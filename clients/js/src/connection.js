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
  messageIn,
  offline,
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
 * @property {"websocket" | "sse"} [transport] Left out by WebSockets; where tabs share, until it opens.
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
      patience: options.pongTimeout ?? PONG_TIMEOUT,
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
        reason || `Connection lost (${code}).`,
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
    if (!this.ready) throw offline();
    return this.#send(command);
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
    await this.#signIn();
    if (this.#over) return;
    this.ready = true;
    this.#heartbeat.start();
    this.#events.onReady();
  }

  /** By the note, or by the token if there is one; the connection may end over it. */
  async #signIn() {
    const { token } = this.#options;
    if ((await this.#resumed()) || token === undefined) return;
    const error = await this.renewSignIn();
    // The same token would be refused again; a function may have a better one next time.
    if (error) this.#end(error.message, error.code !== "bad_token" || typeof token === "function");
  }

  /**
   * Bring the token: at first, and since the server asks for it when what signed this client in has expired.
   * @returns {Promise<RealtimeError | undefined>} What went wrong, if anything; it was told.
   */
  async renewSignIn() {
    try {
      const { token } = this.#options;
      if (token === undefined) throw new RealtimeError("expired", "The sign-in expired.");
      const value = typeof token === "function" ? await token() : token;
      if (!this.#over) await this.#send({ connect: { token: value } });
    } catch (cause) {
      const error = cause instanceof RealtimeError ? cause : new RealtimeError("token", `${cause}`);
      if (!this.#over) this.#events.onError(error);
      return error;
    }
  }

  /** @returns {Promise<boolean>} Whether a note said who this is. */
  async #resumed() {
    const { note } = this.#resuming;
    if (note === null) return false;
    try {
      const { connected } = await this.#send({ connect: { note } });
      if (connected.resumed === true) return true;
    } catch {
      if (this.#over) return false;
    }
    this.#resuming.forget();
    return false;
  }

  /** @param {object} command @param {number} [timeout] Milliseconds. */
  #send(command, timeout = this.#options.requestTimeout ?? REQUEST_TIMEOUT) {
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
    const message = messageIn(frame);
    if (message === null) this.#events.onError(new RealtimeError("bad_frame", "The server sent no JSON object."));
    else if (message.id > 0) this.#requests.settle(message);
    else this.#events.onMessage(message);
  }
}
