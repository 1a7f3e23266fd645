/**
 * Publishing something once, however often it has to be sent.
 *
 * A publication without an answer may have arrived or not. Sent again under the same key, it is
 * recognised by the server, which answers where the first one stands and publishes nothing.
 */

import { backoffDelay, sleep } from "./backoff.js";

/** The server knows a key for five minutes; a minute of them is for the way. In milliseconds. */
export const LONGEST_RETRY = 240_000;

/** Failures after which the same may well succeed. Of all others the server is sure. */
const PASSING_FAILURES = new Set(["offline", "lost", "timeout", "rate", "unavailable", "internal"]);

/** The attempt after which waits don't grow any more: 4 s at most. */
const LAST_LONGER_WAIT = 3;

/** @returns {string} A key that nobody else has: 128 bits of chance. */
export function newKey() {
  // Not `crypto.randomUUID`, which pages without TLS don't have.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => (byte + 256).toString(16).slice(1)).join("");
}

/**
 * Call `send` until it succeeds, fails for good, or the time is over; then reject as it did last.
 * @template T
 * @param {() => Promise<T>} send Must send the same, under the same key.
 * @param {number} retryFor Milliseconds in which to begin another attempt; 0: one attempt.
 * @param {() => number} [random]
 * @returns {Promise<T>}
 * @throws {RangeError} The server would have forgotten the key.
 */
export async function sendUntilTaken(send, retryFor, random) {
  if (!(retryFor >= 0 && retryFor <= LONGEST_RETRY)) {
    throw new RangeError(`retryFor takes 0 to ${LONGEST_RETRY} ms.`);
  }
  const ends = performance.now() + retryFor;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await send();
    } catch (/** @type {any} */ error) {
      const wait = backoffDelay(Math.min(attempt, LAST_LONGER_WAIT), random);
      if (!PASSING_FAILURES.has(error.code) || performance.now() + wait >= ends) throw error;
      await sleep(wait);
    }
  }
}
