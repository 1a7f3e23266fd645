/**
 * For a plain `<script>`: all of index.js as `Shardlayer.…`.
 */

import { RealtimeClient } from "./client.js";
import { BEGINNING, RealtimeError } from "./protocol.js";
import { newKey } from "./publishing.js";

/** @type {any} */ (globalThis).Shardlayer = { BEGINNING, RealtimeClient, RealtimeError, newKey };
