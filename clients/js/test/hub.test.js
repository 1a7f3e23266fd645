/** One WebSocket for several tabs: what the hub makes of their commands and of what the server says. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { RealtimeClient } from "../src/client.js";
import { Hub } from "../src/hub.js";
import { messageIn } from "../src/protocol.js";
import { settled } from "./support/page.js";

/** The hub, the WebSockets that it opened, and what each tab was told. */
function start(...tabs) {
  const connections = [];
  const heard = Object.fromEntries(tabs.map((tab) => [tab, []]));
  const hub = new Hub(
    () => {
      const connection = { sent: [], closed: false, send: (frame) => connection.sent.push(JSON.parse(frame)), close: () => (connection.closed = true) };
      connections.push(connection);
      return connection;
    },
    ({ only, except, opened, frame, closed }) => {
      for (const tab of tabs) {
        if (only !== undefined ? only !== tab : except === tab) continue;
        heard[tab].push(opened ? "opened" : frame !== undefined ? (messageIn(frame) ?? frame) : closed);
      }
    },
  );
  for (const tab of tabs) hub.enter(tab);
  connections[0].onopen();
  for (const tab of tabs) assert.deepEqual(heard[tab].splice(0), ["opened"]);
  const say = (message, connection = connections.at(-1)) => connection.onmessage({ data: JSON.stringify(message) });
  const send = (tab, command) => hub.send(tab, JSON.stringify(command));
  return { hub, connections, connection: connections[0], heard, say, send };
}

test("commands get ids of the hub's own, and answers reach the tab that asked", () => {
  const { connection, heard, say, send } = start("a", "b");
  send("a", { id: 1, ping: {} });
  send("b", { id: 1, publish: { room: "r", data: 5 } });
  assert.deepEqual(connection.sent, [{ id: 1, ping: {} }, { id: 2, publish: { room: "r", data: 5 } }]);
  say({ id: 2, published: { room: "r" } });
  say({ id: 1, pong: {} });
  assert.deepEqual(heard, { a: [{ id: 1, pong: {} }], b: [{ id: 1, published: { room: "r" } }] });
});

test("what is pushed reaches all", () => {
  const { heard, say } = start("a", "b");
  say({ room: "r", offset: 4, data: "x" });
  assert.deepEqual(heard.a, heard.b);
  assert.deepEqual(heard.a, [{ room: "r", offset: 4, data: "x" }]);
});

test("what is no message reaches all as it is", () => {
  const { connection, heard } = start("a", "b");
  const frames = ["no JSON", "null", "5", '"text"', "[]"];
  for (const data of frames) connection.onmessage({ data });
  assert.deepEqual(heard, { a: frames, b: frames });
});

test("what one tab is answered for a room is told the others that are in it", () => {
  const { heard, say, send } = start("a", "b");
  send("a", { id: 1, subscribe: [{ room: "r" }] });
  say({ id: 1, subscribed: [{ room: "r", offset: 1 }] });
  send("b", { id: 1, subscribe: { room: "r" } });
  say({ id: 2, subscribed: { room: "r", offset: 3, publications: [1] } });
  assert.deepEqual(heard.a.slice(1), [{ overheard: { room: "r", offset: 3, publications: [1] } }]);
});

for (const [code, told] of [
  ["bad_token", {}], ["forbidden", {}], // it concerns what the one has shown
  ["unavailable", { code: "unavailable" }], ["full", { code: "full" }],
]) {
  test(`of a room that is refused to one with ${code} the others are told that they are out`, () => {
    const { heard, say, send } = start("a", "b");
    send("a", { id: 1, subscribe: { room: "r" } });
    say({ id: 1, subscribed: { room: "r" } });
    send("b", { id: 1, subscribe: [{ room: "r" }] });
    say({ id: 2, subscribed: [{ room: "r", error: { code, message: "" } }] });
    assert.deepEqual(heard.a.slice(1), [{ room: "r", unsubscribed: told }]);
  });
}

test("a wrong token costs the tab that has it the room, and the others nothing", async (context) => {
  const server = { sent: [], says: null };
  const sockets = new Map();
  const answers = ({ room, token, offset = 0 }) =>
    token === "right" ? { room, offset: 7, epoch: "e", recovered: true, publications: [7].filter((each) => each > offset).map((each) => ({ offset: each, data: each })) }
      : { room, error: { code: "bad_token", message: "Not valid." } };
  const hub = new Hub(
    () => {
      const connection = {
        close() {},
        send(frame) {
          const { id, subscribe } = JSON.parse(frame);
          server.sent.push(subscribe);
          queueMicrotask(() => server.says({ id, subscribed: subscribe.map(answers) }));
        },
      };
      server.says = (message) => connection.onmessage({ data: JSON.stringify(message) });
      queueMicrotask(() => connection.onopen());
      return connection;
    },
    ({ only, except, opened, frame }) => {
      for (const [name, socket] of sockets) {
        if (only !== undefined ? only !== name : except === name) continue;
        queueMicrotask(() => (opened ? socket.onopen() : socket.onmessage({ data: frame })));
      }
    },
  );
  const tab = (name, token, since) => {
    const socket = () => {
      const made = { send: (frame) => hub.send(name, frame), close: () => {} };
      sockets.set(name, made);
      queueMicrotask(() => hub.enter(name));
      return made;
    };
    const client = new RealtimeClient("ws://127.0.0.1/ws/", { socket });
    context.after(() => client.close());
    const seen = { data: [], errors: [] };
    const subscription = client.subscribe("r", (data) => seen.data.push(data), { token, since });
    subscription.addEventListener("error", ({ detail }) => seen.errors.push(detail.code));
    client.connect();
    return { seen, subscription };
  };
  const good = tab("a", "right", { offset: 6, epoch: "e" });
  await settled();
  const bad = tab("b", "wrong");
  await settled();
  server.says({ room: "r", offset: 8, data: 8 });
  await settled();
  assert.deepEqual(bad.seen, { data: [], errors: ["bad_token"] });
  assert.equal(bad.subscription.state, "left");
  assert.deepEqual(good.seen, { data: [7, 8], errors: [] });
  assert.equal(good.subscription.state, "joined");
  assert.deepEqual(server.sent.map(([{ token }]) => token), ["right", "wrong", "right"]);
});

