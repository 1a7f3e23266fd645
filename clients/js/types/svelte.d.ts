import type { RealtimeClient, Status } from "./client.js";
import type { ReduceOptions, Room, RoomOptions } from "./watch.js";

/** What Svelte calls a readable store. */
export interface Store<Value> {
  subscribe(run: (value: Value) => void): () => void;
}

/** A room as a store; `value` is what `reduce` makes of its messages. */
export function roomStore<Data, Value>(
  client: RealtimeClient,
  room: string,
  options: ReduceOptions<Data, Value>,
): Store<Room<Value>>;
/** A room as a store, followed while somebody is subscribed to it; `value` is the newest message. */
export function roomStore<Data = unknown>(
  client: RealtimeClient,
  room: string,
  options?: RoomOptions,
): Store<Room<Data | undefined>>;

/** How the client is connected. */
export function statusStore(client: RealtimeClient): Store<Status>;
