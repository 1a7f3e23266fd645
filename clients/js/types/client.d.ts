/**
 * Follows rooms of a Shardlayer server. The guide: docs/client.md in the repository.
 */

/** A place in a room's history: what `subscribe(room, handler, { since })` goes on from. */
export interface Position {
  /** The number of the last publication seen; 0 is before the first. */
  readonly offset: number;
  /** One life of the room's numbering; offsets of two can't be compared. */
  readonly epoch: string;
}

/** Where a message comes from. */
export interface Origin {
  room: string;
  /** `null` in a room that keeps no history. */
  offset: number | null;
  /** From the room's history, not pushed as it happened. */
  replayed: boolean;
}

export type Handler<T = unknown> = (data: T, origin: Origin) => void;

/** What a loop over a subscription gets. */
export interface Message<T = unknown> extends Origin {
  data: T;
}

export type State = "connecting" | "live" | "behind" | "offline";

export interface Status {
  readonly state: State;
  /** How late what arrives is, in milliseconds; of interest when behind. */
  readonly lag: number;
  /** When the next attempt starts, as `Date.now()` counts; `null` if none is planned. */
  readonly retryAt: number | null;
  /** Offline, and no attempt follows until `connect()`. */
  readonly final: boolean;
  /** Why it is offline, for people. */
  readonly reason: string;
  /** By what it connects: where no WebSocket gets through, by Server-Sent Events. */
  readonly transport: "websocket" | "sse";
}

/** A token, or a function that fetches one and is asked whenever one is needed. */
export type Token = string | (() => string | Promise<string>);

/** All times are in milliseconds. */
export interface ClientOptions {
  /** Signs in where no cookie does. */
  token?: Token;
  /** When the data was made; its age then counts for `behind`. */
  sentAt?: (data: any, room: string) => number | undefined;
  /** What arrives so late is called behind. Default: 2,000. */
  behindAfter?: number;
  /** Between pings. Default: 10,000. */
  heartbeat?: number;
  /** Nothing heard for so long after a ping: the connection is dead. Default: 10,000. */
  pongTimeout?: number;
  /** Until a reply is given up. Default: 10,000. */
  requestTimeout?: number;
  /** Until a connection has to be open. Default: 10,000. */
  openTimeout?: number;
  /**
   * Who the page's user is, as the page's server says it. All tabs of the browser that say the same, of
   * the same address, use one connection. Without it each client has its own.
   */
  share?: string;
  /** The address of the Server-Sent Events. Default: `../sse/` beside the WebSocket's. */
  sse?: string | false;
  /** Makes the WebSocket. Default: `new WebSocket(url)`. */
  socket?: (url: string) => any;
  /** The chance in the waits. Default: `Math.random`. */
  random?: () => number;
}

export interface SubscribeOptions {
  /** Go on from there; `BEGINNING` for all that the room still holds. Without it, from now on. */
  since?: Position | null;
  /** Opens the room, if its rules don't. */
  token?: Token;
  /**
   * Loads what the room's publications change: when the room is joined, unless `since` says from where
   * and nothing is missing since, and again whenever something was missed for good, in place of a `gap`.
   * What is published meanwhile waits. It may return the position that the server took before it read.
   */
  state?: (since: Position | null) => Promise<unknown>;
}

export interface PublishOptions {
  /** Names this publication; the same key within five minutes publishes nothing. See `newKey`. */
  key?: string;
  /** Try again for so many milliseconds where that may help, under one key. At most 240,000. */
  retryFor?: number;
}

export interface Published {
  room: string;
  /** Left out in a room that keeps no history, and so is `epoch`. */
  offset?: number;
  epoch?: string;
}

export interface History<T = unknown> {
  room: string;
  /** The position after the newest. Left out in a room that keeps no history, and so is `epoch`. */
  offset?: number;
  epoch?: string;
  /** Oldest first. */
  publications: { offset: number; data: T }[];
}

/** A person in a room: several tabs and devices of a user are one. */
export interface Person {
  /** The user's primary key, or begins with `~` if nobody is signed in. */
  person: string;
  connections: number;
  /** What the connections carry. */
  infos?: any[];
  /** What the server knows of the user, such as a name. */
  fields?: any;
}

export interface Presence {
  room: string;
  people: number;
  connections: number;
  /** Some of the people, in the order of their names. */
  persons: Person[];
  /** Others follow the last of these. */
  more?: boolean;
}

