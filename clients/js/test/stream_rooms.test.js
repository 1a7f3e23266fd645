/** Rooms of a stream of events that are left, or asked for again, while they are being joined. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { afterEach, beforeEach, test } from "node:test";

import { Streams } from "../src/sse.js";
import { until } from "./support/network.js";

let server;
let streams;
let heard;
let stream;

/** The server answers a stream when the test says so. */
beforeEach(async () => {
  streams = [];
  heard = [];
  server = createServer((request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    const { searchParams } = new URL(request.url, "http://server/");
    const rooms = searchParams.getAll("room");
    const answer = (offset) => {
      const subscribed = rooms.map((room) => ({ room, ...(room === "bare" ? {} : { offset, epoch: "e" }) }));
      response.write(`data: ${JSON.stringify({ id: 0, subscribed })}\n\n`);
    };
    streams.push({ rooms, since: searchParams.get("since"), answer });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const connect = () => {
    throw new Error("no WebSocket here");
  };
  stream = new Streams("../sse/", `ws://127.0.0.1:${server.address().port}/ws/`, connect).open(4, false);
  stream.onmessage = ({ data }) => heard.push(JSON.parse(data));
  stream.onclose = (event) => heard.push(event);
  await new Promise((resolve) => (stream.onopen = resolve));
});

afterEach(() => {
  stream.close();
  server.closeAllConnections();
  server.close();
});

const send = (command) => stream.send(JSON.stringify(command));

/** The stream of so many before it, which has come. */
async function nth(number) {
  await until(() => streams.length >= number);
  return streams[number - 1];
}

test("a room that is left while it is joined has no place in the answer, and the others have theirs", async () => {
  send({ id: 1, subscribe: [{ room: "bare" }] });
  (await nth(1)).answer();
  await until(() => heard.length === 1);
  send({ id: 2, subscribe: [{ room: "a" }, { room: "b" }] });
  await nth(2);
  send({ id: 3, unsubscribe: { room: "a" } });
  send({ id: 4, subscribe: [{ room: "c" }] });
  const third = await nth(3);
  assert.deepEqual(third.rooms, ["bare", "b", "c"]);
  third.answer(5);
  await until(() => heard.length === 5);
  assert.deepEqual(heard.slice(1), [
    { id: 3, unsubscribed: { room: "a" } },
    { id: 2, subscribed: [{ room: "b", offset: 5, epoch: "e" }] },
    { id: 4, subscribed: [{ room: "c", offset: 5, epoch: "e" }] },
    { room: "bare", reset: null },
  ]);
});

test("a single room that is left while it is joined has an error, and a list an empty answer", async () => {
  send({ id: 1, subscribe: { room: "a" } });
  send({ id: 2, subscribe: [{ room: "b" }] });
  for (const room of ["a", "b"]) send({ id: 3, unsubscribe: { room } });
  send({ id: 4, subscribe: { room: "c" } });
  await until(() => streams.some(({ rooms }) => rooms.join() === "c"));
  streams.find(({ rooms }) => rooms.join() === "c").answer(1);
  await until(() => heard.length === 5);
  const [, , single, list] = heard;
  assert.deepEqual([single.id, single.error.code, list], [1, "not_subscribed", { id: 2, subscribed: [] }]);
});

test("what comes of a room that was left is told nobody", async () => {
  send({ id: 1, subscribe: [{ room: "a" }, { room: "b" }] });
  send({ id: 2, unsubscribe: { room: "a" } });
  (await nth(1)).answer(1);
  await until(() => heard.length === 2);
  assert.deepEqual(heard[1], { id: 1, subscribed: [{ room: "b", offset: 1, epoch: "e" }] });
});

test("two asks for one room are answered one after another, each from its own position", async () => {
  send({ id: 1, subscribe: [{ room: "a", offset: 90, epoch: "e" }] });
  send({ id: 2, subscribe: [{ room: "a", offset: 100, epoch: "e" }] });
  send({ id: 3, subscribe: [{ room: "a" }] });
  send({ id: 4, unsubscribe: { room: "other" } });
  for (const [number, since] of [[1, "90.e"], [2, "100.e"], [3, "-"]]) {
    const each = await nth(number);
    assert.deepEqual([each.since, streams.length], [since, number]);
    each.answer(100 + number);
    await until(() => heard.filter(({ subscribed }) => subscribed).length === number);
  }
  assert.deepEqual(heard.filter(({ subscribed }) => subscribed).map(({ id }) => id), [1, 2, 3]);
});

test("an ask that waits, and whose room is left, begins no stream", async () => {
  send({ id: 1, subscribe: [{ room: "b" }, { room: "a" }] });
  send({ id: 2, subscribe: [{ room: "a", offset: 100, epoch: "e" }] });
  send({ id: 3, unsubscribe: { room: "a" } });
  (await nth(1)).answer(1);
  await until(() => heard.length === 3);
  assert.deepEqual(heard.slice(1), [{ id: 1, subscribed: [{ room: "b", offset: 1, epoch: "e" }] }, { id: 2, subscribed: [] }]);
  send({ id: 4, subscribe: [{ room: "c" }] });
  assert.deepEqual((await nth(2)).rooms, ["b", "c"]);
});

test("a ping without rooms ends a stream that no other tab uses, and the client comes back at once", async () => {
  send({ id: 1, ping: {} });
  assert.deepEqual(heard, [{ reconnect: { after_ms: 0 } }, { code: 1012, reason: "No rooms, no stream." }]);
});
