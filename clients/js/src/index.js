/**
 * All that pages import: `import { RealtimeClient } from "@shardlayer/client"`.
 */

export { RealtimeClient } from "./client.js";
export { BEGINNING, RealtimeError } from "./protocol.js";
export { newKey } from "./publishing.js";

/** @typedef {import("./subscription.js").Subscription} Subscription */
