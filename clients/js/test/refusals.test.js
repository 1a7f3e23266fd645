/** A room that is refused for now is asked for again, after waits that grow with each refusal in a row. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Rooms } from "../src/rooms.js";

const FULL = { code: "full", message: "No more." };
const LONGEST = 20_000;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Rooms whose server answers each request for the room r with `says`; all waits are as long as can be. */
function start(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  context.mock.method(Math, "random", () => 1);
  const site = { asked: 0, says: { error: FULL }, connection: null };
  site.connect = () => {
    site.connection = {
      ready: true,
      async request({ subscribe = [] }) {
        site.asked += subscribe.length;
        return { subscribed: subscribe.map(({ room }) => ({ room, epoch: "a", offset: 1, ...site.says })) };
      },
      abandon: assert.fail,
    };
  };
  site.connect();
  const rooms = new Rooms({ hearsErrors: true, emit() {} }, () => site.connection);
  /** How long the room waits until it is asked for; then it is, and has its answer. */
  site.wait = async () => {
    await turn();
    const before = site.asked;
    for (let waited = 0; waited <= 2 * LONGEST; waited += 500) {
      if (site.asked > before) return waited;
      context.mock.timers.tick(500);
      await turn();
    }
    return assert.fail("It is not asked for again.");
  };
  return { site, rooms };
}

for (const code of ["rate", "full", "unavailable", "internal"]) {
  test(`the more often a room is refused with ${code}, the longer it waits, up to 20 s`, async (context) => {
    const { site, rooms } = start(context);
    site.says = { error: { code, message: "Not now." } };
    rooms.subscribe("r");
    const waits = [];
    while (waits.length < 5) waits.push(await site.wait());
    assert.deepEqual(waits, [4_000, 8_000, 16_000, LONGEST, LONGEST]);
  });
}

test("a token that can't be fetched is tried again after such waits, too", async (context) => {
  const { rooms } = start(context);
  const fetched = [];
  let now = 0;
  rooms.subscribe("r", undefined, {
    token: () => {
      fetched.push(now);
      throw new Error("away");
    },
  });
  await turn();
  for (; now < 70_000; await turn()) {
    now += 500;
    context.mock.timers.tick(500);
  }
  assert.deepEqual(fetched, [0, 4_000, 12_000, 28_000, 48_000, 68_000]);
});

test("once the room was joined, the first wait is short again", async (context) => {
  const { site, rooms } = start(context);
  const { error } = site.says;
  const subscription = rooms.subscribe("r");
  for (const wait of [4_000, 8_000]) assert.equal(await site.wait(), wait);
  site.says = {};
  assert.equal(await site.wait(), 16_000);
  assert.equal(subscription.state, "joined");
  site.says = { error };
  rooms.putOut("r", "full");
  for (const wait of [4_000, 8_000]) assert.equal(await site.wait(), wait);
});

test("each new connection asks for it, once; the waits go on to grow", async (context) => {
  const { site, rooms } = start(context);
  rooms.subscribe("r");
  for (const wait of [4_000, 8_000]) assert.equal(await site.wait(), wait);
  site.connection = null;
  rooms.hold();
  context.mock.timers.tick(10_000);
  site.connect();
  await rooms.joinAll();
  assert.equal(site.asked, 4);
  assert.equal(await site.wait(), LONGEST); // and not what was left of the 16 s of the connection before
});

for (const [when, end] of [
  ["without a connection", ({ rooms }) => rooms.hold()],
  ["once the room was left", ({ subscription }) => subscription.unsubscribe()],
  ["once the room is refused for good", ({ rooms }) => rooms.putOut("r", "forbidden")],
]) {
  test(`${when} no timer is left behind`, async (context) => {
    const { site, rooms } = start(context);
    const set = context.mock.method(globalThis, "setTimeout");
    const cleared = context.mock.method(globalThis, "clearTimeout");
    const subscription = rooms.subscribe("r");
    await turn();
    end({ rooms, subscription });
    const timers = set.mock.calls.map(({ result }) => result);
    assert.equal(timers.length, 1);
    assert.ok(cleared.mock.calls.some((call) => call.arguments[0] === timers[0]));
    context.mock.timers.tick(LONGEST);
    await turn();
    assert.equal(site.asked, 1);
  });
}

test("a room that was left is forgotten, with its waits", async (context) => {
  const { site, rooms } = start(context);
  const subscription = rooms.subscribe("r");
  for (const wait of [4_000, 8_000]) assert.equal(await site.wait(), wait);
  subscription.unsubscribe();
  context.mock.timers.tick(LONGEST);
  await turn();
  assert.equal(site.asked, 3);
  rooms.subscribe("r");
  assert.equal(await site.wait(), 0 + 4_000);
});

test("however often a page comes to a refused room, and leaves it, it is asked for by one wait", async (context) => {
  const { site, rooms } = start(context);
  for (let times = 0; times < 10; times += 1) {
    const subscription = rooms.subscribe("r");
    await turn();
    if (times < 8) subscription.unsubscribe(); // the last two stay
  }
  site.asked = 0;
  for (let waited = 0; waited < 10 * LONGEST; waited += 500) {
    context.mock.timers.tick(500);
    await turn();
  }
  assert.ok(site.asked >= 9 && site.asked <= 12, `${site.asked} times in 200 s`);
});

test("who waits asks at once when another tab of the connection is let in", async (context) => {
  const { site, rooms } = start(context);
  const subscription = rooms.subscribe("r");
  await turn();
  site.says = {};
  rooms.overhear({ room: "r", epoch: "a", offset: 1, publications: [] });
  await turn();
  assert.deepEqual([site.asked, subscription.state], [2, "joined"]);
});
