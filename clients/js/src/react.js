/**
 * React: `const { value } = useRoom(client, "orders")`.
 */

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";

import { unseen, watchRoom, watchStatus } from "./watch.js";

/** @typedef {import("./client.js").RealtimeClient} RealtimeClient */

/**
 * Follow a room while the component is mounted. Another client or room begins anew; `reduce` may be
 * another function each time, `initial`, `since`, `token` and `state` count when it is followed.
 * @param {RealtimeClient} client
 * @param {string} room
 * @param {import("./watch.js").WatchOptions} [options]
 * @returns {import("./watch.js").Seen}
 */
export function useRoom(client, room, options = {}) {
  const latest = useRef(options);
  latest.current = options;
  const [at, setAt] = useState({ client, room, seen: unseen(options.initial) });
  useEffect(() => {
    /** @type {NonNullable<import("./watch.js").WatchOptions["reduce"]>} */
    const reduce = (value, data, origin) => (latest.current.reduce ?? newest)(value, data, origin);
    const watched = { ...latest.current, reduce };
    return watchRoom(client, room, watched, (seen) => setAt({ client, room, seen }));
  }, [client, room]);
  return at.client === client && at.room === room ? at.seen : unseen(options.initial);
}

/** @param {RealtimeClient} client @returns {Readonly<import("./client.js").Status>} */
export function useStatus(client) {
  const subscribe = useCallback((/** @type {() => void} */ change) => watchStatus(client, change), [client]);
  const status = () => client.status;
  return useSyncExternalStore(subscribe, status, status);
}

/** @param {any} _ @param {any} data */
const newest = (_, data) => data;
