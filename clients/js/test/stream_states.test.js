/** Rooms without history that have a `state`: where something may be missing, it is loaded, and nothing is asked. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { RealtimeClient } from "../src/client.js";
import { Streams } from "../src/sse.js";
import { WAITING_LIMIT } from "../src/subscription.js";
import { roomsOf, turn } from "./support/history.js";
import { until } from "./support/network.js";

/** A server whose room keeps no history, and which answers at once. */
class BareServer {
  ready = true;
  asked = 0;

  async request({ subscribe }) {
    this.asked += 1;
    return { subscribed: subscribe.map(({ room }) => ({ room, recovered: false })) };
  }
}

/** A `state` whose loads end when the test says so. */
function loading() {
  const ends = [];
  return { ends, state: () => new Promise((resolve) => ends.push(resolve)) };
}

test("a stream that replaced another has the state loaded, and what comes meanwhile waits", async () => {
  const server = new BareServer();
  const { rooms, follow } = roomsOf(server);
  const { ends, state } = loading();
  const { got, of } = follow({ state });
  await turn();
  ends[0]();
  await turn();
  rooms.push({ room: "r", data: 1 });
  rooms.reset({ room: "r", reset: null });
  rooms.push({ room: "r", data: 2 });
  await turn();
  assert.deepEqual([server.asked, ends.length, got], [1, 2, [1]]);
  ends[1]();
  await turn();
  rooms.push({ room: "r", data: 3 });
  assert.deepEqual([got, of("gap"), of("loaded").length], [[1, 2, 3], [], 2]);
});

test("a load that is overtaken by another stream has nothing to say any more", async () => {
  const server = new BareServer();
  const { rooms, follow } = roomsOf(server);
  const { ends, state } = loading();
  const { got, of } = follow({ state });
  await turn();
  rooms.push({ room: "r", data: "in the second state" });
  rooms.reset({ room: "r", reset: null });
  rooms.push({ room: "r", data: "after" });
  ends[0]();
  await turn();
  assert.deepEqual([got, of("loaded").length], [[], 0]);
  ends[1]();
  await turn();
  assert.deepEqual([got, of("loaded").length, server.asked], [["after"], 1, 1]);
});

test("more than may wait has the state loaded anew", async () => {
  const server = new BareServer();
  const { rooms, follow } = roomsOf(server);
  const { ends, state } = loading();
  const { got } = follow({ state });
  await turn();
  for (let pushes = 0; pushes <= WAITING_LIMIT; pushes += 1) rooms.push({ room: "r", data: "old" });
  rooms.push({ room: "r", data: "new" });
  await turn();
  assert.deepEqual([server.asked, ends.length], [1, 2]);
  for (const end of ends) end();
  await turn();
  assert.deepEqual(got, ["new"]);
});

test("a room that keeps a history no more has its state loaded, too", async () => {
  const server = { ready: true, asked: 0, request: async () => ({ subscribed: [{ room: "r", offset: (server.asked += 1), epoch: "e" }] }) };
  const { rooms, follow } = roomsOf(server);
  const since = [];
  const { subscription } = follow({ state: async (each) => void since.push(each) });
  await turn();
  rooms.reset({ room: "r", reset: null });
  await turn();
  assert.deepEqual([server.asked, since, subscription.position], [1, [{ offset: 1, epoch: "e" }, null], null]);
});

test("who is in the room already is told, too, when another one joins it by a stream of its own", async (context) => {
  const asked = [];
  const server = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    asked.push(() => response.write(`data: ${JSON.stringify({ id: 0, subscribed: [{ room: "a", recovered: false }] })}\n\n`));
    response.flushHeaders();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const connect = () => {
    throw new Error("no WebSocket here");
  };
  const stream = new Streams("../sse/", `ws://127.0.0.1:${server.address().port}/ws/`, connect).open(4, false);
  context.after(() => {
    stream.close();
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => (stream.onopen = resolve));
  const heard = [];
  stream.onmessage = ({ data }) => heard.push(JSON.parse(data));
  const subscribed = [{ room: "a", recovered: false }];
  for (const id of [1, 2]) {
    stream.send(JSON.stringify({ id, subscribe: [{ room: "a" }] }));
    await until(() => asked.length === id);
    asked[id - 1]();
    await until(() => heard.some((each) => each.id === id));
  }
  assert.deepEqual(heard, [{ id: 1, subscribed }, { room: "a", reset: null }, { id: 2, subscribed }]);
  stream.send(JSON.stringify({ id: 3, unsubscribe: { room: "a" } }));
  stream.send(JSON.stringify({ id: 4, subscribe: [{ room: "a" }] }));
  await until(() => asked.length === 3);
  asked[2]();
  await until(() => heard.length === 5);
  assert.deepEqual(heard.slice(3), [{ id: 3, unsubscribed: { room: "a" } }, { id: 4, subscribed }]);
});

test("rooms that are joined one after another over streams are joined once, and loaded once for each stream", async (context) => {
  let streams = 0;
  const server = createServer(({ url }, response) => {
    streams += 1;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const names = new URL(url, "http://server/").searchParams.getAll("room");
    response.write(`data: ${JSON.stringify({ id: 0, subscribed: names.map((room) => ({ room, recovered: false })) })}\n\n`);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = () => {
    const each = { send() {}, close() {} };
    setImmediate(() => each.onclose({ code: 1006, reason: "" }));
    return each;
  };
  const client = new RealtimeClient(`ws://127.0.0.1:${server.address().port}/ws/`, { random: () => 0, socket });
  context.after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  const loads = {};
  const follow = (room) => client.subscribe(room, () => {}, { state: async () => (loads[room] = (loads[room] ?? 0) + 1) });
  follow("a");
  client.connect();
  await until(() => client.status.state === "live");
  for (const [room, done] of [["b", { a: 2, b: 1 }], ["c", { a: 3, b: 2, c: 1 }], ["d", { a: 4, b: 3, c: 2, d: 1 }]]) {
    follow(room);
    await until(() => loads[room] === 1);
    await turn();
    assert.deepEqual(loads, done);
  }
  assert.equal(streams, 4);
});
