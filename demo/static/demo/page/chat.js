/**
 * The chat: what was said, and saying something. All that others wrote enters as text, never as
 * markup.
 */

import { BEGINNING, newKey } from "../../realtime/client.js";

/** Messages kept in the page. */
const SHOWN = 200;

/** Characters, also where the field's own limit was gone around. */
const NAME_LENGTH = 40;
const TEXT_LENGTH = 1_000;

const NAME_KEY = "shardlayer.chat.name";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** Why it was not sent, in words; anything else in the server's own. @type {Record<string, string>} */
const TROUBLE = {
  offline: "Not sent: you are cut off. Your message stays here; send it again once you are live.",
  lost: "The connection went while this was sent. Send it again: it will not appear twice.",
  timeout: "No answer from the server. Send it again: it will not appear twice.",
};

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
  return { name: data.name.trim().slice(0, NAME_LENGTH) || "Somebody", text, at };
}

export class Chat {
  #client;
  #log;
  #empty;
  #newer;
  #form;
  #name;
  #text;
  #trouble;
  #lastName = "";
  #room;
  /** What is sent, until the server has it: sent again as it is, it keeps its key. */
  #unsent = { name: "", text: "", key: "" };

  /** @param {HTMLElement} element @param {import("../../realtime/client.js").RealtimeClient} client */
  constructor(element, client) {
    /** @template {Element} T @param {string} part @param {new () => T} type @returns {T} */
    const find = (part, type) => {
      const found = element.querySelector(`[data-part="${part}"]`);
      if (!(found instanceof type)) throw new TypeError(`The chat has no ${part}.`);
      return found;
    };
    this.#client = client;
    this.#room = element.dataset.room ?? "";
    this.#log = find("log", HTMLElement);
    this.#empty = find("empty", HTMLElement);
    this.#newer = find("newer", HTMLButtonElement);
    this.#form = find("form", HTMLFormElement);
    this.#name = find("name", HTMLInputElement);
    this.#text = find("text", HTMLInputElement);
    this.#trouble = find("trouble", HTMLElement);
    this.#name.value = recall();
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#newer.addEventListener("click", () => this.#toEnd());
    this.#log.addEventListener("scroll", () => this.#atEnd() && (this.#newer.hidden = true));
    const handler = (/** @type {unknown} */ data) => this.#show(data);
    const subscription = client.subscribe(this.#room, handler, { since: BEGINNING });
    // The history is there to be read, not to be read out.
    this.#log.setAttribute("aria-busy", "true");
    subscription.addEventListener("subscribed", () => {
      this.#log.setAttribute("aria-busy", "false");
      this.#empty.textContent = "Nobody has said anything yet. Be the first.";
    });
    subscription.addEventListener("gap", () => {
      this.#note("Some messages were missed while you were cut off.");
    });
    subscription.addEventListener("error", (event) => {
      const { message } = /** @type {CustomEvent} */ (event).detail;
      this.#tell(`The chat can't be joined: ${message}`);
    });
  }

  async #send() {
    const name = this.#name.value.trim();
    const text = this.#text.value.trim();
    if (name === "") return this.#ask(this.#name, "Who are you? Put in a name first.");
    if (text === "") return this.#ask(this.#text, "There is nothing to send yet.");
    remember(name);
    this.#tell("");
    this.#form.ariaBusy = "true";
    if (this.#unsent.name !== name || this.#unsent.text !== text) {
      this.#unsent = { name, text, key: newKey() };
    }
    const { key } = this.#unsent;
    try {
      await this.#client.publish(this.#room, { t: Date.now() / 1000, name, text }, { key });
      if (this.#unsent.key === key) this.#unsent = { name: "", text: "", key: "" };
      if (this.#text.value.trim() === text) this.#text.value = "";
      this.#toEnd();
    } catch (error) {
      const { code, message } = /** @type {import("../../realtime/client.js").RealtimeError} */ (error);
      this.#tell(TROUBLE[code] ?? `Not sent: ${message}`);
    }
    this.#form.ariaBusy = "false";
    this.#text.focus();
  }

  /** @param {unknown} data */
  #show(data) {
    const message = readMessage(data);
    if (message === null) return;
    const { name, text, at } = message;
    const item = document.createElement("li");
    item.className = "said";
    item.classList.toggle("said--own", name === this.#name.value.trim());
    item.classList.toggle("said--on", name === this.#lastName);
    this.#lastName = name;
    const author = child(item, "span", "said__name", name);
    child(author, "span", "unseen", ":"); // for those who hear it
    child(item, "span", "said__text", text);
    if (!Number.isNaN(at.valueOf())) {
      const time = child(item, "time", "said__time", CLOCK.format(at));
      time.setAttribute("datetime", at.toISOString());
    }
    this.#add(item);
  }

  /** @param {string} text */
  #note(text) {
    const item = document.createElement("li");
    item.className = "said said--note";
    item.textContent = text;
    this.#lastName = "";
    this.#add(item);
  }

  /** @param {HTMLLIElement} item */
  #add(item) {
    const follow = this.#atEnd();
    this.#empty.hidden = true;
    this.#log.append(item);
    if (this.#log.childElementCount > SHOWN) this.#log.firstElementChild?.remove();
    if (follow) this.#toEnd();
    else this.#newer.hidden = false;
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    return scrollHeight - scrollTop - clientHeight < 32; // CSS pixels: half a message
  }

  #toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#newer.hidden = true;
  }

  /** @param {HTMLInputElement} field @param {string} words */
  #ask(field, words) {
    this.#tell(words);
    field.focus();
  }

  /** @param {string} words */
  #tell(words) {
    this.#trouble.textContent = words;
  }
}

/** @param {HTMLElement} parent @param {string} tag @param {string} name @param {string} text */
function child(parent, tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  parent.append(element);
  return element;
}

// Storage may be forbidden; then the name is asked for each time.

function recall() {
  try {
    return localStorage.getItem(NAME_KEY) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} name */
function remember(name) {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // See above.
  }
}
