/** A server of rooms whose WebSockets and whose streams of events can be away, each by itself. */

import assert from "node:assert/strict";
import { createServer } from "node:http";

import { RealtimeClient } from "../../src/client.js";

/** Lets all that can happen happen, also where `setTimeout` is the test's. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

export async function until(condition) {
  for (const ends = performance.now() + 30_000; !condition(); await turn()) {
    assert.ok(performance.now() < ends, "it did not happen");
  }
}

/** All who are in a room are told, in the order of `offset`; the history has everything. */
export async function openNetwork(context) {
  const network = { websockets: true, streams: true, tried: 0, asked: 0, open: new Set(), history: [] };
  /** By default a WebSocket carries all; else it ends over the first command that it does not. */
  network.carries = () => true;
  /** Whether a WebSocket that is stopped hears nothing of it. */
  network.isSilent = false;
  const members = new Set();
  const reply = ({ room, offset }) => {
    const publications = network.history.filter((each) => offset !== undefined && each.offset > offset);
    return { room, offset: network.history.length, epoch: "e", recovered: true, publications };
  };
  network.publish = (data) => {
    const publication = { offset: network.history.length + 1, data };
    network.history.push(publication);
    for (const say of members) say({ room: "chat", ...publication });
  };
  network.end = () => {
    for (const lose of [...network.open]) lose();
  };

  const server = createServer(({ url }, response) => {
    network.asked += 1;
    if (!network.streams) return response.destroy();
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const say = (message) => response.write(`data: ${JSON.stringify(message)}\n\n`);
    const { searchParams } = new URL(url, "http://server/");
    const since = searchParams.get("since").split(",");
    const rooms = searchParams.getAll("room").map((room, index) => ({ room, offset: since[index] === "-" ? undefined : parseInt(since[index]) }));
    say({ id: 0, subscribed: rooms.map(reply) });
    const lose = () => response.destroy();
    members.add(say);
    network.open.add(lose);
    response.on("close", () => {
      members.delete(say);
      network.open.delete(lose);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });

  network.socket = () => {
    network.tried += 1;
    const say = (message) => queueMicrotask(() => socket.onmessage?.({ data: JSON.stringify(message) }));
    const end = () => {
      members.delete(say);
      network.open.delete(lose);
    };
    const lose = () => {
      end();
      queueMicrotask(() => socket.onclose?.({ code: 1006, reason: "" }));
    };
    const socket = {
      close: end,
      send(frame) {
        const { id, subscribe, ping, connect } = JSON.parse(frame);
        if (!network.carries({ subscribe, ping })) return lose();
        if (subscribe) {
          say({ id, subscribed: subscribe.map(reply) });
          members.add(say);
        } else if (connect) say({ id, connected: { client: "own", user: null, room: null, node: "n" } });
        else say(ping ? { id, pong: {} } : { id, error: { code: "unknown_command", message: "" } });
      },
    };
    if (network.websockets) {
      network.open.add(lose);
      setImmediate(() => socket.onopen?.());
    } else if (!network.isSilent) setImmediate(lose);
    return socket;
  };
  network.client = (options) => {
    const url = `ws://127.0.0.1:${server.address().port}/ws/`;
    const client = new RealtimeClient(url, { random: () => 0, socket: network.socket, ...options });
    context.after(() => client.close());
    return client;
  };
  return network;
}

/** Where the test says how time passes, nothing may be given up that takes real time. */
export const PATIENT = { openTimeout: 1e9, requestTimeout: 1e9, heartbeat: 1e9 };

/** A client in a room, what it got, and by what it was live. */
export function follow(network, options) {
  const client = network.client(options);
  const seen = { data: [], gaps: 0, live: [] };
  client.subscribe("chat", (data) => seen.data.push(data));
  client.addEventListener("gap", () => (seen.gaps += 1));
  client.addEventListener("state", ({ detail }) => detail.state === "live" && seen.live.push(detail.transport));
  client.connect();
  return { client, seen };
}

export const isLive = (client, transport) => () => client.status.state === "live" && client.status.transport === transport;

/** Wait, as if it were so long; what is due at its end is done. */
export async function pass(context, milliseconds) {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    context.mock.timers.tick(500);
    for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Have time pass until it is so. */
export async function passUntil(context, condition) {
  for (const ends = performance.now() + 30_000; !condition(); await pass(context, 500)) {
    assert.ok(performance.now() < ends, "it did not happen");
  }
}
