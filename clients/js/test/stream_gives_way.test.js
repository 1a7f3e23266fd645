/** A stream of events gives way when a WebSocket gets through. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PATIENT, follow, isLive, openNetwork, passUntil, until } from "./support/network.js";

test("a stream gives way to a WebSocket that gets through: nothing is lost, nothing comes twice", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const network = await openNetwork(context);
  network.websockets = false;
  const { client, seen } = follow(network, PATIENT);
  await passUntil(context, isLive(client, "sse"));
  network.publish("first");
  await until(() => seen.data.length === 1);
  network.websockets = true;
  client.addEventListener("state", ({ detail }) => network.publish(`${detail.state} ${detail.transport}`));
  await passUntil(context, isLive(client, "websocket"));
  network.publish("last");
  await until(() => seen.data.at(-1) === "last");
  assert.deepEqual(seen.data, network.history.map(({ data }) => data));
  assert.equal(seen.gaps, 0);
  await until(() => network.open.size === 1); // the stream is over, and the WebSocket that was tried is in use
  assert.deepEqual(seen.live, ["sse", "websocket"]);
});
