/**
 * What a strip chart shows: readings over time, and the times in which there was no connection.
 */

import { quantile } from "../page/figures.js";

/** How much time a chart shows, in seconds. */
export const SPAN = 60;

/** Readings further apart than this are not joined by a line, in seconds. */
export const HOLE = 1.5;

/**
 * @typedef {object} Reading
 * @property {number} t Seconds, as `Date.now() / 1000` counts.
 * @property {number[]} values One for each trace.
 * @property {[number, number] | null} band The range behind the first trace, if there is one.
 * @property {"earlier" | "live" | "recovered"} from From the room's history, from before anybody
 *   looked; as it happened; or from the history again, after a cut.
 * @property {number} age Milliseconds from making to arrival; of no meaning for an earlier one.
 */

/** @typedef {{start: number, end: number | null}} Cut Seconds; `null` while it lasts. */

export class Track {
  /** @type {Reading[]} In the order of time, whatever the order of arrival; each time once. */
  readings = [];
  /** @type {Cut[]} */
  cuts = [];
  /** Counts changes, so that who draws knows whether there is anything new. */
  version = 0;

  /** @param {Reading} reading */
  add(reading) {
    let place = this.readings.length; // nearly always: messages arrive as they were made
    while (place > 0 && this.readings[place - 1].t > reading.t) place -= 1;
    if (this.readings[place - 1]?.t === reading.t) return; // the same again, say after a repair
    this.readings.splice(place, 0, reading);
    this.version += 1;
    // Drawing trims, but nothing is drawn while the page is hidden.
    if (this.version % 100 === 0) this.trim(reading.t);
  }

  /** The connection was lost. @param {number} t */
  cut(t) {
    if (this.cuts.at(-1)?.end === null) return;
    this.cuts.push({ start: t, end: null });
    this.version += 1;
  }

  /** It is back. @param {number} t */
  mend(t) {
    const last = this.cuts.at(-1);
    if (last?.end !== null) return;
    last.end = t;
    this.version += 1;
  }

  /** Drop what has left the chart. @param {number} now */
  trim(now) {
    const start = now - SPAN - 2 * HOLE; // a little more: the line into the first one shown
    const kept = this.readings.findIndex(({ t }) => t > start);
    if (kept !== 0) this.readings.splice(0, kept === -1 ? this.readings.length : kept);
    this.cuts = this.cuts.filter(({ end }) => end === null || end > start);
  }

  /** All values now held, of all traces. @returns {number[]} */
  values() {
    return this.readings.flatMap(({ values }) => values);
  }
}

/** A value is a spike if it is so many times the one that nearly all stay below. */
const SPIKE = 4;

/** The share of the values that an axis has to have room for. */
const NEARLY_ALL = 0.97;

/**
 * How high an axis has to be for nearly all of the values: one spike does not flatten the rest. All
 * fit unless the largest is a spike; then what is above the axis is cut off and marked.
 * @param {number[]} values
 */
export function heightFor(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const peak = sorted.at(-1) ?? 0;
  const usual = quantile(sorted, NEARLY_ALL) ?? 0;
  return peak > SPIKE * usual && usual > 0 ? 2 * usual : peak;
}

/**
 * The next of 1, 2, 5, 10, 20, 50 … that is not below `value`: an axis that can be read.
 * @param {number} value Above 0.
 */
export function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((each) => each * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

/**
 * Runs of readings that one line joins: without a hole inside, and all recovered or all not.
 * A run starts with the last of the one before it where no hole lies between, so lines meet.
 * @param {Reading[]} readings
 * @returns {{recovered: boolean, readings: Reading[]}[]}
 */
export function runs(readings) {
  /** @type {{recovered: boolean, readings: Reading[]}[]} */
  const found = [];
  /** @type {Reading | null} */
  let before = null;
  for (const reading of readings) {
    const joined = before !== null && reading.t - before.t <= HOLE;
    const run = found.at(-1);
    const recovered = reading.from === "recovered";
    if (run !== undefined && joined && run.recovered === recovered) run.readings.push(reading);
    else {
      const start = before !== null && joined ? [before, reading] : [reading];
      found.push({ recovered, readings: start });
    }
    before = reading;
  }
  return found;
}
