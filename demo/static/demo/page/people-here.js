/**
 * How many people are in a room, as the server knows it: on all workers, several tabs of a user one.
 */

/** @typedef {import("../../realtime/client.js").RealtimeClient} RealtimeClient */

/** What stands there while nobody can know. */
const UNKNOWN = "Everybody here, on whichever worker.";

/** @param {number} people */
export function peopleWords(people) {
  if (people < 2) return "Nobody but you, on whichever worker.";
  return `${people.toLocaleString("en")} people here, on whichever worker.`;
}

export class PeopleHere {
  #element;
  #client;
  #room;
  /** Counts what was told, so that an answer that is older than a push is not shown. */
  #told = 0;

  /** @param {HTMLElement} element @param {RealtimeClient} client @param {string} room */
  constructor(element, client, room) {
    this.#element = element;
    this.#client = client;
    this.#room = room;
    client.addEventListener("subscribed", (event) => {
      if (/** @type {CustomEvent} */ (event).detail.room === room) void this.#ask();
    });
    client.addEventListener("presence", (event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      if (detail.room === room) this.#show(peopleWords(detail.people));
    });
    client.addEventListener("state", () => {
      if (client.status.state === "offline") this.#show(UNKNOWN);
    });
  }

  async #ask() {
    const told = this.#told;
    try {
      const { people } = await this.#client.presence(this.#room, { limit: 0 });
      if (told === this.#told) this.#show(peopleWords(people));
    } catch {
      this.#show(UNKNOWN); // this room does not know, or the server does not answer
    }
  }

  /** @param {string} words */
  #show(words) {
    this.#told += 1;
    this.#element.textContent = words;
  }
}
