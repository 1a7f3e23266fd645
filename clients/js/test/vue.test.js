/** The composable, rendered by Vue itself. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { connectedClient, openPage, settled, slowState } from "./support/page.js";

const root = openPage();
const { createApp, h, nextTick, ref } = await import("vue");
const { useRoom, useStatus } = await import("@shardlayer/client/vue");

function mount(client, room, options) {
  const app = createApp({
    setup() {
      const seen = useRoom(client, room, options);
      const status = useStatus(client);
      return () => h("p", JSON.stringify([seen.value.value ?? null, seen.value.state, seen.value.missed, status.value.state]));
    },
  });
  app.mount(root);
  return app;
}

const shown = () => JSON.parse(root.textContent);

test("a component shows what its room says, and leaves the room with its end", async () => {
  const { client, server } = await connectedClient();
  const app = mount(client, "orders", { initial: 0, reduce: (sum, { n }) => sum + n });
  await settled();
  assert.deepEqual(shown(), [0, "joined", false, "live"]);
  server.say({ room: "orders", offset: 2, data: { n: 3 } });
  server.say({ room: "orders", offset: 3, data: { n: 4 } });
  await nextTick();
  assert.equal(shown()[0], 7);
  app.unmount();
  assert.deepEqual(server.of("unsubscribe"), [{ room: "orders" }]);
  client.close();
});

test("a room that is a ref is followed as it changes", async () => {
  const { client, server } = await connectedClient();
  const room = ref("a");
  const app = mount(client, room);
  await settled();
  server.say({ room: "a", offset: 2, data: "of a" });
  await nextTick();
  assert.equal(shown()[0], "of a");
  room.value = "b";
  await settled();
  assert.deepEqual(shown().slice(0, 2), [null, "joined"]);
  assert.deepEqual(server.of("unsubscribe"), [{ room: "a" }]);
  server.say({ room: "b", reset: { offset: 9, epoch: "f" } });
  client.close();
  await nextTick();
  assert.deepEqual(shown().slice(2), [true, "offline"]);
  app.unmount();
});

test("what is published while the state behind a room is loaded waits", async () => {
  const { client, server } = await connectedClient();
  const { state, asked, loads } = slowState();
  const app = mount(client, "orders", { state });
  await settled();
  server.say({ room: "orders", offset: 2, data: "a" });
  await nextTick();
  assert.deepEqual([asked, shown()[0]], [[{ offset: 1, epoch: "e" }], null]);
  await loads();
  assert.equal(shown()[0], "a");
  app.unmount();
  client.close();
});
