/**
 * Svelte: `const orders = roomStore(client, "orders")`, then `$orders.value`.
 */

import { unseen, watchRoom, watchStatus } from "./watch.js";

/** @typedef {import("./client.js").RealtimeClient} RealtimeClient */

/**
 * A store, as Svelte's contract has it; it works while somebody is subscribed to it.
 * @template T
 * @param {() => T} begin The value that a first subscriber gets.
 * @param {(set: (value: T) => void) => () => void} follow Returns what ends it.
 */
function store(begin, follow) {
  /** @type {Set<(value: T) => void>} */
  const runs = new Set();
  let value = begin();
  let end = () => {};
  return {
    /** @param {(value: T) => void} run @returns {() => void} Unsubscribes. */
    subscribe(run) {
      const mine = (/** @type {T} */ now) => run(now); // one function may subscribe twice
      runs.add(mine);
      if (runs.size === 1) {
        value = begin();
        end = follow((now) => {
          value = now;
          for (const each of runs) each(now);
        });
      }
      run(value);
      return () => {
        if (runs.delete(mine) && runs.size === 0) end();
      };
    },
  };
}

/**
 * @param {RealtimeClient} client
 * @param {string} room
 * @param {import("./watch.js").WatchOptions} [options]
 */
export function roomStore(client, room, options = {}) {
  return store(() => unseen(options.initial), (set) => watchRoom(client, room, options, set));
}

/** @param {RealtimeClient} client */
export function statusStore(client) {
  return store(() => client.status, (set) => watchStatus(client, () => set(client.status)));
}
