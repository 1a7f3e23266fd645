/** A `state` that comes from a cache is older than the room: what it lacks comes from the history, or is told. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { HistoryServer, range, roomsOf, turn } from "./support/history.js";

const at = (offset, epoch = "e") => ({ offset, epoch });

/** All waits are as long as can be, and over when the test lets time pass. */
function withoutTime(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  context.mock.method(Math, "random", () => 1);
}

test("what an old state lacks comes from the history, once and in order", async () => {
  const server = new HistoryServer({ last: 50 });
  const { rooms, follow } = roomsOf(server);
  let finish;
  const followed = follow({ state: () => new Promise((resolve) => (finish = resolve)) });
  await server.answerAll();
  rooms.push(server.push());
  finish({ ...at(40), room: "r" }); // as `room.fields` of a view has it
  await turn();
  rooms.push(server.push());
  await server.answerAll();
  rooms.push(server.push());
  assert.deepEqual(followed.got, range(41, 53));
  assert.deepEqual(server.asked, [null, at(40)]);
  assert.deepEqual(followed.of("loaded"), [{ room: "r", position: at(40) }]);
  assert.deepEqual(followed.of("gap"), []);
});

test("a state of an empty room gets all that came since", async () => {
  const server = new HistoryServer({ last: 3 });
  const followed = roomsOf(server).follow({ state: async () => at(0, "") });
  await server.answerAll();
  assert.deepEqual([followed.got, server.asked], [[1, 2, 3], [null, at(0, "")]]);
});

for (const [name, reached, missed] of [["than the history", at(40), 5], ["than the epoch", at(900, "old"), null]]) {
  test(`a state that is older ${name} is told as a gap, and loaded again after waits that grow`, async (context) => {
    withoutTime(context);
    const server = new HistoryServer({ first: 46, last: 50 });
    const { rooms, follow } = roomsOf(server);
    let loads = 0;
    let answer = reached;
    const followed = follow({ state: async () => ((loads += 1), answer) });
    await server.answerAll();
    assert.deepEqual(followed.of("gap"), [{ room: "r", since: reached, position: at(50), missed }]);
    rooms.push(server.push());
    assert.deepEqual(followed.got, range(46, 51)); // what there is, and what comes
    for (const wait of [2_000, 4_000, 8_000, 16_000, 20_000, 20_000]) {
      const before = loads;
      context.mock.timers.tick(wait - 1);
      await server.answerAll();
      assert.equal(loads, before);
      context.mock.timers.tick(1);
      await server.answerAll();
      assert.equal(loads, before + 1);
    }
    answer = at(51);
    context.mock.timers.tick(20_000);
    await server.answerAll();
    const gaps = followed.of("gap").length;
    rooms.push(server.push());
    assert.equal(followed.got.at(-1), 52);
    context.mock.timers.tick(60_000);
    await server.answerAll();
    assert.deepEqual([loads, followed.of("gap").length], [8, gaps]);
  });
}

test("after a state that was new enough the waits begin again", async (context) => {
  withoutTime(context);
  const server = new HistoryServer({ first: 46, last: 50 });
  const { rooms, follow } = roomsOf(server);
  const states = [at(40), at(40), at(50), at(40)];
  follow({ state: async () => states.shift() });
  await server.answerAll();
  for (const wait of [2_000, 4_000]) {
    context.mock.timers.tick(wait);
    await server.answerAll();
  }
  assert.equal(states.length, 1);
  rooms.reset({ room: "r", reset: at(50) });
  await server.answerAll();
  assert.equal(states.length, 0);
  context.mock.timers.tick(1_999);
  await server.answerAll();
  assert.equal(server.asked.filter((since) => since === null).length, 4);
  context.mock.timers.tick(1);
  await server.answerAll();
  assert.equal(server.asked.filter((since) => since === null).length, 5);
});

test("a connection that is lost meanwhile changes nothing: the next asks for what the state lacks", async () => {
  const server = new HistoryServer({ last: 50 });
  const { site, rooms, follow } = roomsOf(server);
  const followed = follow({ state: async () => at(40) });
  await server.answer();
  await turn();
  site.connection = null;
  server.lose();
  rooms.hold();
  await turn();
  site.connection = server;
  void rooms.joinAll();
  await server.answerAll();
  assert.deepEqual(followed.got, range(41, 50));
  assert.deepEqual(server.asked, [null, at(40), at(40)]);
});

test("a loss meanwhile has the state loaded at once, and the wait is over", async (context) => {
  withoutTime(context);
  const server = new HistoryServer({ first: 46, last: 50 });
  const { rooms, follow } = roomsOf(server);
  const states = [at(40), at(50), at(50)];
  follow({ state: async () => states.shift() });
  await server.answerAll();
  rooms.reset({ room: "r", reset: at(50) });
  await server.answerAll();
  assert.equal(states.length, 1);
  context.mock.timers.tick(60_000);
  await server.answerAll();
  assert.equal(states.length, 1);
});

test("who leaves loads no more", async (context) => {
  withoutTime(context);
  const server = new HistoryServer({ first: 46, last: 50 });
  let loads = 0;
  const { subscription } = roomsOf(server).follow({ state: async () => ((loads += 1), at(40)) });
  await server.answerAll();
  subscription.unsubscribe();
  context.mock.timers.tick(60_000);
  await server.answerAll();
  assert.equal(loads, 1);
});

for (const said of [undefined, "rows", at(3, "unknown"), { offset: 3 }, { offset: "3", epoch: "e" }, { epoch: "e" }, at(50)]) {
  test(`a state that says ${JSON.stringify(said)} of where it is has all there was`, async () => {
    const server = new HistoryServer({ last: 50 });
    const { rooms, follow } = roomsOf(server);
    const followed = follow({ state: async () => said });
    await server.answerAll();
    rooms.push(server.push());
    assert.deepEqual([followed.got, server.asked], [[51], [null]]);
  });
}

test("what the state has is not handed on, even if it is pushed after the state came", async () => {
  const server = new HistoryServer({ last: 50 });
  const { rooms, follow } = roomsOf(server);
  const followed = follow({ state: async () => at(53) });
  await server.answerAll();
  for (let pushes = 0; pushes < 5; pushes += 1) rooms.push(server.push());
  assert.deepEqual(followed.got, [54, 55]);
  assert.deepEqual(followed.subscription.position, at(55));
});

test("what an old room's state had does not count for the room's next epoch", async () => {
  const server = new HistoryServer({ last: 50 });
  const { rooms, follow } = roomsOf(server);
  const states = [at(53), undefined];
  const followed = follow({ state: async () => states.shift() });
  await server.answerAll();
  Object.assign(server, { epoch: "f", last: 10 });
  rooms.reset({ room: "r", reset: at(10, "f") });
  await server.answerAll();
  rooms.push(server.push());
  assert.deepEqual(followed.got, [11]);
});

test("a state that is older than the one before lacks what that one had: it comes from the history", async () => {
  const server = new HistoryServer({ last: 50 });
  const { rooms, follow } = roomsOf(server);
  const states = [at(50), at(45)]; // of two workers' caches
  const followed = follow({ state: async () => states.shift() });
  await server.answerAll();
  server.last = 60; // pushed to nobody
  rooms.reset({ room: "r", reset: at(60) });
  await server.answerAll();
  rooms.push(server.push());
  assert.deepEqual(followed.got, range(46, 61));
  assert.deepEqual([followed.of("gap"), followed.of("loaded").map(({ position }) => position)], [[], [at(50), at(45)]]);
});
