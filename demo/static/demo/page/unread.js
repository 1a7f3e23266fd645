/**
 * How many messages came while the chat was out of sight, beside the link that leads there.
 */

import { fill, gettext, number } from "./language.js";

export class Unread {
  #element;
  #count = 0;
  #inSight = false;

  /** @param {HTMLElement} element @param {HTMLElement} chat */
  constructor(element, chat) {
    this.#element = element;
    new IntersectionObserver((entries) => {
      this.#inSight = entries.some(({ isIntersecting }) => isIntersecting);
      if (this.#inSight) this.#show(0);
    }).observe(chat);
  }

  /** One more came. */
  more() {
    if (!this.#inSight) this.#show(this.#count + 1);
  }

  /** @param {number} count */
  #show(count) {
    this.#count = count;
    this.#element.textContent = count ? fill(gettext("%(count)s new"), { count: number(count) }) : "";
  }
}
