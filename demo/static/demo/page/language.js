/**
 * The page's language: what Django's JavaScript catalogue says, and numbers as its readers write them.
 *
 * Without a catalogue, as in a test that imports one module alone, everything is English.
 */

/** Of the page, as its server chose it. */
export const LANGUAGE = globalThis.document?.documentElement.lang || "en";

/**
 * @typedef {object} Catalogue
 * @property {(text: string) => string} gettext
 * @property {(one: string, many: string, count: number) => string} ngettext
 */

/** @returns {Catalogue | undefined} */
const catalogue = () => /** @type {any} */ (globalThis).django;

/** @param {string} text In English. */
export function gettext(text) {
  return catalogue()?.gettext(text) ?? text;
}

/** @param {string} one @param {string} many @param {number} count */
export function ngettext(one, many, count) {
  return catalogue()?.ngettext(one, many, count) ?? (count === 1 ? one : many);
}

/**
 * Put values into a text: `%(name)s` becomes the value of that name.
 * @param {string} text @param {Record<string, string | number>} values
 */
export function fill(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {number} value @param {number} [digits] Behind the point, always so many. */
export function number(value, digits = 0) {
  return value.toLocaleString(LANGUAGE, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Hours and minutes. @param {Date} date */
export function clock(date) {
  return date.toLocaleTimeString(LANGUAGE, { hour: "2-digit", minute: "2-digit" });
}
