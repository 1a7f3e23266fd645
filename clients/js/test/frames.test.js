/** Frames that are no message: the client tells of each, and goes on. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { connectedClient } from "./support/page.js";

const NO_MESSAGES = ["no JSON", "", "null", "5", "true", '"text"', "[]", '[{"room":"r"}]'];

for (const frame of NO_MESSAGES) {
  test(`the frame ${JSON.stringify(frame)} is an error, and what follows is taken`, async (context) => {
    const { client, server } = await connectedClient();
    context.after(() => client.close());
    const codes = [];
    const said = [];
    client.addEventListener("error", ({ detail }) => codes.push(detail.code));
    client.addEventListener("announcement", ({ detail }) => said.push(detail.data));
    server.socket.onmessage({ data: frame });
    server.say({ announcement: "next" });
    assert.deepEqual([codes, said, client.status.state], [["bad_frame"], ["next"], "live"]);
  });
}
