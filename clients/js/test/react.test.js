/** The hook, rendered by React itself. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { connectedClient, openPage, settled, slowState } from "./support/page.js";

const root = openPage();
const { act, createElement, StrictMode } = await import("react");
const { createRoot } = await import("react-dom/client");
const { renderToString } = await import("react-dom/server");
const { useRoom, useStatus } = await import("@shardlayer/client/react");

const list = { initial: [], reduce: (all, message) => [...all, message] };

function Orders({ client, room, options = list }) {
  const { value, state, error, missed } = useRoom(client, room, options);
  return createElement("p", null, JSON.stringify([room, value ?? null, state, error?.code ?? null, missed, useStatus(client).state]));
}

async function render(props) {
  const drawn = createRoot(root);
  const draw = (now) => act(async () => {
    drawn.render(createElement(StrictMode, null, createElement(Orders, now)));
    await settled();
  });
  await draw(props);
  return { draw, end: () => act(async () => drawn.unmount()) };
}

const shown = () => JSON.parse(root.textContent);
const say = (server, message) => act(async () => server.say(message));

test("a component shows what its room says, and leaves the room with its end", async () => {
  const { client, server } = await connectedClient();
  const { end } = await render({ client, room: "orders" });
  assert.deepEqual(shown(), ["orders", [], "joined", null, false, "live"]);
  await say(server, { room: "orders", offset: 2, data: "a" });
  await say(server, { room: "orders", offset: 3, data: "b" });
  assert.deepEqual(shown()[1], ["a", "b"]);
  await end();
  assert.deepEqual(server.of("unsubscribe").at(-1), { room: "orders" });
  client.close();
});

test("another room begins anew", async () => {
  const { client, server } = await connectedClient();
  const { draw, end } = await render({ client, room: "a", options: {} });
  await say(server, { room: "a", offset: 2, data: "of a" });
  assert.equal(shown()[1], "of a");
  await draw({ client, room: "b", options: {} });
  assert.deepEqual(shown().slice(0, 3), ["b", null, "joined"]);
  assert.deepEqual(server.of("unsubscribe").at(-1), { room: "a" });
  await end();
  client.close();
});

test("a component says what it missed, and what it may not see", async () => {
  const { client, server } = await connectedClient();
  const { end } = await render({ client, room: "orders" });
  await say(server, { room: "orders", reset: { offset: 9, epoch: "f" } });
  assert.equal(shown()[4], true);
  await say(server, { room: "orders", unsubscribed: { code: "forbidden" } });
  assert.deepEqual(shown().slice(2, 4), ["left", "forbidden"]);
  await act(async () => client.close());
  assert.equal(shown()[5], "offline");
  await end();
});

test("what is published while the state behind a room is loaded waits", async () => {
  const { client, server } = await connectedClient();
  const { state, asked, loads } = slowState();
  const { end } = await render({ client, room: "orders", options: { ...list, state } });
  await say(server, { room: "orders", offset: 2, data: "a" });
  assert.deepEqual([asked, shown()[1]], [[{ offset: 1, epoch: "e" }], []]);
  await act(loads);
  assert.deepEqual(shown()[1], ["a"]);
  await end();
  client.close();
});

test("a server renders the first value and follows nothing", async () => {
  const { client, server } = await connectedClient();
  const html = renderToString(createElement(Orders, { client, room: "orders" }));
  assert.match(html, /\[&quot;orders&quot;,\[\],&quot;joining&quot;/);
  assert.deepEqual(server.of("subscribe"), []);
  client.close();
});
