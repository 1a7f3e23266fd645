/** A stream of events that looks like a WebSocket, against an HTTP server that says what a test wants. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { afterEach, beforeEach, test } from "node:test";

import { messageIn } from "../src/protocol.js";
import { Streams } from "../src/sse.js";
import { eventsIn } from "../src/stream.js";

let server;
let requests;
let heard;
let stream;

/** A stream at this address, in whose place no WebSocket opens. */
function open(url) {
  const connect = () => {
    const socket = { send: assert.fail, close() {} };
    queueMicrotask(() => socket.onclose({ code: 1006, reason: "" }));
    return socket;
  };
  return new Streams("../sse/", url, connect).open(4, false);
}

/** The requests as they come, each with its response, whose head is sent. */
beforeEach(async () => {
  requests = [];
  heard = [];
  server = createServer((request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    const { searchParams } = new URL(request.url, "http://server/");
    requests.push({ request, response, rooms: searchParams.getAll("room"), since: searchParams.get("since") });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  stream = open(`ws://127.0.0.1:${server.address().port}/ws/`);
  stream.onmessage = ({ data }) => heard.push(messageIn(data) ?? data);
  stream.onclose = (event) => heard.push(event);
  await new Promise((resolve) => (stream.onopen = resolve));
});

afterEach(() => {
  stream.close();
  server.closeAllConnections();
  server.close();
});

async function until(condition) {
  for (let tries = 0; !condition(); tries += 1) {
    assert.ok(tries < 3_000, "it did not happen");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function asked(count) {
  await until(() => requests.length === count);
  return requests[count - 1];
}

const send = (command) => stream.send(JSON.stringify(command));
const say = ({ response }, message, extra = "") => response.write(`${extra}data: ${JSON.stringify(message)}\n\n`);
const replyOf = (room, offset, more = {}) => ({ room, offset, epoch: "e", recovered: true, publications: [], ...more });

test("the rooms stand in the address, with their positions and tokens", async () => {
  send({ id: 1, subscribe: [{ room: "a", offset: 3, epoch: "e" }, { room: "b", token: "t.1" }, { room: "c", offset: 0, epoch: "" }] });
  const { rooms, since } = await asked(1);
  assert.deepEqual(rooms, ["a", "b~t.1", "c"]);
  assert.equal(since, "3.e,-,0.");
});

test("the first event answers the subscription, and what follows is pushed", async () => {
  send({ id: 7, subscribe: [{ room: "a" }, { room: "b" }] });
  const at = await asked(1);
  say(at, { id: 0, subscribed: [replyOf("a", 3), replyOf("b", 1)] });
  say(at, { room: "a", offset: 4, data: "ü" }, ":\n\nid: 4.e,1.e\n");
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [{ id: 7, subscribed: [replyOf("a", 3), replyOf("b", 1)] }, { room: "a", offset: 4, data: "ü" }]);
});

test("another room is another stream, which goes on from where the one before was", async () => {
  send({ id: 1, subscribe: { room: "a" } });
  const first = await asked(1);
  say(first, { id: 0, subscribed: [replyOf("a", 3)] });
  say(first, { room: "a", offset: 4, data: 1 });
  await until(() => heard.length === 2);
  send({ id: 2, subscribe: { room: "b" } });
  const second = await asked(2);
  assert.deepEqual([second.rooms, second.since], [["a", "b"], "4.e,-"]);
  const missed = replyOf("a", 5, { publications: [{ offset: 5, data: 2 }] });
  say(second, { id: 0, subscribed: [missed, replyOf("b", 0)] });
  await until(() => heard.length === 4);
  assert.deepEqual(heard.slice(2), [{ id: 2, subscribed: replyOf("b", 0) }, { overheard: missed }]);
});

test("what is no message is handed on as it is, and the stream goes on", async () => {
  send({ id: 1, subscribe: { room: "a" } });
  const at = await asked(1);
  const frames = ["no JSON", "null", "5", '"text"', "[]"];
  for (const frame of frames) at.response.write(`data: ${frame}\n\n`);
  say(at, { room: "a", offset: 4, data: 1 });
  await until(() => heard.length === 6);
  assert.deepEqual(heard, [...frames, { room: "a", offset: 4, data: 1 }]);
});

test("a room without history says that something may be missing when the stream is replaced", async () => {
  send({ id: 1, subscribe: { room: "a" } });
  say(await asked(1), { id: 0, subscribed: [{ room: "a", recovered: false }] });
  await until(() => heard.length === 1);
  send({ id: 2, subscribe: { room: "b" } });
  say(await asked(2), { id: 0, subscribed: [{ room: "a", recovered: false }, replyOf("b", 0)] });
  await until(() => heard.length === 3);
  assert.deepEqual(heard[2], { room: "a", reset: null });
});

test("a reset moves the client too", async () => {
  send({ id: 1, subscribe: { room: "a" } });
  const first = await asked(1);
  say(first, { id: 0, subscribed: [replyOf("a", 3)] });
  say(first, { room: "a", reset: { offset: 1, epoch: "f" } });
  await until(() => heard.length === 2);
  send({ id: 2, subscribe: { room: "b" } });
  assert.equal((await asked(2)).since, "1.f,-");
});

test("a room that was left is not asked for again", async () => {
  send({ id: 1, subscribe: [{ room: "a" }, { room: "b" }] });
  say(await asked(1), { id: 0, subscribed: [replyOf("a", 3), replyOf("b", 3)] });
  await until(() => heard.length === 1);
  send({ id: 2, unsubscribe: { room: "a" } });
  await until(() => heard.length === 2);
  assert.deepEqual(heard[1], { id: 2, unsubscribed: { room: "a" } });
  send({ id: 3, subscribe: { room: "c" } });
  assert.deepEqual((await asked(2)).rooms, ["b", "c"]);
});

test("the last event says why, and when to come back", async () => {
  send({ id: 1, subscribe: { room: "a" } });
  say(await asked(1), { code: 1012, reason: "restart" }, "event: close\nretry: 412\n");
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [{ reconnect: { after_ms: 412 } }, { code: 1012, reason: "restart" }]);
});

test("a stream that breaks off, and a server that does not serve it, are lost connections", async () => {
  send({ id: 1, subscribe: { room: "a" } });
  (await asked(1)).response.destroy();
  await until(() => heard.length === 1);
  assert.equal(heard[0].code, 1006);
  server.removeAllListeners("request");
  server.on("request", (_, response) => response.writeHead(404).end());
  const other = open(`ws://127.0.0.1:${server.address().port}/ws/`);
  const closed = new Promise((resolve) => (other.onclose = resolve));
  other.send(JSON.stringify({ id: 1, subscribe: { room: "a" } }));
  assert.deepEqual(await closed, { code: 1006, reason: "The server answered 404." });
});

test("a token signs the stream in, and a newer one begins another", async () => {
  send({ id: 1, connect: { token: "t1" } });
  send({ id: 2, subscribe: { room: "a" } });
  assert.equal((await asked(1)).request.headers.authorization, "Bearer t1");
  send({ id: 3, connect: { token: "t2" } });
  assert.equal((await asked(2)).request.headers.authorization, "Bearer t2");
  assert.deepEqual(heard.map(({ id }) => id), [1, 3]);
});

test("a subscription is answered by the stream that replaced the one that it asked for", async () => {
  send({ id: 1, subscribe: { room: "a" } });
  send({ id: 2, subscribe: [{ room: "b" }] });
  await until(() => requests.some(({ rooms }) => rooms.length === 2));
  say(requests.find(({ rooms }) => rooms.length === 2), { id: 0, subscribed: [replyOf("a", 1), replyOf("b", 2)] });
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [{ id: 1, subscribed: replyOf("a", 1) }, { id: 2, subscribed: [replyOf("b", 2)] }]);
});

test("the stream has its turn after three attempts, and then every second time", () => {
  const connect = () => ({ send() {}, close() {} });
  const streams = new Streams("../sse/", "wss://h/ws/", connect);
  const turns = [1, 2, 3, 4, 5, 6].map((attempt) => streams.open(attempt, false));
  for (const each of turns) each?.close();
  assert.deepEqual(turns.map((each) => each?.transport), [undefined, undefined, undefined, "sse", undefined, "sse"]);
});

test("what only a WebSocket can do is refused", async () => {
  for (const command of [{ publish: {} }, { history: {} }, { presence: {} }, { connect: {} }, { note: {} }]) send({ id: 1, ...command });
  await until(() => heard.length === 5);
  assert.ok(heard.every(({ error }) => error.code === "one_way"));
});

test("pings have an answer while the server speaks, and then when it speaks again", async (context) => {
  let now = 0;
  context.mock.method(performance, "now", () => now);
  send({ id: 1, subscribe: { room: "a" } });
  send({ id: 2, ping: {} });
  say(await asked(1), { id: 0, subscribed: [replyOf("a", 3)] });
  await until(() => heard.length === 2);
  now = 31_000;
  send({ id: 3, ping: {} });
  await until(() => heard.length === 3);
  now = 40_000;
  for (const id of [4, 5]) send({ id, ping: {} });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(heard.length, 3);
  requests[0].response.write(":\n\n");
  await until(() => heard.length === 5);
  assert.deepEqual(heard.filter(({ pong }) => pong).map(({ id }) => id), [2, 3, 4, 5]);
});

test("events are read however they are cut", async () => {
  const bytes = new TextEncoder().encode("retry: 5\n\n:\n\nid: 1\ndata: {\"a\":\ndata: \"ü\"}\n\nevent: close\r\nretry: 7\r\ndata:{}\r\n\r\n");
  for (const size of [1, 2, 7, 1_000]) {
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const events = [];
    for await (const event of eventsIn(body, () => {})) events.push(event);
    assert.deepEqual(events, [{ type: "message", data: '{"a":"ü"}' }, { type: "close", data: "{}", retry: 7 }]);
  }
});
