/** WebSockets that answer a ping, and carry no rooms: where that is so, a client has the stream of events. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PATIENT, follow, isLive, openNetwork, pass, passUntil, until } from "./support/network.js";

const onlyPings = ({ subscribe }) => !subscribe;

test("a WebSocket that passes a ping and not the rooms leads to the stream at the next attempt", async (context) => {
  const network = await openNetwork(context);
  network.carries = onlyPings;
  const { client, seen } = follow(network);
  await until(isLive(client, "sse"));
  assert.deepEqual([network.asked, seen.live], [1, ["sse"]]);
  network.publish("on the stream");
  await until(() => seen.data.length === 1);
});

test("one that is lost before it is taken counts as none, too", async (context) => {
  const network = await openNetwork(context);
  network.websockets = false;
  const socket = () => {
    const each = network.socket();
    each.send = () => {
      each.onmessage({ data: JSON.stringify({ id: 1, pong: {} }) });
      each.onclose({ code: 1006, reason: "" });
    };
    if (network.tried === 4) setImmediate(() => each.onopen());
    return each;
  };
  const { client } = follow(network, { socket });
  await until(isLive(client, "sse"));
  assert.equal(network.asked, 1);
});

test("it is tried after ever longer waits, each time for one stream, until it carries the rooms", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const network = await openNetwork(context);
  network.carries = onlyPings;
  const { client, seen } = follow(network, PATIENT);
  await passUntil(context, isLive(client, "sse"));
  for (const wait of [15, 30, 60, 120, 150, 150]) {
    const { tried, asked } = network;
    await pass(context, (wait - 1) * 1_000); // a second less, for what the changes took
    assert.deepEqual([network.tried, network.asked], [tried, asked], `${wait} s`);
    await passUntil(context, () => network.asked === asked + 1 && isLive(client, "sse")());
    assert.equal(network.tried, tried + 1, `${wait} s`);
  }
  assert.ok(seen.live.every((each) => each === "sse"));
  network.carries = () => true;
  await passUntil(context, isLive(client, "websocket"));
  assert.equal(seen.gaps, 0);
});

test("once a WebSocket was in use, the next stream begins with one again", async (context) => {
  const network = await openNetwork(context);
  network.carries = onlyPings;
  const { client, seen } = follow(network);
  await until(isLive(client, "sse"));
  network.carries = () => true;
  network.streams = false;
  network.end();
  await until(isLive(client, "websocket"));
  network.websockets = false;
  let failed = 0;
  client.addEventListener("state", ({ detail }) => {
    if (detail.state === "offline" && ++failed === 4) network.websockets = network.streams = true;
  });
  network.end();
  await until(() => failed >= 4 && client.status.state === "live");
  assert.equal(seen.live.at(-1), "websocket");
});
