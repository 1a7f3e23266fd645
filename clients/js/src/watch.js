/**
 * A room as a value that changes: what the hook, the composable and the store are made of.
 */

/** @typedef {import("./client.js").RealtimeClient} RealtimeClient */
/** @typedef {import("./subscription.js").Origin} Origin */

/**
 * @typedef {object} ValueOptions
 * @property {any} [initial] The value before the first message.
 * @property {(value: any, data: any, origin: Origin) => any} [reduce] Makes the next value; by default
 *   it is the newest message.
 */

/** @typedef {import("./subscription.js").Options & ValueOptions} WatchOptions */

/**
 * @typedef {object} Seen
 * @property {any} value
 * @property {"joining" | "joined" | "left"} state
 * @property {import("./protocol.js").RealtimeError | null} error
 * @property {boolean} missed Something was missed (see `gap`), and no state was loaded since.
 */

/** @param {any} value @returns {Seen} */
export const unseen = (value) => ({ value, state: "joining", error: null, missed: false });

/**
 * @param {RealtimeClient} client
 * @param {string} room
 * @param {WatchOptions} options
 * @param {(seen: Seen) => void} onChange
 * @returns {() => void} Ends it.
 */
export function watchRoom(client, room, { initial, reduce = (_, data) => data, ...options }, onChange) {
  let seen = unseen(initial);
  const change = (/** @type {Partial<Seen>} */ some) => onChange((seen = { ...seen, ...some }));
  const subscription = client.subscribe(
    room,
    (data, origin) => change({ value: reduce(seen.value, data, origin) }),
    options,
  );
  subscription.addEventListener("subscribed", () => change({ state: "joined", error: null }));
  subscription.addEventListener("loaded", () => change({ error: null, missed: false }));
  subscription.addEventListener("gap", () => change({ missed: true }));
  subscription.addEventListener("error", (event) => {
    change({ state: subscription.state, error: /** @type {CustomEvent} */ (event).detail });
  });
  return () => subscription.unsubscribe();
}

/** @param {RealtimeClient} client @param {() => void} onChange @returns {() => void} Ends it. */
export function watchStatus(client, onChange) {
  client.addEventListener("state", onChange);
  return () => client.removeEventListener("state", onChange);
}
