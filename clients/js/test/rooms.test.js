/** Several subscriptions of one room share its membership on the connection. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Rooms } from "../src/rooms.js";

/** A connection that keeps what is asked, and answers when told to. */
class Asked {
  ready = true;
  commands = [];

  request(command) {
    return new Promise((resolve, reject) => this.commands.push({ command, resolve, reject }));
  }

  /** The reply to the oldest `subscribe` that has none; each room's reply stands in `replies`. */
  async answer(...replies) {
    await turn();
    this.commands.shift().resolve({ subscribed: replies.map((each) => ({ room: "r", epoch: "a", recovered: true, ...each })) });
    await turn();
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const publications = (...offsets) => offsets.map((offset) => ({ offset, data: `m${offset}` }));
const push = (offset) => ({ room: "r", offset, data: `m${offset}` });

function follow(rooms, options) {
  const got = [];
  const subscription = rooms.subscribe("r", (data) => got.push(data), options);
  return { got, subscription };
}

function start() {
  const connection = new Asked();
  const told = [];
  const client = { hearsErrors: true, emit: (type, detail) => told.push([type, detail]) };
  const rooms = new Rooms(client, () => connection);
  return { connection, rooms, told };
}

test("two handlers of a room get each message once, by one membership", async () => {
  const { connection, rooms } = start();
  const first = follow(rooms);
  const second = follow(rooms);
  await turn();
  assert.deepEqual(connection.commands.map(({ command }) => command), [{ subscribe: [{ room: "r", token: undefined }] }]);
  await connection.answer({ offset: 5 });
  rooms.push(push(6));
  assert.deepEqual([first.got, second.got], [["m6"], ["m6"]]);
});

test("who joins later gets the past that it asks for, and the other one nothing twice", async () => {
  const { connection, rooms } = start();
  const first = follow(rooms);
  await connection.answer({ offset: 5 });
  rooms.push(push(6));
  const second = follow(rooms, { since: { offset: 3, epoch: "a" } });
  await turn();
  assert.deepEqual(connection.commands[0].command.subscribe[0], { room: "r", offset: 3, epoch: "a", token: undefined });
  await connection.answer({ offset: 8, publications: publications(4, 5, 6, 7, 8) });
  rooms.push(push(9));
  assert.deepEqual(first.got, ["m6", "m7", "m8", "m9"]);
  assert.deepEqual(second.got, ["m4", "m5", "m6", "m7", "m8", "m9"]);
  assert.equal(connection.commands.length, 0);
});

test("who joins without a past asks without one, and the others for what they miss by it", async () => {
  const { connection, rooms } = start();
  const first = follow(rooms);
  await connection.answer({ offset: 5 });
  const second = follow(rooms);
  await turn();
  assert.deepEqual(connection.commands[0].command.subscribe[0], { room: "r", token: undefined });
  await connection.answer({ offset: 7 });
  assert.equal(connection.commands[0].command.subscribe[0].offset, 5);
  await connection.answer({ offset: 7, publications: publications(6, 7) });
  rooms.push(push(8));
  assert.deepEqual([first.got, second.got], [["m6", "m7", "m8"], ["m8"]]);
  assert.equal(connection.commands.length, 0);
});

test("in a room that keeps its newest, each handler begins with it", async () => {
  const { connection, rooms } = start();
  const first = follow(rooms);
  await connection.answer({ offset: 5, publications: publications(5) });
  const second = follow(rooms);
  await connection.answer({ offset: 5, publications: publications(5) });
  assert.deepEqual([first.got, second.got], [["m5"], ["m5"]]);
});

test("one that wants the past and one that does not, together, ask one after the other", async () => {
  const { connection, rooms } = start();
  const first = follow(rooms);
  const second = follow(rooms, { since: { offset: 0, epoch: "" } });
  await connection.answer({ offset: 2 });
  rooms.push(push(3));
  assert.equal(connection.commands[0].command.subscribe[0].offset, 0);
  await connection.answer({ offset: 3, publications: publications(1, 2, 3) });
  assert.deepEqual([first.got, second.got], [["m3"], ["m1", "m2", "m3"]]);
});

test("what a long answer had no place for reaches only who missed it", async () => {
  const { connection, rooms } = start();
  const first = follow(rooms);
  await connection.answer({ offset: 5 });
  const second = follow(rooms, { since: { offset: 1, epoch: "a" } });
  await connection.answer({ offset: 3, publications: publications(2, 3) });
  for (const offset of [4, 5, 6]) rooms.push({ ...push(offset), replayed: true });
  rooms.push(push(7));
  assert.deepEqual([first.got, second.got], [["m6", "m7"], ["m2", "m3", "m4", "m5", "m6", "m7"]]);
});

test("the reply to another tab of the connection is asked about where it leaves something out", async () => {
  const { connection, rooms } = start();
  const { got } = follow(rooms);
  await connection.answer({ offset: 5 });
  rooms.overhear({ room: "r", epoch: "a", offset: 8, recovered: false, publications: [] });
  await turn();
  assert.equal(connection.commands[0].command.subscribe[0].offset, 5);
  await connection.answer({ offset: 8, publications: publications(6, 7, 8) });
  assert.deepEqual(got, ["m6", "m7", "m8"]);
});

test("the room is left with its last subscription", async () => {
  const { connection, rooms } = start();
  const first = follow(rooms);
  const second = follow(rooms);
  await connection.answer({ offset: 5 });
  first.subscription.unsubscribe();
  rooms.push(push(6));
  assert.deepEqual([first.got, second.got, connection.commands.length], [[], ["m6"], 0]);
  second.subscription.unsubscribe();
  assert.deepEqual(connection.commands[0].command, { unsubscribe: { room: "r" } });
});

test("a room that is refused is over for all its subscriptions, and the client is told once", async () => {
  const { connection, rooms, told } = start();
  const states = [follow(rooms), follow(rooms)];
  await connection.answer({ error: { code: "forbidden", message: "No." } });
  assert.deepEqual(states.map(({ subscription }) => subscription.state), ["left", "left"]);
  assert.deepEqual(told.map(([type, { code }]) => [type, code]), [["error", "forbidden"]]);
});

test("after a new connection the room is asked for from where the furthest back stands", async () => {
  const { connection, rooms, told } = start();
  const first = follow(rooms);
  await connection.answer({ offset: 5 });
  follow(rooms, { since: { offset: 0, epoch: "" } });
  rooms.hold();
  connection.commands.length = 0;
  void rooms.joinAll();
  await turn();
  assert.deepEqual(connection.commands[0].command.subscribe[0], { room: "r", offset: 0, epoch: "", token: undefined });
  await connection.answer({ offset: 7, publications: publications(3, 4, 5, 6, 7) });
  assert.deepEqual(first.got, ["m6", "m7"]);
  assert.deepEqual(told.filter(([type]) => type === "gap"), []);
});

test("a loop over a subscription gets what is pushed, and leaves the room with its end", async () => {
  const { connection, rooms } = start();
  const subscription = rooms.subscribe("r");
  await connection.answer({ offset: 5 });
  const got = [];
  const loop = (async () => {
    for await (const message of subscription) if (got.push(message) === 3) break;
  })();
  for (const offset of [6, 7]) rooms.push(push(offset));
  await turn();
  rooms.push(push(8));
  await loop;
  assert.deepEqual(got[0], { data: "m6", room: "r", offset: 6, replayed: false });
  assert.equal(got.length, 3);
  assert.equal(subscription.state, "left");
});

test("a loop ends when its subscription does, and throws what it was refused with", async () => {
  const { connection, rooms } = start();
  const loops = [0, 1].map(async () => {
    for await (const _ of rooms.subscribe("r"));
  });
  await connection.answer({ offset: 5 });
  rooms.putOut("r", "forbidden");
  for (const loop of loops) await assert.rejects(loop, { code: "forbidden" });
  const subscription = rooms.subscribe("r");
  const loop = (async () => {
    for await (const _ of subscription);
  })();
  await turn();
  subscription.unsubscribe();
  await loop;
});

test("a loop that is too slow for its room ends, and what waits is bounded", async () => {
  const { connection, rooms } = start();
  const subscription = rooms.subscribe("r");
  await connection.answer({ offset: 0 });
  const messages = subscription[Symbol.asyncIterator]();
  const first = messages.next();
  for (let offset = 1; offset <= 20_000; offset += 1) rooms.push(push(offset));
  await first;
  let count = 1;
  await assert.rejects(async () => {
    while (!(await messages.next()).done) count += 1;
  }, { code: "slow" });
  assert.ok(count <= 10_001, `${count} waited`);
  assert.equal(subscription.state, "left");
});
