/**
 * The chat: reading what was said, as far back as the room remembers, and saying something.
 */

import { newKey } from "../../realtime/client.js";
import { ChatLog } from "./chat-log.js";
import { fill, gettext } from "./language.js";

/** Messages fetched at a time: the newest, and each page of older ones. */
export const PAGE = 30;

const NAME_KEY = "shardlayer.chat.name";

/** What a failure means for who sends, by its code; of others the server's own words are shown. */
const troubles = () => /** @type {Record<string, string>} */ ({
  offline: gettext("Not sent: you are cut off. Your message stays here; send it again once you are live."),
  lost: gettext("The connection was lost while this was sent. Send it again: it will not appear twice."),
  timeout: gettext("No answer from the server. Send it again: it will not appear twice."),
  unavailable: gettext("Not sent: Redis does not answer. Send it again: it will not appear twice."),
  rate: gettext("Not sent: that was too much at once. Wait a moment."),
});

export class Chat {
  #client;
  #log;
  #scroller;
  #empty;
  #older;
  #form;
  #name;
  #text;
  #trouble;
  #room;
  #troubleIsCut = false;
  /** Told of each new message that somebody else wrote. */
  onMessage = () => {};
  /** Told of what the visitor is called from now on. @type {(name: string) => void} */
  onName = () => {};
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
    this.#scroller = find("log", HTMLElement);
    this.#log = new ChatLog({
      log: this.#scroller,
      list: find("list", HTMLElement),
      newer: find("newer", HTMLButtonElement),
    });
    this.#empty = find("empty", HTMLElement);
    this.#older = find("older", HTMLButtonElement);
    this.#form = find("form", HTMLFormElement);
    this.#name = find("name", HTMLInputElement);
    this.#text = find("text", HTMLInputElement);
    this.#trouble = find("trouble", HTMLElement);
    this.#name.value = recall();
    this.#name.addEventListener("change", () => this.#named());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#older.addEventListener("click", () => void this.#back());
    // The history is there to be read, not to be read out.
    this.#scroller.setAttribute("aria-busy", "true");
    const subscription = client.subscribe(
      this.#room,
      (data, { offset }) => {
        if (!this.#log.append({ data, offset }, this.name)) return;
        this.#empty.hidden = true;
        if (data.name !== this.name) this.onMessage();
      },
      { state: () => this.#load() },
    );
    subscription.addEventListener("error", (event) => {
      const { code, message } = /** @type {CustomEvent} */ (event).detail;
      if (code === "state") return; // it is tried again
      this.#tell(fill(gettext("The chat can’t be joined: %(reason)s"), { reason: message }));
    });
    this.#form.addEventListener("input", () => this.#troubleIsCut || this.#tell(""));
  }

  /** All is well again: what was wrong because of a cut is no more. */
  recovered() {
    if (this.#troubleIsCut) this.#tell("");
  }

  /** What this visitor is called; empty so far. */
  get name() {
    return this.#name.value.trim();
  }

  /** Show the newest page; messages that come meanwhile wait for it. */
  async #load() {
    const { publications, offset, epoch } = await this.#client.history(this.#room, { limit: PAGE });
    this.#log.begin(publications, this.name);
    this.#empty.textContent = gettext("Nobody has said anything yet. Be the first.");
    this.#empty.hidden = publications.length > 0;
    this.#older.hidden = publications.length < PAGE;
    this.#scroller.setAttribute("aria-busy", "false");
    return { offset, epoch };
  }

  /** Show the page before the oldest that is shown. */
  async #back() {
    const before = this.#log.oldest;
    if (before === null || this.#older.ariaDisabled === "true") return;
    this.#older.ariaDisabled = "true"; // it keeps the focus
    this.#scroller.setAttribute("aria-busy", "true");
    try {
      const { publications } = await this.#client.history(this.#room, { limit: PAGE, before });
      this.#log.prepend(publications, this.name);
      if (publications.length < PAGE) {
        this.#older.hidden = true;
        this.#scroller.focus({ preventScroll: true });
      }
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      this.#tell(fill(gettext("No older messages: %(reason)s"), { reason: message }), true);
    }
    this.#scroller.setAttribute("aria-busy", "false");
    this.#older.ariaDisabled = "false";
  }

  async #send() {
    const { name } = this;
    const text = this.#text.value.trim();
    if (name === "") return this.#ask(this.#name, gettext("Who are you? Enter a name first."));
    if (text === "") return this.#ask(this.#text, gettext("There is nothing to send yet."));
    this.#named();
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
      this.#log.toEnd();
    } catch (error) {
      const { code, message } = /** @type {import("../../realtime/client.js").RealtimeError} */ (error);
      const words = troubles()[code] ?? fill(gettext("Not sent: %(reason)s"), { reason: message });
      this.#tell(words, ["offline", "lost", "timeout", "unavailable"].includes(code));
    }
    this.#form.ariaBusy = "false";
    this.#text.focus();
  }

  #named() {
    remember(this.name);
    this.onName(this.name);
  }

  /** @param {HTMLInputElement} field @param {string} words */
  #ask(field, words) {
    this.#tell(words);
    field.focus();
  }

  /** @param {string} words @param {boolean} [isCut] It is over when the connection is back. */
  #tell(words, isCut = false) {
    this.#trouble.textContent = words;
    this.#troubleIsCut = isCut;
  }
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
