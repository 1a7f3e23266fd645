/**
 * All that pages import: `import { RealtimeClient } from "@shardlayer/client"`.
 */

export { BACKOFF_BASE, BACKOFF_CAP, backoffDelay } from "./backoff.js";
export { BEHIND_AFTER, RealtimeClient, STABLE_AFTER } from "./client.js";
export { BEGINNING, RealtimeError, comesBack, frameLists, websocketUrl } from "./protocol.js";
export { LONGEST_RETRY, newKey } from "./publishing.js";
export { judge, merge } from "./recovery.js";
export { Subscription } from "./subscription.js";
