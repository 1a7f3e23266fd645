/** A server whose room r keeps a history, and answers each question when a test says so. */

import { Rooms } from "../../src/rooms.js";

export const turn = () => new Promise((resolve) => setImmediate(resolve));

export class HistoryServer {
  ready = true;
  /** The positions that it was asked with; null: none. */
  asked = [];
  #waiting = [];

  /** @param {{epoch?: string, first?: number, last: number}} history The offsets that it has. */
  constructor({ epoch = "e", first = 1, last }) {
    Object.assign(this, { epoch, first, last });
  }

  request({ subscribe }) {
    if (subscribe === undefined) return Promise.resolve({});
    const wanted = subscribe.map(({ offset, epoch }) => (offset === undefined ? null : { offset, epoch }));
    this.asked.push(...wanted);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ reject, answer: () => resolve({ subscribed: wanted.map((since) => this.#joined(since)) }) });
    });
  }

  /** Answer the question that waits longest. */
  async answer() {
    await turn();
    this.#waiting.shift().answer();
    await turn();
  }

  /** Answer all questions, and those that follow. */
  async answerAll() {
    await turn();
    for (let answers = 0; this.#waiting.length > 0; answers += 1) {
      if (answers === 100) throw new Error("It asks without end.");
      await this.answer();
    }
  }

  /** The connection is gone, and all questions with it. */
  lose() {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error("lost"));
  }

  abandon(reason) {
    throw new Error(reason);
  }

  /** What the server pushes next. */
  push() {
    this.last += 1;
    return { room: "r", offset: this.last, data: this.last };
  }

  /** As docs/protocol.md says, and as the server does. */
  #joined(since) {
    const { epoch, first, last } = this;
    const isKnown = since !== null && [epoch, ""].includes(since.epoch) && since.offset <= last;
    const from = Math.max(first, isKnown ? since.offset + 1 : 0);
    const missed = since === null ? [] : range(from, last);
    const recovered = isKnown && since.offset + missed.length === last;
    return { room: "r", offset: last, epoch, recovered, publications: missed.map((offset) => ({ offset, data: offset })) };
  }
}

/** @param {number} first @param {number} last */
export const range = (first, last) => Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);

/** Rooms of a client of that server; `got` is what a subscription was handed, `told` what happened. */
export function roomsOf(server) {
  const site = { connection: server, told: [] };
  const client = { hearsErrors: true, emit: (type, detail) => site.told.push([type, detail]) };
  const rooms = new Rooms(client, () => site.connection);
  const follow = (options) => {
    const got = [];
    const events = [];
    const subscription = rooms.subscribe("r", (data) => got.push(data), options);
    for (const type of ["subscribed", "gap", "loaded", "error"]) {
      subscription.addEventListener(type, ({ detail }) => events.push([type, detail]));
    }
    const of = (kind) => events.filter(([type]) => type === kind).map(([, detail]) => detail);
    return { got, subscription, of };
  };
  return { site, rooms, follow };
}
