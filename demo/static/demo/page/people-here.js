/**
 * Who is here, as the server knows it: on all workers, several tabs of a user one. A visitor who
 * has put in a name is seen by it.
 */

import { fill, gettext, ngettext, number } from "./language.js";

/** @typedef {import("../../realtime/client.js").RealtimeClient} RealtimeClient */

/** People named at a time. */
const NAMED = 12;

/** People asked for, at most: in a room of more than these some stay without a name. */
const ASKED = 100;

/** How long somebody with a new name stays away, in milliseconds. */
const GONE = 500;

/**
 * Milliseconds between two looks at who is here. Somebody with a new name, who on a busy machine is
 * back before the others were told, is told of to nobody.
 */
const LOOK_AGAIN = 10_000;

/** The cookie that tells a worker the name at the handshake; it lasts as long as the browser is open. */
const COOKIE = "shardlayer_name";

/** @param {number} people */
export function peopleWords(people) {
  if (people < 2) return gettext("Nobody but you, on any worker.");
  return fill(
    ngettext(
      "%(count)s person here, on any worker.",
      "%(count)s people here, on any worker.",
      people,
    ),
    { count: number(people) },
  );
}

/**
 * Names as they are shown: those that are known in order of the alphabet, then how many others.
 * @param {string[]} known Empty ones are of people without a name.
 * @param {number} people How many there are altogether.
 * @returns {string[]} Empty if nobody has a name.
 */
export function nameList(known, people) {
  const names = known.filter((name) => name !== "").sort((a, b) => a.localeCompare(b));
  if (names.length === 0) return [];
  const shown = names.slice(0, NAMED);
  const others = people - shown.length;
  if (others > 0) {
    const words = ngettext("%(count)s other", "%(count)s others", others);
    shown.push(fill(words, { count: number(others) }));
  }
  return shown;
}

/** The name in what a connection carries; empty if it is none. @param {any} info */
function nameIn(info) {
  return typeof info?.name === "string" ? info.name : "";
}

export class PeopleHere {
  #count;
  #names;
  #client;
  #room;
  /** @type {import("../../realtime/client.js").Subscription} */
  #subscription;
  /** @type {Map<string, string>} Person -> name, of those that were told. */
  #known = new Map();
  /** Counts what was told, so that an answer that is older than a push is not taken. */
  #told = 0;
  #name;
  #toldName;
  #renaming = false;

  /**
   * @param {{count: HTMLElement, names: HTMLElement}} parts
   * @param {RealtimeClient} client
   * @param {string} room
   * @param {string} name What this visitor is called so far.
   */
  constructor({ count, names }, client, room, name) {
    this.#count = count;
    this.#names = names;
    this.#client = client;
    this.#room = room;
    this.#name = this.#toldName = name;
    remember(name);
    this.#subscription = client.subscribe(room);
    client.addEventListener("subscribed", (event) => {
      if (/** @type {CustomEvent} */ (event).detail.room === room) void this.#ask();
    });
    client.addEventListener("presence", (event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      if (detail.room === room) this.#heard(detail);
    });
    client.addEventListener("state", () => {
      if (client.status.state === "offline") this.#unknown();
    });
    setInterval(() => {
      const isSeen = document.visibilityState === "visible" && client.status.state === "live";
      if (isSeen && !this.#renaming) void this.#ask();
    }, LOOK_AGAIN);
  }

  /** The visitor is called something else from now on. @param {string} name */
  async rename(name) {
    if (name === this.#name) return;
    this.#name = name;
    if (this.#renaming) return; // it takes the newest
    this.#renaming = true;
    while (this.#toldName !== this.#name) await this.#become(this.#name);
    this.#renaming = false;
  }

  /** @param {string} name */
  async #become(name) {
    this.#toldName = name;
    remember(name); // for the next connection
    try {
      await this.#client.command("call_me", name); // for this one
      // Who joins a room is seen as who they are then: so join it again. Who is back sooner than
      // presence tells others of it has not gone, and is not told anew.
      this.#subscription.unsubscribe();
      await new Promise((resolve) => setTimeout(resolve, GONE));
      this.#subscription = this.#client.subscribe(this.#room);
    } catch {
      // The next connection says it.
    }
  }

  /** @param {{people: number, came: {person: string, info?: unknown}[], went: string[]}} news */
  #heard({ people, came, went }) {
    this.#told += 1;
    for (const person of went) this.#known.delete(person);
    for (const { person, info } of came) this.#known.set(person, nameIn(info));
    this.#show(people);
    // Somebody came or went unseen, as around a cut. Where there are very many, only some are known.
    if (this.#known.size !== people && people <= ASKED) void this.#ask();
  }

  async #ask() {
    const told = this.#told;
    try {
      const { people, persons } = await this.#client.presence(this.#room, { limit: ASKED });
      if (told !== this.#told) return;
      this.#known = new Map(
        persons.map(({ person, infos }) => [
          person,
          infos?.map(nameIn).find((name) => name !== "") ?? "",
        ]),
      );
      this.#show(people);
    } catch {
      this.#unknown(); // this room does not know, or the server does not answer
    }
  }

  #unknown() {
    this.#told += 1;
    this.#put(gettext("Everybody here, on any worker."), []);
  }

  /** @param {number} people */
  #show(people) {
    this.#put(peopleWords(people), nameList([...this.#known.values()], people));
  }

  /** @param {string} words @param {string[]} names */
  #put(words, names) {
    if (this.#count.textContent !== words) this.#count.textContent = words;
    const before = [...this.#names.children].map((item) => item.textContent);
    if (before.join("\n") === names.join("\n")) return;
    this.#names.replaceChildren(
      ...names.map((name) => {
        const item = document.createElement("li");
        item.textContent = name;
        return item;
      }),
    );
    this.#names.hidden = names.length === 0;
  }
}

/** @param {string} name */
function remember(name) {
  document.cookie = `${COOKIE}=${encodeURIComponent(name)}; path=/; SameSite=Lax`;
}
