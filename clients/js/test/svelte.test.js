/** The store, read by Svelte itself and drawn by a component that its compiler made. */

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { connectedClient, openPage, settled, slowState } from "./support/page.js";

const root = openPage();
const { compile } = await import("svelte/compiler");
const { get } = await import("svelte/store");
const { roomStore, statusStore } = await import("@shardlayer/client/svelte");

const list = { initial: [], reduce: (all, message) => [...all, message] };

test("a store follows its room while somebody is subscribed, and begins anew", async () => {
  const { client, server } = await connectedClient();
  const orders = roomStore(client, "orders", list);
  assert.deepEqual(server.of("subscribe"), []);
  const seen = [];
  const ends = [orders.subscribe(({ value }) => seen.push(value)), orders.subscribe(() => {})];
  await settled();
  server.say({ room: "orders", offset: 2, data: "a" });
  assert.deepEqual(seen.at(-1), ["a"]);
  assert.deepEqual(get(orders).value, ["a"]);
  ends[0]();
  assert.deepEqual(server.of("unsubscribe"), []);
  ends[1]();
  assert.deepEqual(server.of("unsubscribe"), [{ room: "orders" }]);
  assert.deepEqual(get(orders).value, []);
  assert.equal(get(statusStore(client)).state, "live");
  client.close();
});

test("what is published while the state behind a room is loaded waits", async () => {
  const { client, server } = await connectedClient();
  const { state, asked, loads } = slowState();
  const seen = [];
  const end = roomStore(client, "orders", { ...list, state }).subscribe(({ value }) => seen.push(value));
  await settled();
  server.say({ room: "orders", offset: 2, data: "a" });
  assert.deepEqual([asked, seen.at(-1)], [[{ offset: 1, epoch: "e" }], []]);
  await loads();
  assert.deepEqual(seen.at(-1), ["a"]);
  end();
  client.close();
});

test("a component shows its room", async () => {
  const source = `<script>
    let { orders, status } = $props();
  </script><p>{JSON.stringify([$orders.value, $orders.state, $status.state])}</p>`;
  const { js } = compile(source, { generate: "client", filename: "Orders.svelte" });
  const file = new URL("./support/.compiled.js", import.meta.url);
  // What a bundler picks for browsers; Node would take the files for servers.
  const code = js.code.replaceAll(/from 'svelte\/internal\/client'|import 'svelte\/internal\/[^']+';/g, (found) =>
    found.startsWith("from") ? `from ${JSON.stringify(new URL("../node_modules/svelte/src/internal/client/index.js", import.meta.url).href)}` : "",
  );
  writeFileSync(file, code);
  try {
    const { default: Orders } = await import(file.href);
    const { mount, unmount } = await import(new URL("../node_modules/svelte/src/index-client.js", import.meta.url).href);
    const { client, server } = await connectedClient();
    const component = mount(Orders, { target: root, props: { orders: roomStore(client, "orders", list), status: statusStore(client) } });
    await settled();
    server.say({ room: "orders", offset: 2, data: "a" });
    await settled();
    assert.deepEqual(JSON.parse(root.textContent), [["a"], "joined", "live"]);
    await unmount(component);
    await settled();
    assert.deepEqual(server.of("unsubscribe"), [{ room: "orders" }]);
    client.close();
  } finally {
    rmSync(fileURLToPath(file));
  }
});