test("a room is left with the last tab that leaves it", () => {
  const { connection, heard, say, send } = start("a", "b");
  for (const [tab, id] of [["a", 1], ["b", 2]]) {
    send(tab, { id: 1, subscribe: { room: "r" } });
    say({ id, subscribed: { room: "r" } });
  }
  send("a", { id: 2, unsubscribe: { room: "r" } });
  assert.deepEqual(heard.a.at(-1), { id: 2, unsubscribed: { room: "r" } });
  assert.equal(connection.sent.length, 2);
  send("b", { id: 2, unsubscribe: { room: "r" } });
  assert.deepEqual(connection.sent[2], { id: 3, unsubscribe: { room: "r" } });
});

test("a tab that is gone leaves its rooms, also those that it had only asked for", () => {
  const { hub, connection, say, send } = start("a", "b");
  send("a", { id: 1, subscribe: { room: "r" } });
  say({ id: 1, subscribed: { room: "r" } });
  send("a", { id: 2, subscribe: { room: "q" } });
  hub.leave("a");
  say({ id: 2, subscribed: { room: "q" } });
  assert.deepEqual(connection.sent.slice(2).map(({ unsubscribe }) => unsubscribe.room), ["r", "q"]);
});

test("the tabs sign in once", () => {
  const { connection, heard, say, send } = start("a", "b", "c");
  for (const tab of ["a", "b", "c"]) send(tab, { id: 1, connect: { token: tab } });
  assert.deepEqual(connection.sent, [{ id: 1, connect: { token: "a" } }]);
  say({ id: 1, connected: { user: "ada" } });
  assert.equal(connection.sent.length, 1);
  assert.deepEqual(heard.b, [{ connected: { user: "ada", resumed: true }, id: 1 }]);
  send("c", { id: 2, connect: { note: "n" } });
  assert.deepEqual(heard.c.at(-1), { connected: { user: "ada", resumed: true }, id: 2 });
  send("c", { id: 3, connect: {} });
  assert.deepEqual(connection.sent.at(-1), { id: 2, connect: {} });
});

test("where the token of one is refused, that of the next is tried", () => {
  const { connection, heard, say, send } = start("a", "b");
  for (const tab of ["a", "b"]) send(tab, { id: 1, connect: { token: tab } });
  say({ id: 1, error: { code: "bad_token", message: "" } });
  assert.deepEqual(connection.sent[1], { id: 2, connect: { token: "b" } });
  assert.equal(heard.a[0].error.code, "bad_token");
  say({ id: 2, connected: { user: "bob" } });
  assert.deepEqual(heard.b, [{ id: 1, connected: { user: "bob" } }]);
});

test("a note that does not count signs nobody in", () => {
  const { connection, say, send } = start("a", "b");
  send("a", { id: 1, connect: { note: "old" } });
  say({ id: 1, connected: { resumed: false } });
  send("b", { id: 1, connect: { note: "new" } });
  assert.deepEqual(connection.sent[1], { id: 2, connect: { note: "new" } });
});

test("a sign-in that expires is renewed by the first tab that has a token", () => {
  const { connection, heard, say, send } = start("a", "b");
  send("a", { id: 1, connect: { token: "1" } });
  say({ id: 1, connected: { user: "ada" } });
  say({ renew: { within: 30 } });
  for (const tab of ["a", "b"]) send(tab, { id: 2, connect: { token: "2" } });
  say({ id: 2, connected: { user: "ada" } });
  assert.equal(connection.sent.length, 2);
  assert.deepEqual(heard.b.at(-1), { connected: { user: "ada", resumed: true }, id: 2 });
});

test("when the connection ends, all tabs hear it, and the first that comes back opens another", () => {
  const { hub, connections, heard, say } = start("a", "b");
  connections[0].onclose({ code: 4002, reason: "signed out" });
  assert.deepEqual(heard.a, [{ code: 4002, reason: "signed out" }]);
  assert.deepEqual(heard.b, heard.a);
  hub.enter("b");
  say({ room: "r", data: "late" }, connections[0]);
  connections[0].onclose({ code: 1006, reason: "" });
  assert.equal(connections.length, 2);
  connections[1].onopen();
  assert.equal(heard.b.at(-1), "opened");
});

test("the connection is closed with the last tab", () => {
  const { hub, connection } = start("a", "b");
  hub.leave("a");
  assert.equal(connection.closed, false);
  hub.leave("b");
  assert.equal(connection.closed, true);
});

test("a tab that gives up because the server is silent does so for all", (context) => {
  context.mock.method(performance, "now", () => 1_000);
  const { hub, connection, heard, send } = start("a", "b");
  send("a", { id: 1, ping: {} });
  performance.now.mock.mockImplementation(() => 11_001);
  hub.leave("a");
  assert.equal(connection.closed, true);
  assert.equal(heard.b.at(-1).code, 1006);
});
