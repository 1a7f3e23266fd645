/** What the hook, the composable and the store have in common: a room as a value that changes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { watchRoom } from "../src/watch.js";
import { connectedClient, settled, slowState } from "./support/page.js";

test("the state is loaded again where something was missed; one that could not be loaded is an error until it is", async (context) => {
  context.mock.method(Math, "random", () => 0); // so that a load that failed is tried again at once
  const { client, server } = await connectedClient();
  context.after(() => client.close());
  const { state, asked, loads, fails } = slowState();
  const seen = [];
  const codes = () => seen.map(({ error }) => error?.code ?? null);
  watchRoom(client, "orders", { state }, (now) => seen.push(now));
  await settled();
  await fails();
  assert.deepEqual([asked.length, codes()], [2, [null, "state"]]);
  await loads();
  assert.deepEqual([seen.at(-1).state, seen.at(-1).error], ["joined", null]);
  server.say({ room: "orders", reset: { offset: 1, epoch: "e" } });
  await settled();
  await loads();
  assert.equal(asked.length, 3);
  assert.ok(seen.every(({ missed }) => !missed));
});

test("what a gap said is over once the state is loaded", () => {
  const subscription = Object.assign(new EventTarget(), { state: "joined" });
  const client = { subscribe: () => subscription };
  const seen = [];
  watchRoom(client, "orders", {}, (now) => seen.push(now.missed));
  for (const event of ["subscribed", "gap", "subscribed", "loaded"]) subscription.dispatchEvent(new Event(event));
  assert.deepEqual(seen, [false, true, true, false]);
});
