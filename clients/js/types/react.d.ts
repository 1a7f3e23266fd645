import type { RealtimeClient, Status } from "./client.js";
import type { ReduceOptions, Room, RoomOptions } from "./watch.js";

/** Follow a room while the component is mounted; `value` is what `reduce` makes of its messages. */
export function useRoom<Data, Value>(client: RealtimeClient, room: string, options: ReduceOptions<Data, Value>): Room<Value>;
/** Follow a room while the component is mounted; `value` is the newest message. */
export function useRoom<Data = unknown>(client: RealtimeClient, room: string, options?: RoomOptions): Room<Data | undefined>;

/** How the client is connected. */
export function useStatus(client: RealtimeClient): Status;
