/**
 * States and figures as people read them. Functions of values; the page puts them in place.
 */

/** @typedef {import("../../realtime/client.js").Status} Status */

/**
 * The connection in words.
 * @param {Status} status
 * @param {boolean} wasLive Whether it was live before: then it is not new but cut off.
 * @param {number} now As `Date.now()` counts.
 */
export function connectionWords(status, wasLive, now) {
  switch (status.state) {
    case "live":
      return "Live";
    case "behind":
      return `Behind by ${Math.round(status.lag / 1000)} s`;
    case "connecting":
      return wasLive ? "Cut off — trying again now" : "Connecting…";
    case "offline": {
      if (status.final) return "Cut off";
      const seconds = Math.ceil(Math.max(0, (status.retryAt ?? now) - now) / 1000);
      const when = seconds > 0 ? `in ${seconds} s` : "now";
      return `${wasLive ? "Cut off" : "Not connected"} — trying again ${when}`;
    }
  }
}

/**
 * The connection in one word, for style and tests.
 * @param {Status} status
 * @param {boolean} wasLive
 * @returns {"connecting" | "live" | "behind" | "cut"}
 */
export function connectionMood(status, wasLive) {
  if (status.state === "offline") return "cut";
  if (status.state === "connecting") return wasLive ? "cut" : "connecting";
  return status.state;
}

/** @param {number | null} age Milliseconds. */
export function ageWords(age) {
  if (age === null) return "–";
  if (age < 1) return "< 1 ms";
  if (age < 1_000) return `${Math.round(age)} ms`;
  return `${(age / 1_000).toFixed(age < 10_000 ? 1 : 0)} s`;
}

/** @param {number} rate A second. */
export function rateWords(rate) {
  return rate < 99.5 ? rate.toFixed(1) : rate.toFixed(0);
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
  return [bytes.toFixed(digits), UNITS[unit]];
}
