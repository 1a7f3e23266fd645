import type { MaybeRefOrGetter, ShallowRef } from "vue";

import type { RealtimeClient, Status } from "./client.js";
import type { ReduceOptions, Room, RoomOptions } from "./watch.js";

/** Follow a room while the component is there; `value` is what `reduce` makes of its messages. */
export function useRoom<Data, Value>(
  client: RealtimeClient,
  room: MaybeRefOrGetter<string>,
  options: ReduceOptions<Data, Value>,
): Readonly<ShallowRef<Room<Value>>>;
/** Follow a room while the component is there; `value` is the newest message. */
export function useRoom<Data = unknown>(
  client: RealtimeClient,
  room: MaybeRefOrGetter<string>,
  options?: RoomOptions,
): Readonly<ShallowRef<Room<Data | undefined>>>;

/** How the client is connected. */
export function useStatus(client: RealtimeClient): Readonly<ShallowRef<Status>>;
