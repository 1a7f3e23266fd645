/** Who a client signs in as when its page has closed it and connects anew: nobody's note is kept. */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { RealtimeClient } from "../src/index.js";

/** When each client asks for its first note, in milliseconds after it is live: with `random` 0. */
const FIRST_NOTE = 2_000;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A WebSocket that a server answers: any token and any note count, and a note is given who asks. */
class Answered {
  onopen = null;
  onmessage = null;
  onclose = null;
  sent = [];

  constructor() {
    setImmediate(() => this.onopen?.());
  }

  send(frame) {
    const { id, ...command } = JSON.parse(frame);
    this.sent.push(command);
    if (command.note) this.say({ id, note: { note: "ada's", renew: 150 } });
    else if (command.connect) this.say({ id, connected: { resumed: "note" in command.connect } });
  }

  say(message) {
    setImmediate(() => this.onmessage?.({ data: JSON.stringify(message) }));
  }

  close() {}
}

/** A client whose token is that of whoever is logged in, and the sockets that it has opened. */
function start() {
  const page = { user: "ada" };
  const sockets = [];
  const socket = () => {
    sockets.push(new Answered());
    return sockets.at(-1);
  };
  const client = new RealtimeClient("ws://site/ws/", { socket, sse: false, random: () => 0, token: () => page.user });
  return { client, page, sockets };
}

async function live(client) {
  while (client.status.state !== "live") await turn();
}

/** A client that has ada's note. */
async function startWithNote() {
  const started = start();
  started.client.connect();
  await live(started.client);
  mock.timers.tick(FIRST_NOTE);
  for (let turns = 0; turns < 4; turns += 1) await turn();
  assert.deepEqual(started.sockets[0].sent, [{ connect: { token: "ada" } }, { note: {} }]);
  return started;
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
});

test("who comes back from a loss brings the note", async () => {
  const { client, sockets } = await startWithNote();
  sockets[0].onclose({ code: 1006, reason: "" });
  mock.timers.tick(60_000);
  await live(client);
  assert.deepEqual(sockets[1].sent[0], { connect: { note: "ada's" } });
});

test("after close() and connect() the token is brought, of whoever is logged in by then", async () => {
  const { client, page, sockets } = await startWithNote();
  client.close();
  page.user = "eve";
  client.connect();
  await live(client);
  assert.deepEqual(sockets[1].sent, [{ connect: { token: "eve" } }]);
});

test("so it is after the server has sent the client away for good", async () => {
  const { client, page, sockets } = await startWithNote();
  sockets[0].onclose({ code: 4009, reason: "Too many connections." });
  assert.equal(client.status.final, true);
  page.user = "eve";
  client.connect();
  await live(client);
  assert.deepEqual(sockets[1].sent[0], { connect: { token: "eve" } });
});

test("a note that comes with the message over which the page closes the client is not kept", async () => {
  const { client, page, sockets } = start();
  client.addEventListener("announcement", () => client.close());
  client.connect();
  await live(client);
  sockets[0].say = ({ id, note }) => {
    // Both in one turn, as a socket may hand them on: nothing that awaits the first has run.
    sockets[0].onmessage({ data: JSON.stringify({ id, note }) });
    sockets[0].onmessage({ data: JSON.stringify({ announcement: "log out" }) });
  };
  mock.timers.tick(FIRST_NOTE);
  for (let turns = 0; turns < 4; turns += 1) await turn();
  assert.deepEqual(sockets[0].sent.at(-1), { note: {} });
  assert.equal(client.status.final, true);
  page.user = "eve";
  client.connect();
  await live(client);
  assert.deepEqual(sockets[1].sent[0], { connect: { token: "eve" } });
});
