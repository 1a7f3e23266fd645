/** How often a WebSocket is tried beside a stream of events, where none gets through. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PATIENT, follow, isLive, openNetwork, pass, passUntil } from "./support/network.js";

const MINUTE = 60_000; // milliseconds

test("where no WebSocket gets through, one is tried after ever longer waits, up to some minutes", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const network = await openNetwork(context);
  network.websockets = false;
  const { client } = follow(network, PATIENT);
  await passUntil(context, isLive(client, "sse"));
  const tries = [];
  for (let waited = 0, { tried } = network; waited < 15 * MINUTE; waited += 500) {
    await pass(context, 500);
    if (network.tried > tried) tries.push((waited + 500) / 1_000);
    ({ tried } = network);
  }
  const waits = tries.map((each, index) => each - (tries[index - 1] ?? 0));
  assert.deepEqual(waits.map((each, index) => Math.abs(each - [15, 30, 60, 120, 150, 150, 150, 150][index]) <= 1), waits.map(() => true), `${waits}`);
  assert.ok(waits.length >= 6);
  assert.equal(network.asked, 1, "one stream");
  assert.equal(client.status.transport, "sse");
});
