/**
 * Announcements: what the operators say to everybody, above the page until it is dismissed.
 */

import { clock, gettext } from "./language.js";

/** Announcements shown at a time; a further one takes the place of the oldest. */
const SHOWN = 3;

/** Characters of one. */
const TEXT_LENGTH = 500;

/**
 * The text of an announcement, or `null` if there is none to show: a text, or an object with `text`.
 * @param {any} data
 * @returns {string | null}
 */
export function readAnnouncement(data) {
  const text = typeof data === "string" ? data : data?.text;
  return typeof text === "string" ? text.trim().slice(0, TEXT_LENGTH) || null : null;
}

export class Announcements {
  #element;

  /** @param {HTMLElement} element @param {import("../../realtime/client.js").RealtimeClient} client */
  constructor(element, client) {
    this.#element = element;
    client.addEventListener("announcement", (event) => {
      const { data } = /** @type {CustomEvent} */ (event).detail;
      const text = readAnnouncement(data);
      if (text !== null) this.#show(text);
    });
  }

  /** @param {string} text */
  #show(text) {
    const now = new Date();
    const item = document.createElement("div");
    item.className = "announcement";
    const time = document.createElement("time");
    time.className = "announcement__time";
    time.dateTime = now.toISOString();
    time.textContent = clock(now);
    const words = document.createElement("p");
    words.className = "announcement__text";
    words.textContent = text;
    const button = document.createElement("button");
    button.className = "announcement__dismiss";
    button.type = "button";
    button.textContent = gettext("Dismiss");
    button.addEventListener("click", () => this.#dismiss(item));
    item.append(time, words, button);
    this.#element.append(item);
    if (this.#element.childElementCount > SHOWN) this.#element.firstElementChild?.remove();
  }

  /** @param {HTMLElement} item */
  #dismiss(item) {
    item.remove();
    // The button had the focus: it goes to the next one, or where the announcements were.
    (this.#element.querySelector("button") ?? this.#element).focus({ preventScroll: true });
  }
}
