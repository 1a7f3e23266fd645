/** Several subscriptions of one room, each with a position of its own: none is told that it has what it missed. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { BEGINNING } from "../src/protocol.js";
import { merge, reaches } from "../src/recovery.js";
import { HistoryServer, range, roomsOf, turn } from "./support/history.js";

const at = (offset, epoch = "new") => ({ offset, epoch });

test("who wants more than the question on its way reaches gets all of it, by one question more", async () => {
  const server = new HistoryServer({ epoch: "new", last: 110 });
  const { follow } = roomsOf(server);
  const first = follow({ since: at(100) });
  await turn();
  const second = follow({ since: at(90) });
  await server.answerAll();
  assert.deepEqual(first.got, range(101, 110));
  assert.deepEqual(second.got, range(91, 110));
  assert.deepEqual([...first.of("gap"), ...second.of("gap")], []);
  assert.deepEqual(server.asked, [at(100), at(90)]);
});

test("and the other way round the one question does for both", async () => {
  const server = new HistoryServer({ epoch: "new", last: 110 });
  const { follow } = roomsOf(server);
  const first = follow({ since: at(90) });
  await turn();
  const second = follow({ since: at(100) });
  await server.answer();
  assert.deepEqual([first.got, second.got], [range(91, 110), range(101, 110)]);
});

for (const order of [["new", "old"], ["old", "new"]]) {
  test(`positions of two epochs, ${order.join(" before ")}: each has an answer of its own`, async () => {
    const server = new HistoryServer({ epoch: "new", last: 5 });
    const { follow } = roomsOf(server);
    const since = { new: at(3), old: at(900, "old") };
    const followed = Object.fromEntries(order.map((epoch) => [epoch, follow({ since: since[epoch] })]));
    await server.answerAll();
    assert.deepEqual(followed.new.got, [4, 5]);
    assert.deepEqual(followed.old.got, [1, 2, 3, 4, 5]);
    assert.deepEqual(followed.new.of("gap"), []);
    assert.deepEqual(followed.old.of("gap"), [{ room: "r", since: at(900, "old"), position: at(5), missed: null }]);
    assert.deepEqual(["new", "old"].map((epoch) => followed[epoch].of("subscribed")[0].recovered), [true, false]);
    assert.equal(server.asked.length, 2);
  });
}

test("a state behind which an epoch ended is loaded, whatever the others of the room recover", async () => {
  const server = new HistoryServer({ epoch: "new", last: 5 });
  const { follow } = roomsOf(server);
  follow({ since: at(3) });
  const loads = [];
  const old = follow({ since: at(900, "old"), state: async (since) => void loads.push(since) });
  await server.answerAll();
  assert.deepEqual(loads, [at(5)]);
  assert.deepEqual(old.of("subscribed").map(({ recovered }) => recovered), [false]);
});

test("all that a room has is no recovery of another epoch", async () => {
  const server = new HistoryServer({ epoch: "new", last: 3 });
  const { follow } = roomsOf(server);
  const all = follow({ since: BEGINNING });
  const old = follow({ since: at(900, "old") });
  await server.answerAll();
  assert.deepEqual([all.got, old.got], [[1, 2, 3], [1, 2, 3]]);
  assert.deepEqual([all.of("gap").length, old.of("gap").length], [0, 1]);
});

test("after a lost connection each goes on from its own place, and the lowest of an epoch does for all of it", async () => {
  const server = new HistoryServer({ epoch: "new", last: 5 });
  const { rooms, follow } = roomsOf(server);
  const first = follow({ since: at(4) });
  await server.answerAll();
  rooms.hold();
  const others = [at(2), at(900, "old"), at(3)].map((since) => follow({ since }));
  server.lose();
  server.asked.length = 0;
  server.last = 7;
  void rooms.joinAll();
  await server.answerAll();
  assert.deepEqual([first.got, ...others.map(({ got }) => got)], [range(5, 7), range(3, 7), range(1, 7), range(4, 7)]);
  assert.deepEqual(server.asked, [at(2), at(900, "old")]);
  assert.deepEqual(others.map(({ of }) => of("gap").length), [0, 1, 0]);
});

for (const [asked, position, does] of [
  [null, null, true], [null, at(3), false], [at(3), null, false], [at(3), at(3), true], [at(2), at(3), true],
  [at(4), at(3), false], [at(2, "old"), at(3), false], [BEGINNING, at(3), true], [at(0), BEGINNING, false],
]) {
  test(`the answer to ${JSON.stringify(asked)} ${does ? "does" : "does not do"} for ${JSON.stringify(position)}`, () => {
    assert.equal(reaches(asked, position), does);
  });
}

test("that another position was recovered says nothing of an epoch before", () => {
  const reply = { room: "r", ...at(5), recovered: true, publications: [{ offset: 4, data: 4 }] };
  assert.equal(merge(at(900, "old"), reply, [], true).complete, false);
});
