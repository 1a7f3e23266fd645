import type { Origin, RealtimeError, SubscribeOptions } from "./client.js";

/** What is known of a room that is followed. */
export interface Room<Value> {
  readonly value: Value;
  readonly state: "joining" | "joined" | "left";
  /** The last error of the room; `null` when it was joined, or its `state` loaded, since. */
  readonly error: RealtimeError | null;
  /** Something was missed that can't be had: load the state anew. */
  readonly missed: boolean;
}

/** See `subscribe`. What `state` loads it shows itself: `value` is made of messages alone. */
export type RoomOptions = SubscribeOptions;

/** Makes a value of all messages, such as a list. */
export interface ReduceOptions<Data, Value> extends RoomOptions {
  /** Before the first message. */
  initial: Value;
  reduce: (value: Value, data: Data, origin: Origin) => Value;
}
