/** An error that nobody listens for is written to the console, once; any other is not. */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Emitter } from "../src/emitter.js";
import { Rooms } from "../src/rooms.js";

/** The rooms of a client, and a way to have the server refuse the room r. */
function start() {
  const client = new Emitter();
  const rooms = new Rooms(client, () => null);
  const refuse = (code = "forbidden") => rooms.accept({ room: "r", error: { code, message: "Not yours." } });
  return { client, rooms, refuse };
}

const warned = () => console.warn.mock.calls.map((call) => call.arguments);

beforeEach(() => {
  mock.restoreAll();
  mock.method(console, "warn", () => {});
});

test("a refused room is warned of once, for all its subscriptions, with the reason", () => {
  const { rooms, refuse } = start();
  rooms.subscribe("r", () => {});
  rooms.subscribe("r", () => {});
  refuse();
  assert.deepEqual(warned(), [["Room r: Not yours. (forbidden)"]]);
});

test("a refusal that may pass is warned of once, however often it comes", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { rooms, refuse } = start();
  rooms.subscribe("r", () => {});
  for (let times = 0; times < 3; times += 1) refuse("rate");
  assert.deepEqual(warned(), [["Room r: Not yours. (rate)"]]);
});

test("another room is warned of as well, and so is the same one when it is subscribed to again", () => {
  const { rooms, refuse } = start();
  rooms.subscribe("r", () => {});
  rooms.subscribe("q", () => {});
  refuse();
  rooms.putOut("q", "forbidden");
  rooms.subscribe("r", () => {});
  refuse();
  assert.deepEqual(warned().map(([text]) => text.slice(0, 7)), ["Room r:", "Room q:", "Room r:"]);
});

for (const [who, listen] of [
  ["the client", ({ client }) => client.addEventListener("error", () => {})],
  ["a subscription", ({ subscription }) => subscription.addEventListener("error", () => {}, { once: true })],
  ["a loop", ({ subscription }) => void subscription[Symbol.asyncIterator]().next().catch(() => {})],
]) {
  test(`nothing is warned of where ${who} listens`, () => {
    const { client, rooms, refuse } = start();
    const subscription = rooms.subscribe("r", () => {});
    listen({ client, subscription });
    refuse();
    assert.deepEqual(warned(), []);
  });
}

test("to listen for other events is not to listen for errors", () => {
  const { client, rooms, refuse } = start();
  client.addEventListener("gap", () => {});
  rooms.subscribe("r", () => {}).addEventListener("left", () => {});
  refuse();
  assert.equal(warned().length, 1);
});
