/** A WebSocket that is tried before a stream of events takes a part of what the stream has to open. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Streams } from "../src/sse.js";
import { follow, isLive, openNetwork, until } from "./support/network.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

for (const openTimeout of [100, 1_000]) {
  test(`where WebSockets hear nothing, a client that waits ${openTimeout} ms has the stream`, async (context) => {
    const network = await openNetwork(context);
    network.websockets = false;
    network.isSilent = true;
    const { client } = follow(network, { openTimeout });
    await until(isLive(client, "sse"));
    assert.equal(network.asked, 1);
  });
}

test("who waits long tries a WebSocket for three seconds, and no longer", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  for (const [openTimeout, least] of [[undefined, 3_000], [10_000, 3_000], [1e9, 3_000], [2_500, 1_250]]) {
    const connect = () => ({ send() {}, close() {} });
    const stream = new Streams("../sse/", "ws://127.0.0.1:9/ws/", connect, Math.random, openTimeout).open(4, false);
    let isOpen = false;
    stream.onopen = () => (isOpen = true);
    await turn();
    context.mock.timers.tick(least - 1);
    await turn();
    assert.equal(isOpen, false, `${openTimeout}`);
    context.mock.timers.tick(1);
    await turn();
    assert.equal(isOpen, true, `${openTimeout}`);
    stream.close();
  }
});

test("a stream that is closed over its WebSocket leaves the next without one", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let made = 0;
  const streams = new Streams("../sse/", "ws://127.0.0.1:9/ws/", () => ({ made: (made += 1), send() {}, close() {} }));
  const first = streams.open(4, false);
  await turn();
  first.close();
  await turn();
  const second = streams.open(6, false);
  let isOpen = false;
  second.onopen = () => (isOpen = true);
  await turn();
  assert.deepEqual([made, isOpen], [1, true]);
  second.close();
});
