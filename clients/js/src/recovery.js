/**
 * In which order, and how often, a room's publications reach its handler: once each, by offset.
 *
 * A room with history numbers its publications 1, 2, 3 … within an epoch. So a push either follows
 * the last one seen, or something is wrong: a number was skipped, or the numbering began anew. In
 * both cases the client asks the server again from where it stands ("resync"), holds what is
 * pushed until the answer is there, and merges the two. All here are functions of values.
 *
 * A server that was started again, and may have lost offsets, gives none of them again: the count
 * leaps by a multiple of 2^40. Whoever missed something by that is told (`reset`, `recovered`).
 */

/** @typedef {import("./protocol.js").Position} Position */
/** @typedef {import("./protocol.js").Push} Push */
/** @typedef {import("./protocol.js").Subscribed} Subscribed */

/**
 * @typedef {object} Delivery
 * @property {unknown} data
 * @property {number | null} offset `null` in a room that keeps no history.
 * @property {boolean} replayed From the room's history, not pushed as it happened.
 */

const LEAP = 2 ** 40;

/**
 * Whether nothing lies between two offsets of one epoch.
 * @param {number} last
 * @param {number} offset
 * @returns {boolean}
 */
function follows(last, offset) {
  return offset > last && offset % LEAP === (last % LEAP) + 1;
}

/**
 * How many publications lie behind a position, up to another one; `null` where that is not known.
 * @param {Position | null} since
 * @param {Position | null} position
 * @returns {number | null}
 */
export function countBetween(since, position) {
  if (since === null || position === null) return null;
  const count = position.offset - since.offset;
  const isSameCount = since.epoch === position.epoch && count === (position.offset % LEAP) - (since.offset % LEAP);
  return isSameCount ? count : null;
}

/**
 * Whether a push can be handed on, or the server has to be asked first.
 * @param {Position | null} position Where the subscription stands; `null` without history.
 * @param {Push} push
 * @returns {"deliver" | "resync" | "drop"} `drop`: it is of what another subscription of the same
 *   connection missed, and this one did not.
 */
export function judge(position, push) {
  if (position === null || push.offset === undefined) return "deliver";
  if (push.replayed === true && push.offset <= position.offset) return "drop";
  return comesNext(position.offset, push) ? "deliver" : "resync";
}

/**
 * Whether a push is the next thing that this client needs behind an offset.
 * @param {number} last
 * @param {Push} push
 * @returns {boolean}
 */
function comesNext(last, { offset = 0, after }) {
  if (after !== undefined) return offset > last && after <= last;
  return follows(last, offset);
}

/**
 * Whether the answer to one position has all that is missed at another; `null` asks for what is newest.
 * @param {Position | null} asked
 * @param {Position | null} position
 * @returns {boolean}
 */
export function reaches(asked, position) {
  if (asked === null || position === null) return asked === position;
  return asked.offset <= position.offset && (asked.epoch === position.epoch || asked.epoch === "");
}

/**
 * Where to go back to for what a state lacks: it was made before the room stood where it was asked for.
 * @param {any} reached What the page's function said of it, which may be anything.
 * @param {Position | null} position
 * @returns {Position | null} Null: it lacks nothing, as far as it says.
 */
export function behind(reached, position) {
  const { offset, epoch } = reached ?? {};
  if (position === null || !Number.isInteger(offset) || typeof epoch !== "string") return null;
  if (epoch === "unknown") return null; // what Python's `live()` says when the server did not answer
  const isBehind = offset < position.offset || (epoch !== position.epoch && epoch !== "");
  return isBehind ? { offset, epoch } : null;
}

/**
 * Put a subscription's reply and what was pushed before it into one sequence.
 * @param {Position | null} since Where the subscription stands, which the question reached; if anywhere.
 * @param {Subscribed} reply
 * @param {Push[]} held Pushes that came while the reply was awaited.
 * @param {boolean} [further] The reply reaches further back: another subscription asked for more.
 * @returns {{deliveries: Delivery[], position: Position | null, complete: boolean}}
 *   What to hand on, in order; where the subscription then stands; and whether nothing is missing
 *   in between. Without `since` there is nothing that could be missing before the first.
 */
export function merge(since, reply, held, further = false) {
  if (reply.offset === undefined || reply.epoch === undefined) {
    const deliveries = held.map((push) => delivery(push, false));
    return { deliveries, position: null, complete: since === null };
  }
  const isSameCount = since !== null && since.epoch === reply.epoch;
  let seen = isSameCount ? since.offset : 0;
  /** @type {Delivery[]} */
  const deliveries = [];
  const publications = [...(reply.publications ?? [])].sort((a, b) => a.offset - b.offset);
  const [first] = publications;
  for (const publication of publications) {
    if (publication.offset <= seen) continue;
    deliveries.push(delivery(publication, true));
    seen = publication.offset;
  }
  seen = Math.max(seen, reply.offset);
  const holdsAll = isSameCount && (first?.offset ?? reply.offset + 1) <= since.offset + 1;
  // Who asked from the beginning recovers what is there: for a position of another count that says nothing.
  const isRecovered = reply.recovered === true && (isSameCount || since?.epoch === "");
  let complete = since === null || isRecovered || (further && holdsAll);
  for (const push of held) {
    if (push.offset === undefined || push.offset <= seen) continue;
    // Asked once already: a hole that is still there stays, and is owned up to.
    if (!comesNext(seen, push)) complete = false;
    if ("data" in push) deliveries.push(delivery(push, false));
    seen = push.offset;
  }
  return { deliveries, position: { offset: seen, epoch: reply.epoch }, complete };
}

/**
 * @param {{offset?: number, data?: unknown}} publication
 * @param {boolean} replayed
 * @returns {Delivery}
 */
export function delivery(publication, replayed) {
  return { data: publication.data, offset: publication.offset ?? null, replayed };
}
