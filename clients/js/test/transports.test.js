/** A client is on a stream of events only where a WebSocket does not get through, and no longer than that. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { follow, isLive, openNetwork, until } from "./support/network.js";

test("after an outage of both a client is back by WebSocket, whichever attempt is the first with success", async (context) => {
  for (const attempts of [3, 4, 5, 6, 7]) {
    const network = await openNetwork(context);
    const { client, seen } = follow(network);
    await until(isLive(client, "websocket"));
    network.websockets = network.streams = false;
    let failed = 0;
    client.addEventListener("state", ({ detail }) => {
      if (detail.state === "offline" && ++failed === attempts) network.websockets = network.streams = true;
    });
    network.end();
    await until(() => failed >= attempts && client.status.state === "live");
    assert.deepEqual(seen.live, ["websocket", "websocket"], `after ${attempts}`);
    client.close();
  }
});

test("a stream that ends follows another at once, and a WebSocket is not tried more often for that", async (context) => {
  const network = await openNetwork(context);
  network.websockets = false;
  const { client, seen } = follow(network);
  await until(isLive(client, "sse"));
  const { tried } = network;
  for (const streams of [2, 3, 4, 5]) {
    network.end();
    await until(() => seen.live.length === streams);
    assert.equal(network.asked, streams);
  }
  assert.equal(network.tried, tried);
  assert.ok(seen.live.every((each) => each === "sse"));
});

test("without rooms there is no stream: the client is not live until a WebSocket opens", async (context) => {
  const network = await openNetwork(context);
  network.websockets = false;
  const client = network.client();
  const live = [];
  let offline = 0;
  client.addEventListener("state", ({ detail }) => {
    if (detail.state === "live") live.push(detail.transport);
    if (detail.state === "offline") offline += 1;
  });
  client.connect();
  await until(() => offline >= 12);
  assert.deepEqual([live, network.asked], [[], 0]);
  network.websockets = true;
  await until(isLive(client, "websocket"));
  assert.deepEqual([live, network.asked], [["websocket"], 0]);
});

test("who follows a room only later has the stream then", async (context) => {
  const network = await openNetwork(context);
  network.websockets = false;
  const client = network.client();
  let offline = 0;
  client.addEventListener("state", ({ detail }) => (offline += detail.state === "offline"));
  client.connect();
  await until(() => offline >= 6);
  client.subscribe("chat");
  await until(isLive(client, "sse"));
});
