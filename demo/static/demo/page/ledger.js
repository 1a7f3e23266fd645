/**
 * What a cut cost: counted by the numbers of the messages, not by what the client says of itself.
 *
 * In each room messages are numbered without a hole. So what was missed while away is the distance
 * between the last number before the cut and the first that came as it happened after it; and what
 * is lost are the numbers that never came.
 */

/**
 * @typedef {object} Report
 * @property {number} missed Messages of the time away.
 * @property {number} fetched Those of them that came from the history.
 * @property {number} lost Those that did not; while they still come, those that were skipped.
 * @property {number} twice Messages that came more than once.
 * @property {boolean} unknown A room began to count anew, so its part can't be known.
 */

/** @typedef {{last: number | null, before: number | null, fetched: number, missed: number}} Room */

export class Ledger {
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  #lost = 0;
  #twice = 0;
  #unknown = false;

  /** A cut begins: from here on the report is about it. */
  begin() {
    for (const room of this.#rooms.values()) {
      room.before = room.last;
      room.fetched = room.missed = 0;
    }
    this.#lost = this.#twice = 0;
    this.#unknown = false;
  }

  /**
   * A message came.
   * @param {string} name The room's.
   * @param {number | null} offset Its number; `null` in a room that keeps no history.
   * @param {boolean} replayed From the history.
   */
  note(name, offset, replayed) {
    if (offset === null) return;
    const room = this.#rooms.get(name) ?? { last: null, before: null, fetched: 0, missed: 0 };
    this.#rooms.set(name, room);
    if (room.last !== null) {
      if (offset > room.last) this.#lost += offset - room.last - 1;
      else this.#twice += 1;
    }
    if (room.before !== null) {
      if (replayed) room.fetched += 1;
      room.missed = replayed ? offset - room.before : offset - room.before - 1;
      if (!replayed) room.before = null; // it is over for this room
    }
    room.last = offset;
  }

  /**
   * Something was missed for good.
   * @param {string} name The room's.
   * @param {number | null} missed How much; `null` if the room counts anew, so that nobody can know.
   */
  gap(name, missed) {
    const room = this.#rooms.get(name);
    if (missed !== null || room === undefined) return; // the numbers say it
    if (room.before !== null) this.#unknown = true; // else it is not of the cut
    room.last = room.before = null;
  }

  /** @returns {Report} */
  report() {
    let [missed, fetched] = [0, 0];
    for (const room of this.#rooms.values()) {
      missed += room.missed;
      fetched += room.fetched;
    }
    return { missed, fetched, lost: this.#lost, twice: this.#twice, unknown: this.#unknown };
  }
}
