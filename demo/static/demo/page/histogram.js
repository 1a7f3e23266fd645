/**
 * How old messages were when they arrived, over the last minute: bars on a logarithmic scale.
 */

import { fill, gettext, ngettext, number } from "./language.js";

/** Upper ends in milliseconds, each included; what is older is in one more. */
export const EDGES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/** Seconds that it looks back. */
export const SPAN = 60;

/** The place of an age among the bars. @param {number} age Milliseconds. */
export function barOf(age) {
  const found = EDGES.findIndex((edge) => age <= edge);
  return found === -1 ? EDGES.length : found;
}

/** Counts by age, forgotten a second at a time: it costs the same whatever the rate. */
export class AgeCounts {
  /** @type {{second: number, counts: number[]}[]} Oldest first. */
  #seconds = [];

  /** @param {number} now Milliseconds; any clock, the same for all calls. @param {number} age Milliseconds. */
  record(now, age) {
    const second = Math.floor(now / 1_000);
    let last = this.#seconds.at(-1);
    if (last?.second !== second) {
      last = { second, counts: Array(EDGES.length + 1).fill(0) };
      this.#seconds.push(last);
    }
    last.counts[barOf(age)] += 1;
  }

  /** @param {number} now @returns {number[]} For each bar. */
  totals(now) {
    const start = Math.floor(now / 1_000) - SPAN;
    while (this.#seconds.length > 0 && this.#seconds[0].second <= start) this.#seconds.shift();
    const totals = Array(EDGES.length + 1).fill(0);
    for (const { counts } of this.#seconds) counts.forEach((count, i) => (totals[i] += count));
    return totals;
  }
}

/** @param {number} edge Milliseconds. */
const edgeWords = (edge) => (edge < 1_000 ? `${edge} ms` : `${edge / 1_000} s`);

/**
 * The picture in a sentence, for those who do not see it.
 * @param {number[]} totals
 */
export function histogramWords(totals) {
  const sum = totals.reduce((a, b) => a + b, 0);
  if (sum === 0) return gettext("Nothing came in the last minute.");
  let seen = 0;
  const median = totals.findIndex((count) => (seen += count) * 2 >= sum);
  const values = { count: number(sum), age: edgeWords(EDGES[median] ?? EDGES[EDGES.length - 1]) };
  return fill(
    median < EDGES.length
      ? ngettext(
          "%(count)s came in the last minute; it was at most %(age)s old.",
          "%(count)s came in the last minute; half were at most %(age)s old.",
          sum,
        )
      : ngettext(
          "%(count)s came in the last minute; it was more than %(age)s old.",
          "%(count)s came in the last minute; half were more than %(age)s old.",
          sum,
        ),
    values,
  );
}

export class Histogram {
  #counts = new AgeCounts();
  #element;
  /** @type {HTMLElement[]} */
  #bars;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
    this.#bars = [...EDGES, Infinity].map((edge, i) => {
      const bar = document.createElement("span");
      bar.className = "ages__bar";
      // Every third has its upper end below it.
      const text = edge === Infinity ? `> ${edgeWords(EDGES[i - 1])}` : edgeWords(edge);
      bar.dataset.edge = edge === Infinity || i % 3 === 0 ? text : "";
      bar.title = edge === Infinity ? text : `≤ ${text}`;
      return bar;
    });
    element.replaceChildren(...this.#bars);
  }

  /** @param {number} now @param {number} age */
  record(now, age) {
    this.#counts.record(now, age);
  }

  /** @param {number} now */
  refresh(now) {
    const totals = this.#counts.totals(now);
    const most = Math.max(1, ...totals);
    totals.forEach((count, i) => {
      this.#bars[i].style.setProperty("--share", String(count / most));
      this.#bars[i].classList.toggle("ages__bar--none", count === 0);
    });
    const words = histogramWords(totals);
    if (this.#element.ariaLabel !== words) this.#element.ariaLabel = words;
  }
}
