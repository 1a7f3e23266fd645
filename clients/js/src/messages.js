/**
 * A subscription's messages as an async iterator: `for await (const { data } of subscription)`.
 */

import { RealtimeError } from "./protocol.js";

/** So many messages wait for a loop that is slower than its room; one more ends it. */
export const WAITING_LIMIT = 10_000;

/** @typedef {import("./subscription.js").Origin & {data: any}} Message */

/**
 * @param {import("./subscription.js").Subscription} subscription
 * @param {(handler: import("./subscription.js").Handler) => void} listen
 * @returns {AsyncGenerator<Message, void>} Ends when the subscription is over. Throws what the server
 *   refused it with, or `slow` when more than WAITING_LIMIT messages wait.
 */
export async function* messagesOf(subscription, listen) {
  /** @type {Message[]} */
  let waiting = [];
  /** @type {unknown} */
  let failure;
  let wake = () => {};
  const isOver = () => subscription.state === "left";
  listen((data, origin) => {
    if (waiting.push({ data, ...origin }) > WAITING_LIMIT) {
      failure = new RealtimeError("slow", `${WAITING_LIMIT} messages wait.`, origin.room);
      subscription.unsubscribe();
    }
    wake();
  });
  subscription.addEventListener("left", () => wake());
  subscription.addEventListener("error", (event) => {
    if (isOver()) failure = /** @type {CustomEvent} */ (event).detail;
  });
  try {
    while (!isOver()) {
      const ready = waiting;
      waiting = [];
      yield* ready;
      if (waiting.length > 0 || isOver()) continue;
      await new Promise((resolve) => (wake = () => resolve(null)));
    }
    if (failure !== undefined) throw failure;
  } finally {
    subscription.unsubscribe();
  }
}