export interface Identity {
  /** The worker that answers. */
  node: string;
  /** The connection's id, by which a publication may leave this client out. */
  client: string;
  /** The user's name; `null` for an anonymous client. */
  user: string | null;
  /** The user's own room. */
  room: string | null;
}

/** The codes of the server (docs/protocol.md) and those of the client (docs/client.md). */
export type ErrorCode =
  | "anonymous" | "bad_frame" | "bad_json" | "bad_request" | "bad_room" | "bad_token" | "closed" | "expired"
  | "forbidden" | "full" | "internal" | "limit" | "lost" | "not_subscribed" | "offline" | "one_way" | "rate"
  | "refused" | "slow" | "state" | "timeout" | "token" | "too_large" | "unavailable" | "unknown_command"
  | (string & {});

export class RealtimeError extends Error {
  constructor(code: ErrorCode, message: string, room?: string | null);
  code: ErrorCode;
  /** The room concerned, if it is about one. */
  room: string | null;
}

export interface SubscriptionEvents {
  /** After each connect; `replayed` counts. */
  subscribed: CustomEvent<{ room: string; position: Position | null; recovered: boolean; replayed: number }>;
  /** Something was missed that can't be had: see docs/client.md. */
  gap: CustomEvent<{ room: string; since: Position | null; position: Position | null; missed: number | null }>;
  /** People came to the room or went. */
  presence: CustomEvent<{
    room: string;
    people: number;
    came: { person: string; info?: any }[];
    went: string[];
    more?: number;
  }>;
  /** The `state` of the room was loaded. */
  loaded: CustomEvent<{ room: string; position: Position | null }>;
  error: CustomEvent<RealtimeError>;
}

export interface ClientEvents extends SubscriptionEvents {
  /** The connection's state has changed, or its lag. */
  state: CustomEvent<Status>;
  /** What the operators say to everybody. */
  announcement: CustomEvent<{ data: any }>;
}

/** An EventTarget that knows what its events carry. */
interface Emits<Events> extends EventTarget {
  addEventListener<Type extends keyof Events>(
    type: Type,
    listener: (event: Events[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof Events>(
    type: Type,
    listener: (event: Events[Type]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** One handler's place in a room. Made by `client.subscribe()`. */
export interface Subscription<T = unknown>
  extends Emits<SubscriptionEvents & { left: Event }>, AsyncIterable<Message<T>> {
  readonly room: string;
  readonly state: "joining" | "joined" | "left";
  /** What a later `subscribe(room, handler, { since })` goes on from. */
  readonly position: Position | null;
  /** The handler is not called again; the last subscription of a room leaves it. */
  unsubscribe(): void;
}

/** One connection to the server and its rooms. Nothing happens before `connect()`. */
export interface RealtimeClient extends Emits<ClientEvents> {
  readonly status: Status;
  /** Connect, and stay so until `close()`. Subscribe before or after, as you like. */
  connect(): void;
  /** Disconnect and stay away. Subscriptions are kept, for another `connect()`, which signs in anew. */
  close(): void;
  /** Follow a room. Its messages come once and in order, to each of its handlers. */
  subscribe<T = unknown>(room: string, handler?: Handler<T>, options?: SubscribeOptions): Subscription<T>;
  /** Follow the room of the user who is signed in. Rejects with `anonymous` if nobody is. */
  subscribeToUser<T = unknown>(handler?: Handler<T>, options?: SubscribeOptions): Promise<Subscription<T>>;
  /** Never queued: without a connection it rejects at once. */
  publish(room: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** The newest publications, or the newest before an offset, without following the room. */
  history<T = unknown>(
    room: string,
    options?: { limit?: number; before?: number; token?: string },
  ): Promise<History<T>>;
  /** Who is in a room. */
  presence(room: string, options?: { limit?: number; after?: string }): Promise<Presence>;
  /** Who the server takes this client for. */
  identity(): Promise<Identity>;
  /**
   * For the header `X-Realtime-Client` of a request, whose view can then leave this client out of what it
   * publishes. Empty where tabs share the connection, and in a stream of events.
   */
  connectionId(): Promise<string>;
  /** A command of the site's own; never queued. */
  command<T = unknown>(name: string, value: unknown): Promise<T>;
  /** Milliseconds there and back. */
  ping(): Promise<number>;
}

export const RealtimeClient: {
  prototype: RealtimeClient;
  /** @param url A path of the page's own server, or a whole address. */
  new (url: string, options?: ClientOptions): RealtimeClient;
};

/** Everything that a room still holds. */
export const BEGINNING: Position;

/** A key for `publish` that nobody else has. */
export function newKey(): string;
