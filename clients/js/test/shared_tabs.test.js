/** What a client with `share` says of the connection: by what it is, and whose its id is. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { isLive, openNetwork, until } from "./support/network.js";
import { openBrowser } from "./support/tabs.js";

openBrowser();

/** A tab that follows a room. */
function open(network, options) {
  const client = network.client(options);
  client.subscribe("chat");
  client.connect();
  return client;
}

test("all tabs that share say that they are on a stream, and later on a WebSocket", async (context) => {
  const network = await openNetwork(context);
  network.websockets = false;
  const tabs = [1, 2].map(() => open(network, { share: "transport" }));
  for (const tab of tabs) await until(isLive(tab, "sse"));
  network.websockets = true;
  tabs[0].dispatchEvent(new Event("online"));
  network.streams = false;
  network.end();
  for (const tab of tabs) await until(isLive(tab, "websocket"));
});

test("a tab without rooms is live on the stream of another that has some", async (context) => {
  const network = await openNetwork(context);
  network.websockets = false;
  const without = network.client({ share: "rooms" });
  without.connect();
  open(network, { share: "rooms" });
  await until(isLive(without, "sse"));
});

test("a shared connection has no id to leave out, also while it is loaded", async (context) => {
  const network = await openNetwork(context);
  const tab = open(network, { share: "id" });
  assert.equal(await tab.connectionId(), "");
  assert.equal(await tab.connectionId(), "");
});

test("a tab that can't share has the id of its own connection, also after it lost one", async (context) => {
  const network = await openNetwork(context);
  const { locks } = navigator;
  Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
  context.after(() => Object.defineProperty(navigator, "locks", { value: locks, configurable: true }));
  const tab = open(network, { share: "alone" });
  assert.equal(await tab.connectionId(), "own");
  const id = new Promise((resolve) => tab.addEventListener("state", () => resolve(tab.connectionId()), { once: true }));
  network.end();
  assert.equal(await id, "own");
});

test("who waits for a connection, and gets a stream, has no id to leave out", async (context) => {
  const network = await openNetwork(context);
  network.websockets = false;
  const client = open(network);
  assert.equal(await client.connectionId(), "");
  assert.equal(client.status.transport, "sse");
  assert.equal(await client.connectionId(), "");
  await assert.rejects(client.identity(), { code: "one_way" });
});

test("without a connection to wait for there is no id", async (context) => {
  const network = await openNetwork(context);
  await assert.rejects(network.client().connectionId(), { code: "offline" });
});
