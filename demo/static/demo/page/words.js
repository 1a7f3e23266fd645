/**
 * States and figures as people read them. Functions of values; the page puts them in place.
 */

import { fill, gettext, number } from "./language.js";

/** @typedef {import("../../realtime/client.js").Status} Status */

/** Connected, but without a message for so long something behind the worker is away; milliseconds. */
export const QUIET_AFTER = 2_500;

/** What takes longer to connect, in milliseconds, is explained. */
const LONG = 5_000;

/**
 * @typedef {object} Standing How the page stands.
 * @property {"connecting" | "live" | "behind" | "quiet" | "cut"} mood In one word, for style and tests.
 * @property {string} words
 * @property {string} reason Empty while there is nothing to explain.
 */

/**
 * How the page stands: its connection, and whether anything comes over it.
 * @param {Status} status
 * @param {{wasLive: boolean, silence: number, now: number, backAt?: number | null}} more
 *   `wasLive`: it was live before, so it is not new but cut off. `silence`: milliseconds since the
 *   last message of any room, or since it began to connect. `now`: as `Date.now()` counts. `backAt`: when a cut that the visitor made ends.
 * @returns {Standing}
 */
export function standingOf(status, { wasLive, silence, now, backAt = null }) {
  if (backAt !== null && status.state === "offline") {
    const seconds = Math.ceil(Math.max(0, backAt - now) / 1000);
    return {
      mood: "cut",
      words: fill(gettext("Cut off — back in %(seconds)s s"), { seconds }),
      reason: gettext("You cut the connection. The rooms go on without you."),
    };
  }
  if (status.state === "offline") return offline(status, wasLive, now);
  if (status.state === "connecting") {
    return wasLive
      ? { mood: "cut", words: gettext("Cut off — trying again now"), reason: lost() }
      : connecting(silence);
  }
  if (silence > QUIET_AFTER) {
    return {
      mood: "quiet",
      words: fill(gettext("Nothing comes — for %(seconds)s s"), { seconds: seconds(silence) }),
      reason: gettext("The worker answers. What it passes on is away: Redis, Kafka, or the feed."),
    };
  }
  if (status.state === "behind") return { mood: "behind", words: behindWords(status.lag), reason: "" };
  return { mood: "live", words: gettext("Live"), reason: "" };
}

/** Nobody is told "Connecting…" for ever. @param {number} waited Milliseconds. @returns {Standing} */
function connecting(waited) {
  if (waited < LONG) return { mood: "connecting", words: gettext("Connecting…"), reason: "" };
  return {
    mood: "quiet",
    words: fill(gettext("Connecting — for %(seconds)s s"), { seconds: seconds(waited) }),
    reason: gettext("There is no answer yet: the worker, or Redis behind it, may be away."),
  };
}

/** @param {Status} status @param {boolean} wasLive @param {number} now @returns {Standing} */
function offline(status, wasLive, now) {
  if (status.final) {
    const reason = fill(gettext("The server ended the connection: %(reason)s"), status);
    return { mood: "cut", words: gettext("Cut off"), reason: status.reason && reason };
  }
  const left = Math.ceil(Math.max(0, (status.retryAt ?? now) - now) / 1000);
  const text = wasLive
    ? left > 0
      ? gettext("Cut off — trying again in %(seconds)s s")
      : gettext("Cut off — trying again now")
    : left > 0
      ? gettext("Not connected — trying again in %(seconds)s s")
      : gettext("Not connected — trying again now");
  return { mood: "cut", words: fill(text, { seconds: left }), reason: wasLive ? lost() : unreached() };
}

const lost = () =>
  gettext("The connection was lost. What is said meanwhile comes when it is back.");

const unreached = () => gettext("The server can’t be reached.");

/** @param {number} lag Milliseconds. */
export function behindWords(lag) {
  return fill(gettext("Behind by %(seconds)s s"), { seconds: seconds(lag) });
}

/** @param {number} milliseconds */
export function seconds(milliseconds) {
  return Math.round(milliseconds / 1000);
}

/** @param {number | null} age Milliseconds. */
export function ageWords(age) {
  if (age === null) return "–";
  if (age < 1) return "< 1 ms";
  if (age < 1_000) return `${Math.round(age)} ms`;
  return `${number(age / 1_000, age < 10_000 ? 1 : 0)} s`;
}

/** @param {number} rate A second. */
export function rateWords(rate) {
  return number(rate, rate < 99.5 ? 1 : 0);
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * A number of bytes as a figure of three digits at most, and its unit (decimal: 1 kB is 1,000 B).
 * @param {number} bytes
 * @returns {[string, string]}
 */
export function byteWords(bytes) {
  let unit = 0;
  while (bytes >= 999.5 && unit < UNITS.length - 1) {
    bytes /= 1_000;
    unit += 1;
  }
  const digits = unit === 0 || bytes >= 99.5 ? 0 : 1;
  return [number(bytes, digits), UNITS[unit]];
}
