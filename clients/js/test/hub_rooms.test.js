/** Which rooms the connection of several tabs is in: those that a tab wants, from when it asks until it leaves. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Hub } from "../src/hub.js";

/**
 * A hub and its server, which does one command after another when the test says so (`work`), and has the
 * rooms of the connection in `members`. `refuses`: the code for a token.
 */
function start(...tabs) {
  const members = new Set();
  const queue = [];
  const heard = Object.fromEntries(tabs.map((tab) => [tab, []]));
  const refuses = {};
  const connection = { close() {}, send: (frame) => queue.push(JSON.parse(frame)) };
  const hub = new Hub(() => connection, ({ only, except, frame }) => {
    for (const tab of tabs) {
      if (frame !== undefined && (only !== undefined ? only === tab : except !== tab)) heard[tab].push(JSON.parse(frame));
    }
  });
  const say = (message) => connection.onmessage({ data: JSON.stringify(message) });
  const join = ({ room, token }) => {
    const code = refuses[token];
    if (code === "bad_token" || code === "forbidden") members.delete(room);
    else if (code === undefined) members.add(room);
    return code === undefined ? { room } : { room, error: { code, message: "" } };
  };
  const work = () => {
    for (const { id, subscribe, unsubscribe } of queue.splice(0)) {
      if (subscribe) say({ id, subscribed: subscribe.map(join) });
      else if (members.delete(unsubscribe.room)) say({ id, unsubscribed: unsubscribe });
      else say({ id, error: { code: "not_subscribed", message: "" } });
    }
  };
  const send = (tab, command) => hub.send(tab, JSON.stringify({ id: 1, ...command }));
  const subscribe = (tab, token) => send(tab, { subscribe: [{ room: "r", token }] });
  const unsubscribe = (tab) => send(tab, { unsubscribe: { room: "r" } });
  for (const tab of tabs) hub.enter(tab);
  connection.onopen();
  return { hub, members, heard, refuses, say, work, subscribe, unsubscribe };
}

for (const goes of ["unsubscribes", "closes"]) {
  const go = ({ hub, unsubscribe }, tab) => (goes === "closes" ? hub.leave(tab) : unsubscribe(tab));

  test(`a tab that waits for its answer stays in the room when the other ${goes}`, () => {
    const site = start("a", "b", "c");
    site.subscribe("a");
    site.work();
    site.subscribe("b");
    go(site, "a");
    site.work();
    assert.deepEqual([...site.members], ["r"]);
    go(site, "b");
    site.work();
    assert.equal(site.members.size, 0);
  });

  test(`a tab that ${goes} before its answer is not in the room, and one that asked behind it is`, () => {
    const site = start("a", "b");
    site.subscribe("a");
    go(site, "a");
    site.subscribe("b");
    site.work();
    assert.deepEqual([...site.members], ["r"]);
    site.unsubscribe("b");
    site.work();
    assert.equal(site.members.size, 0);
  });

  test(`where two wait, one that ${goes} takes the room from neither`, () => {
    const site = start("a", "b", "c");
    for (const tab of ["a", "b"]) site.subscribe(tab);
    go(site, "a");
    site.work();
    assert.deepEqual([...site.members], ["r"]);
    go(site, "b");
    site.work();
    assert.equal(site.members.size, 0);
  });
}

test("one that leaves and asks again before its answer is in the room", () => {
  const { members, subscribe, unsubscribe, work } = start("a", "b");
  subscribe("a");
  unsubscribe("a");
  subscribe("a");
  work();
  assert.deepEqual([...members], ["r"]);
  unsubscribe("a");
  work();
  assert.equal(members.size, 0);
});

test("a refusal of one says nothing of another whose answer is to come", () => {
  const { members, heard, refuses, subscribe, unsubscribe, work } = start("a", "b", "c");
  refuses.old = "bad_token";
  subscribe("a", "old");
  subscribe("b", "new");
  work();
  assert.deepEqual([[...members], heard.b], [["r"], [{ id: 1, subscribed: [{ room: "r" }] }]]);
  subscribe("c", "new");
  unsubscribe("b");
  work();
  unsubscribe("c");
  work();
  assert.equal(members.size, 0);
});

test("who was put out by the server, or refused, keeps nobody in the room", () => {
  const { members, heard, refuses, say, subscribe, unsubscribe, work } = start("a", "b");
  refuses.full = "full";
  subscribe("a");
  work();
  members.delete("r");
  say({ room: "r", unsubscribed: { code: "forbidden" } });
  assert.deepEqual(heard.a.at(-1), { room: "r", unsubscribed: { code: "forbidden" } });
  subscribe("a", "full");
  work();
  subscribe("b");
  work();
  unsubscribe("b");
  work();
  assert.equal(members.size, 0);
});

test("a room that the server puts this connection out of is over for those alone who were in it", () => {
  const { heard, say, subscribe, work } = start("a", "b", "c");
  subscribe("a");
  work();
  subscribe("b");
  say({ room: "r", unsubscribed: { code: "forbidden" } });
  assert.deepEqual([heard.a.length, heard.b, heard.c], [2, [], []]);
  work();
  assert.deepEqual(heard.b, [{ id: 1, subscribed: [{ room: "r" }] }]);
});

test("a room that nobody wants is left, when one that was in it asks anew and is refused", () => {
  const { hub, members, refuses, subscribe, work } = start("a", "b");
  refuses.later = "unavailable";
  subscribe("a");
  work();
  subscribe("a", "later");
  work();
  hub.leave("a"); // instead of asking again
  work();
  assert.equal(members.size, 0);
});

for (const isOut of [true, false]) {
  test(`no tab hears the answer when a room is left for all, ${isOut ? "which the server left" : "as asked"}`, () => {
    const { members, heard, refuses, subscribe, work } = start("a", "b");
    refuses.later = "unavailable";
    subscribe("a");
    work();
    if (isOut) members.delete("r"); // as who asks again for a room does
    subscribe("b", "later");
    work();
    work();
    assert.equal(members.size, 0);
    const refused = { room: "r", error: { code: "unavailable", message: "" } };
    assert.deepEqual(heard.b.at(-1), { id: 1, subscribed: [refused] });
    assert.deepEqual(heard.a.at(-1), { room: "r", unsubscribed: { code: "unavailable" } });
  });
}
