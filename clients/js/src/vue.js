/**
 * Vue: `const orders = useRoom(client, "orders")`, then `orders.value.value` or, in a template,
 * `orders.value`.
 */

import { onScopeDispose, shallowRef, toValue, watch } from "vue";

import { unseen, watchRoom, watchStatus } from "./watch.js";

/** @typedef {import("./client.js").RealtimeClient} RealtimeClient */

/**
 * Follow a room while the component is there. On a server that renders pages it follows nothing.
 * @param {RealtimeClient} client
 * @param {import("vue").MaybeRefOrGetter<string>} room When it changes, the new one is followed.
 * @param {import("./watch.js").WatchOptions} [options]
 * @returns {Readonly<import("vue").ShallowRef<import("./watch.js").Seen>>}
 */
export function useRoom(client, room, options = {}) {
  const seen = shallowRef(unseen(options.initial));
  if (typeof document === "undefined") return seen;
  const follow = (/** @type {string} */ name, /** @type {unknown} */ _, /** @type {(end: () => void) => void} */ onCleanup) => {
    seen.value = unseen(options.initial);
    onCleanup(watchRoom(client, name, options, (now) => (seen.value = now)));
  };
  watch(() => toValue(room), follow, { immediate: true });
  return seen;
}

/** @param {RealtimeClient} client @returns {Readonly<import("vue").ShallowRef<Readonly<import("./client.js").Status>>>} */
export function useStatus(client) {
  const status = shallowRef(client.status);
  onScopeDispose(watchStatus(client, () => (status.value = client.status)));
  return status;
}
