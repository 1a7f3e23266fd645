/**
 * How many messages a second, and how old they were, over the last seconds.
 */

/** What the figures look back on, in milliseconds. */
export const FIGURES_WINDOW = 10_000;

/**
 * The smallest value that at least `share` of the values do not exceed (nearest rank).
 * @param {number[]} sorted Ascending.
 * @param {number} share 0.95 for p95.
 * @returns {number | null} `null` without values.
 */
export function quantile(sorted, share) {
  if (sorted.length === 0) return null;
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/**
 * @typedef {object} Summary
 * @property {number} rate Messages a second.
 * @property {number | null} p50 Age in milliseconds; `null` when nothing came.
 * @property {number | null} p95
 */

export class Figures {
  /** @type {{at: number, age: number}[]} Oldest first. */
  #arrivals = [];
  #since;

  /** @param {number} now Milliseconds; any clock, the same for all calls. */
  constructor(now) {
    this.#since = now;
  }

  /** Forget all, say after a cut: a mean over it would be of neither side. @param {number} now */
  restart(now) {
    this.#arrivals = [];
    this.#since = now;
  }

  /**
   * @param {number} now
   * @param {number} age Milliseconds from making to arrival; a clock that is ahead makes it negative.
   */
  record(now, age) {
    this.#arrivals.push({ at: now, age: Math.max(0, age) });
  }

  /** @param {number} now @returns {Summary} */
  summary(now) {
    const start = now - FIGURES_WINDOW;
    const fresh = this.#arrivals.findIndex(({ at }) => at > start);
    this.#arrivals.splice(0, fresh === -1 ? this.#arrivals.length : fresh);
    const seconds = Math.max(1_000, Math.min(FIGURES_WINDOW, now - this.#since)) / 1000;
    const ages = this.#arrivals.map(({ age }) => age).sort((a, b) => a - b);
    return { rate: ages.length / seconds, p50: quantile(ages, 0.5), p95: quantile(ages, 0.95) };
  }
}
