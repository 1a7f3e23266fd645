/**
 * For a plain `<script>`: all of index.js as `Shardlayer.…`.
 */

import { RealtimeClient } from "./client.js";
import { BEGINNING, RealtimeError } from "./protocol.js";
import { newKey } from "./publishing.js";

Object.assign(globalThis, { Shardlayer: { BEGINNING, RealtimeClient, RealtimeError, newKey } });
