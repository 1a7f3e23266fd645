/**
 * What was said in a chat: the newest messages, and older ones as the reader asks for them. All that
 * others wrote enters as text, never as markup.
 */

import { clock, gettext } from "./language.js";

/** Messages kept in the page; a reader who goes back further gets more. */
const SHOWN = 200;

/** So many come while a reader looks at what is above; from then on an old one goes for each. */
const MORE = 300;

/** Characters, also where the field's own limit was gone around. */
export const NAME_LENGTH = 40;
const TEXT_LENGTH = 1_000;

/**
 * A chat message as anybody may have published it, or `null` if it is none.
 * @param {any} data
 * @returns {{name: string, text: string, at: Date} | null}
 */
export function readMessage(data) {
  if (typeof data?.text !== "string" || typeof data?.name !== "string") return null;
  const text = data.text.trim().slice(0, TEXT_LENGTH);
  if (text === "") return null;
  const at = new Date(typeof data.t === "number" ? data.t * 1000 : NaN);
  return { name: data.name.trim().slice(0, NAME_LENGTH) || gettext("Somebody"), text, at };
}

/** @typedef {{offset: number | null, data: any}} Publication */

export class ChatLog {
  #scroller;
  #list;
  #newer;
  /** Messages that came while the end was out of sight. */
  #below = 0;

  /**
   * @param {{log: HTMLElement, list: HTMLElement, newer: HTMLElement}} parts `log` scrolls `list`;
   *   `newer` is shown while messages are out of sight below.
   */
  constructor({ log, list, newer }) {
    this.#scroller = log;
    this.#list = list;
    this.#newer = newer;
    newer.addEventListener("click", () => this.toEnd());
    log.addEventListener("scroll", () => this.#atEnd() && (newer.hidden = true));
  }

  /** The number of the oldest message shown; `null` if there is none. */
  get oldest() {
    for (const item of this.#items()) if (item.dataset.offset) return Number(item.dataset.offset);
    return null;
  }

  /** Show these and nothing else. @param {Publication[]} publications @param {string} own This visitor's name. */
  begin(publications, own) {
    this.#list.replaceChildren(...publications.flatMap((each) => makeItem(each, own) ?? []));
    this.#group();
    this.toEnd();
  }

  /** Put older ones above, and keep in place what is read. @param {Publication[]} publications @param {string} own */
  prepend(publications, own) {
    const { scrollHeight, scrollTop } = this.#scroller;
    this.#list.prepend(...publications.flatMap((each) => makeItem(each, own) ?? []));
    this.#group();
    this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
  }

  /** @param {Publication} publication @param {string} own @returns {boolean} Whether it was a message. */
  append(publication, own) {
    const item = makeItem(publication, own);
    if (item === null) return false;
    const follow = this.#atEnd();
    this.#list.append(item);
    if (follow) {
      this.#below = 0;
      while (this.#list.childElementCount > SHOWN) this.#list.firstElementChild?.remove();
    } else if (++this.#below > MORE) {
      this.#list.firstElementChild?.remove();
    }
    this.#group();
    if (follow) this.toEnd();
    else this.#newer.hidden = false;
    return true;
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#newer.hidden = true;
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < 32; // CSS pixels: half a message
  }

  /** @returns {HTMLElement[]} */
  #items() {
    return /** @type {HTMLElement[]} */ ([...this.#list.children]);
  }

  /** What somebody says on has their name above it once. */
  #group() {
    let before = "";
    for (const item of this.#items()) {
      const name = item.dataset.name ?? "";
      item.classList.toggle("said--on", name === before);
      before = name;
    }
  }
}

/** @param {Publication} publication @param {string} own @returns {HTMLLIElement | null} */
function makeItem({ offset, data }, own) {
  const message = readMessage(data);
  if (message === null) return null;
  const { name, text, at } = message;
  const item = document.createElement("li");
  item.className = name === own ? "said said--own" : "said";
  item.dataset.name = name;
  if (offset !== null) item.dataset.offset = String(offset);
  const author = child(item, "span", "said__name", name);
  child(author, "span", "unseen", ":"); // for those who hear it
  child(item, "span", "said__text", text);
  if (!Number.isNaN(at.valueOf())) {
    const time = child(item, "time", "said__time", clock(at));
    time.setAttribute("datetime", at.toISOString());
  }
  return item;
}

/** @param {HTMLElement} parent @param {string} tag @param {string} name @param {string} text */
function child(parent, tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  parent.append(element);
  return element;
}
