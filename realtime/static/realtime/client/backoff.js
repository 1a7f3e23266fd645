/**
 * How long to wait before the next attempt to connect.
 *
 * Full jitter: anything from nothing to a ceiling that doubles with each failure. When a worker
 * restarts, all its clients lose it in the same instant; a wait without chance in it would bring
 * them back in the same instant too.
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
