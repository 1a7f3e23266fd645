/**
 * How long to wait before the next attempt to connect.
 *
 * Full jitter: anything from nothing to a ceiling that doubles with each failure. When a worker
 * restarts, all its clients lose it in the same instant; a wait without chance in it would bring
 * them back in the same instant too.
 *
 * A worker that is stopped in order chooses for its clients (`reconnect`), and spreads them itself.
 */

/** Ceiling of the first wait, in milliseconds. */
export const BACKOFF_BASE = 500;

/** Ceiling of every wait, in milliseconds. */
export const BACKOFF_CAP = 20_000;

/**
 * @param {number} attempt Failures since the last stable connection, from 0.
 * @param {() => number} [random] A number from 0 up to, not including, 1.
 * @returns {number} Milliseconds.
 */
export function backoffDelay(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** attempt);
}

/** @param {number} wait Milliseconds. */
export const sleep = (wait) => new Promise((resolve) => setTimeout(resolve, wait));

/**
 * How long to wait because a server that is stopped says so; `null` if it says nothing of use.
 * @param {unknown} delay Milliseconds, as the server sent them.
 */
export function returnDelay(delay) {
  if (typeof delay !== "number" || !(delay >= 0)) return null;
  return Math.min(delay, BACKOFF_CAP);
}
