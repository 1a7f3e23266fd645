import type { Origin, Position, RealtimeError, Token } from "./client.js";

/** What is known of a room that is followed. */
export interface Room<Value> {
  readonly value: Value;
  readonly state: "joining" | "joined" | "left";
  /** The last error of the room; `null` when it was joined since. */
  readonly error: RealtimeError | null;
  /** Something was missed that can't be had: load the state anew. */
  readonly missed: boolean;
}

export interface RoomOptions {
  /** See `subscribe`. */
  since?: Position | null;
  token?: Token;
}

/** Makes a value of all messages, such as a list. */
export interface ReduceOptions<Data, Value> extends RoomOptions {
  /** Before the first message. */
  initial: Value;
  reduce: (value: Value, data: Data, origin: Origin) => Value;
}
