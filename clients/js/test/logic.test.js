/** What the client computes: functions of values. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { backoffDelay, returnDelay } from "../src/backoff.js";
import { comesBack, frameLists, websocketUrl } from "../src/protocol.js";
import { newKey } from "../src/publishing.js";
import { judge, merge } from "../src/recovery.js";

const LEAP = 2 ** 40;

test("a wait lies anywhere below a ceiling that doubles from 0.5 s to 20 s", () => {
  const halves = [0, 1, 2, 5, 6, 2000].map((attempt) => backoffDelay(attempt, () => 0.5));
  assert.deepEqual(halves, [250, 500, 1000, 8000, 10_000, 10_000]);
  assert.equal(backoffDelay(6, () => 0), 0);
});

test("a server that goes says when to come back, within reason", () => {
  assert.deepEqual([412, 10 ** 9, -1, NaN, "soon", undefined].map(returnDelay), [412, 20_000, null, null, null, null]);
});

test("a client comes back after each code but those that would only be repeated", () => {
  const codes = [1000, 1001, 1005, 1006, 1011, 1012, 1013, 4008, 4999, 1002, 1003, 1007, 1009, 4003, 4009];
  assert.deepEqual(codes.filter((code) => !comesBack(code)), [1002, 1003, 1007, 1009, 4003, 4009]);
});

for (const [offset, verdict] of [
  [6, "deliver"], [5, "resync"], [1, "resync"], [7, "resync"], [undefined, "deliver"],
  [LEAP + 6, "deliver"], [3 * LEAP + 6, "deliver"], [LEAP + 5, "resync"], [LEAP + 7, "resync"],
]) {
  test(`after 5, ${offset} is to ${verdict}`, () => {
    const push = { room: "r", data: {}, offset };
    assert.equal(judge({ offset: 5, epoch: "a" }, push), verdict);
    assert.equal(judge(null, push), "deliver");
  });
}

for (const [name, push, verdict] of [
  ["a push of a conflated room follows what it names", { offset: 9, after: 5 }, "deliver"],
  ["or what is behind that", { offset: 9, after: 3 }, "deliver"],
  ["but not what lies before", { offset: 9, after: 6 }, "resync"],
  ["nor what is there already", { offset: 5, after: 3 }, "resync"],
]) {
  test(name, () => {
    const got = { room: "r", data: {}, ...push };
    assert.equal(judge({ offset: 5, epoch: "a" }, got), verdict);
  });
}

test("a held push without data moves the position and is not handed on; one of a conflated room is no hole", () => {
  const held = [{ room: "r", offset: 8 }, { room: "r", offset: 12, after: 8, data: 12 }];
  const merged = merge(since(7), reply(7), held);
  assert.deepEqual(merged.deliveries.map(({ offset }) => offset), [12]);
  assert.deepEqual([merged.position, merged.complete], [since(12), true]);
});

test("what another subscription missed is dropped by one that has it", () => {
  const replayed = (offset) => judge({ offset: 5, epoch: "a" }, { room: "r", offset, data: {}, replayed: true });
  assert.deepEqual([4, 5, 6, 7].map(replayed), ["drop", "drop", "deliver", "resync"]);
});

const since = (offset, epoch = "a") => ({ offset, epoch });

const reply = (offset, publications = [], { epoch = "a", recovered = true } = {}) => ({
  room: "r",
  offset,
  epoch,
  recovered,
  publications: publications.map((each) => ({ offset: each, data: each })),
});

for (const [name, asked, answer, held, delivered, end, complete, further] of [
  ["first time", null, reply(7), [], [], since(7), true],
  ["recovered", since(5), reply(7, [6, 7]), [], [6, 7], since(7), true],
  ["in order", since(5), reply(7, [7, 6]), [], [6, 7], since(7), true],
  ["once", since(5), reply(7, [4, 5, 6, 7]), [], [6, 7], since(7), true],
  ["held", since(5), reply(7, [6, 7]), [7, 8], [6, 7, 8], since(8), true],
  ["a hole stays", since(5), reply(6, [6]), [8], [6, 8], since(8), false],
  ["too long away", since(5), reply(9, [], { recovered: false }), [], [], since(9), false],
  ["new epoch", since(5), reply(2, [1, 2], { epoch: "b", recovered: false }), [], [1, 2], since(2, "b"), false],
  ["leaps", since(5), reply(LEAP + 6, [LEAP + 6]), [LEAP + 7, 2 * LEAP + 8], [LEAP + 6, LEAP + 7, 2 * LEAP + 8], since(2 * LEAP + 8), true],
  ["beginning", since(0, ""), reply(2, [1, 2]), [], [1, 2], since(2), true],
  ["no history", null, { room: "r", recovered: false, publications: [] }, [], [], null, true],
  ["the newest of a room that keeps it", null, reply(7, [7]), [8], [7, 8], since(8), true],
  ["others asked from too far back", since(5), reply(7, [4, 5, 6, 7], { recovered: false }), [], [6, 7], since(7), true, true],
  ["too far back for this one too", since(2), reply(7, [4, 5], { recovered: false }), [], [4, 5], since(7), false, true],
]) {
  test(`a reply and what was pushed before it: ${name}`, () => {
    const pushes = held.map((offset) => ({ room: "r", offset, data: offset }));
    const merged = merge(asked, answer, pushes, further);
    assert.deepEqual(merged.deliveries.map(({ offset }) => offset), delivered);
    assert.deepEqual(merged.position, end);
    assert.equal(merged.complete, complete);
  });
}

test("a hundred rooms with their positions fit one frame; what does not is split, in order", () => {
  const rooms = Array.from({ length: 1000 }, (_, index) => ({
    room: String(index).padStart(99, "0"), offset: Number.MAX_SAFE_INTEGER, epoch: "abcdefgh",
  }));
  assert.equal(frameLists(rooms.slice(0, 100)).length, 1);
  assert.ok(frameLists(rooms).length > 1);
  assert.deepEqual(frameLists(rooms).flat(), rooms);
  assert.deepEqual(frameLists([]), []);
});

for (const [path, base, address] of [
  ["/ws/", "http://127.0.0.1:8000/page", "ws://127.0.0.1:8000/ws/"],
  ["/ws/?room=a", "https://example.org/", "wss://example.org/ws/?room=a"],
  ["wss://other.example/ws/", "http://example.org/", "wss://other.example/ws/"],
]) {
  test(`${path} on ${base} is ${address}`, () => assert.equal(websocketUrl(path, base), address));
}

test("each key is new, and one that the server takes", () => {
  const keys = Array.from({ length: 20 }, newKey);
  assert.equal(new Set(keys).size, 20);
  assert.ok(keys.every((key) => /^[0-9a-f]{32}$/.test(key)));
});
