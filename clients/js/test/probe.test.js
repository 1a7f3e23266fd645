/** A WebSocket that is tried beside a stream of events. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Probe } from "../src/probe.js";
import { Streams } from "../src/sse.js";

/** A probe, and the WebSockets that it made. */
function start(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const made = [];
  const connect = () => {
    const socket = { sent: [], closed: 0, send: (frame) => socket.sent.push(JSON.parse(frame)), close: () => (socket.closed += 1) };
    made.push(socket);
    return socket;
  };
  const over = new AbortController();
  return { made, over, connect, probe: new Probe(connect, () => 0), passed: (socket) => {
    socket.onopen();
    socket.onmessage({ data: JSON.stringify({ id: 1, pong: {} }) });
  } };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("one that opens, and over which nothing comes back, does not get through", async (context) => {
  const { probe, made, over } = start(context);
  const passes = probe.passes(over.signal);
  made[0].onopen();
  made[0].onmessage({ data: '{"announcement":{}}' });
  context.mock.timers.tick(3_000);
  assert.equal(await passes, false);
  assert.deepEqual([made[0].sent, made[0].closed, probe.take()], [[{ id: 1, ping: {} }], 1, null]);
});

test("one that is closed does not get through", async (context) => {
  const { probe, made, over } = start(context);
  const passes = probe.passes(over.signal);
  made[0].onclose({ code: 1006, reason: "" });
  assert.equal(await passes, false);
});

test("one under way is closed when the stream is over", async (context) => {
  const { probe, made, over } = start(context);
  const passes = probe.passes(over.signal);
  over.abort();
  assert.equal(await passes, false);
  assert.equal(made[0].closed, 1);
});

test("one that gets through opens for who takes it, with what came meanwhile", async (context) => {
  const { probe, made, over, passed } = start(context);
  const passes = probe.passes(over.signal);
  passed(made[0]);
  assert.equal(await passes, true);
  over.abort(); // as a stream does that gives way
  made[0].onmessage({ data: "early" });
  const taken = probe.take();
  const heard = [];
  taken.onopen = () => heard.push("open");
  taken.onmessage = ({ data }) => heard.push(data);
  await turn();
  assert.deepEqual([heard, taken, probe.take()], [["open", "early"], made[0], null]);
  context.mock.timers.tick(60_000);
  assert.equal(taken.closed, 0);
});

test("one that nobody takes is closed after five seconds, and one that is lost is not taken", async (context) => {
  const { probe, made, over, passed } = start(context);
  void probe.passes(over.signal);
  passed(made[0]);
  context.mock.timers.tick(5_000);
  assert.deepEqual([made[0].closed, probe.take()], [1, null]);
  void probe.passes(over.signal);
  passed(made[1]);
  made[1].onclose({ code: 1006, reason: "" });
  assert.equal(probe.take(), null);
});

test("where none can be made, none gets through", async (context) => {
  const { over } = start(context);
  const streams = new Streams("../sse/", "ws://127.0.0.1:9/ws/", () => {
    throw new Error("not allowed here");
  });
  const stream = streams.open(4, false);
  await new Promise((resolve) => (stream.onopen = resolve));
  stream.close();
  over.abort();
});

test("a failure counts only once a stream was there: without one, nothing gets through", (context) => {
  let now = 1_000;
  const { probe, over } = start(context);
  context.mock.method(performance, "now", () => now);
  for (let times = 0; times < 5; times += 1) {
    void probe.passes(over.signal);
    context.mock.timers.tick(3_000);
    assert.equal(probe.isDue, true);
  }
  assert.deepEqual([probe.putOff(), probe.isDue], [15_000, false]);
  now += 4_000;
  assert.equal(probe.putOff(), 11_000);
  now += 11_000;
  assert.equal(probe.isDue, true);
  void probe.passes(over.signal);
  assert.equal(probe.putOff(), 30_000);
  probe.reset();
  assert.deepEqual([probe.isDue, probe.putOff()], [true, 15_000]);
});

test("a stream that is closed tries no WebSocket any more", async (context) => {
  const { made, connect } = start(context);
  const stream = new Streams("../sse/", "ws://127.0.0.1:9/ws/", connect).open(4, false);
  stream.onopen = assert.fail;
  await turn();
  stream.close();
  await turn();
  context.mock.timers.tick(600_000);
  assert.deepEqual(made.map(({ closed }) => closed), [1]);
});

test("a stream that is closed at once tries none at all", async (context) => {
  const { made, connect } = start(context);
  new Streams("../sse/", "ws://127.0.0.1:9/ws/", connect).open(4, false).close();
  await turn();
  assert.equal(made.length, 0);
});
