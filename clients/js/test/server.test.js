/**
 * The client in Node against a real server: a worker that is killed, a network that is cut or silent, many
 * messages, a room that is refused. tests/javascript/test_real_server.py starts the servers, and says here
 * how by REAL_SERVER: `{"command": ["…"], "port": 1, "other": 2, "burst": ["…"]}`, the worker to start and to
 * kill, one that stays, and what publishes the numbers 0 to 999 in a second to the room that is appended.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { after, test } from "node:test";

import { RealtimeClient } from "../src/index.js";

const real = JSON.parse(process.env.REAL_SERVER ?? "null");
const skip = real ? false : "no server was started";
const PATIENCE = { timeout: 60_000, skip };
const ROOM = "chat.node";

/** @type {(() => void)[]} */
const ends = [];
after(() => ends.forEach((end) => end()));

/** A socket that also closes after it could not connect, as in browsers; Node 20 only tells the error. */
function withClose(socket) {
  let isClosed = false;
  socket.addEventListener("close", () => { isClosed = true; });
  socket.addEventListener("error", () => setTimeout(() => {
    if (!isClosed) socket.dispatchEvent(Object.assign(new Event("close"), { code: 1006, reason: "" }));
  }));
  return socket;
}

/** A client of the worker on a port, over another one perhaps; it is closed in the end. */
function clientOf(port, through = port, options = {}) {
  const socket = (url) => withClose(new WebSocket(url, { headers: { origin: `http://127.0.0.1:${port}` } }));
  const client = new RealtimeClient(`ws://127.0.0.1:${through}/ws/`, { socket, sse: false, random: () => 0.1, ...options });
  ends.push(() => client.close());
  client.connect();
  return client;
}

/** What a subscription hands on, and a way to wait until there are so many. */
function follow(client, room = ROOM) {
  const found = [];
  let changed = () => {};
  const subscription = client.subscribe(room, (data) => { found.push(data); changed(); });
  const until = async (count) => {
    while (found.length < count) await new Promise((resolve) => { changed = resolve; });
  };
  return { found, subscription, until };
}

/** Start the worker; returns when it takes connections. */
async function startWorker() {
  const [program, ...rest] = real.command;
  const worker = spawn(program, rest, { stdio: "ignore" });
  ends.push(() => worker.kill("SIGKILL"));
  for (;;) {
    const socket = connect(real.port, "127.0.0.1");
    const up = await Promise.race([once(socket, "connect").then(() => true), once(socket, "error").then(() => false)])
      .catch(() => false);
    socket.destroy();
    if (up) return worker;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * A network between client and worker, which can be cut, go silent, and be mended. What it was silent for
 * stays dead, and nobody is told; connections that are made after it is mended work.
 */
async function network(port) {
  const sockets = new Set();
  let isSilent = false;
  const server = createServer((socket) => {
    const onward = connect(port, "127.0.0.1");
    for (const [one, other] of [[socket, onward], [onward, socket]]) {
      sockets.add(one);
      one.on("error", () => {}).on("close", () => { if (!isSilent) other.destroy(); });
      if (isSilent) one.resume();
      else one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const at = server.address().port;
  const cut = () => { server.close(); sockets.forEach((socket) => socket.destroy()); sockets.clear(); };
  const silence = () => { isSilent = true; sockets.forEach((socket) => socket.unpipe().resume()); };
  const mend = () => {
    isSilent = false;
    if (!server.listening) server.listen(at, "127.0.0.1");
  };
  ends.push(cut);
  return { at, cut, silence, mend };
}

test("what is published while a killed worker is away arrives once, and in order", PATIENCE, async () => {
  const worker = await startWorker();
  const [reader, writer] = [clientOf(real.port), clientOf(real.other)];
  const { found, subscription, until } = follow(reader);
  await once(subscription, "subscribed");
  await writer.identity();
  await writer.publish(ROOM, 1);
  await until(1);
  worker.kill("SIGKILL");
  await once(worker, "exit");
  for (const number of [2, 3, 4]) await writer.publish(ROOM, number);
  await startWorker();
  await until(4);
  await writer.publish(ROOM, 5);
  await until(5);
  assert.deepEqual(found, [1, 2, 3, 4, 5]);
});

test("a network that is cut loses nothing", PATIENCE, async () => {
  const wire = await network(real.other);
  const [reader, writer] = [clientOf(real.other, wire.at), clientOf(real.other)];
  const { found, subscription, until } = follow(reader, "chat.wire");
  await once(subscription, "subscribed");
  await writer.identity();
  wire.cut();
  while (reader.status.state !== "offline") await once(reader, "state");
  for (const number of [1, 2]) await writer.publish("chat.wire", number);
  wire.mend();
  await until(2);
  assert.deepEqual(found, [1, 2]);
});

test("a network that goes silent is noticed, and loses nothing", PATIENCE, async () => {
  const wire = await network(real.other);
  const impatient = { heartbeat: 300, pongTimeout: 2_000, openTimeout: 2_000 };
  const [reader, writer] = [clientOf(real.other, wire.at, impatient), clientOf(real.other)];
  const { found, subscription, until } = follow(reader, "chat.silent");
  await once(subscription, "subscribed");
  await writer.identity();
  await writer.publish("chat.silent", 1);
  await until(1);
  wire.silence();
  for (const number of [2, 3]) await writer.publish("chat.silent", number);
  while (reader.status.state !== "offline") await once(reader, "state");
  assert.equal(reader.status.reason, "The server is silent.");
  await writer.publish("chat.silent", 4);
  assert.deepEqual(found, [1]);
  wire.mend();
  await until(4);
  await writer.publish("chat.silent", 5);
  await until(5);
  assert.deepEqual(found, [1, 2, 3, 4, 5]);
});

test("a thousand messages in a second come in order, and none is lost", PATIENCE, async () => {
  const { found, subscription, until } = follow(clientOf(real.other), "chat.burst");
  await once(subscription, "subscribed");
  const [program, ...rest] = real.burst;
  const publishing = spawn(program, [...rest, "chat.burst"], { stdio: "ignore" });
  ends.push(() => publishing.kill("SIGKILL"));
  assert.deepEqual(await once(publishing, "exit"), [0, null]);
  await until(1_000);
  assert.deepEqual(found, Array.from({ length: 1_000 }, (_, number) => number));
});

test("a refused room is an error of the client's, with its name", PATIENCE, async () => {
  const client = clientOf(real.other);
  const heard = once(client, "error");
  client.subscribe("orders", () => {});
  const [{ detail }] = await heard;
  assert.deepEqual([detail.code, detail.room], ["forbidden", "orders"]);
});

test("a refused room that nobody listens for is warned of", PATIENCE, async (context) => {
  const warned = new Promise((resolve) => context.mock.method(console, "warn", resolve));
  const subscription = clientOf(real.other).subscribe("orders", () => {});
  assert.match(await warned, /^Room orders: .+ \(forbidden\)$/);
  assert.equal(subscription.state, "left");
});
